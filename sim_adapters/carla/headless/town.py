"""A town as the server needs it: the OpenDRIVE text for clients, the map bank, the landmarks."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sim_adapters.atomic_file import write_atomically
from sim_adapters.carla.headless.frame import PoseTuple
from sim_adapters.kernel_cache import cache_root, writable_cache
from sim_adapters.maps.lane_graph import pose_on_lane
from sim_adapters.maps.map_worker import UnusableMapError, run_map_worker
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.opendrive_document import centred
from sim_adapters.maps.town_files import find_town_file, read_town_document, town_name
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.source_files import code_digest

GENERATED_TOWN = "OpenDriveMap"  # CARLA's name for the world of `generate_opendrive_world`
KNOWN_TOWNS = (*(f"Town{number:02d}" for number in range(1, 8)), "Town10HD", "Town15")
_GENERATED_PIXELS_PER_M = 0.25  # nobody here looks at the layers, and coarse ones are sooner baked
_SPAWN_STEP_M = 30.0
_SPAWN_HEIGHT_M = 0.5
_SHORTEST_SPAWN_LANE_M = 8.0
_WORKER = "sim_adapters.carla.headless.landmarks_worker"
_WORKER_FILE = str(Path(__file__).with_name("landmarks_worker.py"))
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Landmark:
    """A signal of the OpenDRIVE file where CARLA places it (right-handed)."""

    sign_id: str
    sign_type: str
    value: float
    x: float
    y: float
    z: float
    yaw_rad: float


@dataclass(frozen=True)
class ServerTown:
    """One loaded map."""

    name: str
    document: str
    bank: MapBank
    landmarks: dict[str, Landmark]
    spawn_points: list[PoseTuple]


def load_town(name: str) -> ServerTown:
    """The town called `name` ("Town01", "/Game/Carla/Maps/Town01", "Town01_Opt") or a file's path.

    Raises:
        FileNotFoundError: no such town.
        ValueError: a large town, or a file that is no usable map.
    """
    is_file = name.endswith((".xodr", ".xodr.gz"))
    # A layered map has the roads of the plain one and keeps its name, as in CARLA
    shown = town_name(name) if is_file else name.rpartition("/")[2]
    return _load(find_town_file(name), shown)


def generate_town(document: str) -> ServerTown:
    """The town of an OpenDRIVE text.

    Raises:
        ValueError: the text is no usable map.
    """
    if "<OpenDRIVE" not in document:  # not worth a child process
        raise ValueError("the text is not OpenDRIVE: it has no <OpenDRIVE> element")
    return _load_text(document.encode("utf-8"), GENERATED_TOWN, _GENERATED_PIXELS_PER_M)


def _load(path: Path, name: str, pixels_per_meter: float = 2.0) -> ServerTown:
    document, *shift = centred(read_town_document(path))
    if any(shift):
        _log.warning(
            "%s lies at x = %.0f, y = %.0f m, where float32 coordinates bend roads: clients get it "
            "moved to the origin, so add these to their x and subtract this y from theirs",
            *(path, *shift),
        )
        return _load_text(document, name, pixels_per_meter)
    # In a child process, so that a bad file ends only that; named towns share the adapters' cache
    bank = load_map_bank([str(path)], pixels_per_meter=pixels_per_meter)
    landmarks = {landmark.sign_id: landmark for landmark in _read_landmarks(document)}
    return ServerTown(name, document.decode("utf-8"), bank, landmarks, spawn_points(bank))


def _load_text(document: bytes, name: str, pixels_per_meter: float) -> ServerTown:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.xodr"
        path.write_bytes(document)
        return _load(path, name, pixels_per_meter)


def spawn_points(bank: MapBank) -> list[PoseTuple]:
    """Places on driving lanes outside junctions, every 30 m, half a metre up as in CARLA."""
    points: list[PoseTuple] = []
    lanes = bank.lanes
    for lane in range(len(lanes.length_m)):
        length_m = float(lanes.length_m[lane])
        is_road = lanes.kind[lane] == LaneKind.DRIVING and lanes.junction[lane] < 0
        if not is_road or length_m < _SHORTEST_SPAWN_LANE_M:
            continue
        count = max(1, int(length_m / _SPAWN_STEP_M))
        for index in range(count):
            place = pose_on_lane(bank.points, lanes, lane, length_m * (index + 0.5) / count)
            z = place.z + _SPAWN_HEIGHT_M
            points.append((place.x, place.y, z, 0.0, place.yaw_rad, 0.0))
    return points


def _read_landmarks(document: bytes) -> list[Landmark]:
    """Landmarks of the document, from the cache or from a child process."""
    code = code_digest(_WORKER_FILE, frozenset({"sim_adapters"}))
    digest = hashlib.sha256(code.encode() + b"\0" + document).hexdigest()[:20]
    cached = cache_root() / "landmarks" / f"{digest}.json"
    if not cached.is_file():
        cached = writable_cache("landmarks") / cached.name
    if not cached.is_file():
        try:
            listed = run_map_worker([_WORKER], document)
        except UnusableMapError as error:
            raise ValueError(f"CARLA's parser could not list the landmarks: {error}") from None
        write_atomically(cached, listed)
    return [Landmark(**entry) for entry in json.loads(cached.read_text())]
