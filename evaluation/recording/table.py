"""A recorded drive as a table, one row a road user and step: CSV, or Parquet where pyarrow is."""

from __future__ import annotations

import csv
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from evaluation.recording.episode import RecordedEpisode
from sim_adapters.scene.state import ActorKind

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
