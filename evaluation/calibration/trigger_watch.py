"""TriggerWatch: what happened at the scenario triggers of a drive, from positions over time.

The same code reads the embedded world and recordings of official drives. Nobody is asked which
actor a scenario brought: a road user is taken for a script's own if, after the ego has reached the
trigger, it moves along the script's way (where the map says that walker, cyclist, stream or runner
goes), in its direction and at three fifths of its speed at least. Background traffic is slower than
streams and runners nearly everywhere; where it is not, it counts on both sides alike.

A collision belongs to a script if the one who was hit is one of its own. If several scripts claim
him, it belongs to the one whose meeting point is nearest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.scoring.episode_result import Infraction, InfractionKind
from sim_adapters.array_types import FloatArray
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import LAST_VEHICLE_KIND, ActorKind
from sim_adapters.world.scenarios.resolution import resolve_triggers
from sim_adapters.world.scenarios.state import ScenarioKind, ScriptBook, empty_script_book
from sim_adapters.world.scenarios.step import (
    TRIGGER_BEFORE_M,
    TRIGGER_BEHIND_M,
    TRIGGER_BESIDE_M,
)

MET_M = 15.0  # between centres
SLOWEST_SHARE = 0.6  # of the script's speed
LARGEST_TURN_RAD = np.radians(45.0)  # from the way's direction
LANE_REACH_M, WALK_REACH_M = 2.5, 2.0  # from the way
WALK_STEP_M = 0.5
LEFT_BEHIND_M = 25.0  # a script is over once the ego is so much further away than at its trigger
CROSSERS = (ScenarioKind.OBJECT_CROSSING, ScenarioKind.VEHICLE_TURNING)
STREAMS = (ScenarioKind.LEFT_TURN, ScenarioKind.RIGHT_TURN, ScenarioKind.RED_LIGHT_RUNNER)
HITS = (InfractionKind.COLLISION_PEDESTRIAN, InfractionKind.COLLISION_VEHICLE)


class WatchedWorld(NamedTuple):
    """One moment: the ego, and the K other actors."""

    time_s: float
    ego: tuple[float, float, float]  # x, y, z [m]
    x: FloatArray  # (K,) [m]
    y: FloatArray
    yaw_rad: FloatArray
    speed_mps: FloatArray
    kind: NDArray[np.uint8]  # ActorKind
    actor_id: NDArray[np.int64]


class ScriptWay(NamedTuple):
    """Where a script's own road users go, as P points; how they are told from others."""

    x: FloatArray  # (P,) [m]
    y: FloatArray
    yaw_rad: FloatArray
    reach_m: float
    slowest_mps: float
    kinds: tuple[int, int]  # first and last ActorKind
    meeting: tuple[float, float]  # x, y [m] where they and the ego would meet


class WatchedTrigger(NamedTuple):
    """A trigger with what is to be looked for."""

    name: str
    scenario_type: str
    place: tuple[float, float, float, float]  # x, y, z [m] and the route's yaw [rad]
    is_played: bool  # the map has room for it
    way: ScriptWay | None  # none: nobody comes (debris), or it is not played


@dataclass(frozen=True)
class TriggerOutcome:
    """What happened at one trigger of one drive."""

    name: str
    scenario_type: str
    is_played: bool
    brings_somebody: bool
    reached_s: float | None = None  # game time
    came_s: float | None = None  # one of its own has come within 15 m of the meeting point
    nearest_m: float | None = None  # of its own, moving, to the ego; between centres
    is_hit: bool = False  # a collision with one of its own

    @property
    def is_met(self) -> bool:
        """One of its own has moved within 15 m of the ego."""
        return self.nearest_m is not None and self.nearest_m < MET_M

    def as_row(self) -> dict[str, Any]:
        """All fields as JSON values."""
        return asdict(self)


def watched_triggers(scenario: Scenario, maps: MapBank) -> list[WatchedTrigger]:
    """All triggers of a route, with their ways as scenario_runner lays them out on the map."""
    book = empty_script_book(1, max(len(scenario.triggers), 1))
    resolve_triggers(scenario, maps, book, 0)
    watched = []
    for index, trigger in enumerate(scenario.triggers):
        table = book.triggers
        is_played = bool(table.kind[0, index])
        place = (trigger.x, trigger.y, trigger.z, trigger.yaw_rad)
        if is_played:
            columns = (table.x, table.y, table.z, table.yaw_rad)
            x, y, z, yaw = (float(column[0, index]) for column in columns)
            place = (x, y, z, yaw)
        way = _way_of(book, index, maps) if is_played else None
        watched.append(WatchedTrigger(trigger.name, trigger.scenario_type, place, is_played, way))
    return watched


def _way_of(book: ScriptBook, index: int, maps: MapBank) -> ScriptWay | None:
    at = (0, index)
    kind = ScenarioKind(int(book.triggers.kind[at]))
    meeting = float(book.triggers.meeting_x[at]), float(book.triggers.meeting_y[at])
    if kind in CROSSERS:
        crossers = book.crossers
        start = np.array([crossers.start_x[at], crossers.start_y[at]])
        end = np.array([crossers.end_x[at], crossers.end_y[at]])
        return walk_way(start, end, float(crossers.speed_mps[at]), int(crossers.kind[at]), meeting)
    if kind in STREAMS:
        streams = book.streams
        lanes = [*streams.path[at], *streams.clear[at]]  # each lane that the stream may be in
        return lane_way(
            maps, [int(lane) for lane in lanes if lane >= 0], streams.speed_mps[at], meeting
        )
    return None


def walk_way(
    start: FloatArray, end: FloatArray, speed_mps: float, kind: int, meeting: tuple[float, float]
) -> ScriptWay:
    """Straight across the road."""
    dx, dy = end - start
    share = np.linspace(0.0, 1.0, max(int(np.hypot(dx, dy) / WALK_STEP_M), 1) + 1)
    yaw = np.full(share.size, np.arctan2(dy, dx))
    return ScriptWay(
        start[0] + share * dx,
        start[1] + share * dy,
        yaw,
        WALK_REACH_M,
        SLOWEST_SHARE * speed_mps,
        (kind, kind),
        meeting,
    )


def lane_way(
    maps: MapBank, lanes: Sequence[int], speed_mps: float, meeting: tuple[float, float]
) -> ScriptWay:
    """Along lanes."""
    first = maps.lanes.first_point
    rows = np.concatenate([np.arange(first[lane], first[lane + 1]) for lane in lanes])
    points = maps.points
    return ScriptWay(
        points.x[rows],
        points.y[rows],
        points.yaw_rad[rows],
        LANE_REACH_M,
        SLOWEST_SHARE * float(speed_mps),
        (int(ActorKind.CAR), LAST_VEHICLE_KIND),
        meeting,
    )


def own_road_users(way: ScriptWay, seen: WatchedWorld) -> NDArray[np.bool_]:
    """Which actors move along the way as the script's own do, (K,)."""
    first, last = way.kinds
    own = (seen.kind >= first) & (seen.kind <= last) & (seen.speed_mps >= way.slowest_mps)
    for actor in np.flatnonzero(own):
        away_m = np.hypot(way.x - seen.x[actor], way.y - seen.y[actor])
        turn = np.cos(way.yaw_rad - seen.yaw_rad[actor])
        on_way = (away_m <= way.reach_m) & (turn >= np.cos(LARGEST_TURN_RAD))
        own[actor] = on_way.any()
    return own


class TriggerWatch:
    """Follows one drive; hand it every moment in order.

    Args:
        triggers: Of the route.
    """

    def __init__(self, triggers: Sequence[WatchedTrigger]) -> None:
        self._triggers = triggers
        self._places = np.array([trigger.place for trigger in triggers]).reshape(-1, 4)
        num = len(triggers)
        self._reached_s, self._came_s, self._nearest_m = (np.full(num, np.nan) for _ in range(3))
        self._is_open = np.zeros(num, np.bool_)
        self._own: list[set[int]] = [set() for _ in triggers]

    def step(self, seen: WatchedWorld) -> None:
        """One moment more."""
        arrived = np.isnan(self._reached_s) & self._at_triggers(seen.ego)
        self._reached_s[arrived] = seen.time_s
        self._is_open |= arrived
        for index in map(int, np.flatnonzero(self._is_open)):
            way = self._triggers[index].way
            if way is None or self._is_left_behind(index, way, seen):
                self._is_open[index] = False
            else:
                self._look(index, way, seen)

    def outcomes(self, infractions: Iterable[Infraction]) -> tuple[TriggerOutcome, ...]:
        """What happened at every trigger.

        Args:
            infractions: Of the whole drive, as its evaluator noted them.
        """
        hit = {self._script_of(one) for one in infractions if one.kind in HITS}
        return tuple(
            TriggerOutcome(
                trigger.name,
                trigger.scenario_type,
                trigger.is_played,
                trigger.way is not None,
                *(_known(column[index]) for column in self._columns()),
                is_hit=index in hit,
            )
            for index, trigger in enumerate(self._triggers)
        )

    def _columns(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        return self._reached_s, self._came_s, self._nearest_m

    def _at_triggers(self, ego: tuple[float, float, float]) -> NDArray[np.bool_]:
        """At which triggers the ego is, (T,); see `scenarios.step.is_at_trigger`."""
        x, y, z, yaw = self._places.T
        dx, dy = ego[0] - x, ego[1] - y
        ahead = np.cos(yaw) * dx + np.sin(yaw) * dy
        left = np.cos(yaw) * dy - np.sin(yaw) * dx
        is_near = (ahead > -TRIGGER_BEFORE_M) & (ahead < TRIGGER_BEHIND_M)
        return is_near & (np.abs(left) < TRIGGER_BESIDE_M) & (np.abs(ego[2] - z) < SAME_LEVEL_M)

    def _is_left_behind(self, index: int, way: ScriptWay, seen: WatchedWorld) -> bool:
        x, y = way.meeting
        at_trigger_m = np.hypot(self._places[index, 0] - x, self._places[index, 1] - y)
        return bool(np.hypot(seen.ego[0] - x, seen.ego[1] - y) > at_trigger_m + LEFT_BEHIND_M)

    def _look(self, index: int, way: ScriptWay, seen: WatchedWorld) -> None:
        own = own_road_users(way, seen)
        if not own.any():
            return
        self._own[index].update(seen.actor_id[own].tolist())
        x, y = seen.x[own], seen.y[own]
        from_meeting_m = np.hypot(x - way.meeting[0], y - way.meeting[1]).min()
        if np.isnan(self._came_s[index]) and from_meeting_m < MET_M:
            self._came_s[index] = seen.time_s
        from_ego_m = np.hypot(x - seen.ego[0], y - seen.ego[1]).min()
        self._nearest_m[index] = np.fmin(self._nearest_m[index], from_ego_m)

    def _script_of(self, infraction: Infraction) -> int | None:
        """The script that brought the one who was hit; None if nobody did."""
        claimed = [i for i, own in enumerate(self._own) if infraction.other_id in own]

        def away_m(index: int) -> float:
            way = self._triggers[index].way
            assert way is not None
            return float(np.hypot(way.meeting[0] - infraction.x, way.meeting[1] - infraction.y))

        return min(claimed, key=away_m, default=None)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
