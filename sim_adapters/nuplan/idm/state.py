"""State of the IDM agents of all worlds, and what they need to know of the map."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.nuplan.idm.paths import Paths, empty_paths
from sim_adapters.nuplan.idm.shapes import BOX_CORNERS, END, FIRST, SPLIT, Shapes, empty_shapes
from sim_adapters.scene.map_areas import Polylines, VectorMap

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

MAX_ROUTE_EDGES = 5  # the devkit forgets older ones
OUTLINE_CORNERS = 384  # of a stretched footprint
STOP_SHAPES, STOP_CORNERS = 32, 1024  # stop polygons before one agent
EXTRA_PATH_POINTS = 512  # a path keeps what is left of the old one when an edge is added
CURVATURE_REACH_M = 2.0


class Trouble(IntEnum):
    """Why a world's agents could not be driven on."""

    NONE = 0
    PATH_TOO_LONG = 1
    OUTLINE_TOO_LONG = 2
    TOO_MANY_STOPS = 3
    SINGLE_POINT_PATH = 4  # the devkit raises an AssertionError here
    OFF_ITS_PATH = 5  # and here
    TOO_MANY_ACTORS = 6  # to be shown in the scene's slots


class AgentTraits(NamedTuple):
    """What an agent keeps, (B, A); agents are in the order of the first frame's boxes."""

    count: IntArray  # (B,) agents that were started
    alive: NDArray[np.bool_]  # within 100 m of the ego ever since
    track: IntArray  # row of `ScenarioLog.track_tokens`
    length_m: FloatArray
    width_m: FloatArray


class AgentMotion(NamedTuple):
    """Where an agent is, (B, A)."""

    s_m: FloatArray  # progress on its path, may pass the path's end
    speed_mps: FloatArray
    desired_mps: FloatArray
    x: FloatArray  # [m] box centre, on the path
    y: FloatArray
    yaw_rad: FloatArray
    num_edges: IntArray  # of the route
    edge: IntArray  # (B, A, 5) rows of RoadEdges, oldest first
    trouble: NDArray[np.uint8]  # (B,) Trouble


class IdmState(NamedTuple):
    """Everything that outlives a step; `paths` are (B, A, P) here and (B * A, P) in kernels."""

    traits: AgentTraits
    motion: AgentMotion
    paths: Paths
    shapes: Shapes


class IdmScratch(NamedTuple):
    """Room to work in, (B, ...)."""

    line: FloatArray  # (B, P, 2)
    areas: IntArray  # (B, 64)


class ReactiveMap(NamedTuple):
    """What the agents' choices need beyond RoadEdges."""

    edge_of_area: IntArray  # (N,) of MapAreas, -1 none
    start_curvature: FloatArray  # (K,) absolute, over the first four metres [1/m]


def empty_idm_state(
    num_worlds: int, num_agents: int, num_others: int, vector: VectorMap
) -> IdmState:
    """Room for A agents and that many replayed objects in each world."""
    agents = (num_worlds, num_agents)
    num_points = _longest_line(vector.baselines) + EXTRA_PATH_POINTS
    flat = empty_paths(num_worlds * num_agents, num_points)
    others_first = num_agents * OUTLINE_CORNERS
    shapes = empty_shapes(
        num_worlds,
        num_agents + 1 + num_others + STOP_SHAPES,
        others_first + BOX_CORNERS * (1 + num_others) + STOP_CORNERS,
    )
    shapes.ring[:, :num_agents, FIRST] = OUTLINE_CORNERS * np.arange(num_agents)
    boxes = np.arange(1 + num_others)
    shapes.ring[:, num_agents : num_agents + boxes.size, FIRST] = others_first + BOX_CORNERS * boxes
    shapes.ring[..., SPLIT] = shapes.ring[..., END] = shapes.ring[..., FIRST]
    return IdmState(
        AgentTraits(
            count=np.zeros(num_worlds, np.int32),
            alive=np.zeros(agents, np.bool_),
            track=np.zeros(agents, np.int32),
            length_m=np.zeros(agents),
            width_m=np.zeros(agents),
        ),
        AgentMotion(
            *(np.zeros(agents) for _ in range(6)),
            num_edges=np.zeros(agents, np.int32),
            edge=np.full((*agents, MAX_ROUTE_EDGES), -1, np.int32),
            trouble=np.zeros(num_worlds, np.uint8),
        ),
        Paths._make(array.reshape(*agents, *array.shape[1:]) for array in flat),
        shapes,
    )


def empty_idm_scratch(num_worlds: int, vector: VectorMap) -> IdmScratch:
    """Room to work in for one batch."""
    points = (num_worlds, _longest_line(vector.baselines) + EXTRA_PATH_POINTS + 2, 2)
    return IdmScratch(np.zeros(points), np.zeros((num_worlds, 64), np.int32))


def flat_paths(state: IdmState) -> Paths:
    """The same arrays with one row an agent, (B * A, P)."""
    worlds, agents = state.traits.alive.shape
    return Paths._make(a.reshape(worlds * agents, *a.shape[2:]) for a in state.paths)


def build_reactive_map(vector: VectorMap) -> ReactiveMap:
    """Look-ups of all maps of a bank."""
    edge_of_area = np.full(vector.areas.kind.size, -1, np.int32)
    edge_of_area[vector.edges.area] = np.arange(vector.edges.area.size, dtype=np.int32)
    return ReactiveMap(edge_of_area, _start_curvature(vector.baselines))


def _longest_line(lines: Polylines) -> int:
    return int(np.diff(lines.first_point).max(initial=2))


def _start_curvature(lines: Polylines) -> FloatArray:
    """Curvature of the circle through a line's points at 0, 2 and 4 m, (K,).

    A line shorter than 4 m takes its start, middle and end. Nearly straight lines have zero.

    Source: nuplan-devkit, estimate_curvature_along_path and compute_curvature.
    """
    counts = np.diff(lines.first_point)
    rows = np.repeat(np.arange(counts.size), counts)
    paths = shapely.linestrings(np.column_stack([lines.x, lines.y]), indices=rows)
    length = shapely.length(paths)
    reach = np.where(length < 2.0 * CURVATURE_REACH_M, 0.5 * length, CURVATURE_REACH_M)
    first, second, third = (shapely.line_interpolate_point(paths, k * reach) for k in range(3))
    a, b = shapely.distance(first, second), shapely.distance(second, third)
    c = shapely.distance(third, first)
    # Heron's formula, four times the area squared times four
    squared = (a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c))
    sides = a * b * c
    bent = (squared >= 1e-6) & (sides > 1e-8)
    return np.where(bent, np.sqrt(np.maximum(squared, 0.0)) / np.where(bent, sides, 1.0), 0.0)
