"""One HTML file of facts and tables: of an evaluation on routes or in nuPlan, or of a training."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from evaluation.scoring.score_table import ScoredWorld, ScoreTable
from sim_adapters.atomic_file import write_atomically

REPORT_FILE = "report.html"
INK, GRID, ACCENT = "#1d2733", "#e3e8ee", "#ff7a3d"


@dataclass(frozen=True)
class PageSection:
    """A table, a picture or both, under a heading.

    Args:
        title: The heading, "" for none.
        table: Its own title is left out.
        picture: PNG above the table.
        picture_text: What the picture shows, for those who can't see it.
        style: "scores" sets the first row in bold, "plain" none, "words" all but the names small.
        is_open: Whether a section that can be folded away is not; None can't be.
    """

    title: str
    table: ScoreTable | None = None
    picture: bytes = b""
    picture_text: str = ""
    style: str = "plain"
    is_open: bool | None = None

    @property
    def picture_url(self) -> str:
        """The picture as a data URL, so that the page stays one file."""
        return "data:image/png;base64," + base64.b64encode(self.picture).decode()


@dataclass(frozen=True)
class ScorePage:
    """What a page shows.

    Args:
        title: Heading.
        lead: Sentence below it.
        sections: From top to bottom.
        facts: Short statements for the head: name and value.
        world: Where the scores come from; what they are not stands below the first section.
        viewer: Page of the recorded drives beside this one, if any.
        video: MP4 beside this page, if any.
        video_title: Its caption.
    """

    title: str
    lead: str
    sections: Sequence[PageSection]
    facts: Mapping[str, str] = field(default_factory=dict)
    world: ScoredWorld | None = None
    viewer: str | None = None
    video: str | None = None
    video_title: str = ""

    def write(self, path: Path) -> Path:
        """Write the page, atomically, into a folder that is made if missing; returns `path`."""
        templates = Environment(
            loader=PackageLoader("evaluation.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        html = templates.get_template("page.html.j2").render(page=self)
        write_atomically(path, html.encode())
        return path


def new_figure(width: float, height: float, dpi: int = 120) -> Figure:
    """An empty figure; sizes in inches."""
    figure = Figure(figsize=(width, height), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png_of(figure: Figure) -> bytes:
    """A figure as a PNG."""
    memory = io.BytesIO()
    figure.savefig(memory, format="png")
    return memory.getvalue()
