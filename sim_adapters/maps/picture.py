"""`python -m sim_adapters.maps.picture town=Town03 output=DIR` draws a town for people to check.

One PNG: the baked layers, lane centre lines by posted limit, junction lanes by entry rule, stop
lines by phase and sign boxes. `window=x,y,size` [m] cuts out a square around a place.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.town_files import town_name
from sim_adapters.scene.map_bank import EntryRule, LaneKind, MapBank, SignKind
from sim_adapters.scene.map_layers import LayerBit, untile_plane

_BACKGROUND = (38, 50, 38)
_LAYER_COLORS = {  # painted in this order
    LayerBit.SIDEWALK: (140, 140, 120),
    LayerBit.SHOULDER: (105, 85, 70),
    LayerBit.PARKING: (70, 70, 115),
    LayerBit.DRIVING: (66, 66, 66),
    LayerBit.CROSSWALK: (170, 170, 170),
    LayerBit.MARKING: (255, 215, 0),
    LayerBit.MARKING_BROKEN: (255, 255, 255),
}
_ENTRY_COLORS = {
    EntryRule.FREE: "deepskyblue",
    EntryRule.LIGHT: "limegreen",
    EntryRule.STOP: "red",
    EntryRule.YIELD: "orange",
}
_PHASE_COLORS = ("magenta", "cyan", "yellow", "orange", "white")
_SIGN_COLORS = {SignKind.STOP: "red", SignKind.YIELD: "orange", SignKind.SPEED_LIMIT: "violet"}
_FIGURE_INCHES = 14.0
_PIXELS_PER_INCH = 110


def draw_town(bank: MapBank, window: tuple[float, float, float] | None = None) -> Figure:
    """Figure of a bank's first map.

    Args:
        bank: Its other maps are not drawn.
        window: Centre x, y and size [m] of a square to show; the whole town without it.
    """
    figure = Figure(figsize=(_FIGURE_INCHES, _FIGURE_INCHES), dpi=_PIXELS_PER_INCH)
    axes = figure.add_axes((0.03, 0.03, 0.96, 0.94))
    _draw_layers(axes, bank)
    _draw_lanes(axes, bank)
    _draw_stop_lines(axes, bank)
    _draw_signs(axes, bank)
    axes.set_aspect("equal")
    last, margin_m = bank.ranges.point[1], 15.0
    x, y = bank.points.x[:last], bank.points.y[:last]
    if window is not None:
        x, y, margin_m = np.array(window[0]), np.array(window[1]), window[2] / 2.0
    axes.set_xlim(x.min() - margin_m, x.max() + margin_m)
    axes.set_ylim(y.min() - margin_m, y.max() + margin_m)
    axes.set_title(
        f"{bank.towns[0]} [m]: junction lanes by entry rule (blue free, green light, red stop, "
        f"orange yield), stop lines by phase, other lanes by limit (dark 30 to bright 90 km/h)"
    )
    return figure


def _draw_layers(axes: Axes, bank: MapBank) -> None:
    plane = untile_plane(bank.layers, 0)
    picture = np.empty((*plane.shape, 3), np.uint8)
    picture[:] = _BACKGROUND
    for bit, color in _LAYER_COLORS.items():
        picture[(plane & bit) != 0] = color
    scale = float(bank.layers.pixels_per_meter[0])
    # Pixels are samples at points, so the picture reaches half a pixel beyond the outer ones
    left, low = (
        float(start[0]) - 0.5 / scale for start in (bank.layers.origin_x, bank.layers.origin_y)
    )
    right, top = left + plane.shape[1] / scale, low + plane.shape[0] / scale
    axes.imshow(picture, origin="lower", extent=(left, right, low, top), interpolation="nearest")


def _draw_lanes(axes: Axes, bank: MapBank) -> None:
    lines, colors = [], []
    for lane in np.flatnonzero(bank.lanes.kind[: bank.ranges.lane[1]] == LaneKind.DRIVING):
        rows = slice(bank.lanes.first_point[lane], bank.lanes.first_point[lane + 1])
        lines.append(np.column_stack([bank.points.x[rows], bank.points.y[rows]]))
        if bank.lanes.junction[lane] >= 0:
            colors.append(_ENTRY_COLORS[EntryRule(int(bank.rules.entry[lane]))])
        else:
            limit_kmh = 3.6 * float(np.median(bank.points.speed_limit_mps[rows]))
            shade = min(1.0, 0.25 + limit_kmh / 120.0)
            colors.append((shade, shade, shade))
    axes.add_collection(LineCollection(lines, colors=colors, linewidths=0.6))
    ends = np.array([line[-1] for line in lines])
    axes.plot(ends[:, 0], ends[:, 1], ".", color="black", markersize=1.5)


def _draw_stop_lines(axes: Axes, bank: MapBank) -> None:
    last = int(np.searchsorted(bank.stop_lines.signal, bank.ranges.signal[1]))
    stop = bank.stop_lines
    half = 0.4 * stop.lane_width_m[:last]
    dx, dy = -np.sin(stop.yaw_rad[:last]) * half, np.cos(stop.yaw_rad[:last]) * half
    x, y = stop.x[:last], stop.y[:last]
    segments = np.stack(
        [np.column_stack([x - dx, y - dy]), np.column_stack([x + dx, y + dy])], axis=1
    )
    phases = bank.signals.phase[stop.signal[:last]]
    colors = [_PHASE_COLORS[int(phase) % len(_PHASE_COLORS)] for phase in phases]
    axes.add_collection(LineCollection(list(segments), colors=colors, linewidths=2.0))


def _draw_signs(axes: Axes, bank: MapBank) -> None:
    signs = bank.signs
    rows = range(int(bank.ranges.sign[1]))
    boxes = [_corners(bank, row) for row in rows]
    colors = [_SIGN_COLORS[SignKind(int(signs.kind[row]))] for row in rows]
    axes.add_collection(PolyCollection(boxes, facecolors="none", edgecolors=colors))
    for row in rows:
        if signs.kind[row] == SignKind.SPEED_LIMIT:
            label = f"{3.6 * signs.value[row]:.0f}"
            axes.text(signs.x[row], signs.y[row], label, color="violet", fontsize=6, clip_on=True)


def _corners(bank: MapBank, sign: int) -> NDArray[np.float64]:
    """Corners of a sign's trigger box, (4, 2)."""
    signs = bank.signs
    along = signs.half_length_m[sign] * np.array([1.0, 1.0, -1.0, -1.0])
    across = signs.half_width_m[sign] * np.array([1.0, -1.0, -1.0, 1.0])
    cos, sin = np.cos(signs.yaw_rad[sign]), np.sin(signs.yaw_rad[sign])
    x = signs.x[sign] + cos * along - sin * across
    y = signs.y[sign] + sin * along + cos * across
    return np.column_stack([x, y])


def main(arguments: list[str]) -> Path:
    """Draw the town named by `town=`; returns the picture's path."""
    options = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    unknown = sorted(set(options) - {"town", "output", "window"})
    if "town" not in options or unknown or len(options) != len(arguments):
        raise SystemExit(
            "usage: python -m sim_adapters.maps.picture town=NAME [output=DIR] [window=X,Y,SIZE]"
        )
    folder = Path(options.get("output", "."))
    folder.mkdir(parents=True, exist_ok=True)
    window = None
    if "window" in options:
        x, y, size = (float(number) for number in options["window"].split(","))
        window = (x, y, size)
    path = folder / f"{town_name(options['town'])}.png"
    draw_town(load_map_bank([options["town"]]), window).savefig(path)
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{main(sys.argv[1:])}\n")
