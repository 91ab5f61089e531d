"""RouteCorrector: repairs a log's route on the map, as CaRL does before training and driving.

A log's list of roadblocks may begin away from the car, have gaps and run in loops. The idea is
PDM's (Dauner et al. 2023, `route_roadblock_correction`); rules and thresholds below are theirs.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.maps.nuplan_gpkg_layers import area_polygon
from sim_adapters.nuplan.bicycle import LENGTH_M, REAR_AXLE_TO_CENTRE_M, WIDTH_M
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.map_areas import AreaKind, VectorMap
from sim_adapters.scene.map_bank import LaneLinks, MapBank

MAX_HEADING_ERROR_RAD = math.pi / 4.0
MAX_DISPLACEMENT_M = 3.0
DEPTH_BACKWARD = 15  # roadblocks searched back from the route's first one
DEPTH_FORWARD = 30
FORWARD_GOALS = 3  # roadblocks of the route that a way forward may join
MIN_LINK = 3  # roadblocks of a way that fills a gap, both ends among them
MIN_OVERLAP_M2 = 1.0  # of two connectors' polygons that make a loop

Pose = tuple[float, float, float]  # x, y [m] of the rear axle, yaw [rad]


class RoadblockGraph(NamedTuple):
    """Roadblocks and roadblock connectors of one map and how they follow one another.

    Rows are those of MapAreas; neighbours are in the map's order.
    """

    row: dict[int, int]  # feature id -> row; the ids of both kinds are distinct
    after: dict[int, list[int]]
    before: dict[int, list[int]]
    edges: dict[int, list[int]]  # lanes or connectors of each


class RouteCorrector:
    """Corrects routes on the maps of a bank.

    Args:
        maps: With `vector`.
    """

    def __init__(self, maps: MapBank) -> None:
        if maps.vector is None:
            raise ValueError("routes can only be corrected on maps with polygons (nuPlan's)")
        self.maps, self.vector = maps, maps.vector
        self._graphs: dict[int, RoadblockGraph] = {}
        self._polygons: dict[int, shapely.Geometry] = {}

    def correct(self, map_name: str, pose: Pose, route_fids: Sequence[int]) -> tuple[int, ...]:
        """The route from the car's roadblock on, without gaps and loops where the map allows.

        Args:
            map_name: Location.
            pose: Of the car at the scenario's first frame.
            route_fids: Roadblocks and connectors as the log names them.

        Returns:
            Feature ids; empty where the log has no route, or none on this map.
        """
        graph = self.graph(map_name)
        route = list(dict.fromkeys(graph.row[fid] for fid in route_fids if fid in graph.row))
        if not route:
            return ()
        start, candidates = self._start(graph, pose, set(route))
        if start not in route:
            route = _join_start(graph, start, candidates, route)
        route = self._without_loops(_without_gaps(graph, route))
        return tuple(int(self.vector.areas.fid[row]) for row in route)

    def graph(self, map_name: str) -> RoadblockGraph:
        """The roadblocks of a map."""
        index = self.maps.map_index(map_name)
        if index not in self._graphs:
            self._graphs[index] = build_graph(self.vector, self.maps.links, index)
        return self._graphs[index]

    def _start(
        self, graph: RoadblockGraph, pose: Pose, route: Collection[int]
    ) -> tuple[int, list[int]]:
        """The roadblock that the car is on, and all that are as good by the same rule.

        Those on the route go first, then any that the car is aligned with, then the nearest.
        """
        under = self._roadblocks_under(graph, pose)
        near, aligned = {}, {}
        for block in under:
            distances = [self._lane_error(edge, pose) for edge in graph.edges.get(block, [])]
            near[block] = min((distance for distance, _ in distances), default=math.inf)
            aligned[block] = min(
                (
                    distance
                    for distance, heading in distances
                    if heading < MAX_HEADING_ERROR_RAD and distance < MAX_DISPLACEMENT_M
                ),
                default=math.inf,
            )
        fitting = [block for block in under if aligned[block] < math.inf]
        on_route = [block for block in fitting if block in route]
        chosen = on_route or fitting
        if chosen:
            return min(chosen, key=aligned.__getitem__), chosen
        return min(under, key=near.__getitem__), under

    def _roadblocks_under(self, graph: RoadblockGraph, pose: Pose) -> list[int]:
        """Roadblocks that the car's box touches; the nearest of each kind if it touches none."""
        areas = self.vector.areas
        rows = np.array(list(graph.row.values()))
        box = _footprint(pose)
        low_x, low_y, high_x, high_y = areas.bounds[rows].T
        near = rows[
            (low_x <= box.bounds[2])
            & (high_x >= box.bounds[0])
            & (low_y <= box.bounds[3])
            & (high_y >= box.bounds[1])
        ]
        under = [row for row in near.tolist() if shapely.intersects(self._polygon(row), box)]
        if under:
            return under
        axle = shapely.Point(pose[:2])
        kinds = (AreaKind.ROADBLOCK, AreaKind.ROADBLOCK_CONNECTOR)
        groups = [rows[areas.kind[rows] == kind].tolist() for kind in kinds]
        return [
            min(group, key=lambda row: float(shapely.distance(self._polygon(row), axle)))
            for group in groups
            if group
        ]

    def _polygon(self, row: int) -> shapely.Geometry:
        if row not in self._polygons:
            self._polygons[row] = area_polygon(self.vector.areas, row)
        return self._polygons[row]

    def _lane_error(self, edge: int, pose: Pose) -> tuple[float, float]:
        """Distance to the nearest vertex of a baseline, and the heading error there."""
        lines = self.vector.baselines
        span = slice(lines.first_point[edge], lines.first_point[edge + 1])
        distance = np.hypot(lines.x[span] - pose[0], lines.y[span] - pose[1])
        nearest = int(np.argmin(distance))
        heading = wrap_angle(float(lines.yaw_rad[span][nearest]) - pose[2])
        return float(distance[nearest]), abs(heading)

    def _without_loops(self, route: list[int]) -> list[int]:
        """The route up to the first connector that crosses where an earlier one went."""
        seen: list[shapely.Geometry] = []
        for place, row in enumerate(route):
            if self.vector.areas.kind[row] != AreaKind.ROADBLOCK_CONNECTOR:
                continue
            polygon = self._polygon(row)
            if bool((shapely.area(shapely.intersection(seen, polygon)) > MIN_OVERLAP_M2).any()):
                return route[:place]
            seen.append(polygon)
        return route


def build_graph(vector: VectorMap, links: LaneLinks, map_index: int) -> RoadblockGraph:
    """Roadblock graph of one map, read off its lane connectors."""
    areas, edges = vector.areas, vector.edges
    first, last = vector.first_area[map_index], vector.first_area[map_index + 1]
    kinds = (AreaKind.ROADBLOCK, AreaKind.ROADBLOCK_CONNECTOR)
    rows = first + np.flatnonzero(np.isin(areas.kind[first:last], kinds))
    graph = RoadblockGraph(
        row=dict(zip(areas.fid[rows].tolist(), rows.tolist(), strict=True)),
        after={row: [] for row in rows.tolist()},
        before={row: [] for row in rows.tolist()},
        edges={row: [] for row in rows.tolist()},
    )
    for edge in range(vector.first_edge[map_index], vector.first_edge[map_index + 1]):
        block = int(edges.roadblock[edge])
        if block < 0:
            continue
        graph.edges[block].append(edge)
        followers = links.successor[links.successor_first[edge] : links.successor_first[edge + 1]]
        for following in edges.roadblock[followers].tolist():
            if following >= 0 and following != block:
                graph.after[block].append(following)
                graph.before[following].append(block)
    for neighbours in (graph.after, graph.before):
        for row, found in neighbours.items():
            neighbours[row] = sorted(set(found))
    return graph


def _footprint(pose: Pose) -> shapely.Polygon:
    x, y, yaw = pose
    forward = np.array([math.cos(yaw), math.sin(yaw)])
    left = np.array([-forward[1], forward[0]])
    centre = np.array([x, y]) + REAR_AXLE_TO_CENTRE_M * forward
    signs = ((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))
    corners: list[NDArray[np.float64]] = [
        centre + 0.5 * LENGTH_M * along * forward + 0.5 * WIDTH_M * aside * left
        for along, aside in signs
    ]
    return shapely.Polygon(corners)


def _join_start(
    graph: RoadblockGraph, start: int, candidates: Sequence[int], route: list[int]
) -> list[int]:
    """The route led on from the car's roadblock: to its first block, else to one soon after."""
    back = shortest_path(graph.before, route[0], candidates, DEPTH_BACKWARD)
    if back is not None:
        return back[::-1][:-1] + route
    ahead = shortest_path(graph.after, start, route[:FORWARD_GOALS], DEPTH_FORWARD)
    if ahead is not None:
        return ahead + route[route.index(ahead[-1]) + 1 :]
    return route


def _without_gaps(graph: RoadblockGraph, route: list[int]) -> list[int]:
    filled = route[:1]
    for before, after in itertools.pairwise(route):
        if before not in graph.before[after]:
            way = shortest_path(graph.after, before, [after], DEPTH_FORWARD)
            if way is not None and len(way) >= MIN_LINK:
                filled += way[1:-1]
        filled.append(after)
    return filled


def shortest_path(
    neighbours: Mapping[int, Sequence[int]], start: int, goals: Collection[int], depth: int
) -> list[int] | None:
    """Breadth-first way from `start` to the first goal met, both ends included.

    Of several shortest ways to it PDM takes the one whose blocks were reached last.

    Args:
        neighbours: In the order in which they are visited.
        start: Row; if it is a goal itself, it is the way.
        goals: Rows.
        depth: Most rows of a way.

    Returns:
        The way, None if no goal lies within the depth.
    """
    if start in goals:
        return [start]
    came_from = {start: -1}
    by_first_visit = by_last_visit = [start]  # of the rows that are as far from the start
    for _ in range(depth - 1):
        reached = [f for row in by_first_visit for f in neighbours[row] if f not in came_from]
        parents: dict[int, int] = {}
        for row in by_last_visit:
            for following in neighbours[row]:
                if following not in came_from:
                    parents.pop(following, None)  # moves it to the end
                    parents[following] = row
        came_from |= parents
        goal = next((row for row in reached if row in goals), None)
        if goal is not None:
            way = [goal]
            while way[-1] != start:
                way.append(came_from[way[-1]])
            return way[::-1]
        by_first_visit, by_last_visit = list(dict.fromkeys(reached)), list(parents)
    return None
