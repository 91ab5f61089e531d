"""Watch recorded drives: `python -m evaluation.view FOLDER [FOLDER ...]`.

Writes one page, FOLDER/view.html, that opens in any browser without a server or a network. FOLDER
is the output of evaluation.evaluate or evaluation.demo; with several, planners can be watched side
by side. `--table DIR` writes the drives as tables instead, one row a road user and step.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from carl_planner.command_errors import input_errors_reported
from evaluation.recording.episode import RecordedEpisode
from evaluation.recording.folder import find_episodes, read_episode
from evaluation.viewer.page_file import VIEW_FILE, write_page
from sim_adapters.scene.state import ActorKind

log = logging.getLogger(__name__)


def view(folders: Sequence[Path], output: Path | None = None) -> Path:
    """Write the page of these folders; returns its path."""
    return write_page(folders, output or folders[0] / VIEW_FILE)


def export_tables(folders: Sequence[Path], target: Path, kind: str, route: str | None) -> int:
    """Write the drives as tables into `target`; returns how many.

    Raises:
        ValueError: no drive, or none of the route.
    """
    number = 0
    for folder in folders:
        for path in find_episodes(folder):
            episode = read_episode(path)
            if route is None or str(episode.about["route"]) == route:
                name = f"{episode.about['planner']}_{path.stem}".replace("/", "_")
                write_table(episode, target / f"{name}.{kind}")
                number += 1
    if number == 0:
        which = "" if route is None else f" of route {route}"
        raise ValueError(f"{', '.join(map(str, folders))}: there is no recorded drive{which}")
    return number


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.view", description="Watch recorded drives in a browser."
    )
    parser.add_argument("folders", nargs="+", type=Path, help="output folders of evaluations")
    parser.add_argument("--output", type=Path, help=f"the page; FOLDER/{VIEW_FILE} if not given")
    parser.add_argument("--table", type=Path, metavar="DIR", help="write tables into DIR instead")
    parser.add_argument("--format", choices=FORMATS, default="csv", help="of the tables")
    parser.add_argument("--route", help="with --table: this route alone")
    return parser.parse_args(words)


def main() -> None:
    """Run the command."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = parse()
    with input_errors_reported():
        if options.table is not None:
            number = export_tables(options.folders, options.table, options.format, options.route)
            log.info("%d tables in %s", number, options.table)
        else:
            path = view(options.folders, options.output)
            size = path.stat().st_size / 1e6
            log.info("%s (%.1f MB): open it in a browser", path.resolve().as_uri(), size)


# A recorded drive as a table, one row a road user and step: CSV, or Parquet where pyarrow is

FORMATS = ("csv", "parquet")
Columns = dict[str, np.ndarray]


def table_columns(episode: RecordedEpisode) -> Columns:
    """Columns of the table, all of one length; rows by step, the ego first.

    The driver's numbers and reward terms are given in the ego's rows and NaN in the others.
    """
    tracks = episode.tracks
    track = np.repeat(np.arange(len(tracks.num_steps)), tracks.num_steps)
    since = np.arange(len(track)) - tracks.starts[track]
    step = tracks.first_step[track] + since
    kinds = np.array([kind.name.lower() for kind in ActorKind])
    columns: Columns = {
        "step": step,
        "time_s": np.round(episode.times_s[step], 6),
        "actor_id": tracks.actor_id[track],
        "is_ego": track == 0,
        "kind": kinds[tracks.kind[track]],
        "x": tracks.x,
        "y": tracks.y,
        "yaw_rad": np.arctan2(np.sin(tracks.yaw_rad), np.cos(tracks.yaw_rad)),
        "speed_mps": tracks.speed_mps,
        "length_m": 2.0 * tracks.half_length_m[track],
        "width_m": 2.0 * tracks.half_width_m[track],
        "lights": tracks.lights,
    }
    numbers = {name: values for name, values in episode.driver.items() if name != "speed_mps"}
    terms = {f"reward_{name}": values for name, values in episode.terms.items()}
    for name, values in {**numbers, **terms}.items():
        columns[name] = np.where(track == 0, values[step], np.nan)
    order = np.lexsort((track, step))
    return {name: values[order] for name, values in columns.items()}


def write_table(episode: RecordedEpisode, path: Path) -> None:
    """Write the table; the ending of `path` says how.

    Raises:
        ValueError: another ending than .csv or .parquet, or no pyarrow for the latter.
    """
    columns, kind = table_columns(episode), path.suffix.removeprefix(".")
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "csv":
        _write_csv(columns, path)
    elif kind == "parquet":
        _write_parquet(columns, path)
    else:
        raise ValueError(f"{path.name}: a table ends with .{' or .'.join(FORMATS)}")


def _write_csv(columns: Columns, path: Path) -> None:
    texts = [[_text(value) for value in values.tolist()] for values in columns.values()]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*texts, strict=True))


def _text(value: object) -> str:
    """Short and exact enough; nothing where there is no number."""
    if isinstance(value, float):
        return "" if value != value else f"{value:.6g}"
    return str(int(value)) if isinstance(value, bool) else str(value)


def _write_parquet(columns: Columns, path: Path) -> None:
    if find_spec("pyarrow") is None:
        raise ValueError("Parquet needs pyarrow, which is not installed: pip install pyarrow")
    import pyarrow  # pyright: ignore[reportMissingImports]
    from pyarrow import parquet  # pyright: ignore[reportMissingImports]

    parquet.write_table(pyarrow.table(columns), path)


if __name__ == "__main__":
    main()
