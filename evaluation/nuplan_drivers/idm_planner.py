"""IdmPlanner: the devkit's IDMPlanner for a batch of scenarios."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from evaluation.nuplan_drivers.idm_plan import (
    NUM_SAMPLES,
    IdmRoutes,
    IdmWorkspace,
    plan_behind_leader_range,
)
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.nuplan.bicycle import LENGTH_M, REAR_AXLE_TO_CENTRE_M, WIDTH_M
from sim_adapters.nuplan.idm.paths import begin_path, empty_paths
from sim_adapters.nuplan.idm.shapes import (
    BOX_CORNERS,
    FIRST,
    Shapes,
    X,
    Y,
    close_shape,
    empty_shapes,
)
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.simulator import NuplanSimulator, nuplan_simulator
from sim_adapters.nuplan.trajectory import Trajectories, empty_trajectories
from sim_adapters.scene.kernel_launch import launch_range
from sim_adapters.scene.map_areas import AreaKind, Polylines, VectorMap
from sim_adapters.scene.map_bank import MapBank

# The lane-level way along a log's route: breadth first, as the devkit's IDM planner looks for it.
#
# Source: nuplan-devkit, IDMPlanner._breadth_first_search and BreadthFirstSearch.


class RouteError(Exception):
    """No way can be planned: the devkit's planner stops with an error there, too."""


def find_way(log: ScenarioLog, maps: MapBank) -> list[int]:
    """Edges from where the ego starts towards the route's last block; may end short of it.

    Raises:
        RouteError: fewer than two blocks, or blocks that the map lacks where they matter.
    """
    vector = maps.vector
    assert vector is not None
    blocks = _blocks(log, maps, vector)
    if len(blocks) < 2 or blocks[0] < 0 or blocks[1] < 0 or blocks[-1] < 0:
        known = sum(block >= 0 for block in blocks)
        raise RouteError(f"route of {len(blocks)} blocks, {known} of them on the map")
    inside = {block: _interior_edges(block, vector) for block in blocks if block >= 0}
    start = _starting_edge(log, [*inside[blocks[0]], *inside[blocks[1]]], vector)
    candidates = {edge for edges in inside.values() for edge in edges}
    begins_second = _block_fid(start, vector) == int(vector.areas.fid[blocks[1]])
    target_depth = len(blocks) - (1 if begins_second else 0)
    return _search(start, candidates, blocks[-1], target_depth, maps, vector)


def candidate_edges(log: ScenarioLog, maps: MapBank) -> list[int]:
    """All lanes and connectors of the route's blocks."""
    vector = maps.vector
    assert vector is not None
    blocks = [block for block in _blocks(log, maps, vector) if block >= 0]
    return [edge for block in blocks for edge in _interior_edges(block, vector)]


def _blocks(log: ScenarioLog, maps: MapBank, vector: VectorMap) -> list[int]:
    """Rows of the route's roadblocks and roadblock connectors in MapAreas, -1 unknown."""
    map_index = maps.map_index(log.map_name)
    first, end = vector.first_area[map_index], vector.first_area[map_index + 1]
    rows: dict[int, int] = {}
    for kind in (AreaKind.ROADBLOCK_CONNECTOR, AreaKind.ROADBLOCK):  # a roadblock is found first
        for row in first + np.flatnonzero(vector.areas.kind[first:end] == kind):
            rows[int(vector.areas.fid[row])] = int(row)
    return [rows.get(fid, -1) for fid in log.route_fids]


def _interior_edges(block: int, vector: VectorMap) -> list[int]:
    return [int(edge) for edge in np.flatnonzero(vector.edges.roadblock == block)]


def _block_fid(edge: int, vector: VectorMap) -> int:
    return int(vector.areas.fid[vector.edges.roadblock[edge]])


def _starting_edge(log: ScenarioLog, edges: Sequence[int], vector: VectorMap) -> int:
    """The first edge that holds the ego's centre, else the one nearest to its box."""
    if not edges:
        raise RouteError("no lanes in the route's first two blocks")
    x, y, yaw = (float(values[0]) for values in (log.ego.x, log.ego.y, log.ego.yaw_rad))
    ahead, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    centre = np.array([x, y]) + REAR_AXLE_TO_CENTRE_M * ahead
    corners = [
        centre + 0.5 * LENGTH_M * a * ahead + 0.5 * WIDTH_M * b * left
        for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))
    ]
    box, point = shapely.Polygon(corners), shapely.Point(centre)
    nearest, smallest = edges[0], np.inf
    for edge in edges:
        polygon = area_polygon(int(vector.edges.area[edge]), vector)
        if polygon.contains(point):
            return edge
        distance = polygon.distance(box)
        if distance < smallest:
            nearest, smallest = edge, distance
    return nearest


def area_polygon(area: int, vector: VectorMap) -> shapely.Polygon | shapely.MultiPolygon:
    """An area as shapely has it, with all its parts and their holes."""
    areas = vector.areas
    parts: list[list[np.ndarray]] = []
    for ring in range(areas.first_ring[area], areas.first_ring[area + 1]):
        corners = slice(areas.first_corner[ring], areas.first_corner[ring + 1])
        if areas.is_exterior[ring]:
            parts.append([])
        parts[-1].append(np.column_stack([areas.x[corners], areas.y[corners]]))
    polygons = [shapely.Polygon(exterior, holes) for exterior, *holes in parts]
    return polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)


def _search(
    start: int,
    candidates: set[int],
    target_block: int,
    target_depth: int,
    maps: MapBank,
    vector: VectorMap,
) -> list[int]:
    """Breadth-first without a memory of visited edges; parents are kept by edge and depth.

    Where the target is not reached the way leads to the edge that was queued last.
    """
    links, target_fid = maps.links, int(vector.areas.fid[target_block])
    parents: dict[tuple[int, int], int] = {(start, 1): -1}
    end, end_depth, depth = start, 1, 1
    queue: deque[int] = deque([start, -1])  # -1 closes a depth
    while queue:
        edge = queue.popleft()
        if depth > target_depth:
            break
        if edge < 0:
            depth += 1
            queue.append(-1)
            if queue[0] < 0:
                break
            continue
        if depth == target_depth and _block_fid(edge, vector) == target_fid:
            end, end_depth = edge, depth
            break
        for i in range(links.successor_first[edge], links.successor_first[edge + 1]):
            following = int(links.successor[i])
            if following in candidates:
                queue.append(following)
                parents[following, depth + 1] = edge
                end, end_depth = following, depth + 1
    way = [end]
    while parents[way[-1], end_depth] >= 0:
        way.append(parents[way[-1], end_depth])
        end_depth -= 1
    return way[::-1]


DEFAULT_DESIRED_MPS = 10.0

_logger = logging.getLogger(__name__)


class IdmPlanner:
    """Follows the centre lines of the log's route at the first lane's limit, behind its leader.

    A scenario whose route it can't use counts as failed, as it does with the devkit: it is named in
    the log, marked in `clocks.failed`, and the ego stands.
    """

    def __init__(self, *, name: str = "idm") -> None:
        self.name = name

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Find each scenario's way and make room for the batch."""
        simulator = nuplan_simulator(worlds.simulator, agents)
        logs = [simulator.logs[world] for world in agents.tolist()]
        maps, scene = simulator.maps, simulator.scene
        ways = [_way_or_none(log, maps) for log in logs]
        for world, way in enumerate(ways):
            scene.clocks.failed[world] |= not way
        self._lines = _join_lines(ways, maps)
        longest = int(np.diff(self._lines.first_point).max(initial=2))
        self._paths = empty_paths(len(logs), longest)
        for row, way in enumerate(ways):
            if way:
                begin_path(row, row, self._lines, self._paths)
        self._routes = _routes(ways, logs, simulator)
        self._shapes = _shapes_of_gates(self._routes, scene.num_slots, maps)
        self._workspace = IdmWorkspace(
            np.zeros(self._shapes.ring.shape[:2], np.bool_),
            np.zeros((len(logs), longest + 2, 2)),
        )
        self._plans = empty_trajectories(len(logs), NUM_SAMPLES + 1)

    def act(self, worlds: DrivingWorlds) -> Trajectories:
        """Plan anew."""
        simulator = nuplan_simulator(worlds.simulator)
        scene, book = simulator.scene, simulator.book
        launch_range(
            plan_behind_leader_range,
            scene.num_agents,
            book,
            scene.arrays,
            self._routes,
            self._lines,
            self._paths,
            self._shapes,
            self._workspace,
            self._plans,
        )
        return self._plans


def _way_or_none(log: ScenarioLog, maps: MapBank) -> list[int]:
    """The way, empty if there is none or if its path would be a single point."""
    try:
        way = find_way(log, maps)
    except RouteError as error:
        _logger.warning("IdmPlanner can't drive %s: %s", log.token, error)
        return []
    assert maps.vector is not None
    first_point = maps.vector.baselines.first_point
    if sum(int(first_point[edge + 1] - first_point[edge]) for edge in way) < 3:
        _logger.warning("IdmPlanner can't drive %s: its path is a single point", log.token)
        return []
    return way


def _join_lines(ways: Sequence[Sequence[int]], maps: MapBank) -> Polylines:
    """The centre lines of each way as one line, row by row."""
    assert maps.vector is not None
    baselines = maps.vector.baselines
    points = [
        np.concatenate(
            [np.arange(baselines.first_point[e], baselines.first_point[e + 1]) for e in way]
            or [np.zeros(0, np.int64)]
        )
        for way in ways
    ]
    rows = np.concatenate(points).astype(np.int64)
    x, y = baselines.x[rows], baselines.y[rows]
    first = np.cumsum([0, *map(len, points)]).astype(np.int32)
    s_m = np.zeros(rows.size)
    for begin, end in pairwise(first):
        steps = np.hypot(np.diff(x[begin:end]), np.diff(y[begin:end]))
        s_m[begin + 1 : end] = np.cumsum(steps)
    return Polylines(first, x, y, baselines.yaw_rad[rows], s_m)


def _routes(
    ways: Sequence[Sequence[int]], logs: Sequence[ScenarioLog], simulator: NuplanSimulator
) -> IdmRoutes:
    """Desired speeds (the first edge's limit, or the present speed if higher) and gates.

    A connector whose polygon has several parts is as many gates.
    """
    vector = simulator.maps.vector
    assert vector is not None
    body, edges = simulator.scene.body, vector.edges
    gates = [
        [
            edge
            for edge in dict.fromkeys(candidate_edges(log, simulator.maps))
            if edges.is_connector[edge]
            for _ in _exteriors(vector, edge)
        ]
        for log in logs
    ]
    rows = np.zeros((len(logs), max(1, *map(len, gates))), np.int32)
    desired = np.full(len(logs), DEFAULT_DESIRED_MPS)
    for world, (way, row) in enumerate(zip(ways, gates, strict=True)):
        rows[world, : len(row)] = row
        limit = edges.speed_limit_mps[way[0]] if way else 0.0
        desired[world] = limit if limit > 0.0 else DEFAULT_DESIRED_MPS
    np.maximum(desired, np.hypot(body.vx_mps, body.vy_mps), out=desired)
    has_way = np.array([bool(way) for way in ways])
    return IdmRoutes(has_way, desired, np.array([len(r) for r in gates], np.int32), rows)


def _shapes_of_gates(routes: IdmRoutes, num_slots: int, maps: MapBank) -> Shapes:
    """Room for boxes in the slots' shapes, and the gates' polygons behind them."""
    vector: VectorMap | None = maps.vector
    assert vector is not None
    areas, boxes = vector.areas, BOX_CORNERS * num_slots
    rings = [
        [ring for edge in dict.fromkeys(row[:count].tolist()) for ring in _exteriors(vector, edge)]
        for row, count in zip(routes.gate, routes.num_gates, strict=True)
    ]
    sizes = np.diff(areas.first_corner) - 1
    corners = boxes + max(int(sizes[row].sum()) for row in rings)
    shapes = empty_shapes(routes.gate.shape[0], num_slots + routes.gate.shape[1], corners)
    shapes.ring[:, :num_slots, FIRST] = BOX_CORNERS * np.arange(num_slots)
    for world in range(routes.gate.shape[0]):
        end = boxes
        for gate, ring in enumerate(rings[world]):
            points = slice(areas.first_corner[ring], areas.first_corner[ring + 1] - 1)
            begin, end = end, end + points.stop - points.start
            shapes.ring[world, num_slots + gate, FIRST] = begin
            shapes.corner[world, begin:end, X] = areas.x[points]
            shapes.corner[world, begin:end, Y] = areas.y[points]
            close_shape(world, num_slots + gate, end, end, shapes)
    return shapes


def _exteriors(vector: VectorMap, edge: int) -> list[int]:
    """The outer rings of a connector's polygon, one a part."""
    area, areas = vector.edges.area[edge], vector.areas
    rings = range(areas.first_ring[area], areas.first_ring[area + 1])
    return [ring for ring in rings if areas.is_exterior[ring]]
