"""The lane-level way along a log's route: breadth first, as the devkit's IDM planner looks for it.

Source: nuplan-devkit, IDMPlanner._breadth_first_search and BreadthFirstSearch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import shapely

from sim_adapters.nuplan.bicycle import LENGTH_M, REAR_AXLE_TO_CENTRE_M, WIDTH_M
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.scene.map_areas import AreaKind, VectorMap
from sim_adapters.scene.map_bank import MapBank


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
