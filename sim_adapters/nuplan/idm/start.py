"""Which vehicles of the first frame become IDM agents, and where they stand then.

Source: nuplan-devkit, build_idm_agents_on_map_rails and get_starting_segment.
"""

from __future__ import annotations

import math

from sim_adapters.array_types import IntArray
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.bicycle import LENGTH_M, WIDTH_M
from sim_adapters.nuplan.idm.paths import Paths, begin_path, clamp_progress, pose_on_path
from sim_adapters.nuplan.idm.shapes import (
    BOX_CORNERS,
    FIRST,
    Shapes,
    close_shape,
    squared_shape_distance,
    write_box,
)
from sim_adapters.nuplan.idm.state import (
    AgentMotion,
    AgentTraits,
    IdmMaps,
    IdmScratch,
    IdmState,
    Trouble,
)
from sim_adapters.nuplan.replay import BoxBook
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.area_lookup import areas_at, is_in_area, station_m
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas, Polylines
from sim_adapters.scene.state import ActorMotion, EgoBody, SceneArrays

DEFAULT_DESIRED_MPS = 10.0
HEADING_REACH_M = 0.5  # a pose on a line looks this far ahead for its heading
_VEHICLE, _BICYCLE = int(TrackType.VEHICLE), int(TrackType.BICYCLE)
_LANE, _CONNECTOR = int(AreaKind.LANE), int(AreaKind.LANE_CONNECTOR)
_INTERSECTION = int(AreaKind.INTERSECTION)
_SINGLE_POINT, _TOO_LONG = int(Trouble.SINGLE_POINT_PATH), int(Trouble.PATH_TOO_LONG)
_NO_TROUBLE = int(Trouble.NONE)


@device_function
def write_replayed_boxes(
    world: int, frame: int, first_shape: int, boxes: BoxBook, shapes: Shapes
) -> int:
    """Write the boxes that stay replayed in reactive traffic as shapes; returns how many.

    That is all but vehicles and bicycles, which the devkit forgets.
    """
    count = 0
    for row in range(boxes.first[world, frame], boxes.first[world, frame + 1]):
        kind = boxes.type[world, row]
        if kind in (_VEHICLE, _BICYCLE):
            continue
        write_box_shape(
            world,
            first_shape + count,
            boxes.x[world, row],
            boxes.y[world, row],
            boxes.yaw_rad[world, row],
            boxes.length_m[world, row],
            boxes.width_m[world, row],
            shapes,
        )
        count += 1
    return count


@device_function
def write_box_shape(
    world: int,
    shape: int,
    x: float,
    y: float,
    yaw_rad: float,
    length_m: float,
    width_m: float,
    shapes: Shapes,
) -> None:
    """Make a shape a box."""
    first = shapes.ring[world, shape, FIRST]
    write_box(world, first, x, y, yaw_rad, length_m, width_m, shapes)
    close_shape(world, shape, first + BOX_CORNERS, first + BOX_CORNERS, shapes)


@device_function
def write_ego_shape(world: int, shape: int, motion: ActorMotion, shapes: Shapes) -> None:
    """Make a shape the ego's box, at its present place (slot 0)."""
    x, y, yaw = motion.x[world, 0], motion.y[world, 0], motion.yaw_rad[world, 0]
    write_box_shape(world, shape, x, y, yaw, LENGTH_M, WIDTH_M, shapes)


@device_function
def point_on_line(row: int, s_m: float, lines: Polylines) -> tuple[float, float]:
    """Point at an arc length of a polyline; beyond its ends the end points."""
    first, last = lines.first_point[row], lines.first_point[row + 1] - 1
    if s_m <= 0.0:
        return float(lines.x[first]), float(lines.y[first])
    passed = 0.0
    for i in range(first, last):
        dx, dy = lines.x[i + 1] - lines.x[i], lines.y[i + 1] - lines.y[i]
        length = math.sqrt(dx * dx + dy * dy)
        if passed + length > s_m:
            fraction = (s_m - passed) / length
            return lines.x[i] + fraction * dx, lines.y[i] + fraction * dy
        passed += length
    return float(lines.x[last]), float(lines.y[last])


@device_function
def nearest_pose(
    row: int, x: float, y: float, lines: Polylines
) -> tuple[float, float, float, float]:
    """Pose of the point of a polyline nearest to (x, y), and its arc length.

    The heading leads to the point half a metre on, at the line's end from the one before.
    """
    s_m = station_m(row, x, y, lines)
    x0, y0 = point_on_line(row, s_m, lines)
    x1, y1 = point_on_line(row, s_m + HEADING_REACH_M, lines)
    if x0 == x1 and y0 == y1:
        x1, y1 = point_on_line(row, s_m - HEADING_REACH_M, lines)
        return x0, y0, math.atan2(y0 - y1, x0 - x1), s_m
    return x0, y0, math.atan2(y1 - y0, x1 - x0), s_m


@device_function
def starting_edge(
    world: int,
    x: float,
    y: float,
    yaw_rad: float,
    map_index: int,
    areas: MapAreas,
    grid: AreaGrid,
    baselines: Polylines,
    edge_of_area: IntArray,
    found: IntArray,
) -> int:
    """Edge that a vehicle stands on, by the smallest difference of headings; -1 if none.

    Connectors count only off the lanes and inside an intersection. The devkit does not wrap the
    difference: a vehicle heading just above -pi is far from a lane heading just below pi.
    """
    kind = _LANE
    if not is_in_area(x, y, map_index, _LANE, areas, grid):
        if not is_in_area(x, y, map_index, _INTERSECTION, areas, grid):
            return -1
        kind = _CONNECTOR
    count = areas_at(x, y, map_index, kind, areas, grid, found[world])
    best, smallest = -1, math.inf
    for i in range(min(count, found.shape[1])):
        edge = int(edge_of_area[found[world, i]])
        if edge < 0:
            continue
        _, _, heading, _ = nearest_pose(edge, x, y, baselines)
        difference = abs(heading - yaw_rad)
        if difference < smallest:
            best, smallest = edge, difference
    return best


@range_kernel
def start_agents_range(
    first: int,
    last: int,
    boxes: BoxBook,
    scene: SceneArrays,
    maps: IdmMaps,
    state: IdmState,
    scratch: IdmScratch,
) -> None:
    """Start the agents of worlds [first, last) from the first frame of their logs.

    A vehicle is snapped to its lane's centre line and left out if it overlaps the ego, a replayed
    object or an agent before it then. Where the lane has no limit the desired speed is that of the
    agent started before.
    """
    traits, motion, paths, shapes = state
    edges, baselines = maps.edges, maps.baselines
    capacity = traits.alive.shape[1]
    for world in range(first, last):
        traits.count[world] = 0
        traits.alive[world, :] = False
        motion.trouble[world] = _NO_TROUBLE
        write_ego_shape(world, capacity, scene.motion, shapes)
        others = write_replayed_boxes(world, 0, capacity + 1, boxes, shapes)
        desired = DEFAULT_DESIRED_MPS
        for row in range(boxes.first[world, 0], boxes.first[world, 1]):
            if boxes.type[world, row] != _VEHICLE:
                continue
            edge = starting_edge(
                *(world, boxes.x[world, row], boxes.y[world, row], boxes.yaw_rad[world, row]),
                *(scene.clocks.map_index[world], maps.areas, maps.grid, baselines),
                *(maps.edge_of_area, scratch.areas),
            )
            if edge < 0 or _is_known(world, boxes.track[world, row], traits):
                continue
            if not _finds_room(world, row, edge, others, boxes, baselines, traits, shapes):
                continue
            limit = edges.speed_limit_mps[edge]
            if limit > 0.0 or limit < 0.0:
                desired = limit
            _start_agent(world, row, edge, boxes, scene.body, baselines, traits, motion, paths)
            motion.desired_mps[world, traits.count[world] - 1] = desired


@device_function
def _is_known(world: int, track: int, traits: AgentTraits) -> bool:
    known = False
    for agent in range(traits.count[world]):
        known = known or traits.track[world, agent] == track
    return known


@device_function
def _finds_room(
    world: int,
    row: int,
    edge: int,
    others: int,
    boxes: BoxBook,
    baselines: Polylines,
    traits: AgentTraits,
    shapes: Shapes,
) -> bool:
    """Snap a box to its edge as the next agent's shape; whether it meets nobody there."""
    agent, capacity = traits.count[world], traits.alive.shape[1]
    x, y, yaw, _ = nearest_pose(edge, boxes.x[world, row], boxes.y[world, row], baselines)
    length, width = boxes.length_m[world, row], boxes.width_m[world, row]
    write_box_shape(world, agent, x, y, yaw, length, width, shapes)
    for shape in range(agent):
        if squared_shape_distance(world, agent, shape, 1.0, shapes) == 0.0:
            return False
    for shape in range(capacity, capacity + 1 + others):
        if squared_shape_distance(world, agent, shape, 1.0, shapes) == 0.0:
            return False
    return True


@device_function
def _start_agent(
    world: int,
    row: int,
    edge: int,
    boxes: BoxBook,
    body: EgoBody,
    baselines: Polylines,
    traits: AgentTraits,
    motion: AgentMotion,
    paths: Paths,
) -> None:
    """Add an agent: its traits, its path of its first edge and its pose on it.

    A vehicle whose speed the log lacks takes the ego's.
    """
    agent, capacity = traits.count[world], traits.alive.shape[1]
    traits.count[world] = agent + 1
    traits.alive[world, agent] = True
    traits.track[world, agent] = boxes.track[world, row]
    traits.length_m[world, agent] = boxes.length_m[world, row]
    traits.width_m[world, agent] = boxes.width_m[world, row]
    speed = math.hypot(boxes.vx_mps[world, row], boxes.vy_mps[world, row])
    if math.isnan(speed):
        speed = math.hypot(body.vx_mps[world], body.vy_mps[world])
    s_m = station_m(edge, boxes.x[world, row], boxes.y[world, row], baselines)
    motion.s_m[world, agent], motion.speed_mps[world, agent] = s_m, speed
    motion.num_edges[world, agent] = 1
    motion.edge[world, agent, 0] = edge
    path = world * capacity + agent
    begin_path(path, edge, baselines, paths)
    if paths.num_points[path] < 2 or paths.num_points[path] > paths.point.shape[1]:
        few = paths.num_points[path] < 2
        motion.trouble[world] = _SINGLE_POINT if few else _TOO_LONG
        return
    x, y, yaw = pose_on_path(path, clamp_progress(path, s_m, paths), paths)
    motion.x[world, agent], motion.y[world, agent] = x, y
    motion.yaw_rad[world, agent] = yaw
