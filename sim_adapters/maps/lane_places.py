"""Finds which lanes a signal or sign acts on, from OpenDRIVE's (road, s, lane range)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_adapters.maps.lane_graph import TownGraph, sample_arc_m
from sim_adapters.maps.lane_samples import SampledLane
from sim_adapters.maps.opendrive_document import SignalReference

# A reference on an approach road governs the junction ahead only if that is this near
MAX_APPROACH_M = 30.0


class LanePlace(NamedTuple):
    """A point of a lane's centre line."""

    lane: int
    s_m: float  # arc length from the lane's first point


class JunctionEntry(NamedTuple):
    """The step from an approach lane onto a junction's first lane."""

    approach: int
    first: int


def places_of_reference(graph: TownGraph, reference: SignalReference) -> list[LanePlace]:
    """Driving lanes that the reference holds for, each at the reference's s."""
    candidates = [
        row
        for row in graph.lanes_of_road.get(reference.road_id, [])
        if reference.applies_to(graph.samples[row].key[2])
    ]
    if not candidates:
        return []
    spans = {row: _road_span(graph.samples[row]) for row in candidates}
    # References may lie a rounding error outside the road: clamp to what the lanes cover
    low, high = min(span[0] for span in spans.values()), max(span[1] for span in spans.values())
    s = min(max(reference.s_m, low), high)
    places: dict[int, LanePlace] = {}
    for row in candidates:
        # Neighbouring sections touch within twice the sampler's end gap
        if spans[row][0] - 0.01 <= s <= spans[row][1] + 0.01:
            lane_id = graph.samples[row].key[2]
            places.setdefault(lane_id, LanePlace(row, _arc_at(graph.samples[row], s)))
    return [places[lane_id] for lane_id in sorted(places)]


def _road_span(lane: SampledLane) -> tuple[float, float]:
    return float(lane.road_s_m.min()), float(lane.road_s_m.max())


def _arc_at(lane: SampledLane, road_s_m: float) -> float:
    """Arc length on the lane at the road's s (which falls along lanes driven against it)."""
    sign = 1.0 if lane.road_s_m[-1] >= lane.road_s_m[0] else -1.0
    return float(np.interp(sign * road_s_m, sign * lane.road_s_m, sample_arc_m(lane)))


def junction_entries(graph: TownGraph, place: LanePlace) -> list[JunctionEntry]:
    """Entries that a reference at `place` governs.

    On a connecting lane these are the ways into the junction that lead to it; on an approach
    lane all ways from it into the junction ahead.
    """
    lanes = graph.lanes
    if lanes.junction[place.lane] >= 0:
        return _entries_before(graph, place.lane)
    lane, left_m = place.lane, float(lanes.length_m[place.lane]) - place.s_m
    while left_m <= MAX_APPROACH_M:
        following = graph.successors[lane]
        inside = [after for after in following if lanes.junction[after] >= 0]
        if inside:
            return [JunctionEntry(lane, first) for first in inside]
        if len(following) != 1:
            return []
        lane = following[0]
        left_m += float(lanes.length_m[lane])
    return []


def _entries_before(graph: TownGraph, lane: int) -> list[JunctionEntry]:
    """Walk back inside the junction to the lanes by which it is entered."""
    junction = graph.lanes.junction[lane]
    entries: set[JunctionEntry] = set()
    seen, stack = {lane}, [lane]
    while stack:
        current = stack.pop()
        for before in graph.predecessors[current]:
            if graph.lanes.junction[before] != junction:
                entries.add(JunctionEntry(before, current))
            elif before not in seen:
                seen.add(before)
                stack.append(before)
    return sorted(entries)
