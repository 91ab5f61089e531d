"""Drawings of the documentation: what a policy sees, what a drive is paid, a page's table as bars.

`python -m evaluation.pictures` makes what they show and writes them.
"""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from evaluation.recording.episode import RecordedEpisode
from evaluation.report.page import ACCENT, GRID, INK, new_figure
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.picture import draw_town

PLAIN, LOST = "#0072b2", "#c8321f"
WINDOW_S = 1.0  # over which rewards are summed up
SUMMANDS = ("progress", "terminal")  # reward terms that are no factors in [0, 1]
MARKERS, APART = "os^Dv", 0.2  # of a table's columns, and their rows' distance in rows


def layers_figure(episode: RecordedEpisode, at_s: float) -> Figure:
    """Every channel of the raster that was shown nearest to a moment, the ego looking up.

    Raises:
        ValueError: the drive has no raster.
    """
    raster = episode.raster
    if not raster.steps:
        raise ValueError("the drive was recorded without a raster")
    times_s = np.array(raster.steps) * episode.step_s
    frame = raster.frame(int(np.argmin(np.abs(times_s - at_s))))
    figure = new_figure(10, 4.5, dpi=100)
    panels = figure.subplots(2, (len(frame) + 1) // 2)
    for axis in panels.flat:
        axis.set_axis_off()
    size = int(raster.view["size_px"])
    ego = (size - 1) / 2, size - 1 - float(raster.view["ego_px_from_bottom"])
    for axis, name, plane in zip(panels.flat, raster.view["channels"], frame, strict=False):
        axis.imshow(plane, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.plot(*ego, "^", color=ACCENT, markersize=5)
        axis.set_title(name.replace("_", " "), fontsize=9, color=INK)
    return figure


def reward_figure(episode: RecordedEpisode) -> Figure:
    """Progress, the factors it is multiplied by and the reward of a drive, over time."""
    factors = [name for name in episode.terms if name not in SUMMANDS]
    figure = new_figure(10, 1.2 + 0.62 * (len(factors) + 2), dpi=100)
    heights = [1.5, *(1.0 for _ in factors), 1.5]
    axes = np.ravel(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
    time_s = (np.arange(episode.num_steps) + 1) * episode.step_s
    steps = round(WINDOW_S / episode.step_s)
    progress, reward = (
        np.convolve(values, np.ones(steps))[: episode.num_steps]
        for values in (episode.terms["progress"], episode.driver["reward"])
    )
    axes[0].fill_between(time_s, progress, color=PLAIN, linewidth=0)
    for axis, name in zip(axes[1:-1], factors, strict=True):
        axis.fill_between(time_s, episode.terms[name], 1.0, color=LOST, linewidth=0)
        axis.set_ylim(0.0, 1.02)
        axis.set_yticks([0.0, 1.0])
    axes[-1].fill_between(time_s, reward, color=PLAIN, linewidth=0)
    ends = time_s[episode.terms["terminal"] < 0.0] if "terminal" in episode.terms else []
    axes[-1].plot(ends, np.zeros(len(ends)), "v", color=LOST, markersize=6)
    titles = ["progress\n[% / s]", *(f"\u00d7 {name.replace('_', ' ')}" for name in factors)]
    for axis, title in zip(axes, [*titles, "= reward\n[1 / s]"], strict=True):
        axis.set_ylabel(title, rotation=0, ha="right", va="center", fontsize=9, color=INK)
        _plain(axis)
    axes[-1].set_xlabel("time [s]", fontsize=9, color=INK)
    axes[-1].set_xlim(0.0, time_s[-1])
    return figure


def table_figure(page: Path, head: str, columns: dict[str, str]) -> Figure:
    """A page's own table `value [low, high]` as points with intervals.

    Args:
        page: Markdown.
        head: First word of the table's head.
        columns: To show, and what they are called in the drawing.

    Raises:
        ValueError: the page has no such table.
    """
    lines = page.read_text().splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    try:
        first = next(index for index, row in enumerate(rows) if row[0] == head)
        places = [rows[first].index(name) for name in columns]
    except (StopIteration, ValueError) as error:
        raise ValueError(f"{page} has no table of {head} with {', '.join(columns)}") from error
    body = rows[first + 2 :]
    figure = new_figure(8, 0.6 + 0.5 * len(body), dpi=100)
    axis = figure.subplots()
    for index, (place, title) in enumerate(zip(places, columns.values(), strict=True)):
        found = [re.findall(r"-?[\d.]+", row[place]) for row in body]
        value, low, high = np.array(found, float).T
        y = np.arange(len(body)) + APART * (index - (len(columns) - 1) / 2)
        axis.errorbar(
            value,
            y,
            xerr=[value - low, high - value],
            fmt=MARKERS[index],
            color=INK if index else ACCENT,
            capsize=3,
            label=title,
        )
    axis.set_yticks(range(len(body)), [f"{head} {row[0]}" for row in body])
    axis.set_ylim(len(body) - 0.5, -0.5)
    axis.set_xlim(0.0, 100.0)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _plain(axis)
    return figure


def town_figure(town: str, window: tuple[float, float, float]) -> Figure:
    """A square of a town as its tables have it: centre x, y and size [m]."""
    figure = draw_town(load_map_bank([town]), window)
    figure.set_size_inches(7.0, 7.0)
    figure.axes[0].set_title(f"{town} [m]", fontsize=9)
    figure.axes[0].set_position((0.07, 0.04, 0.92, 0.92))
    return figure


def write_small(png: bytes, output: Path) -> Path:
    """Write a PNG with a table of colors, at half its size or less, rare colors kept."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        output, optimize=True
    )
    return output


def _plain(axis: Axes) -> None:
    axis.grid(color=GRID, linewidth=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, colors=INK, length=0)
    for side in axis.spines.values():
        side.set_visible(False)
