"""EpisodeFolder: where the recorded drives of an evaluation lie, one file a drive."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.recording.episode import RecordedEpisode, pack_episode, unpack_episode
from sim_adapters.atomic_file import write_atomically

EPISODES_FOLDER, SUFFIX, TOWN_SUFFIX = "drives", ".episode", ".town"


class EpisodeFolder:
    """Drives of one planner, below the output folder of its evaluation.

    Args:
        output: Of the evaluation; made with the first drive.
    """

    def __init__(self, output: Path) -> None:
        self.path = output / EPISODES_FOLDER

    def clear(self) -> None:
        """Remove the drives of an earlier evaluation."""
        for path in self.path.glob(f"*{SUFFIX}"):
            path.unlink()

    def write(self, episode: RecordedEpisode) -> None:
        """Keep a drive; an older one of the same route and seed is replaced."""
        about = episode.about
        write_atomically(self._file(about["route"], about["seed"]), pack_episode(episode))

    def read(self, route_id: str, seed: int) -> RecordedEpisode:
        """The drive of a route.

        Raises:
            FileNotFoundError: it was not recorded.
            ValueError: the file is damaged.
        """
        return read_episode(self._file(route_id, seed))

    def _file(self, route_id: str, seed: int) -> Path:
        return self.path / f"route_{file_name(route_id)}_seed_{seed}{SUFFIX}"


def read_episode(path: Path) -> RecordedEpisode:
    """The drive of a file.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is damaged, and is named.
    """
    try:
        return unpack_episode(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def find_episodes(folder: Path) -> list[Path]:
    """All recorded drives in a folder and below it, sorted."""
    return sorted(folder.rglob(f"*{SUFFIX}"))


def town_file(about: Mapping[str, Any]) -> str:
    """Name of the picture that a drive is shown on, beside the drive."""
    return file_name(str(about.get("map", about["town"]))) + TOWN_SUFFIX


def file_name(text: str) -> str:
    """`text` as a part of a file's name; texts that differ give names that differ."""
    safe = re.sub(r"[^A-Za-z0-9_-]", "_", text)[:80]
    return safe if safe == text else f"{safe}_{zlib.crc32(text.encode()):08x}"
