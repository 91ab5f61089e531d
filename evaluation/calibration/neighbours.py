"""Who drives around the ego: `python -m evaluation.calibration.neighbours FOLDER FOLDER ...`.

Each folder is the output of an evaluation or of official drives that were recorded. Routes that all
of them drove are compared, town by town: how many vehicles there are near the ego, ahead and behind
on its own lane and on the lanes beside it, oncoming, and how many of them stand.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from evaluation.recording.episode import RecordedEpisode
from evaluation.recording.folder import find_episodes, read_episode
from sim_adapters.scene.state import LAST_VEHICLE_KIND

REACH_M = 50.0  # ahead, behind and around
LANE_M, HALF_LANE_M = 3.5, 1.75
STANDING_MPS = 0.5
SAME_RAD, ONCOMING_RAD = 0.5, 2.6  # between headings

FIGURES = (
    "within 20 m",
    "within 50 m",
    "of these standing",
    "ahead, own lane",  # within REACH_M straight on, as all that follow
    "behind, own lane",
    "ahead, lanes beside",
    "behind, lanes beside",
    "oncoming",
)
LAST_ROW = len(FIGURES) - 1


class Neighbours(NamedTuple):
    """Means over the steps of a drive."""

    town: str
    figures: NDArray[np.float64]  # by FIGURES
    num_steps: int


def neighbours(episode: RecordedEpisode) -> Neighbours:
    """Count the ego's neighbours at every step of a drive."""
    tracks = episode.tracks
    starts, num_steps = tracks.starts, int(tracks.num_steps[0])
    ego = slice(0, num_steps)
    x, y, yaw = tracks.x[ego], tracks.y[ego], tracks.yaw_rad[ego]
    total = np.zeros(len(FIGURES))
    for row in range(1, len(tracks.actor_id)):
        if not 0 < tracks.kind[row] <= LAST_VEHICLE_KIND:
            continue
        first = int(tracks.first_step[row])
        last = min(first + int(tracks.num_steps[row]), num_steps)
        own, when = slice(starts[row], starts[row] + max(last - first, 0)), slice(first, last)
        dx, dy = tracks.x[own] - x[when], tracks.y[own] - y[when]
        cos, sin = np.cos(yaw[when]), np.sin(yaw[when])
        total += _counts(
            cos * dx + sin * dy,
            np.abs(cos * dy - sin * dx),
            np.abs(np.angle(np.exp(1j * (tracks.yaw_rad[own] - yaw[when])))),
            tracks.speed_mps[own] < STANDING_MPS,
        )
    return Neighbours(str(episode.about["town"]), total / max(num_steps, 1), num_steps)


def _counts(
    ahead_m: NDArray[np.float64],
    beside_m: NDArray[np.float64],
    turned_rad: NDArray[np.float64],
    stands: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """How often one vehicle counts for each figure."""
    away_m, near = np.hypot(ahead_m, beside_m), np.abs(ahead_m) < REACH_M
    follows = near & (turned_rad < SAME_RAD)
    own = follows & (beside_m < HALF_LANE_M)
    adjacent = follows & (np.abs(beside_m - LANE_M) < HALF_LANE_M)
    return np.array([
        np.sum(away_m < 20.0),
        np.sum(away_m < REACH_M),
        np.sum((away_m < REACH_M) & stands),
        np.sum(own & (ahead_m > 0.0)),
        np.sum(own & (ahead_m <= 0.0)),
        np.sum(adjacent & (ahead_m > 0.0)),
        np.sum(adjacent & (ahead_m <= 0.0)),
        np.sum(near & (turned_rad > ONCOMING_RAD)),
    ], dtype=float)  # fmt: skip


def compare_neighbours(folders: Sequence[Path]) -> Table:
    """One line a town and folder, over the routes that all folders hold.

    Raises:
        ValueError: a folder holds no recorded drive, or no route is in all.
    """
    found: list[dict[str, list[Neighbours]]] = []
    for folder in folders:
        drives: dict[str, list[Neighbours]] = {}
        for path in find_episodes(folder):
            episode = read_episode(path)
            drives.setdefault(str(episode.about["route"]), []).append(neighbours(episode))
        if not drives:
            raise ValueError(
                f"{folder} holds no recorded drive (record_episodes=true, record=true)"
            )
        found.append(drives)
    shared = sorted(set.intersection(*(set(drives) for drives in found)))
    if not shared:
        raise ValueError("no route is in all of the folders")
    table = Table("town", "vehicles", *(folder.name for folder in folders))
    for town in sorted({found[0][route][0].town for route in shared}):
        columns = []
        for drives in found:
            own = [one for route in shared for one in drives[route] if one.town == town]
            weights = [one.num_steps for one in own]
            columns.append(np.average([one.figures for one in own], axis=0, weights=weights))
        for row, name in enumerate(FIGURES):
            means = [f"{column[row]:.1f}" for column in columns]
            table.add_row(town if row == 0 else "", name, *means, end_section=row == LAST_ROW)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.calibration.neighbours", description=__doc__
    )
    parser.add_argument("folders", type=Path, nargs="+", help="outputs of evaluations")
    options = parser.parse_args(arguments)
    try:
        table = compare_neighbours(options.folders)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    Console().print(table)


if __name__ == "__main__":
    main()
