"""One page of a training's judgements: the score over its samples, and hits by kind of script."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evaluation.report.html_report import ACCENT, GRID, INK, template
from sim_adapters.atomic_file import write_atomically

PAGE_FILE = "judged.html"
SCORE = "score/driving_score"
Line = tuple[int, Mapping[str, float]]  # samples, value by tag


def write_judged_page(folder: Path, lines: Sequence[Line]) -> Path:
    """Write the page of these judgements, oldest first, into `folder`; its path."""
    tags = list(dict.fromkeys(tag for _, values in lines for tag in values))
    groups = {
        "Scores": [tag for tag in tags if tag.startswith("score/")],
        "Driver hit, of the scripts reached [%]": [tag for tag in tags if tag.startswith("hit/")],
        "Infractions / km": [tag for tag in tags if tag.startswith("per_km/")],
    }
    best = max(lines, key=lambda line: line[1][SCORE])[0]
    html = template("judged.html.j2").render(
        title=folder.absolute().parent.name,
        picture=base64.b64encode(_picture(lines)).decode(),
        groups={title: [_row(tag, lines) for tag in found] for title, found in groups.items()},
        heads=[f"{samples / 1e6:.1f} M" for samples, _ in lines],
        best=f"{best / 1e6:.1f} M",
    )
    path = folder / PAGE_FILE
    write_atomically(path, html.encode())
    return path


def _row(tag: str, lines: Sequence[Line]) -> tuple[str, list[str]]:
    scale, digits = (100.0, 0) if tag.startswith("hit/") else (1.0, 2 if "per_km" in tag else 1)
    values = [line[1].get(tag) for line in lines]
    name = tag.partition("/")[2].replace("_", " ")
    return name, ["-" if value is None else f"{value * scale:.{digits}f}" for value in values]


def _picture(lines: Sequence[Line]) -> bytes:
    figure = Figure(figsize=(10, 6.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    x = [samples / 1e6 for samples, _ in lines]
    score = [values[SCORE] for _, values in lines]
    low, high = ([values[f"{SCORE}_{end}"] for _, values in lines] for end in ("low", "high"))
    above.fill_between(x, low, high, color=ACCENT, alpha=0.2, linewidth=0)
    above.plot(x, score, "o-", color=ACCENT, linewidth=2)
    above.set_title("driving score in the embedded world, 95 % interval over routes", loc="left")
    above.set_ylim(0, 100)
    kinds = dict.fromkeys(tag for _, values in lines for tag in values if tag.startswith("hit/"))
    for tag, marker in zip(kinds, "osD^v<>*", strict=False):
        points = [(each, 100 * v[tag]) for each, (_, v) in zip(x, lines, strict=True) if tag in v]
        below.plot(*zip(*points, strict=True), f"{marker}-", label=tag.partition("/")[2])
    below.set_title("driver hit, of the scripts reached [%]", loc="left")
    below.set_xlabel("samples [million]")
    below.legend(fontsize=8, frameon=False)
    for axis in (above, below):
        axis.grid(color=GRID)
        axis.tick_params(colors=INK)
        axis.spines[["top", "right"]].set_visible(False)
    memory = io.BytesIO()
    figure.savefig(memory, format="png")
    return memory.getvalue()
