"""Stop, yield and speed-limit signs of one town, one row a lane; which signals have no effect."""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from typing import NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.lane_graph import TownGraph, pose_on_lane
from sim_adapters.maps.lane_places import (
    MAX_APPROACH_M,
    JunctionEntry,
    LanePlace,
    junction_entries,
    places_of_reference,
)
from sim_adapters.maps.opendrive_document import (
    LIGHT_TYPES,
    LIMIT_TYPE,
    STOP_TYPE,
    YIELD_TYPE,
    OpenDriveDocument,
    SignalReference,
)
from sim_adapters.maps.traffic_lights import (
    TRIGGER_HALF_LENGTH_M,
    TRIGGER_HALF_WIDTH_SHARE,
    TrafficLights,
    trigger_pose,
)
from sim_adapters.scene.map_bank import LimitPosts, SignKind, Signs

# The names by which CARLA's parser knows a painted or posted limit. The number is km/h
# whatever unit the file states, because CARLA never converts it.
_LIMIT_OBJECT = re.compile(r"[Ss]peed_(?:STATIC_)?(\d+)")
_LIMIT_HALF_SIDE_SHARE = 0.35  # of the lane width: CARLA's limit boxes are cubes
_KINDS = {STOP_TYPE: SignKind.STOP, YIELD_TYPE: SignKind.YIELD}


class SpeedLimit(NamedTuple):
    """A limit that begins at a place."""

    place: LanePlace
    limit_mps: float


class TrafficSigns(NamedTuple):
    """The sign table of one town and what it means for the lane graph."""

    signs: Signs
    sign_of_entry: dict[JunctionEntry, int]  # stop before yield where both stand
    limits: list[SpeedLimit]


class _SignRow(NamedTuple):
    kind: SignKind
    x: float
    y: float
    z: float
    yaw_rad: float
    half_length_m: float
    half_width_m: float
    value: float
    lane: int


def build_traffic_signs(graph: TownGraph, document: OpenDriveDocument) -> TrafficSigns:
    """All stop and yield signs (by approach lane), then all speed limits (by lane)."""
    rows: list[_SignRow] = []
    sign_of_entry: dict[JunctionEntry, int] = {}
    for kind in (SignKind.STOP, SignKind.YIELD):
        for entry in _signed_entries(graph, document, kind):
            row = _priority_sign(graph, kind, entry.approach)
            if row not in rows:
                rows.append(row)
            sign_of_entry.setdefault(entry, rows.index(row))
    limits = _speed_limits(graph, document)
    rows += [_limit_sign(graph, limit) for limit in limits]
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(_SignRow._fields)
    kind, *floats, lane = columns
    signs = Signs(
        np.array(kind, np.uint8),
        *(np.array(column, np.float64) for column in floats),
        lane=np.array(lane, np.int32),
    )
    return TrafficSigns(signs, sign_of_entry, limits)


def limit_posts(carla_map: carla.Map) -> LimitPosts:
    """Where CARLA has the file's signs of type 274; their number is km/h."""
    landmarks = carla_map.get_all_landmarks_of_type(LIMIT_TYPE)
    rows = [
        (
            *(landmark.transform.location.x, -landmark.transform.location.y),
            *(landmark.transform.location.z, -math.radians(landmark.transform.rotation.yaw)),
            landmark.value / 3.6,
        )
        for landmark in {landmark.id: landmark for landmark in landmarks}.values()
    ]
    columns = np.array(rows, np.float64).reshape(-1, 5).T
    return LimitPosts(np.array([0, len(rows)], np.int32), *np.ascontiguousarray(columns))


def _signed_entries(
    graph: TownGraph, document: OpenDriveDocument, kind: SignKind
) -> list[JunctionEntry]:
    entries = {
        entry
        for reference in document.references
        if _KINDS.get(document.signal_types.get(reference.signal_id, "")) == kind
        for place in places_of_reference(graph, reference)
        for entry in junction_entries(graph, place)
    }
    return sorted(entries)


def _priority_sign(graph: TownGraph, kind: SignKind, approach: int) -> _SignRow:
    """CARLA's effect box: as for lights, 1.5 to 4.5 m before the junction."""
    pose = trigger_pose(graph.points, graph.lanes, approach)
    half_width_m = TRIGGER_HALF_WIDTH_SHARE * pose.width_m
    return _SignRow(kind, *pose[:4], TRIGGER_HALF_LENGTH_M, half_width_m, 0.0, approach)


def _limit_sign(graph: TownGraph, limit: SpeedLimit) -> _SignRow:
    """CARLA's limit box: a cube that ends where the sign stands."""
    lane, s_m = limit.place
    half_side_m = (
        _LIMIT_HALF_SIDE_SHARE * pose_on_lane(graph.points, graph.lanes, lane, s_m).width_m
    )
    pose = pose_on_lane(graph.points, graph.lanes, lane, s_m - half_side_m)
    return _SignRow(
        SignKind.SPEED_LIMIT, *pose[:4], half_side_m, half_side_m, limit.limit_mps, lane
    )


def _speed_limits(graph: TownGraph, document: OpenDriveDocument) -> list[SpeedLimit]:
    """Limits of signals of type 274 and of objects named Speed_NN, in the order of lanes.

    A sign whose orientation names a side without driving lanes has no effect, as in CARLA
    (three of Town04's 53, 32 of Town15's 110). Two equal signs at one place are one.
    """
    posted: list[tuple[SignalReference, float]] = [
        (reference, document.signal_values[reference.signal_id])
        for reference in document.references
        if document.signal_types.get(reference.signal_id) == LIMIT_TYPE
    ]
    for item in document.objects:
        match = _LIMIT_OBJECT.match(item.name)
        if match:
            reference = SignalReference(item.name, item.road_id, item.s_m, item.orientation, ())
            posted.append((reference, float(match.group(1))))
    limits = {
        SpeedLimit(place, limit_kmh / 3.6)
        for reference, limit_kmh in posted
        for place in places_of_reference(graph, reference)
        if limit_kmh > 0.0
    }
    return sorted(limits)


# The posted speed limit in force at every lane point.
#
# CARLA changes a vehicle's limit when it enters a sign's box and keeps it until the next sign,
# starting at 30 km/h. A map cannot know where a vehicle came from, so a point's limit here is that
# of the nearest sign upstream, measured along lanes; of two signs equally near the slower counts.
# A lane that begins without a predecessor takes the limit of the lane beside it. Points that no
# sign reaches, all points of towns without signs (Town06, Town10HD) and all points of lanes that
# are not for driving have CARLA's 30 km/h.

FALLBACK_LIMIT_MPS = 30.0 / 3.6
_LANE_CHANGE_M = 10.0  # a sign beside counts as this much further away than one on the own lane


def speed_limit_of_points(graph: TownGraph, limits: list[SpeedLimit]) -> NDArray[np.float64]:
    """Limit at each lane point [m/s], shape (P,)."""
    points, lanes = graph.points, graph.lanes
    signs: dict[int, list[SpeedLimit]] = {}
    for limit in sorted(limits):
        signs.setdefault(limit.place.lane, []).append(limit)
    at_start = _limits_at_lane_starts(graph, signs)
    in_force = np.full(len(points.x), FALLBACK_LIMIT_MPS)
    for lane in range(len(lanes.length_m)):
        rows = slice(lanes.first_point[lane], lanes.first_point[lane + 1])
        if lane in at_start:
            in_force[rows] = at_start[lane]
        for limit in signs.get(lane, []):
            in_force[rows][points.s_m[rows] >= limit.place.s_m - 1e-6] = limit.limit_mps
    return in_force


def _limits_at_lane_starts(
    graph: TownGraph, signs: dict[int, list[SpeedLimit]]
) -> dict[int, float]:
    """Dijkstra's search from all signs at once: the nearest upstream limit of each lane start."""
    lanes = graph.lanes
    heap: list[tuple[float, float, int]] = []  # distance from the sign, limit, lane
    for lane, on_lane in signs.items():
        last = on_lane[-1]
        distance_m = float(lanes.length_m[lane]) - last.place.s_m
        for successor in graph.successors[lane]:
            heapq.heappush(heap, (distance_m, last.limit_mps, successor))
    at_start: dict[int, float] = {}
    while heap:
        distance_m, limit_mps, lane = heapq.heappop(heap)
        if lane in at_start:
            continue
        at_start[lane] = limit_mps
        for beside in (int(lanes.left[lane]), int(lanes.right[lane])):
            if beside >= 0 and not graph.predecessors[beside]:
                heapq.heappush(heap, (distance_m + _LANE_CHANGE_M, limit_mps, beside))
        if lane not in signs:
            end_m = distance_m + float(lanes.length_m[lane])
            for successor in graph.successors[lane]:
                heapq.heappush(heap, (end_m, limit_mps, successor))
    return at_start


# Which signals of a map have no effect here, so that nothing is dropped without a word

_MOST_NAMED = 5  # ids or types in one line


def describe_left_out(
    document: OpenDriveDocument, lights: TrafficLights, signs: TrafficSigns
) -> list[str]:
    """One line for each kind of signal that is in the file and not in the map's tables."""
    kinds = document.signal_types
    kept = set(lights.names)
    in_file = [sign_id for sign_id, kind in kinds.items() if kind in LIGHT_TYPES]
    unreached = [sign_id for sign_id in in_file if sign_id not in kept]
    lines = []
    if unreached:
        lines.append(
            f"{len(unreached)} of {len(in_file)} traffic lights govern no lane that enters a "
            f"junction within {MAX_APPROACH_M:g} m and are left out ({_some(unreached)})"
        )
    strange = Counter(
        kind
        for sign_id, kind in kinds.items()
        if sign_id in document.dynamic_signals and kind not in LIGHT_TYPES
    )
    if strange:
        types = [f"type {kind!r}: {count}" for kind, count in strange.items()]
        lines.append(
            f"{strange.total()} dynamic signals are of no type that CARLA takes for a traffic "
            f"light and are left out ({_some(types)})"
        )
    lines += _unread_signs(document, signs)
    return lines


def _unread_signs(document: OpenDriveDocument, signs: TrafficSigns) -> list[str]:
    """Stop, yield and limit signs of which none has an effect."""
    kinds = document.signal_types
    lines = []
    for name, sign_type, kind in (
        ("stop", STOP_TYPE, SignKind.STOP),
        ("yield", YIELD_TYPE, SignKind.YIELD),
        ("speed-limit", LIMIT_TYPE, SignKind.SPEED_LIMIT),
    ):
        posted = [sign_id for sign_id, of_type in kinds.items() if of_type == sign_type]
        if posted and not (signs.signs.kind == kind).any():
            lines.append(
                f"none of {len(posted)} {name} signs acts on a driving lane ({_some(posted)})"
            )
    return lines


def _some(names: list[str]) -> str:
    more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
