"""Writes the viewer's page: style, scripts and data in one HTML file that opens from a disk.

And opens it, where somebody sits before a screen.
"""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import webbrowser
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from evaluation.recording.folder import SUFFIX, EpisodeFolder, find_episodes, town_file
from evaluation.recording.packing import Column, pack, read_about
from sim_adapters.array_types import FloatArray
from sim_adapters.atomic_file import write_atomically
from sim_adapters.scene.map_bank import MapBank, SignKind
from sim_adapters.scene_picture import style
from sim_adapters.scene_picture.map_picture import MapPicture

VIEW_FILE, DATA_FOLDER = "view.html", "view_files"
MOST_INLINE_BYTES = 100_000_000  # browsers open pages of this size within seconds
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export ", re.MULTILINE)
# What the list needs of a drive without reading it
_LISTED = (
    "label",
    "planner",
    "route",
    "town",
    "seed",
    "score",
    "duration_s",
    "infractions",
    "triggers",
)


class RecordedFile(NamedTuple):
    """A drive on the disk."""

    path: Path
    about: dict[str, Any]
    town: Path  # its picture


def write_page(folders: Sequence[Path], output: Path) -> Path:
    """The page of all drives in these folders and below; returns `output`.

    Drives beyond MOST_INLINE_BYTES together lie in DATA_FOLDER beside the page, as script files:
    a page from a disk may read no other.

    Args:
        folders: Of evaluations; of one planner and route several may hold a drive.
        output: The HTML file.

    Raises:
        FileNotFoundError: there is no drive, or the picture of a town is missing.
        ValueError: a file is damaged, and is named.
    """
    drives = sorted((drive for folder in folders for drive in _drives_of(folder)), key=worst_first)
    towns = {f"town-{i}": path for i, path in enumerate(sorted({d.town for d in drives}))}
    names = {path: name for name, path in towns.items()}
    rows = [_row(number, drive, names[drive.town]) for number, drive in enumerate(drives)]
    _tell_apart(rows, drives)
    data = {f"drive-{number}": drive.path for number, drive in enumerate(drives)} | towns
    inline = sum(path.stat().st_size for path in data.values()) * 4 // 3 <= MOST_INLINE_BYTES
    index = {
        "title": _title(drives, rows),
        "note": str(drives[0].about.get("world", "")),
        "folder": DATA_FOLDER,
        "towns": {name: name for name in towns},
        "episodes": rows,
    }
    parts = [json_element("index", index)]
    if inline:
        parts += [data_element(name, "text/plain", _base64(path)) for name, path in data.items()]
    else:
        _write_scripts(output.parent / DATA_FOLDER, data)
    page = shell(files("evaluation.viewer") / "page", "viewer", "app.js")
    write_atomically(output, page.replace("<!--DATA-->", "\n".join(parts), 1).encode())
    return output


def worst_first(drive: RecordedFile) -> tuple[float, list[str | int], str]:
    """Order of the list: the lowest score first, then by route."""
    route = [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", str(drive.about["route"]))]
    return float(drive.about["score"]), [str(part).zfill(12) for part in route], str(drive.path)


def bundle(folders: Sequence[Traversable], entry: str) -> str:
    """All modules in one, those that others import first.

    Browsers load no module from a disk, and the modules' top-level names differ from each other.

    Args:
        folders: Of the modules; the first that has one gives it.
        entry: The module that imports the others.
    """
    return "\n".join(_modules(folders, entry, set()))


def _modules(folders: Sequence[Traversable], name: str, done: set[str]) -> Iterator[str]:
    if name in done:
        return
    done.add(name)
    source = next(folder / name for folder in folders if (folder / name).is_file()).read_text()
    for imported in _IMPORT.findall(source):
        yield from _modules(folders, imported, done)
    yield _EXPORT.sub("", _IMPORT.sub("", source))


def shell(own: Traversable, name: str, entry: str) -> str:
    """A page without its data: one file of markup, style and scripts.

    Args:
        own: Folder of `name`.html, `name`.css and modules, beside the viewer's shared ones.
        name: Of the page.
        entry: Its first module.
    """
    shared = files("evaluation.viewer") / "page"
    style = (shared / "theme.css").read_text() + (own / f"{name}.css").read_text()
    html = (own / f"{name}.html").read_text().replace("/*STYLE*/", style)
    return html.replace("/*SCRIPT*/", bundle((own, shared), entry))


def data_element(name: str, kind: str, text: str) -> str:
    """Data that the page's scripts read; `text` must not end the element."""
    return f'<script type="{kind}" id="{name}">{text}</script>'


def json_element(name: str, value: Any) -> str:
    """A JSON document that the page's scripts read."""
    return data_element(name, "application/json", json.dumps(value).replace("<", "\\u003c"))


def _drives_of(folder: Path) -> list[RecordedFile]:
    paths = find_episodes(folder)
    if not paths:
        raise FileNotFoundError(
            f"{folder} holds no recorded drive (*{SUFFIX}): expected the output folder of "
            f"evaluation.evaluate or evaluation.demo, run with record_episodes=true"
        )
    drives = []
    for path in paths:
        try:
            about = read_about(path.read_bytes())
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        town = path.with_name(town_file(about))
        if not town.is_file():
            raise FileNotFoundError(f"{town} is missing, the map that {path.name} is shown on")
        drives.append(RecordedFile(path, about, town))
    return drives


def _row(number: int, drive: RecordedFile, town: str) -> dict[str, Any]:
    about = {key: drive.about[key] for key in _LISTED if key in drive.about}
    infractions = [{"kind": i["kind"], "name": i["name"]} for i in about["infractions"]]
    triggers = [{"type": t["type"]} for t in about.get("triggers", [])]
    lists = {"infractions": infractions, "triggers": triggers}
    return {**about, **lists, "data": f"drive-{number}", "town_data": town}


def _tell_apart(rows: Sequence[dict[str, Any]], drives: Sequence[RecordedFile]) -> None:
    """Give each drive a name of its own; planners of one name are told apart by their folders."""
    names = [f"{row['planner']}/{row['route']}/{row['seed']}" for row in rows]
    counts = Counter(names)
    for row, drive, name in zip(rows, drives, names, strict=True):
        if counts[name] > 1:
            row["planner"] = f"{row['planner']} ({drive.path.parent.parent.name})"
        row["name"] = f"{row['planner']}/{row['route']}/{row['seed']}"


def _title(drives: Sequence[RecordedFile], rows: Sequence[dict[str, Any]]) -> str:
    benchmarks = sorted({str(drive.about.get("benchmark", "recorded drives")) for drive in drives})
    planners = sorted({str(row["planner"]) for row in rows})
    return f"{', '.join(benchmarks)}: {'; '.join(planners)}"


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _write_scripts(folder: Path, data: dict[str, Path]) -> None:
    for path in folder.glob("*.js"):
        path.unlink()
    for name, path in data.items():
        script = f'viewerReceive("{name}", "{_base64(path)}");\n'
        write_atomically(folder / f"{name}.js", script.encode())


# Opens a page in the browser of whoever sits here


def open_page(address: str) -> bool:
    """Open it, if there is a screen: without one Python finds browsers that fill the terminal."""
    is_x11 = sys.platform not in ("darwin", "win32")
    if is_x11 and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(address)


# A town's picture for the page: areas, markings, stop lines and signs, packed as columns


POINT_STEP_M = 0.05
AREAS = ("sidewalk", "shoulder", "parking", "road", "crosswalk")  # in the order of painting
LINES = ("marking", "centre")
LAYER_OF = {
    style.SIDEWALK: "sidewalk",
    style.SHOULDER: "shoulder",
    style.PARKING: "parking",
    style.ROAD: "road",
    style.CROSSWALK: "crosswalk",
    style.MARKING: "marking",
    style.CENTRE_MARKING: "centre",
}


def write_towns(folder: EpisodeFolder, maps: MapBank, towns: Sequence[str]) -> None:
    """Write the pictures of these towns beside the drives through them."""
    for town in towns:
        write_atomically(folder.path / town_file({"town": town}), pack_town(maps, town))


def pack_town(maps: MapBank, town: str) -> bytes:
    """The picture of a town of CARLA's, for the page.

    Args:
        maps: Holds the town.
        town: Its name.
    """
    map_index = maps.map_index(town)
    layers: dict[str, list[FloatArray]] = {name: [] for name in (*AREAS, *LINES)}
    for shape in MapPicture(maps, map_index).shapes:
        layers[LAYER_OF[shape.colour]].append(shape.points)
    signs, lines = _stop_signs(maps, map_index), _stop_lines(maps, map_index)
    return pack_layers(town, layers, stop_lines=lines, stop_signs=signs)


def pack_layers(
    town: str,
    layers: Mapping[str, Sequence[FloatArray]],
    *,
    stop_lines: FloatArray,
    stop_signs: FloatArray,
) -> bytes:
    """A picture from its parts.

    Args:
        town: Name.
        layers: Polygons of AREAS and lines of LINES, each (N, 2) [m].
        stop_lines: (K, 5): two ends [m] and the index of the light within the town.
        stop_signs: (S, 3): place [m] and direction [rad].
    """
    columns = {}
    for name in (*AREAS, *LINES):
        shapes = [shape for shape in layers.get(name, ()) if len(shape)]
        rows = np.array([len(shape) for shape in shapes], np.int64)
        points = np.concatenate(shapes) if shapes else np.zeros((0, 2))
        columns[f"{name}.count"] = Column(rows)
        columns[f"{name}.x"] = Column(points[:, 0], POINT_STEP_M, 1, rows)
        columns[f"{name}.y"] = Column(points[:, 1], POINT_STEP_M, 1, rows)
    for column, name in enumerate(("x0", "y0", "x1", "y1", "light")):
        columns[f"stop_line.{name}"] = Column(stop_lines[:, column], POINT_STEP_M)
    for column, name in enumerate(("x", "y", "yaw_rad")):
        columns[f"stop_sign.{name}"] = Column(stop_signs[:, column], POINT_STEP_M)
    return pack({"town": town}, columns)


def _stop_lines(maps: MapBank, map_index: int) -> FloatArray:
    lines, signals = maps.stop_lines, maps.signals
    first, last = maps.ranges.signal[map_index : map_index + 2]
    rows = np.arange(int(signals.first_stop_line[first]), int(signals.first_stop_line[last]))
    half, yaw = 0.45 * lines.lane_width_m[rows], lines.yaw_rad[rows]
    left_x, left_y = -np.sin(yaw) * half, np.cos(yaw) * half
    x, y, light = lines.x[rows], lines.y[rows], lines.signal[rows] - first
    return np.stack([x + left_x, y + left_y, x - left_x, y - left_y, light], axis=1)


def _stop_signs(maps: MapBank, map_index: int) -> FloatArray:
    signs = maps.signs
    first, last = maps.ranges.sign[map_index : map_index + 2]
    rows = np.arange(int(first), int(last))
    rows = rows[signs.kind[rows] == SignKind.STOP]
    return np.stack([signs.x[rows], signs.y[rows], signs.yaw_rad[rows]], axis=1)
