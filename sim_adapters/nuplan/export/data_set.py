"""Makes a data set: the maps of some towns and a number of logs in each, whatever is missing.

And says what exported logs hold.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.town_files import town_name
from sim_adapters.nuplan.export.geopackage import location_name
from sim_adapters.nuplan.export.log_writer import LogContent, write_log
from sim_adapters.nuplan.export.logged_world import STEP_S, LoggedWorld, Recording, record
from sim_adapters.nuplan.export.map_files import map_path, write_map, write_map_index
from sim_adapters.nuplan.export.road_network import RoadNetwork, build_road_network
from sim_adapters.nuplan.export.scenario_tags import drive_signals, find_tags
from sim_adapters.nuplan.export.scene_routes import cut_scenes
from sim_adapters.scene.counter_rng import random_bits
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.world.pedestrian_state import PedestrianSettings
from sim_adapters.world.statics import StaticSettings
from sim_adapters.world.traffic.settings import TrafficSettings

MIN_SCENES = 5  # the devkit drops scenarios in the first two and the last two scenes of a log


@dataclass(frozen=True)
class ExportSettings:
    """What drives are like; the same settings give the same files.

    Args:
        seed: Of all drives.
        drive_s: Length of each.
        min_distance_m: Drives whose ego gets less far than this (a jam) are driven anew.
        scene_s: Length of the scenes that a log is cut into.
        sensor_range_m: Further away nothing is tracked.
        roadworks_share: Of the roads that have a building site.
        traffic: Background vehicles.
        pedestrians: People.
        statics: Parked cars and street furniture.

    Raises:
        ValueError: drives are too short to hold a scenario.
    """

    seed: int
    drive_s: float
    min_distance_m: float
    scene_s: float
    sensor_range_m: float
    roadworks_share: float
    traffic: TrafficSettings
    pedestrians: PedestrianSettings
    statics: StaticSettings

    def __post_init__(self) -> None:
        if not self.drive_s > MIN_SCENES * self.scene_s > 0.0:
            raise ValueError(
                f"drives of {self.drive_s} s hold no {MIN_SCENES} scenes of {self.scene_s} s, and "
                "nuplan-devkit takes no scenario from the outer two on each side: raise drive_s"
            )

    def as_json(self) -> dict[str, Any]:
        """The settings as plain values."""
        named = {key: getattr(self, key)._asdict() for key in ("traffic", "pedestrians", "statics")}
        return json.loads(json.dumps({**asdict(self), **named}))


MANIFEST = "export.json"
FORMAT_VERSION = 1  # raised when the same settings give other files
_MAX_ATTEMPTS = 10  # at a drive that gets somewhere
_RNG_DRIVE = 7411
_SEED_MASK = (1 << 62) - 1

_logger = logging.getLogger(__name__)


class ExportedDrive(NamedTuple):
    """One log to be made."""

    town: str  # name or file
    number: int  # within the town, from 0

    @property
    def log_name(self) -> str:
        """Stem of its file."""
        return f"{location_name(town_name(self.town))}_{self.number:04d}"


class MadeLog(NamedTuple):
    """What became of a drive."""

    drive: ExportedDrive
    path: Path
    is_new: bool


def make_data_set(
    out: Path,
    towns: Sequence[str],
    drives_per_town: int,
    settings: ExportSettings,
    *,
    num_workers: int = 1,
) -> Iterator[MadeLog]:
    """Write maps, then logs, yielding each log when it is there.

    Files that exist are kept, so a stopped export goes on, and one may add towns and drives.

    Raises:
        ValueError: the folder holds a set made with other settings; a town is unknown or cannot
            be a flat map.
    """
    _claim(out, settings)
    _write_maps(out / "maps", towns)
    drives = [ExportedDrive(town, number) for town in towns for number in range(drives_per_town)]
    make = partial(make_log, out=out, settings=settings)
    if num_workers == 1:
        yield from map(make, drives)
        return
    # "spawn": a forked child would inherit threads of the libraries loaded here
    with ProcessPoolExecutor(num_workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(make, drives)


def make_log(drive: ExportedDrive, *, out: Path, settings: ExportSettings) -> MadeLog:
    """Drive and write one log, unless it is there.

    Raises:
        ValueError: no drive of this length was found.
    """
    path = out / "logs" / f"{drive.log_name}.db"
    if path.exists():
        return MadeLog(drive, path, is_new=False)
    maps, network = _town(drive.town)
    recording = record_drive(maps, network, drive, settings)
    content = LogContent(
        name=drive.log_name,
        location=location_name(maps.towns[0]),
        recording=recording,
        network=network,
        first_signal=int(maps.ranges.signal[0]),
        scenes=cut_scenes(recording, network, round(settings.scene_s / STEP_S)),
        tags=find_tags(drive_signals(recording, maps), step_s=STEP_S),
        sensor_range_m=settings.sensor_range_m,
    )
    write_log(path, content)
    return MadeLog(drive, path, is_new=True)


def record_drive(
    maps: MapBank, network: RoadNetwork, drive: ExportedDrive, settings: ExportSettings
) -> Recording:
    """Let the ego of this drive go its way.

    Args:
        maps: A bank of the drive's town alone.
        network: Its roads.
        drive: Names the random numbers.
        settings: Of the set.

    Raises:
        ValueError: the ego's road ended early, or a jam held it up, each time.
    """
    town = zlib.crc32(maps.towns[0].encode())
    for attempt in range(_MAX_ATTEMPTS):
        stream = drive.number * _MAX_ATTEMPTS + attempt
        world = LoggedWorld(
            maps,
            network,
            seed=int(random_bits(settings.seed, town, stream, _RNG_DRIVE)) & _SEED_MASK,
            traffic=settings.traffic,
            pedestrians=settings.pedestrians,
            statics=settings.statics,
            roadworks_share=settings.roadworks_share,
        )
        recording = record(world, round(settings.drive_s / STEP_S))
        if recording is not None and recording.distance_m() >= settings.min_distance_m:
            return recording
    raise ValueError(
        f"none of {_MAX_ATTEMPTS} drives of {settings.drive_s} s in {drive.town} got "
        f"{settings.min_distance_m} m far: lower min_distance_m or the traffic"
    )


@lru_cache(maxsize=1)  # drives come town by town
def _town(town: str) -> tuple[MapBank, RoadNetwork]:
    maps = load_map_bank([town])
    return maps, build_road_network(maps, 0)


def _write_maps(map_root: Path, towns: Iterable[str]) -> None:
    for town in towns:
        if not map_path(map_root, location_name(town_name(town))).exists():
            maps, network = _town(town)
            try:
                path = write_map(map_root, maps, 0, network)
            except ValueError as error:
                raise ValueError(f"{town}: {error}") from error
            _logger.info(
                "%s: %d lanes, %d connectors -> %s",
                town,
                len(network.lanes),
                len(network.connectors),
                path,
            )
    write_map_index(map_root)


def _claim(out: Path, settings: ExportSettings) -> None:
    """Write down what the folder is going to hold, or check that it fits."""
    path, mine = out / MANIFEST, {"format": FORMAT_VERSION, **settings.as_json()}
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(mine, indent=1))
        return
    there = json.loads(path.read_text())
    if there != mine:
        changed = sorted(k for k in {*mine, *there} if there.get(k) != mine.get(k))
        raise ValueError(
            f"{out} holds a set with other {', '.join(changed)} (see {path}): export to another "
            "folder, or delete this one"
        )


# What exported logs hold, read back from their files, and the filter that selects it

# In this order Val14 lists its types
VAL14_TYPES = (
    "starting_left_turn",
    "starting_right_turn",
    "starting_straight_traffic_light_intersection_traversal",
    "stopping_with_lead",
    "high_lateral_acceleration",
    "high_magnitude_speed",
    "low_magnitude_speed",
    "traversing_pickup_dropoff",
    "waiting_for_pedestrian_to_cross",
    "behind_long_vehicle",
    "stationary_in_traffic",
    "near_multiple_vehicles",
    "changing_lane",
    "following_lane_with_lead",
)
_OUTER_SCENES = 2  # on each side, from which the devkit takes no scenario
_TAGGED = """
    SELECT lower(hex(frame.token)), max(tag.type), scene.name
    FROM scenario_tag tag
    JOIN lidar_pc frame ON frame.token = tag.lidar_pc_token
    JOIN scene ON scene.token = frame.scene_token
    GROUP BY frame.token ORDER BY frame.timestamp
"""


class TaggedFrame(NamedTuple):
    """A scenario that the devkit can take from a log."""

    token: str
    type: str


def tagged_frames(log: Path) -> list[TaggedFrame]:
    """Scenarios of a log, oldest first; of several tags on a frame the devkit takes the last."""
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as database:
        names = [row[0] for row in database.execute("SELECT name FROM scene ORDER BY name")]
        inner = set(names[_OUTER_SCENES : len(names) - _OUTER_SCENES])
        rows = database.execute(_TAGGED).fetchall()
    return [TaggedFrame(token, kind) for token, kind, scene in rows if scene in inner]


def count_types(logs: Iterable[Path]) -> dict[str, int]:
    """Number of scenarios by type, all types of Val14, also those that do not occur."""
    counts = Counter(frame.type for log in logs for frame in tagged_frames(log))
    return {kind: counts[kind] for kind in VAL14_TYPES}


def write_filter(path: Path, logs: Sequence[Path], max_per_type: int | None) -> int:
    """Write a scenario filter in the devkit's form for what these logs hold.

    Args:
        path: The .yaml file.
        logs: All of the set.
        max_per_type: Of a type's scenarios at most this many, spread over the logs; None: all.

    Returns:
        Number of scenarios that it names.
    """
    by_type: dict[str, list[str]] = defaultdict(list)
    for log in logs:
        for frame in tagged_frames(log):
            by_type[frame.type].append(frame.token)
    tokens = [token for kind in VAL14_TYPES for token in _spread(by_type[kind], max_per_type)]
    table = {
        "_target_": "nuplan.planning.scenario_builder.scenario_filter.ScenarioFilter",
        "_convert_": "all",
        "scenario_types": [kind for kind in VAL14_TYPES if by_type[kind]],
        "scenario_tokens": tokens,
        "log_names": None,
        "map_names": None,
        "num_scenarios_per_type": None,
        "limit_total_scenarios": None,
        "timestamp_threshold_s": None,
        "ego_displacement_minimum_m": None,
        "ego_start_speed_threshold": None,
        "ego_stop_speed_threshold": None,
        "speed_noise_tolerance": None,
        "expand_scenarios": False,
        "remove_invalid_goals": True,
        "shuffle": False,
    }
    path.write_text(yaml.safe_dump(table, sort_keys=False))
    return len(tokens)


def _spread(tokens: list[str], limit: int | None) -> list[str]:
    """At most `limit` of them, evenly."""
    if limit is None or len(tokens) <= limit:
        return tokens
    return [tokens[row * len(tokens) // limit] for row in range(limit)]
