"""What a check of a GPU says: agreements, figures, advice, and one table to paste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """Something that must hold."""

    what: str
    found: float
    limit: float  # the most that is allowed
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether what was found is allowed; NaN is not."""
        return self.found <= self.limit


@dataclass(frozen=True)
class Figure:
    """Something that was measured."""

    key: str
    value: float
    unit: str
    note: str = ""
    aim: float | None = None  # at least


@dataclass(frozen=True)
class Findings:
    """Of one machine."""

    machine: dict[str, str]
    checks: Sequence[Check]
    figures: Sequence[Figure]
    advice: Sequence[str]

    @property
    def all_hold(self) -> bool:
        """Whether every check does."""
        return all(check.holds for check in self.checks)

    def document(self) -> dict[str, Any]:
        """For a JSON file: `machine`, `checks`, `figures` and `advice`."""
        return {
            "machine": self.machine,
            "checks": [asdict(check) | {"holds": check.holds} for check in self.checks],
            "figures": [asdict(figure) for figure in self.figures],
            "advice": list(self.advice),
        }

    def table(self) -> str:
        """All of it as one Markdown table, then the advice."""
        lines = ["| | found | asked for | |", "|---|---|---|---|"]
        lines += [f"| {name} | {text} | | |" for name, text in self.machine.items()]
        for check in self.checks:
            verdict = "yes" if check.holds else "**no**"
            limit = f"at most {check.limit:.3g}: {verdict}"
            lines.append(f"| {check.what} | {check.found:.3g} | {limit} | {check.note} |")
        for figure in self.figures:
            aim = "" if figure.aim is None else f"at least {figure.aim:,.4g}"
            value = f"{figure.value:,.4g} {figure.unit}"
            lines.append(f"| {figure.key} | {value} | {aim} | {figure.note} |")
        broken = [check.what for check in self.checks if not check.holds]
        summary = f"{len(self.checks) - len(broken)} of {len(self.checks)} checks hold"
        summary += f"; not: {', '.join(broken)}" if broken else ""
        return "\n".join([*lines, "", summary, *(f"- {line}" for line in self.advice)])
