"""Shortest way from one place on a lane to others: Dijkstra over the lane graph of a MapBank."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import RouteCommand

LANE_CHANGE_ROOM_M = 20.0  # a comfortable change; less room costs extra, so longer lanes win
LANE_CHANGE_COST_M = 5.0  # detour that one change is worth; keeps routes from weaving
# Some routes of the leaderboard change lanes where the marking is solid along most of the road.
# They get what they ask for, but only where a legal way would be a long detour.
FORCED_CHANGE_COST_M = 150.0


class RoutePlace(NamedTuple):
    """A place on a lane's centre line."""

    lane: int
    s_m: float


class Stretch(NamedTuple):
    """A part of one lane that a route drives."""

    lane: int
    start_m: float
    end_m: float
    entered_by: RouteCommand  # LANE_FOLLOW from a predecessor, CHANGE_LEFT or CHANGE_RIGHT


class Way(NamedTuple):
    """A drivable way and its cost, the length plus what its lane changes cost [m]."""

    cost_m: float
    stretches: list[Stretch]


class LaneNetwork:
    """The driving lanes of a MapBank as Python lists, which a search reads fastest."""

    def __init__(self, maps: MapBank) -> None:
        first, values = maps.links.successor_first, maps.links.successor
        self.length_m: list[float] = maps.lanes.length_m.tolist()
        self.successors = [
            values[first[lane] : first[lane + 1]].tolist() for lane in range(len(first) - 1)
        ]
        self.changes = _lane_changes(maps)

    def legal_changes(self, lane: int) -> list[tuple[int, RouteCommand]]:
        """Lanes that the markings let one change to, and the command of that change."""
        return [
            (change.lane, change.command)
            for change in self.changes[lane]
            if change.cost_m == LANE_CHANGE_COST_M
        ]


class _LaneChange(NamedTuple):
    lane: int  # beside
    command: RouteCommand
    cost_m: float


def _lane_changes(maps: MapBank) -> list[list[_LaneChange]]:
    """Changes that are possible from each lane outside junctions: legal ones, then forced ones."""
    lanes = maps.lanes
    is_open = (lanes.kind == LaneKind.DRIVING) & (lanes.junction < 0)
    keys = zip(
        lanes.road_id.tolist(), lanes.section_id.tolist(), lanes.lane_id.tolist(), strict=True
    )
    town = np.searchsorted(maps.ranges.lane, np.arange(len(is_open)), side="right").tolist()
    rows = {(town[row], *key): row for row, key in enumerate(keys)}
    changes: list[list[_LaneChange]] = [[] for _ in range(len(is_open))]
    for (in_town, road, section, lane_id), row in rows.items():
        if not is_open[row]:
            continue
        neighbours = [
            rows.get((in_town, road, section, lane_id + step), -1) if lane_id + step else -1
            for step in (1, -1)
        ]
        left, right = _left_and_right(maps, row, *neighbours)
        for legal, beside, command in (
            (lanes.left[row], left, RouteCommand.CHANGE_LEFT),
            (lanes.right[row], right, RouteCommand.CHANGE_RIGHT),
        ):
            if legal >= 0 and is_open[legal]:
                changes[row].append(_LaneChange(int(legal), command, LANE_CHANGE_COST_M))
            elif beside >= 0 and is_open[beside]:
                changes[row].append(_LaneChange(beside, command, FORCED_CHANGE_COST_M))
    return changes


def _left_and_right(maps: MapBank, lane: int, one: int, other: int) -> tuple[int, int]:
    """The lanes on both sides of a lane in their order from the left; -1 stands for none.

    Which of them is on the left depends on the road's side of traffic, so the places decide.
    """
    beside = max(one, other)
    if beside < 0:
        return -1, -1
    here, there = _middle_point(maps, lane), _middle_point(maps, beside)
    points = maps.points
    dx, dy = points.x[there] - points.x[here], points.y[there] - points.y[here]
    is_left = math.cos(points.yaw_rad[here]) * dy > math.sin(points.yaw_rad[here]) * dx
    return (one, other) if is_left == (beside == one) else (other, one)


def _middle_point(maps: MapBank, lane: int) -> int:
    return int(maps.lanes.first_point[lane] + maps.lanes.first_point[lane + 1]) // 2


class _Visit(NamedTuple):
    """How the search came to a lane; `before` is None where it began."""

    lane: int
    from_start: bool  # this section of the road is driven from the start place, not its beginning
    entered_by: RouteCommand
    before: _Visit | None


def find_ways(
    network: LaneNetwork, start: RoutePlace, goals: Sequence[RoutePlace]
) -> list[Way | None]:
    """Cheapest way from `start` to each goal, None where a goal cannot be reached.

    A goal on the start's own lane behind the start is reached by driving round.
    """
    ways: list[Way | None] = [None] * len(goals)
    missing = set(range(len(goals)))
    start_share = start.s_m / max(network.length_m[start.lane], 1e-9)
    first = _Visit(start.lane, True, RouteCommand.LANE_FOLLOW, None)
    # Costs are to the END of a lane; the counter makes equal costs leave the heap in order
    heap = [(network.length_m[start.lane] - start.s_m, 0, first)]
    seen: set[tuple[int, bool]] = set()
    pushed = 0
    while heap and missing:
        cost, _, visit = heapq.heappop(heap)
        lane, from_start = visit.lane, visit.from_start
        if (lane, from_start) in seen:
            continue
        seen.add((lane, from_start))
        length = network.length_m[lane]
        begin_m = start_share * length if from_start else 0.0
        for goal in [goal for goal in missing if goals[goal].lane == lane]:
            if goals[goal].s_m >= begin_m - 1e-6:
                missing.discard(goal)
                to_goal = cost - (length - goals[goal].s_m)
                ways[goal] = Way(to_goal, _stretches(network, visit, start_share, goals[goal]))
        following = [
            (cost + network.length_m[after], _Visit(after, False, RouteCommand.LANE_FOLLOW, visit))
            for after in network.successors[lane]
        ]
        haste_m = max(0.0, LANE_CHANGE_ROOM_M - (length - begin_m))
        following += [
            (cost + change.cost_m + haste_m, _Visit(change.lane, from_start, change.command, visit))
            for change in network.changes[lane]
        ]
        for new_cost, new_visit in following:
            if (new_visit.lane, new_visit.from_start) not in seen:
                pushed += 1
                heapq.heappush(heap, (new_cost, pushed, new_visit))
    return ways


def _stretches(
    network: LaneNetwork, last: _Visit, start_share: float, goal: RoutePlace
) -> list[Stretch]:
    """Stretches of the way that ends with `last`, from start to goal."""
    visits = [last]
    while visits[-1].before is not None:
        visits.append(visits[-1].before)
    visits.reverse()
    stretches: list[Stretch] = []
    row = 0
    while row < len(visits):
        # Lanes side by side that lane changes join share one section of the road
        beside = 1
        while row + beside < len(visits) and _is_change(visits[row + beside]):
            beside += 1
        section = visits[row : row + beside]
        row += beside
        goal_share = goal.s_m / max(network.length_m[goal.lane], 1e-9)
        end_share = goal_share if row == len(visits) else 1.0
        begin_share = start_share if section[0].from_start else 0.0
        stretches += _section_stretches(network, section, begin_share, end_share)
    return stretches


def _section_stretches(
    network: LaneNetwork, section: list[_Visit], begin_share: float, end_share: float
) -> list[Stretch]:
    """Split one section of the road among the lanes driven in it, changing early."""
    length = max(network.length_m[section[0].lane], 1e-9)
    room_m = min((end_share - begin_share) * length, len(section) * LANE_CHANGE_ROOM_M)
    cuts = [begin_share + i * room_m / len(section) / length for i in range(len(section))]
    shares = [*cuts, end_share]
    return [
        Stretch(
            visit.lane,
            shares[i] * network.length_m[visit.lane],
            shares[i + 1] * network.length_m[visit.lane],
            visit.entered_by,
        )
        for i, visit in enumerate(section)
    ]


def _is_change(visit: _Visit) -> bool:
    return visit.entered_by in (RouteCommand.CHANGE_LEFT, RouteCommand.CHANGE_RIGHT)
