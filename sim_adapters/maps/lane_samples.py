"""Samples every lane of a `carla.Map`: the only file that asks CARLA for geometry.

CARLA's left-handed frame is flipped here (y -> -y, yaw -> -yaw). This module and
`opendrive_worker` run in a child process, because a bad .xodr can end the process inside
CARLA's C++ library.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.opendrive_document import LaneSection, OpenDriveDocument, Road
from sim_adapters.scene.map_bank import LaneKind

# On an arc of 5 m radius chords of 0.5 m stay within 6 mm of it; `layers` puts curves between them
SAMPLE_STEP_M = 0.5
NO_ROAD_MARK = 255  # where the file draws none, which is not an edge marked as LaneMarkingType.NONE
# Town03 holds a section of 1e-6 m; links reach through sections shorter than this
MIN_SECTION_M = 0.05
_MIN_WIDTH_M = 0.1  # lanes that are nowhere wider are drawing aids of the map's authors
END_GAP_M = 1e-3  # keeps a sample inside its section

LANE_KINDS = {
    "driving": LaneKind.DRIVING,
    "parking": LaneKind.PARKING,
    "shoulder": LaneKind.SHOULDER,
    "sidewalk": LaneKind.SIDEWALK,
    "biking": LaneKind.BIKING,
}

# One a sample; CARLA gives None where the file draws no <roadMark>, which OpenDRIVE allows
Markings = Sequence[carla.LaneMarking | None]
LaneKey = tuple[int, int, int]  # road id, index of the section in its road, lane id


class SampledLane(NamedTuple):
    """One lane section sampled in driving direction; arrays have shape (K,), K >= 2."""

    key: LaneKey
    kind: LaneKind
    junction_id: int  # OpenDRIVE id, -1 outside
    keeps_left: bool  # on a road of left-hand traffic
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]  # driving direction, unwrapped
    width_m: NDArray[np.float64]
    road_s_m: NDArray[np.float64]  # OpenDRIVE s of the road, falls along lanes driven against it
    left_marking: NDArray[np.uint8]  # carla.LaneMarkingType or NO_ROAD_MARK, 0 if not DRIVING
    right_marking: NDArray[np.uint8]
    left_is_white: NDArray[np.bool_]
    right_is_white: NDArray[np.bool_]
    change: NDArray[np.uint8]  # carla.LaneChange flags: 1 right, 2 left
    successors: tuple[LaneKey, ...]  # lanes that follow, of any kind, in CARLA's order
    left: LaneKey | None  # lane beside the middle sample
    right: LaneKey | None
    opposite: LaneKey | None  # nearest driving lane of the other direction
    shoulders: tuple[tuple[LaneKey, ...], ...]  # to the left and to the right, nearest first


def sample_lanes(carla_map: carla.Map, document: OpenDriveDocument) -> list[SampledLane]:
    """All lanes of the kinds in `LaneKind` beside at least one driving lane, in file order.

    Sections without a driving lane (tram lines, footpaths, Town03's outer ring) are left out, as
    in CaRL's maps, which reach other lanes from driving lanes only.
    """
    roads = {road.road_id: road for road in document.roads}
    return [
        lane
        for road in document.roads
        for section_index, section in enumerate(road.sections)
        if section.end_m - section.start_m >= MIN_SECTION_M
        and "driving" in section.lane_types.values()
        for lane_id, lane_type in sorted(section.lane_types.items())
        if lane_type in LANE_KINDS
        for lane in [_sample_lane(carla_map, roads, road, section_index, lane_id)]
        if lane is not None
    ]


def _sample_lane(
    carla_map: carla.Map, roads: dict[int, Road], road: Road, section_index: int, lane_id: int
) -> SampledLane | None:
    """Sample one lane; None where it is nowhere wide enough to matter."""
    section = road.sections[section_index]
    first, last = section.start_m + END_GAP_M, section.end_m - END_GAP_M
    stations = np.linspace(first, last, max(2, 1 + int(np.ceil((last - first) / SAMPLE_STEP_M))))
    if not road.drives_along_s(lane_id):
        stations = stations[::-1]
    waypoints = [_waypoint(carla_map, road.road_id, lane_id, float(s)) for s in stations]
    poses = [waypoint.transform for waypoint in waypoints]
    width = np.array([waypoint.lane_width for waypoint in waypoints])
    if width.max() < _MIN_WIDTH_M:
        return None
    kind = LANE_KINDS[section.lane_types[lane_id]]
    is_driving = kind == LaneKind.DRIVING
    left = [waypoint.left_lane_marking for waypoint in waypoints] if is_driving else []
    right = [waypoint.right_lane_marking for waypoint in waypoints] if is_driving else []
    change = [waypoint.lane_change for waypoint in waypoints] if is_driving else []
    middle = waypoints[len(waypoints) // 2]
    return SampledLane(
        key=(road.road_id, section_index, lane_id),
        kind=kind,
        junction_id=road.junction_id,
        keeps_left=road.keeps_left,
        x=np.array([pose.location.x for pose in poses]),
        y=-np.array([pose.location.y for pose in poses]),
        z=np.array([pose.location.z for pose in poses]),
        yaw_rad=np.unwrap(-np.radians([pose.rotation.yaw for pose in poses])),
        width_m=width,
        road_s_m=stations,
        left_marking=_codes(left, len(stations)),
        right_marking=_codes(right, len(stations)),
        left_is_white=_are_white(left, len(stations)),
        right_is_white=_are_white(right, len(stations)),
        change=np.array([int(flags) for flags in change] or [0] * len(stations), np.uint8),
        successors=_successors(waypoints[-1], roads) if is_driving else (),
        left=_beside(middle.get_left_lane(), roads) if is_driving else None,
        right=_beside(middle.get_right_lane(), roads) if is_driving else None,
        opposite=_opposite(section, (road.road_id, section_index, lane_id)),
        shoulders=tuple(
            _shoulders(section, (road.road_id, section_index, lane_id), toward_center)
            for toward_center in (True, False)
        ),
    )


def _waypoint(carla_map: carla.Map, road_id: int, lane_id: int, s_m: float) -> carla.Waypoint:
    try:
        waypoint = carla_map.get_waypoint_xodr(road_id, lane_id, s_m)
    except (IndexError, OverflowError) as error:  # from tables of lanes that CARLA has not filled
        raise ValueError(f"CARLA has no lane {lane_id} on road {road_id} ({error})") from error
    if waypoint is None:
        raise ValueError(f"CARLA knows no lane {lane_id} on road {road_id} at s = {s_m:.2f} m")
    return waypoint


def lane_key(waypoint: carla.Waypoint, roads: dict[int, Road]) -> LaneKey:
    """Key of the lane section that `waypoint` lies on."""
    sections = roads[waypoint.road_id].sections
    index = bisect.bisect_right([section.start_m for section in sections], waypoint.s) - 1
    return waypoint.road_id, max(0, index), waypoint.lane_id


def _successors(last: carla.Waypoint, roads: dict[int, Road]) -> tuple[LaneKey, ...]:
    """Lanes entered just beyond the last sample, through sections too short to keep.

    The first one is the lane that `Waypoint.next(d)[0]` leads to.
    """
    reached: dict[LaneKey, None] = {}
    frontier = last.next(2.0 * END_GAP_M)
    while frontier:
        waypoint = frontier.pop(0)
        key = lane_key(waypoint, roads)
        section = roads[key[0]].sections[key[1]]
        if section.end_m - section.start_m >= MIN_SECTION_M:
            reached[key] = None
        else:
            frontier = waypoint.next(MIN_SECTION_M) + frontier
    return tuple(reached)


def _beside(waypoint: carla.Waypoint | None, roads: dict[int, Road]) -> LaneKey | None:
    return None if waypoint is None else lane_key(waypoint, roads)


def _opposite(section: LaneSection, key: LaneKey) -> LaneKey | None:
    """Nearest driving lane of the other direction on the same road, across any median."""
    lane_id = key[2]
    others = [
        other
        for other, lane_type in section.lane_types.items()
        if lane_type == "driving" and (other > 0) != (lane_id > 0)
    ]
    return (*key[:2], min(others, key=abs)) if others else None


def _shoulders(section: LaneSection, key: LaneKey, toward_center: bool) -> tuple[LaneKey, ...]:
    """Shoulders that CARLA's `get_left_lane` (toward the center) or `get_right_lane` pass.

    Up to the next driving lane, or the lane where they turn back.
    """
    found: list[LaneKey] = []
    lane_id, seen = key[2], {key[2]}
    while True:
        away = 1 if lane_id > 0 else -1
        if not toward_center:
            lane_id += away
        else:
            lane_id = -lane_id if abs(lane_id) == 1 else lane_id - away
        if lane_id in seen or section.lane_types.get(lane_id, "driving") == "driving":
            return tuple(found)
        seen.add(lane_id)
        if section.lane_types[lane_id] == "shoulder":
            found.append((*key[:2], lane_id))


def _codes(markings: Markings, count: int) -> NDArray[np.uint8]:
    codes = [NO_ROAD_MARK if marking is None else int(marking.type) for marking in markings]
    return np.array(codes or [0] * count, np.uint8)


def _are_white(markings: Markings, count: int) -> NDArray[np.bool_]:
    # CARLA draws OpenDRIVE's "standard" colour white
    white = (carla.LaneMarkingColor.White, carla.LaneMarkingColor.Standard)
    are = [marking is not None and marking.color in white for marking in markings]
    return np.array(are or [False] * count)
