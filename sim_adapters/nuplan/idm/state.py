"""State of the IDM agents of all worlds, and what they need to know of the map."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.kernels import device_function
from sim_adapters.nuplan.idm.paths import (
    Paths,
    append_line,
    clamp_progress,
    cut_path_before,
    empty_paths,
    path_end_m,
)
from sim_adapters.nuplan.idm.shapes import (
    BOX_CORNERS,
    END,
    FIRST,
    SPLIT,
    Shapes,
    X,
    Y,
    close_shape,
    empty_shapes,
)
from sim_adapters.nuplan.replay import LightBook
from sim_adapters.scene.map_areas import AreaGrid, MapAreas, Polylines, RoadEdges, VectorMap
from sim_adapters.scene.map_bank import LaneLinks
from sim_adapters.scene.state import LightState

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


class IdmMaps(NamedTuple):
    """What the agents' choices read of the maps."""

    areas: MapAreas
    grid: AreaGrid
    edges: RoadEdges
    links: LaneLinks
    baselines: Polylines
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


def with_flat_paths(state: IdmState) -> IdmState:
    """The same arrays, those of paths with one row an agent, (B * A, P): as kernels take them."""
    worlds, agents = state.traits.alive.shape
    flat = Paths._make(a.reshape(worlds * agents, *a.shape[2:]) for a in state.paths)
    return state._replace(paths=flat)


def build_idm_maps(vector: VectorMap, links: LaneLinks) -> IdmMaps:
    """Tables and look-ups of all maps of a bank."""
    edge_of_area = np.full(vector.areas.kind.size, -1, np.int32)
    edge_of_area[vector.edges.area] = np.arange(vector.edges.area.size, dtype=np.int32)
    return IdmMaps(
        vector.areas,
        vector.area_grid,
        vector.edges,
        links,
        vector.baselines,
        edge_of_area,
        _start_curvature(vector.baselines),
    )


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


# An IDM agent's way on: the straightest successor that its lights allow, and where it must stop.
#
# Source: nuplan-devkit, IDMAgent.plan_route and IDMAgentManager._get_relevant_stop_lines.

MIN_PATH_M = 20.0
HEADWAY_S = 1.5
_RED, _GREEN = int(LightState.RED), int(LightState.GREEN)
_TOO_LONG, _TOO_MANY_STOPS = int(Trouble.PATH_TOO_LONG), int(Trouble.TOO_MANY_STOPS)
_SINGLE_POINT = int(Trouble.SINGLE_POINT_PATH)


@device_function
def light_shows(world: int, frame: int, edge: int, state: int, lights: LightBook) -> bool:
    """Whether the log gives a connector this state at a frame."""
    for row in range(lights.first[world, frame], lights.first[world, frame + 1]):
        if lights.edge[world, row] == edge and lights.state[world, row] == state:
            return True
    return False


@device_function
def plan_route(
    world: int,
    agent: int,
    frame: int,
    lights: LightBook,
    maps: IdmMaps,
    motion: AgentMotion,
    paths: Paths,
) -> None:
    """Add edges until 20 m and a headway of path are ahead, or none may be entered.

    Each edge added starts the path anew at the agent; one that had passed its path's end is set
    back to the path's last point but one.
    """
    row = world * motion.s_m.shape[1] + agent
    wish_m = MIN_PATH_M + motion.desired_mps[world, agent] * HEADWAY_S
    while path_end_m(row, paths) - motion.s_m[world, agent] < wish_m:
        last = motion.edge[world, agent, motion.num_edges[world, agent] - 1]
        chosen = _straightest_successor(
            world, frame, last, lights, maps.edges, maps.links, maps.start_curvature
        )
        if chosen < 0:
            return
        _remember_edge(world, agent, chosen, motion)
        cut_path_before(row, clamp_progress(row, motion.s_m[world, agent], paths), paths)
        append_line(row, chosen, maps.baselines, paths)
        motion.s_m[world, agent] = 0.0
        if paths.num_points[row] < 2 or paths.num_points[row] > paths.point.shape[1]:
            few = paths.num_points[row] < 2
            motion.trouble[world] = _SINGLE_POINT if few else _TOO_LONG
            return


@device_function
def _straightest_successor(
    world: int,
    frame: int,
    edge: int,
    lights: LightBook,
    edges: RoadEdges,
    links: LaneLinks,
    start_curvature: FloatArray,
) -> int:
    """Successor with the least curvature at its start, the first of equals; -1 if none is open.

    A connector with lights is open on green only, any other edge unless it is listed as red.
    """
    best, least = -1, math.inf
    for i in range(links.successor_first[edge], links.successor_first[edge + 1]):
        candidate = links.successor[i]
        if edges.has_lights[candidate]:
            is_open = light_shows(world, frame, candidate, _GREEN, lights)
        else:
            is_open = not light_shows(world, frame, candidate, _RED, lights)
        if is_open and start_curvature[candidate] < least:
            best, least = candidate, start_curvature[candidate]
    return best


@device_function
def _remember_edge(world: int, agent: int, edge: int, motion: AgentMotion) -> None:
    count = motion.num_edges[world, agent]
    if count == MAX_ROUTE_EDGES:
        for i in range(MAX_ROUTE_EDGES - 1):
            motion.edge[world, agent, i] = motion.edge[world, agent, i + 1]
        count -= 1
    motion.edge[world, agent, count] = edge
    motion.num_edges[world, agent] = count + 1


@device_function
def write_stop_shapes(
    world: int,
    agent: int,
    frame: int,
    first_shape: int,
    first_corner: int,
    lights: LightBook,
    edges: RoadEdges,
    areas: MapAreas,
    motion: AgentMotion,
    shapes: Shapes,
) -> int:
    """Write the stop polygons of red connectors on an agent's route as shapes; returns how many."""
    count, corner = 0, first_corner
    for i in range(motion.num_edges[world, agent]):
        edge = motion.edge[world, agent, i]
        if not edges.is_connector[edge] or not light_shows(world, frame, edge, _RED, lights):
            continue
        for k in range(edges.first_stop[edge], edges.first_stop[edge + 1]):
            stop = edges.stop[k]
            for ring in range(areas.first_ring[stop], areas.first_ring[stop + 1]):
                if not areas.is_exterior[ring]:
                    continue
                begin, end = areas.first_corner[ring], areas.first_corner[ring + 1] - 1
                shape = first_shape + count
                if shape >= shapes.ring.shape[1] or corner + end - begin > shapes.corner.shape[1]:
                    motion.trouble[world] = _TOO_MANY_STOPS
                    return count
                shapes.ring[world, shape, FIRST] = corner
                for point in range(begin, end):
                    shapes.corner[world, corner, X] = areas.x[point]
                    shapes.corner[world, corner, Y] = areas.y[point]
                    corner += 1
                close_shape(world, shape, corner, corner, shapes)
                count += 1
    return count
