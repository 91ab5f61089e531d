"""Traffic lights of one town: signals, stop lines and the groups that share a cycle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.lane_graph import LanePose, TownGraph, pose_on_lane
from sim_adapters.maps.lane_places import JunctionEntry, junction_entries, places_of_reference
from sim_adapters.maps.opendrive_document import LIGHT_TYPES, OpenDriveDocument
from sim_adapters.scene.map_bank import LanePoints, Lanes, SignalGroups, Signals, StopLines

# Where CARLA's clients stop for a light: from its trigger volume forward to the junction.
#
# The leaderboard and CaRL ask the server for a light's trigger volume, sample it across the road
# and walk from each lane's centre line in steps of half a metre to the last one before the
# junction. The map's lights and those of a live server are walked alike here. Source: behaviour of
# leaderboard 2.0's red-light criterion (`get_traffic_light_waypoints`).

_SAMPLED_SHARE = 0.9  # of the volume's width, so that no sample lies on a neighbouring lane
_SAMPLE_STEP_M = 1.0
_WALK_STEP_M = 0.5


class TriggerVolume(NamedTuple):
    """Box that a vehicle touches before a light, in our frame."""

    x: float  # [m] centre
    y: float
    z: float
    yaw_rad: float  # of its own x axis, which lies across the road
    half_across_m: float


class StopPlace(NamedTuple):
    """The last place of a lane before the junction, in our frame."""

    road_id: int  # OpenDRIVE ids
    lane_id: int
    x: float
    y: float
    z: float
    yaw_rad: float  # driving direction
    lane_width_m: float


def stop_places(carla_map: carla.Map, volume: TriggerVolume) -> list[StopPlace]:
    """Stop places of the lanes that a trigger volume covers, one a lane, from its one side on."""
    reach_m = _SAMPLED_SHARE * volume.half_across_m
    starts: list[carla.Waypoint] = []
    for across_m in np.arange(-reach_m, reach_m, _SAMPLE_STEP_M).tolist():
        x = volume.x + math.cos(volume.yaw_rad) * across_m
        y = volume.y + math.sin(volume.yaw_rad) * across_m
        start = _project(carla_map, x, y, volume.z)
        if not starts or _lane(starts[-1]) != _lane(start):
            starts.append(start)
    places = [_walk_to_junction(start) for start in starts]
    return list({place[:2]: place for place in reversed(places)}.values())[::-1]


def stop_place_of_lane(carla_map: carla.Map, x: float, y: float, z: float) -> StopPlace:
    """Stop place of the one lane at a point of its centre line."""
    return _walk_to_junction(_project(carla_map, x, y, z))


def _project(carla_map: carla.Map, x: float, y: float, z: float) -> carla.Waypoint:
    return carla_map.get_waypoint(carla.Location(x, -y, z))


def _lane(waypoint: carla.Waypoint) -> tuple[int, int]:
    return waypoint.road_id, waypoint.lane_id


def _walk_to_junction(waypoint: carla.Waypoint) -> StopPlace:
    while not waypoint.is_junction:
        ahead = waypoint.next(_WALK_STEP_M)
        if not ahead or ahead[0].is_junction:
            break
        waypoint = ahead[0]
    location = waypoint.transform.location
    yaw_rad = -math.radians(waypoint.transform.rotation.yaw)
    return StopPlace(
        *(waypoint.road_id, waypoint.lane_id),
        *(location.x, -location.y, location.z),
        math.atan2(math.sin(yaw_rad), math.cos(yaw_rad)),
        waypoint.lane_width,
    )


# CARLA's controller stages are the same in every town; red is the gap after each yellow
GREEN_S = 10.0
YELLOW_S = 3.0
ALL_RED_S = 2.0
LONE_RED_S = 10.0  # of a light that no controller switches

# CARLA's generated trigger boxes: 1.5 to 4.5 m before the junction, half the lane wide
TRIGGER_CENTER_M = 3.0
TRIGGER_HALF_LENGTH_M = 1.5
TRIGGER_HALF_WIDTH_SHARE = 0.25


class TrafficLights(NamedTuple):
    """The light tables of one town and the light of each junction entry."""

    signals: Signals
    stop_lines: StopLines
    groups: SignalGroups
    signal_of_entry: dict[JunctionEntry, int]
    names: tuple[str, ...]  # OpenDRIVE ids as the file spells them, one a signal


class _GroupPlan(NamedTuple):
    """Controllers of one group in cycle order, each with its light ids."""

    controllers: list[list[str]]
    red_s: float


def build_traffic_lights(
    graph: TownGraph, document: OpenDriveDocument, carla_map: carla.Map
) -> TrafficLights:
    """All lights that govern at least one driving lane.

    Signals are ordered by group, then phase. Where two lights govern the same entry the entry
    heeds the first; both keep their stop lines.
    """
    governed = _governed_entries(graph, document)
    plans = _plan_groups(document, set(governed))
    order = [
        (light, group, phase)
        for group, plan in enumerate(plans)
        for phase, lights in enumerate(plan.controllers)
        for light in lights
        if light in governed
    ]
    names = tuple(light for light, _, _ in order)
    signal_of_entry: dict[JunctionEntry, int] = {}
    for signal, light in enumerate(names):
        for entry in governed[light]:
            signal_of_entry.setdefault(entry, signal)
    approaches = [sorted({entry.approach for entry in governed[light]}) for light in names]
    volumes = [_trigger_volume(graph, lanes) for lanes in approaches]
    signals = Signals(
        x=np.array([volume.x for volume in volumes], np.float64),
        y=np.array([volume.y for volume in volumes], np.float64),
        z=np.array([volume.z for volume in volumes], np.float64),
        group=np.array([group for _, group, _ in order], np.int32),
        phase=np.array([phase for _, _, phase in order], np.int32),
        opendrive_id=_id_codes(document, names),
        first_stop_line=np.concatenate(
            [[0], np.cumsum([len(lanes) for lanes in approaches])]
        ).astype(np.int32),
    )
    stop_lines = _stop_lines(graph, carla_map, approaches, volumes)
    return TrafficLights(signals, stop_lines, _groups(plans), signal_of_entry, names)


def _governed_entries(
    graph: TownGraph, document: OpenDriveDocument
) -> dict[str, list[JunctionEntry]]:
    """Junction entries of each light that has any, by OpenDRIVE id."""
    governed: dict[str, dict[JunctionEntry, None]] = {}
    for reference in document.references:
        if document.signal_types.get(reference.signal_id) not in LIGHT_TYPES:
            continue
        for place in places_of_reference(graph, reference):
            for entry in junction_entries(graph, place):
                governed.setdefault(reference.signal_id, {})[entry] = None
    return {light: list(entries) for light, entries in governed.items()}


def _plan_groups(document: OpenDriveDocument, governing: set[str]) -> list[_GroupPlan]:
    """Groups in the order of the file's junctions, then lights without a controller.

    Limit: a light that two controllers switch (Town07 and Town10HD have one each) is green only
    in the phase that has fewer lights. A second phase column in `Signals` would lift that.
    """
    plans: list[_GroupPlan] = []
    planned: set[str] = set()
    for controller_ids in document.junction_controllers.values():
        listed = [
            [
                signal
                for signal in document.controller_signals.get(controller_id, ())
                if document.signal_types.get(signal) in LIGHT_TYPES
            ]
            for controller_id in controller_ids
        ]
        controllers = [lights for lights in listed if lights]  # others switch signs only
        phase_of: dict[str, int] = {}
        for phase in sorted(range(len(controllers)), key=lambda phase: len(controllers[phase])):
            for light in controllers[phase]:
                phase_of.setdefault(light, phase)
        phases = [
            [light for light in lights if phase_of[light] == phase and light not in planned]
            for phase, lights in enumerate(controllers)
        ]
        planned.update(phase_of)
        if not governing.isdisjoint(phase_of):
            plans.append(_GroupPlan(phases, ALL_RED_S))
    plans += [_GroupPlan([[light]], LONE_RED_S) for light in sorted(governing - planned)]
    return plans


def _groups(plans: list[_GroupPlan]) -> SignalGroups:
    return SignalGroups(
        num_phases=np.array([len(plan.controllers) for plan in plans], np.int32),
        green_s=np.full(len(plans), GREEN_S),
        yellow_s=np.full(len(plans), YELLOW_S),
        red_s=np.array([plan.red_s for plan in plans], np.float64),
    )


def _stop_lines(
    graph: TownGraph,
    carla_map: carla.Map,
    approaches: list[list[int]],
    volumes: list[TriggerVolume],
) -> StopLines:
    """Where CARLA's clients stop on each approach lane."""
    poses: list[tuple[float, ...]] = []
    for lanes, volume in zip(approaches, volumes, strict=True):
        place_of = {place[:2]: place for place in stop_places(carla_map, volume)}
        for lane in lanes:
            key = graph.samples[lane].key
            place = place_of.get((key[0], key[2])) or _own_stop_place(graph, carla_map, lane)
            poses.append(place[2:])
    columns = np.array(poses, np.float64).reshape(-1, len(StopPlace._fields) - 2).T
    counts = [len(lanes) for lanes in approaches]
    return StopLines(
        *(np.ascontiguousarray(column) for column in columns),
        lane=np.array([lane for lanes in approaches for lane in lanes], np.int32),
        signal=np.repeat(np.arange(len(approaches), dtype=np.int32), counts),
    )


def _own_stop_place(graph: TownGraph, carla_map: carla.Map, lane: int) -> StopPlace:
    """From the lane's own trigger box, where the light's volume has no sample on the lane."""
    return stop_place_of_lane(carla_map, *trigger_pose(graph.points, graph.lanes, lane)[:3])


def trigger_pose(points: LanePoints, lanes: Lanes, lane: int) -> LanePose:
    """Centre of the trigger box on an approach lane."""
    return pose_on_lane(points, lanes, lane, float(lanes.length_m[lane]) - TRIGGER_CENTER_M)


def _trigger_volume(graph: TownGraph, approaches: list[int]) -> TriggerVolume:
    """The box around the light's trigger boxes, one a lane, that a CARLA client sees.

    Its x axis lies across the first approach, as that of the light's actor.
    """
    poses = [trigger_pose(graph.points, graph.lanes, lane) for lane in approaches]
    yaw = poses[0].yaw_rad - np.pi / 2.0
    cos, sin = np.cos(yaw), np.sin(yaw)
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for pose in poses:
        turn = pose.yaw_rad - yaw
        length, width = TRIGGER_HALF_LENGTH_M, TRIGGER_HALF_WIDTH_SHARE * pose.width_m
        half_x = length * abs(np.cos(turn)) + width * abs(np.sin(turn))
        half_y = length * abs(np.sin(turn)) + width * abs(np.cos(turn))
        centre = np.array([cos * pose.x + sin * pose.y, cos * pose.y - sin * pose.x, pose.z])
        half = np.array([half_x, half_y, 0.0])
        low, high = np.minimum(low, centre - half), np.maximum(high, centre + half)
    x, y, z = (low + high) / 2.0
    half_across_m = float(high[0] - low[0]) / 2.0
    return TriggerVolume(
        float(cos * x - sin * y), float(sin * x + cos * y), float(z), float(yaw), half_across_m
    )


def _id_codes(document: OpenDriveDocument, names: Sequence[str]) -> NDArray[np.int32]:
    """`Signals.opendrive_id`: an id that is a plain number is itself."""
    place = {name: row for row, name in enumerate(document.signal_types)}
    codes = [int(name) if _is_number(name) else -2 - place[name] for name in names]
    return np.array(codes, np.int32)


def light_names(document: OpenDriveDocument, codes: NDArray[np.int32]) -> list[str]:
    """OpenDRIVE ids as the file spells them, from `Signals.opendrive_id`."""
    spelled = list(document.signal_types)
    return [str(code) if code >= 0 else spelled[-2 - code] for code in codes.tolist()]


def _is_number(name: str) -> bool:
    """Whether the number alone gives the id back (not "007") and fits into its column."""
    return name.isdecimal() and str(int(name)) == name and int(name) < 2**31
