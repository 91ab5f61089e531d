"""An IDM agent's way on: the straightest successor that its lights allow, and where it must stop.

Source: nuplan-devkit, IDMAgent.plan_route and IDMAgentManager._get_relevant_stop_lines.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function
from sim_adapters.nuplan.idm.paths import (
    Paths,
    append_line,
    clamp_progress,
    cut_path_before,
    path_end_m,
)
from sim_adapters.nuplan.idm.shapes import FIRST, FloatArray, Shapes, X, Y, close_shape
from sim_adapters.nuplan.idm.state import (
    MAX_ROUTE_EDGES,
    AgentMotion,
    Trouble,
)
from sim_adapters.nuplan.replay_log import LightBook
from sim_adapters.scene.map_areas import MapAreas, Polylines, RoadEdges
from sim_adapters.scene.map_bank import LaneLinks
from sim_adapters.scene.state import LightState

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
    row: int,
    frame: int,
    lights: LightBook,
    edges: RoadEdges,
    links: LaneLinks,
    baselines: Polylines,
    start_curvature: FloatArray,
    motion: AgentMotion,
    paths: Paths,
) -> None:
    """Add edges until 20 m and a headway of path are ahead, or none may be entered.

    Each edge added starts the path anew at the agent; one that had passed its path's end is set
    back to the path's last point but one.
    """
    wish_m = MIN_PATH_M + motion.desired_mps[world, agent] * HEADWAY_S
    while path_end_m(row, paths) - motion.s_m[world, agent] < wish_m:
        last = motion.edge[world, agent, motion.num_edges[world, agent] - 1]
        chosen = _straightest_successor(world, frame, last, lights, edges, links, start_curvature)
        if chosen < 0:
            return
        _remember_edge(world, agent, chosen, motion)
        cut_path_before(row, clamp_progress(row, motion.s_m[world, agent], paths), paths)
        append_line(row, chosen, baselines, paths)
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
