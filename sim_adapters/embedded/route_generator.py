"""Random training routes: where CaRL's policies drive.

A route begins at a random road, goes back about 100 m against the traffic and then forward by
random successors to its length, with a legal lane change now and then. Source: CaRL's training
routes (arXiv 2504.17838 and its published settings).
"""

from __future__ import annotations

import math
from dataclasses import fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.embedded.route_triggers import PlannedStreams
from sim_adapters.maps.route_search import LANE_CHANGE_ROOM_M, LaneNetwork, Stretch
from sim_adapters.maps.route_shape import shape_route
from sim_adapters.scene.counter_rng import Draws
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import Route, RouteCommand

MAX_ATTEMPTS = 500
BACKTRACK_M = 100.0
LANE_CHANGE_PROBABILITY_PER_M = 0.10
LANE_CHANGE_SPACING_M = 200.0
_SPARE_M = 30.0  # walked beyond the end, so that no route ends amid a lane change
_TURNS = (RouteCommand.LEFT, RouteCommand.RIGHT)
_RNG_ROUTE = 7101  # purpose of these draws


class SignalisedTurns(NamedTuple):
    """How random routes are led through left and right turns at junctions with lights."""

    route_share: float = 0.0  # of routes that begin BACKTRACK_M before one that a stream crosses
    left_share: float = 0.5  # of these that turn left
    weight: float = 1.0  # of any later one, beside 1 for every other way on


class RouteGenerator:
    """Draws random routes on one town of a MapBank, about a millisecond each.

    Args:
        maps: The towns.
        town: The one to drive in.
        turns: How often routes turn where a stream of traffic may cross them; CaRL: at random.
    """

    def __init__(self, maps: MapBank, town: str, *, turns: SignalisedTurns | None = None) -> None:
        self.maps, self.town = maps, town
        self._turns = turns or SignalisedTurns()
        self.network = LaneNetwork(maps)
        index = maps.map_index(town)
        rows = slice(maps.ranges.lane[index], maps.ranges.lane[index + 1])
        lanes = np.arange(rows.start, rows.stop)
        is_open = (maps.lanes.kind[rows] == LaneKind.DRIVING) & (maps.lanes.junction[rows] < 0)
        self._lanes_of_road: dict[int, list[int]] = {}
        for lane in lanes[is_open].tolist():
            self._lanes_of_road.setdefault(int(maps.lanes.road_id[lane]), []).append(lane)
        self._roads = sorted(self._lanes_of_road)
        first, values = maps.links.predecessor_first, maps.links.predecessor
        self._predecessors = {
            lane: values[first[lane] : first[lane + 1]].tolist() for lane in lanes.tolist()
        }
        self._crossed_turns = self._find_crossed_turns(lanes) if turns else {}

    def draw(self, seed: int, number: int, *, length_m: float) -> Route:
        """The `number`-th route of `seed`, `length_m` long to the metre.

        Raises:
            ValueError: no road of the town leads that far.
        """
        for attempt in range(MAX_ATTEMPTS):
            draws = Draws(seed, number * MAX_ATTEMPTS + attempt, _RNG_ROUTE)
            stretches = self._walk(draws, length_m + _SPARE_M)
            if stretches is not None:
                return cut_route(shape_route(self.maps, stretches), length_m)
        raise ValueError(
            f"no random route of {length_m:g} m found in {self.town} within {MAX_ATTEMPTS} "
            f"attempts, all ended at dead ends: ask for shorter routes"
        )

    def _walk(self, draws: Draws, length_m: float) -> list[Stretch] | None:
        """One random walk, None at a dead end or if it would begin in a junction."""
        lane, s_m, onward = self._draw_start(draws)
        if self.maps.lanes.junction[lane] >= 0:
            return None
        stretches: list[Stretch] = []
        entered_by = RouteCommand.LANE_FOLLOW
        left_m, until_change_m = length_m, LANE_CHANGE_ROOM_M
        while True:
            lane_m = self.network.length_m[lane]
            free_m = s_m + max(0.0, until_change_m)
            change = None if onward else self._draw_change(draws, lane, free_m)
            end_m = min(lane_m if change is None else change[0], s_m + left_m)
            stretches.append(Stretch(lane, s_m, end_m, entered_by))
            left_m -= end_m - s_m
            until_change_m -= end_m - s_m
            if left_m <= 1e-6:
                return stretches
            if change is not None:
                _, beside, entered_by = change
                s_m = end_m / lane_m * self.network.length_m[beside]
                lane, until_change_m = beside, LANE_CHANGE_SPACING_M
                continue
            if not self.network.successors[lane]:
                return None
            lane, s_m = onward.pop() if onward else self._draw_successor(draws, lane), 0.0
            entered_by = RouteCommand.LANE_FOLLOW

    def _draw_successor(self, draws: Draws, lane: int) -> int:
        """One of the lanes that follow; signalised turns as often as their weight says."""
        successors = self.network.successors[lane]
        if self._turns.weight == 1.0 or len(successors) == 1:
            return draws.choose(successors)
        rules = self.maps.rules
        is_turn = np.isin(rules.turn[successors], _TURNS) & (rules.signal[successors] >= 0)
        return draws.choose(successors, np.where(is_turn, self._turns.weight, 1.0).tolist())

    def _draw_start(self, draws: Draws) -> tuple[int, float, list[int]]:
        """About 100 m before a random road's beginning, or before a turn, by random predecessors.

        Returns:
            Lane, place along it [m], and the lanes from there to the turn, the last first; none
            without a turn.
        """
        share, onward = self._turns.route_share, []
        if share > 0.0 and self._crossed_turns and draws.uniform() < share:
            lane = draws.choose(self._crossed_turns[self._draw_side(draws)])
            onward.append(lane)
        else:
            lane = draws.choose(self._lanes_of_road[draws.choose(self._roads)])
        to_turn = bool(onward)
        s_m, left_m = 0.0, BACKTRACK_M
        while s_m < left_m and self._predecessors[lane]:
            left_m -= s_m
            lane = draws.choose(self._predecessors[lane])
            s_m = self.network.length_m[lane]
            if to_turn:
                onward.append(lane)
        return lane, max(0.0, s_m - left_m), onward[:-1]

    def _draw_side(self, draws: Draws) -> RouteCommand:
        """Left as often as its share says, if the town has crossed turns to both sides."""
        if len(self._crossed_turns) == 1:
            return next(iter(self._crossed_turns))
        is_left = draws.uniform() < self._turns.left_share
        return RouteCommand.LEFT if is_left else RouteCommand.RIGHT

    def _find_crossed_turns(self, lanes: NDArray[np.int64]) -> dict[RouteCommand, list[int]]:
        """Lanes that turn at lights where straight traffic may cross them, by side."""
        maps, streams = self.maps, PlannedStreams(self.maps)
        from_side = {RouteCommand.LEFT: math.pi, RouteCommand.RIGHT: -0.5 * math.pi}
        found: dict[RouteCommand, list[int]] = {}
        is_turn = np.isin(maps.rules.turn[lanes], _TURNS) & (maps.rules.signal[lanes] >= 0)
        for lane in lanes[is_turn & (maps.lanes.kind[lanes] == LaneKind.DRIVING)].tolist():
            side = RouteCommand(int(maps.rules.turn[lane]))
            yaw = float(maps.points.yaw_rad[maps.lanes.first_point[lane]])
            if streams.has(int(maps.lanes.junction[lane]), yaw + from_side[side]):
                found.setdefault(side, []).append(lane)
        return found

    def _draw_change(
        self, draws: Draws, lane: int, allowed_from_m: float
    ) -> tuple[float, int, RouteCommand] | None:
        """Where this lane is left sideways, for which lane and how; None if it is not."""
        legal = self.network.legal_changes(lane)
        if not legal:
            return None
        # Half a lane change fits before and after, so that none reaches into a junction
        margin_m = 0.5 * LANE_CHANGE_ROOM_M
        at_m = max(allowed_from_m, margin_m) + draws.geometric(LANE_CHANGE_PROBABILITY_PER_M)
        if at_m > self.network.length_m[lane] - margin_m:
            return None
        beside, command = draws.choose(legal)
        return at_m, beside, command


def cut_route(route: Route, length_m: float) -> Route:
    """The first `length_m` of a route, to the nearest point."""
    keep = int(np.searchsorted(route.cumulative_m, length_m + 0.5))
    return Route(*(getattr(route, field.name)[:keep] for field in fields(route)))
