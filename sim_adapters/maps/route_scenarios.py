"""Turns route files into Scenarios on the maps of a MapBank."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.maps.opendrive import nearest_driving_lanes
from sim_adapters.maps.route_file import RouteSpec, read_routes
from sim_adapters.maps.router import Router, route_of_plan
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import Route, Scenario, ScenarioTrigger

# The way that CARLA's GlobalRoutePlanner takes through a few waypoints, detours included.
#
# Authors of leaderboard files saw their routes through that planner. Its graph has a node for each
# place, rounded to metres, where lanes begin or end, an edge for each lane, and a free edge for
# each legal lane change, from the beginning of one lane to the beginning of the other. A waypoint
# means the edge of the nearest lane, and every leg is searched from the beginning of that edge.
#
# Limit: lane changes are those that the markings allow along half of a lane or more; CARLA's are
# those allowed anywhere along it. Of longest6's routes that makes 22, 31, 32, 33 and 35 longer than
# CARLA's; the others are equal within 1 %.
#
# Source: behaviour of agents.navigation.GlobalRoutePlanner (CARLA 0.9.16), sampled at 1 m.

_CHANGE_AHEAD_POINTS = 5  # a lane change arrives this far ahead of where it begins
_ARRIVAL_M = 2.0


class _Edge(NamedTuple):
    """One lane driven to its end, or a change onto `lane`."""

    lane: int
    is_change: bool
    cost_m: float


class _Snap(NamedTuple):
    """A waypoint on the nearest lane."""

    lane: int
    position: FloatArray  # (3,)


class CarlaPlanner:
    """Plans on one town of a MapBank; a second or two a plan, most of it in CARLA's parser."""

    def __init__(self, maps: MapBank, town: str) -> None:
        index = maps.map_index(town)
        rows = np.arange(maps.ranges.lane[index], maps.ranges.lane[index + 1])
        self._lanes: list[int] = rows[maps.lanes.kind[rows] == LaneKind.DRIVING].tolist()
        self._maps, self._town = maps, town
        self._nodes: dict[tuple[float, ...], int] = {}
        self._ends = {lane: self._lane_ends(lane) for lane in self._lanes}
        self._places = list(self._nodes)
        self._graph = nx.DiGraph()
        for lane in self._lanes:
            self._add_lane(lane)
        for lane in self._lanes:
            self._add_changes(lane)

    def plan(self, waypoints: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Points about a metre apart in driving order, with a step to the side at lane changes.

        Args:
            waypoints: (W, 3) x, y, z [m], W >= 2, in our frame.

        Returns:
            (K, 3) positions and (K,) headings [rad], as `route_of_plan` takes them.

        Raises:
            FileNotFoundError: no OpenDRIVE file of the town, for which CARLA's parser is asked.
            ValueError: no way from one waypoint to the next.
        """
        snaps = self._snap(waypoints)
        rows: list[int] = []
        for number, (origin, goal) in enumerate(itertools.pairwise(snaps)):
            edges = self._search(self._ends[origin.lane][0], self._ends[goal.lane][0])
            if edges is None:
                raise ValueError(
                    f"CARLA's planner finds no way from waypoint {number} to {number + 1} in "
                    f"{self._town}"
                )
            edges.append(self._whole_lane(goal.lane))
            rows += self._trace(origin, goal, waypoints[number + 1], edges)
        return self._positions(np.array(rows)), self._maps.points.yaw_rad[rows]

    # The graph ------------------------------------------------------------------------------------

    def _points_of(self, lane: int) -> NDArray[np.int64]:
        first = self._maps.lanes.first_point
        return np.arange(first[lane], first[lane + 1])

    def _positions(self, rows: NDArray[np.int64]) -> FloatArray:
        points = self._maps.points
        return np.column_stack([points.x[rows], points.y[rows], points.z[rows]])

    def _node(self, row: int) -> int:
        place = tuple(np.round(self._positions(np.array([row]))[0]).tolist())
        return self._nodes.setdefault(place, len(self._nodes))

    def _lane_ends(self, lane: int) -> tuple[int, int]:
        """Nodes where a lane begins and ends; the end is where its successor begins."""
        first, links = self._maps.lanes.first_point, self._maps.links
        after = links.successor[links.successor_first[lane] : links.successor_first[lane + 1]]
        end = first[after[-1]] if after.size else first[lane + 1] - 1
        return self._node(int(first[lane])), self._node(int(end))

    def _whole_lane(self, lane: int) -> _Edge:
        """A lane at the cost of its steps of 1 m as CARLA counts them."""
        length_m = float(self._maps.lanes.length_m[lane])
        return _Edge(lane, False, 2.0 if length_m <= 1.0 else math.ceil(length_m) - 1.0)

    def _add_lane(self, lane: int) -> None:
        begin, end = self._ends[lane]
        self._add_edge(begin, end, self._whole_lane(lane))

    def _add_changes(self, lane: int) -> None:
        lanes = self._maps.lanes
        if lanes.junction[lane] >= 0:
            return
        for beside in (int(lanes.right[lane]), int(lanes.left[lane])):
            if beside in self._ends:
                self._add_edge(self._ends[lane][0], self._ends[beside][0], _Edge(beside, True, 0.0))

    def _add_edge(self, begin: int, end: int, edge: _Edge) -> None:
        """Put an edge between two nodes; of several the last one stays, as in CARLA's graph."""
        self._graph.add_edge(begin, end, edge=edge, cost_m=edge.cost_m)

    # A leg ----------------------------------------------------------------------------------------

    def _snap(self, waypoints: FloatArray) -> list[_Snap]:
        """The lane that CARLA takes each waypoint to be on."""
        lanes = self._maps.lanes
        row_of = {
            (int(lanes.road_id[row]), int(lanes.section_id[row]), int(lanes.lane_id[row])): row
            for row in self._lanes
        }
        ids, positions = nearest_driving_lanes(self._town, waypoints)
        unknown = [key for key in ids if key not in row_of]
        if unknown:
            raise ValueError(f"{self._town} has no driving lane (road, section, lane) {unknown[0]}")
        return [_Snap(row_of[key], position) for key, position in zip(ids, positions, strict=True)]

    def _search(self, start: int, goal: int) -> list[_Edge] | None:
        """Edges of the way between two nodes that CARLA's A* finds, None without one.

        Free lane changes make its heuristic, the straight distance, overestimate; so the first
        way found is not always the cheapest, and it has to be the same: CARLA asks networkx, too.
        """
        try:
            nodes = nx.astar_path(self._graph, start, goal, self._distance_m, weight="cost_m")
        except nx.NetworkXNoPath:
            return None
        return [self._graph.edges[pair]["edge"] for pair in itertools.pairwise(nodes)]

    def _distance_m(self, node: int, other: int) -> float:
        return math.dist(self._places[node], self._places[other])

    def _trace(
        self, origin: _Snap, goal: _Snap, destination: FloatArray, edges: list[_Edge]
    ) -> list[int]:
        """Lane points along the edges of a leg, each lane from beside the point before."""
        rows: list[int] = []
        here = origin.position
        for number, edge in enumerate(edges):
            points = self._points_of(edge.lane)
            positions = self._positions(points)
            nearest = int(np.argmin(np.linalg.norm(positions - here, axis=1)))
            if edge.is_change:
                ahead = min(nearest + _CHANGE_AHEAD_POINTS, len(points) - 1)
                rows.append(int(points[ahead]))
            elif number < len(edges) - 1:
                rows += points[nearest:].tolist()
            else:
                last = int(np.argmin(np.linalg.norm(positions - goal.position, axis=1)))
                near = np.linalg.norm(positions[nearest:] - destination, axis=1) < _ARRIVAL_M
                arrived = nearest + int(np.argmax(near)) if near.any() else len(points) - 1
                rows += points[nearest : (nearest if nearest > last else arrived) + 1].tolist()
            here = self._positions(np.array(rows[-1:]))[0]
        return rows


# A lane or two beside the route still counts: the leaderboard asks for the place, not the lane
TRIGGER_REACH_M = 12.0
_TRIGGER_ANGLE_RAD = np.radians(90.0)

_log = logging.getLogger(__name__)


def load_scenarios(
    path: str | Path, maps: MapBank, *, seed: int = 0, time_limit_s: float = 1200.0
) -> list[Scenario]:
    """Every route of a leaderboard file, traced on its town, in the order of the file.

    Args:
        path: A .xml or .xml.gz file of either leaderboard format.
        maps: Must hold the towns of the file.
        seed: Of the worlds; every route gets its own, derived from this and its place in the file.
        time_limit_s: For each route.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unreadable, a town that `maps` lacks, or a route that cannot be driven; names
            the file and the route.
    """
    router = Router(maps)
    scenarios = []
    for number, spec in enumerate(read_routes(path)):
        try:
            scenario = trace_scenario(
                spec, router, seed=seed * 1_000_003 + number, time_limit_s=time_limit_s
            )
        except ValueError as error:
            raise ValueError(f"{path}, {error}") from error
        scenarios.append(scenario)
    return scenarios


def trace_scenario(
    spec: RouteSpec, router: Router, *, seed: int, time_limit_s: float = 1200.0
) -> Scenario:
    """One route as a scenario, with all its triggers.

    A route that leaves triggers aside was drawn up along the way that CARLA's planner takes, with
    its detours: such a route is traced again that way. Triggers that neither way passes are named
    in a warning, since they cannot start.

    Raises:
        ValueError: unknown town or no drivable way; names the route.
    """
    try:
        route = router.trace(spec.town, spec.waypoints)
    except ValueError as error:
        raise ValueError(f"route {spec.route_id}: {error}") from error
    missed = missed_triggers(route, spec.triggers)
    if missed:
        carlas = _way_of_carla(spec, router)
        if carlas is not None and len(missed_triggers(carlas, spec.triggers)) < len(missed):
            _log.info(
                "route %s in %s: %.0f m as CARLA plans it instead of %.0f m, to pass %d triggers",
                *(spec.route_id, spec.town, carlas.length_m, route.length_m, len(missed)),
            )
            route, missed = carlas, missed_triggers(carlas, spec.triggers)
    if missed:
        _log.warning(
            "route %s in %s: %d of %d scenario triggers lie off the route and cannot start: %s",
            spec.route_id,
            spec.town,
            len(missed),
            len(spec.triggers),
            ", ".join(trigger.name for trigger in missed),
        )
    return Scenario(scenario_id(spec), spec.town, route, seed, spec.triggers, time_limit_s)


def _way_of_carla(spec: RouteSpec, router: Router) -> Route | None:
    """The route as CARLA's planner leads it, None where that planner is no help."""
    try:
        position, yaw_rad = CarlaPlanner(router.maps, spec.town).plan(spec.waypoints)
        return route_of_plan(router, spec.town, position, yaw_rad)
    except (FileNotFoundError, ValueError) as error:
        _log.info("route %s in %s: no plan of CARLA's: %s", spec.route_id, spec.town, error)
        return None


def scenario_id(spec: RouteSpec) -> str:
    """Name of a route by town and id, e.g. "Town01_05"."""
    return f"{spec.town}_{spec.route_id.zfill(2)}"


def missed_triggers(route: Route, triggers: Sequence[ScenarioTrigger]) -> list[ScenarioTrigger]:
    """Triggers that no part of the route passes within `TRIGGER_REACH_M` in their direction."""
    missed = []
    for trigger in triggers:
        near = np.hypot(route.x - trigger.x, route.y - trigger.y) <= TRIGGER_REACH_M
        turn = route.yaw_rad[near] - trigger.yaw_rad
        if not np.any(np.cos(turn) > np.cos(_TRIGGER_ANGLE_RAD)):
            missed.append(trigger)
    return missed
