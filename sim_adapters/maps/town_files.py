"""Finds the OpenDRIVE file of a town: a path, a CARLA installation or the py123d wheel."""

from __future__ import annotations

import glob
import gzip
import importlib.util
import os
import re
import zlib
from pathlib import Path

CARLA_ROOT_VARIABLE = "CARLA_ROOT"
_WHEEL_FOLDER = Path("parser") / "opendrive" / "carla_maps"
_SUFFIXES = (".xodr", ".xodr.gz")
_LAYERED_TOWN = re.compile(r"Town\d{2}(HD)?_Opt")
_LARGE_TOWNS = frozenset({"Town11", "Town12", "Town13"})
_MAX_DOCUMENT_BYTES = 64 * 2**20  # Town05, the largest of those supported, has 7 MB


def town_name(town: str) -> str:
    """Name by which a MapBank knows a town given by short name or path (`a/Town01.xodr.gz`)."""
    if not town.endswith(_SUFFIXES):
        return short_town_name(town)
    name = Path(town).name
    for suffix in (".gz", ".xodr"):
        name = name.removesuffix(suffix)
    return name


def short_town_name(name: str) -> str:
    """A CARLA town's short name from the spellings that CARLA itself uses.

    `Map.name` and `get_available_maps` put folders before it ("/Game/Carla/Maps/Town01"); a layered
    build ("Town10HD_Opt") has the roads of the plain one.
    """
    name = name.rstrip("/").rpartition("/")[2]
    return name.removesuffix("_Opt") if _LAYERED_TOWN.fullmatch(name) else name


def find_town_file(town: str) -> Path:
    """OpenDRIVE file of `town`.

    Args:
        town: A path to a .xodr or .xodr.gz file, or a CARLA town's short name ("Town10HD").
            A name is looked up below `$CARLA_ROOT` first, then in the installed py123d wheel.

    Raises:
        FileNotFoundError: with every place that was looked at.
        ValueError: the town is one of the large maps, which this project does not load yet.
    """
    if town.endswith(_SUFFIXES):
        if Path(town).is_file():
            return Path(town)
        raise FileNotFoundError(f"OpenDRIVE file {town} does not exist: check the path in `towns`")
    town = short_town_name(town)
    if town in _LARGE_TOWNS:
        raise ValueError(
            f"{town} is a large map (about 700 lane-km or more), which is not supported yet: "
            f"use Town01 to Town07, Town10HD or Town15, or give the path of a smaller .xodr"
        )
    looked: list[str] = []
    for folder in _town_folders(looked):
        # CARLA nests some towns (Content/Carla/Maps/Town15/OpenDrive); the shortest path wins
        found = sorted(
            (path for suffix in _SUFFIXES for path in folder.rglob(glob.escape(town + suffix))),
            key=lambda path: (len(path.parts), str(path)),
        )
        if found:
            return found[0]
    known = _known_towns()
    there = f"There are {', '.join(known)}. " if known else ""
    raise FileNotFoundError(
        f"no OpenDRIVE file of {town!r}; looked in {'; '.join(looked)}. {there}"
        f"Run `pip install --no-deps py123d==0.7.0`, set {CARLA_ROOT_VARIABLE} to a CARLA "
        f"installation, or give the path of a .xodr or .xodr.gz file"
    )


def _known_towns() -> list[str]:
    """Names of all towns that `find_town_file` would find and load."""
    folders = _town_folders([])
    found = {town_name(str(path)) for folder in folders for path in folder.rglob("*.xodr*")}
    return sorted(found - _LARGE_TOWNS)


def _town_folders(looked: list[str]) -> list[Path]:
    """Folders that hold town files; `looked` collects what was tried, in words."""
    folders: list[Path] = []
    carla_root = os.environ.get(CARLA_ROOT_VARIABLE)
    if not carla_root:
        looked.append(f"${CARLA_ROOT_VARIABLE} (not set)")
    elif not Path(carla_root).is_dir():
        looked.append(f"${CARLA_ROOT_VARIABLE} ({carla_root}, no such folder)")
    else:
        looked.append(f"${CARLA_ROOT_VARIABLE} ({carla_root})")
        maps = Path(carla_root) / "CarlaUE4" / "Content" / "Carla" / "Maps"
        folders.append(maps if maps.is_dir() else Path(carla_root))
    # find_spec does not import py123d, whose dependencies are not installed
    wheel = importlib.util.find_spec("py123d")
    if wheel is None or wheel.origin is None:
        looked.append("the py123d wheel (not installed)")
    else:
        folders.append(Path(wheel.origin).parent / _WHEEL_FOLDER)
        looked.append(f"the py123d wheel ({folders[-1]})")
    return folders


def read_town_document(path: Path) -> bytes:
    """OpenDRIVE text of a plain or gzipped file, decompressed.

    Raises:
        ValueError: unreadable, or larger than any map this project can use.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            document = file.read(_MAX_DOCUMENT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"cannot read {path} ({error}): the file is damaged, fetch it again"
        ) from error
    if len(document) > _MAX_DOCUMENT_BYTES:
        raise ValueError(
            f"{path} holds more than {_MAX_DOCUMENT_BYTES // 2**20} MB of OpenDRIVE text: "
            f"such large maps are not supported"
        )
    return document
