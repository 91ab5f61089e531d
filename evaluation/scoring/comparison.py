"""Comparison: two drivers over the same episodes, pair by pair, on routes and in nuPlan alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.table import Table

from evaluation.scoring.bootstrap import FloatArray, Interval, mean_interval
from evaluation.scoring.score_table import interval_text


@dataclass(frozen=True)
class Difference:
    """One figure of both drivers over the same episodes."""

    first: float
    second: float
    change: Interval  # second minus first
    num_better: int  # pairs in which the second has the larger value
    num_worse: int


@dataclass(frozen=True)
class Comparison:
    """All figures of two evaluations.

    Args:
        label: What was compared: "routes", or a mode of nuPlan.
        pairs: What the pairs are, e.g. "pairs of route and seed".
        differences: By the figure's name.
        num_pairs: Episodes that both have.
        unpaired: Names of those that only one has.
    """

    label: str
    pairs: str
    differences: Mapping[str, Difference]
    num_pairs: int
    unpaired: tuple[str, ...] = ()


def difference(first: FloatArray, second: FloatArray) -> Difference:
    """Of the same figure, (routes, seeds) each."""
    change = second - first
    return Difference(
        first=float(first.mean()),
        second=float(second.mean()),
        change=mean_interval(change),
        num_better=int((change > 0.0).sum()),
        num_worse=int((change < 0.0).sum()),
    )


def comparison_table(
    names: tuple[str, str], comparison: Comparison, titles: Mapping[str, str], digits: int
) -> Table:
    """The table for the terminal.

    Args:
        names: Of the two evaluations.
        comparison: What was found.
        titles: Of figures that are not told by their names.
        digits: Behind the point; infractions have one more.
    """
    lost = f"; {len(comparison.unpaired)} in one run only" if comparison.unpaired else ""
    table = Table(
        title=f"{names[1]} against {names[0]}, {comparison.label}",
        caption=f"{comparison.num_pairs} {comparison.pairs}{lost}; 95 % bootstrap intervals of the "
        "change",
    )
    table.add_column("")
    for name in names:
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("change", justify="right", no_wrap=True)
    table.add_column("larger /\nsmaller", justify="right", no_wrap=True)
    for name, one in comparison.differences.items():
        places = digits + name.startswith("infraction")
        table.add_row(
            titles.get(name, name.replace("_", " ")),
            f"{one.first:.{places}f}",
            f"{one.second:.{places}f}",
            interval_text(one.change, places),
            f"{one.num_better} / {one.num_worse}",
        )
    return table
