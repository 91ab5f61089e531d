"""Finds the lanes that circle a roundabout, which OpenDRIVE maps do not name."""

from __future__ import annotations

import heapq
import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.maps.lane_places import TownGraph
from sim_adapters.scene.map_bank import LaneKind

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
