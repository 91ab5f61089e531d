"""Traffic lights of one town: signals, stop lines and the groups that share a cycle."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_adapters.maps.lane_graph import LanePose, pose_on_lane
from sim_adapters.maps.lane_places import (
    JunctionEntry,
    TownGraph,
    junction_entries,
    places_of_reference,
)
from sim_adapters.maps.opendrive_document import LIGHT_TYPES, OpenDriveDocument
from sim_adapters.scene.map_bank import SignalGroups, Signals, StopLines

# CARLA's controller stages are the same in every town; red is the gap after each yellow
GREEN_S = 10.0
YELLOW_S = 3.0
ALL_RED_S = 2.0
LONE_RED_S = 10.0  # of a light that no controller switches

# CARLA's generated trigger boxes: 1.5 to 4.5 m before the junction, half the lane wide
TRIGGER_CENTER_M = 3.0
TRIGGER_HALF_LENGTH_M = 1.5
TRIGGER_HALF_WIDTH_SHARE = 0.25
# CARLA's stop way-points walk in 0.5 m steps to the last point before the junction, so they end
# up to 0.5 m before its edge; this is the middle
STOP_LINE_GAP_M = 0.25


class TrafficLights(NamedTuple):
    """The light tables of one town and the light of each junction entry."""

    signals: Signals
    stop_lines: StopLines
    groups: SignalGroups
    signal_of_entry: dict[JunctionEntry, int]


class _GroupPlan(NamedTuple):
    """Controllers of one group in cycle order, each with its light ids."""

    controllers: list[list[str]]
    red_s: float


def build_traffic_lights(graph: TownGraph, document: OpenDriveDocument) -> TrafficLights:
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
    signal_of_entry: dict[JunctionEntry, int] = {}
    for signal, (light, _, _) in enumerate(order):
        for entry in governed[light]:
            signal_of_entry.setdefault(entry, signal)
    approaches = [sorted({entry.approach for entry in governed[light]}) for light, _, _ in order]
    centers = [_trigger_center(graph, lanes) for lanes in approaches]
    signals = Signals(
        x=np.array([center[0] for center in centers], np.float64),
        y=np.array([center[1] for center in centers], np.float64),
        z=np.array([center[2] for center in centers], np.float64),
        group=np.array([group for _, group, _ in order], np.int32),
        phase=np.array([phase for _, _, phase in order], np.int32),
        opendrive_id=np.array([_as_number(light) for light, _, _ in order], np.int32),
        first_stop_line=np.concatenate(
            [[0], np.cumsum([len(lanes) for lanes in approaches])]
        ).astype(np.int32),
    )
    return TrafficLights(signals, _stop_lines(graph, approaches), _groups(plans), signal_of_entry)


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


def _stop_lines(graph: TownGraph, approaches: list[list[int]]) -> StopLines:
    lanes = [lane for lanes in approaches for lane in lanes]
    poses = [approach_pose(graph, lane, STOP_LINE_GAP_M) for lane in lanes]
    columns = np.array(poses, np.float64).reshape(-1, len(LanePose._fields)).T
    counts = [len(lanes) for lanes in approaches]
    return StopLines(
        *(np.ascontiguousarray(column) for column in columns),
        lane=np.array(lanes, np.int32),
        signal=np.repeat(np.arange(len(approaches), dtype=np.int32), counts),
    )


def approach_pose(graph: TownGraph, lane: int, upstream_m: float) -> LanePose:
    """Pose on an approach lane, `upstream_m` before the junction's edge."""
    return pose_on_lane(
        graph.points, graph.lanes, lane, float(graph.lanes.length_m[lane]) - upstream_m
    )


def _trigger_center(graph: TownGraph, approaches: list[int]) -> tuple[float, float, float]:
    """Centre of the axis-aligned box around the light's trigger boxes, one a lane.

    That is the `trigger_volume` a CARLA client sees.
    """
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    for lane in approaches:
        pose = approach_pose(graph, lane, TRIGGER_CENTER_M)
        cos, sin = abs(np.cos(pose.yaw_rad)), abs(np.sin(pose.yaw_rad))
        length, width = TRIGGER_HALF_LENGTH_M, TRIGGER_HALF_WIDTH_SHARE * pose.width_m
        half = np.array([length * cos + width * sin, length * sin + width * cos, 0.0])
        low = np.minimum(low, np.array(pose[:3]) - half)
        high = np.maximum(high, np.array(pose[:3]) + half)
    x, y, z = (low + high) / 2.0
    return float(x), float(y), float(z)


def _as_number(opendrive_id: str) -> int:
    return int(opendrive_id) if opendrive_id.isdigit() else -1
