"""Turns OpenDRIVE towns into one MapBank: parsed once in a child process, cached by content."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernel_cache import cache_root, writable_cache
from sim_adapters.maps.bank_file import join_banks, load_bank
from sim_adapters.maps.lane_answers import DrivingAnswers, LaneId, NearestLanes, ParkingAnswers
from sim_adapters.maps.map_worker import (
    LEFT_OUT_SUFFIX,
    PARSE_CPU_LIMIT_S,
    UnusableMapError,
    run_map_worker,
)
from sim_adapters.maps.town_files import find_town_file, read_town_document, town_name
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.source_files import code_digest

_log = logging.getLogger(__name__)
_WORKER = "sim_adapters.maps.opendrive_worker"
_NEAREST_WORKER = "sim_adapters.maps.opendrive_nearest"
_WORKER_FILE = str(Path(__file__).with_name("opendrive_worker.py"))


def load_map_bank(
    towns: Sequence[str],
    *,
    pixels_per_meter: float = 2.0,
    cpu_limit_s: float = PARSE_CPU_LIMIT_S,
) -> MapBank:
    """One MapBank of all `towns`, in the order given.

    The first load of a town parses it in a child process and stores the result below
    `cache_root()/maps`, named by a hash of the file's content and of the code that parses and
    draws; later loads take milliseconds.

    Args:
        towns: Short names ("Town01") or paths to .xodr or .xodr.gz files; no town twice.
        pixels_per_meter: Resolution of the baked layers.
        cpu_limit_s: CPU time for parsing one town, without the compilation of kernels.

    Raises:
        FileNotFoundError: no file of a town; the message says where it was looked for.
        ValueError: a file that is no usable map, a town given twice, or no town at all.
    """
    names = [town_name(town) for town in towns]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"towns must name at least one town and none twice, got {list(towns)}")
    if not pixels_per_meter > 0.0:
        raise ValueError(f"pixels_per_meter must be positive, got {pixels_per_meter}")
    paths = [find_town_file(town) for town in towns]
    code = code_digest(_WORKER_FILE, frozenset({"sim_adapters"}))
    recipe = f"{float(pixels_per_meter)!r} px/m, {code}"
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        cached = list(
            pool.map(lambda path: _cached_bank(path, recipe, pixels_per_meter, cpu_limit_s), paths)
        )
    return join_banks([load_bank(path, name) for path, name in zip(cached, names, strict=True)])


def _cached_bank(path: Path, recipe: str, pixels_per_meter: float, cpu_limit_s: float) -> Path:
    """File of the town's bank, built now if the cache has none made by this recipe."""
    document = read_town_document(path)
    digest = hashlib.sha256(recipe.encode() + b"\0" + document).hexdigest()[:20]
    folder = cache_root() / "maps"
    cached = folder / f"{town_name(path.name)}-{digest}.npz"
    if not cached.is_file():
        folder = writable_cache("maps")
        cached = folder / cached.name
    if not cached.is_file():
        # Each process writes a file of its own and renames it: readers never see half a file
        with tempfile.TemporaryDirectory(dir=folder, prefix=".building-") as scratch:
            built = Path(scratch) / "bank.npz"
            arguments = [_WORKER, str(built), repr(float(pixels_per_meter))]
            _run_worker(arguments, path, document, cpu_limit_s)
            left_out = built.with_suffix(LEFT_OUT_SUFFIX)
            if left_out.is_file():
                left_out.replace(cached.with_suffix(LEFT_OUT_SUFFIX))
            built.replace(cached)
    _warn_of_left_out(path, cached.with_suffix(LEFT_OUT_SUFFIX))
    return cached


def _warn_of_left_out(path: Path, left_out: Path) -> None:
    if left_out.is_file():
        for line in left_out.read_text(encoding="utf-8").splitlines():
            _log.warning("%s: %s", path, line)


def nearest_driving_lanes(
    town: str, places: NDArray[np.float64], *, cpu_limit_s: float = PARSE_CPU_LIMIT_S
) -> tuple[list[LaneId], NDArray[np.float64]]:
    """Ids of each place's driving lane and the (K, 3) nearest points on their centre lines.

    See `nearest_lanes`, which raises the same errors.
    """
    answers = nearest_lanes(town, places, cpu_limit_s=cpu_limit_s)
    driving = answers.driving
    return answers.lane_ids(), np.column_stack([driving.x, driving.y, driving.z])


def nearest_lanes(
    town: str, places: NDArray[np.float64], *, cpu_limit_s: float = PARSE_CPU_LIMIT_S
) -> NearestLanes:
    """Which lanes CARLA itself takes each place to be on; where several overlap no other can say.

    Args:
        town: Short name or path of the town's file.
        places: (K, 3) x, y, z [m] in our frame.
        cpu_limit_s: CPU time for parsing the town, a second or two, and for the answers.

    Raises:
        FileNotFoundError: no file of the town.
        ValueError: a file that is no usable map.
    """
    path = find_town_file(town)
    with tempfile.TemporaryDirectory() as scratch:
        places_file, answers_file = Path(scratch) / "places.npy", Path(scratch) / "answers.npz"
        np.save(places_file, places)
        arguments = [_NEAREST_WORKER, str(places_file), str(answers_file)]
        _run_worker(arguments, path, read_town_document(path), cpu_limit_s)
        with np.load(answers_file) as file:
            return NearestLanes(DrivingAnswers(*file["driving"]), ParkingAnswers(*file["parking"]))


def _run_worker(arguments: list[str], path: Path, document: bytes, cpu_limit_s: float) -> None:
    """Run a worker module on `document`, or say why the file is no use."""
    try:
        run_map_worker(arguments, document, cpu_limit_s=cpu_limit_s)
    except UnusableMapError as error:
        raise ValueError(_unusable(path, str(error))) from None


def _unusable(path: Path, reason: str) -> str:
    return (
        f"{path} is no OpenDRIVE map that can be used: {reason}. Check that the file is complete "
        f"and opens in CARLA, or name another file in `towns`"
    )
