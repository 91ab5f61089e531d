"""Finds which lanes a signal or sign acts on, from OpenDRIVE's (road, s, lane range)."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.lane_graph import sample_arc_m
from sim_adapters.maps.lane_samples import LaneKey, SampledLane
from sim_adapters.maps.opendrive_document import SignalReference
from sim_adapters.scene.map_bank import LaneKind, LanePoints, Lanes

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


@dataclass(frozen=True)
class TownGraph:
    """The lane graph of one town while it is being built."""

    samples: list[SampledLane]
    points: LanePoints
    lanes: Lanes
    successors: list[list[int]]
    predecessors: list[list[int]]

    @cached_property
    def row_of(self) -> dict[LaneKey, int]:
        """Lane row by key."""
        return {lane.key: row for row, lane in enumerate(self.samples)}

    @cached_property
    def lanes_of_road(self) -> dict[int, list[int]]:
        """Driving lane rows of each OpenDRIVE road."""
        rows: dict[int, list[int]] = {}
        for row, lane in enumerate(self.samples):
            if lane.kind == LaneKind.DRIVING:
                rows.setdefault(lane.key[0], []).append(row)
        return rows


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


# Finds the lanes that circle a roundabout, which OpenDRIVE maps do not name.

MAX_RING_LENGTH_M = 300.0
# 4 pi area / length^2: 1 for a circle, 0.785 for a square block of streets. CARLA's roundabouts
# (one in Town03, many in Town15) reach 0.997, the roundest block of Town01 to 15 has 0.937
MIN_ROUNDNESS = 0.97


def ring_lanes(graph: TownGraph) -> NDArray[np.bool_]:
    """Whether each lane lies on a roundabout's ring, shape (N,).

    A ring is the shortest way from a lane back to itself if that is short, runs once round to
    the left (to the right where traffic keeps left) and encloses a nearly circular area.
    """
    is_ring = np.zeros(len(graph.samples), np.bool_)
    in_junction = (graph.lanes.junction >= 0) & (graph.lanes.kind == LaneKind.DRIVING)
    for lane in np.flatnonzero(in_junction):
        if not is_ring[lane]:
            loop = _shortest_loop(graph, int(lane))
            if loop and _is_round(graph, loop):
                is_ring[loop] = True
    return is_ring


def leave_ring(graph: TownGraph, is_ring: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each junction lane is part of a way that leaves a ring, shape (N,)."""
    leaves = np.zeros(len(is_ring), np.bool_)
    stack = [int(lane) for lane in np.flatnonzero(is_ring)]
    while stack:
        for to in graph.successors[stack.pop()]:
            if graph.lanes.junction[to] >= 0 and not is_ring[to] and not leaves[to]:
                leaves[to] = True
                stack.append(to)
    return leaves


def _shortest_loop(graph: TownGraph, start: int) -> list[int]:
    """Lanes of the shortest way from `start` back to it, empty if longer than a ring."""
    lengths = graph.lanes.length_m
    before: dict[int, int] = {}
    heap = [(float(lengths[start]), to, start) for to in graph.successors[start]]
    heapq.heapify(heap)
    while heap:
        distance_m, lane, origin = heapq.heappop(heap)
        if lane in before or distance_m > MAX_RING_LENGTH_M:
            continue
        before[lane] = origin
        if lane == start:
            break
        for to in graph.successors[lane]:
            heapq.heappush(heap, (distance_m + float(lengths[lane]), to, lane))
    if start not in before:
        return []
    loop = [before[start]]
    while loop[-1] != start:
        loop.append(before[loop[-1]])
    return loop[::-1]


def _is_round(graph: TownGraph, loop: list[int]) -> bool:
    """Whether the loop is close to a circle driven to the side that traffic does not keep."""
    first = graph.lanes.first_point
    rows = np.concatenate([np.arange(int(first[lane]), int(first[lane + 1])) for lane in loop])
    x, y = graph.points.x[rows], graph.points.y[rows]
    next_x, next_y = np.roll(x, -1), np.roll(y, -1)
    area = 0.5 * float(np.sum(x * next_y - next_x * y))  # positive when counter-clockwise
    if graph.samples[loop[0]].keeps_left:
        area = -area
    length = float(np.sum(np.hypot(next_x - x, next_y - y)))
    return 4.0 * math.pi * area > MIN_ROUNDNESS * length * length
