"""LeaderboardReferee: keeps the record of running episodes by CARLA leaderboard 2.0's rules.

A function of a step's events and the scene that they were found in; it pays nothing and moves
nothing. Infractions are counted and do not end an episode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evaluation.scoring.episode_result import (
    LAST_CHECKPOINT_PERCENT,
    EpisodeEnd,
    EpisodeRecords,
    Infraction,
    InfractionKind,
    MinimumSpeedTest,
)
from rewards.driving_events import CollisionKind, DrivingEvents
from sim_adapters.scene.memory import RouteTracker
from sim_adapters.scene.state import LAST_VEHICLE_KIND, ActorKind, SceneBatch

FIRST_BUDGET_S = 300.0  # leaderboard RouteTimeoutBehavior
SLOWEST_SHARE_OF_LIMIT = 0.1  # each metre gained buys the time it takes at 10 % of the limit
ARRIVAL_M = 10.0  # RouteCompletionTest: this near to the end and past 99 % is arrival
ARRIVAL_PERCENT = 99.0
BLOCKED_S = 180.0  # ActorBlockedTest, whose clock ScenarioTimeout stops and restarts
_CLOCK_SLACK_S = 1e-6  # sums of 0.1 s are not exact
COLLISION_INFRACTIONS = {
    CollisionKind.VEHICLE: InfractionKind.COLLISION_VEHICLE,
    CollisionKind.PEDESTRIAN: InfractionKind.COLLISION_PEDESTRIAN,
    CollisionKind.STATIC: InfractionKind.COLLISION_LAYOUT,
}
END_INFRACTIONS = {
    EpisodeEnd.ROUTE_DEVIATION: InfractionKind.ROUTE_DEVIATION,
    EpisodeEnd.BLOCKED: InfractionKind.BLOCKED,
    EpisodeEnd.TIMEOUT: InfractionKind.ROUTE_TIMEOUT,
}


@dataclass(frozen=True)
class ScriptFacts:
    """What a referee asks of a simulator that plays the scenarios of its routes itself.

    Args:
        traffic_speed: Mean speed [m/s] of the background traffic in each driver's world, (E,); the
            scene's own vehicles by default.
        started_triggers: How many scenarios have begun on each driver's route, (E,); none by
            default.
        timed_out_triggers: How many of them the driver did not get past in time, (E,); none by
            default. ScenarioTimeoutTest counts them as infractions.
        held_up: Whether a scenario with a time limit runs around each driver, (E,); never by
            default. Nobody is blocked meanwhile, and the clock begins anew afterwards.
    """

    traffic_speed: Callable[[SceneBatch], NDArray[np.float64]] | None = None
    started_triggers: Callable[[], NDArray[np.int64]] | None = None
    timed_out_triggers: Callable[[], NDArray[np.int64]] | None = None
    held_up: Callable[[], NDArray[np.bool_]] | None = None


class LeaderboardReferee:
    """Judges E drivers step by step; the records are what a score follows from.

    A record that has ended takes nothing more until `begin` opens the driver's next one.

    Args:
        scene: The scene that events are found in.
        tracker: Place along each driver's route in the detector's memory: the leaderboard cuts the
            minimum-speed test at unrounded metres, which events do not tell.
        scripts: What the simulator tells of the scenarios that it plays.
    """

    def __init__(
        self, scene: SceneBatch, tracker: RouteTracker, scripts: ScriptFacts | None = None
    ) -> None:
        self.scene, self.tracker = scene, tracker
        self.records = EpisodeRecords(scene.num_agents)
        self._scripts = scripts or ScriptFacts()
        self._speed_test = MinimumSpeedTest(scene.num_agents)
        self._num_timed_out = np.zeros(scene.num_agents, np.int64)
        self._held_until_s = np.full(scene.num_agents, -np.inf)
        self._place = (scene.ego.world, scene.ego.slot)

    def begin(self, agent: int, length_m: float) -> None:
        """Open a new record for a driver that was just reset to a route of `length_m`."""
        self.records.open(agent, length_m, FIRST_BUDGET_S)
        self._speed_test.restart(agent)
        self._num_timed_out[agent] = 0
        self._held_until_s[agent] = -np.inf

    def stop(self, agent: int) -> None:
        """End the record of a running driver where it stands."""
        self._close(agent, EpisodeEnd.STOPPED)

    def judge(self, events: DrivingEvents) -> NDArray[np.bool_]:
        """Record one step, while the scene shows its end; whose episode ends in it, (E,)."""
        running = self.records.running
        self._add_step(events, running)
        self._record_infractions(events, running)
        for agent in self._speed_test.agents_at_checkpoint(self._exact_percent()):
            if running[agent]:
                self._close_speed_checkpoint(int(agent))
        # The step that reaches a checkpoint belongs to the stretch after it
        traffic_speed = self._scripts.traffic_speed or traffic_speed_mps
        self._speed_test.add_step(events.speed_mps.numpy(), traffic_speed(self.scene))
        return self._end_episodes(events, running)

    # One step -------------------------------------------------------------------------------

    def _add_step(self, events: DrivingEvents, running: NDArray[np.bool_]) -> None:
        records, speed = self.records, events.speed_mps.numpy()
        gained_m = events.route_percent_gained.numpy() * records.length_m / 100.0 * running
        slowest_mps = SLOWEST_SHARE_OF_LIMIT * np.maximum(self.scene.ego.speed_limit_mps, 1.0)
        records.num_steps += running
        np.copyto(records.route_percent, events.route_percent.numpy(), where=running)
        records.gained_m += gained_m
        records.outside_m += gained_m * events.outside_route_lanes.numpy()
        records.budget_s += gained_m / slowest_mps
        records.speed_sum_mps += speed * running
        num_others = self.scene.traits.valid.sum(axis=1)[self.scene.ego.world] - 1
        records.actor_sum += num_others * running

    def _record_infractions(self, events: DrivingEvents, running: NDArray[np.bool_]) -> None:
        for agent in np.flatnonzero(events.collision.numpy() & running):
            kind = COLLISION_INFRACTIONS[int(events.collision_kind[agent])]
            other_id, other_type = self._touched(agent)
            self._note(agent, kind, other_id=other_id, other_type=other_type)
        for agent in np.flatnonzero(events.ran_red_light.numpy() & running):
            self._note(agent, InfractionKind.RED_LIGHT)
        for agent in np.flatnonzero(events.ran_stop_sign.numpy() & running):
            self._note(agent, InfractionKind.STOP_SIGN)
        if self._scripts.timed_out_triggers:
            timed_out = self._scripts.timed_out_triggers()
            for agent in np.flatnonzero(timed_out > self._num_timed_out):
                self._note(agent, InfractionKind.SCENARIO_TIMEOUT)
            self._num_timed_out[:] = timed_out

    def _close_speed_checkpoint(self, agent: int) -> None:
        route_percent = float(self._exact_percent()[agent])
        speed_percent = self._speed_test.close_checkpoint(agent, route_percent)
        if speed_percent < 100.0:
            self._note(agent, InfractionKind.MINIMUM_SPEED, percent=speed_percent)

    # Ends -----------------------------------------------------------------------------------

    def _end_episodes(self, events: DrivingEvents, running: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Close the records of all episodes that end here; whose they are, (E,)."""
        failed = events.simulator_failed.numpy()
        arrived = self._has_arrived(events) & ~failed
        out_of_time = events.timed_out.numpy() | (self._elapsed_s() > self.records.budget_s)
        blocked = self._is_blocked(events)
        lost = events.off_route.numpy() | blocked
        ended = running & (failed | arrived | lost | out_of_time)
        for agent in np.flatnonzero(ended):
            self._close(int(agent), self._end_of(agent, events, arrived, blocked))
        return ended

    def _end_of(
        self,
        agent: np.integer,
        events: DrivingEvents,
        arrived: NDArray[np.bool_],
        blocked: NDArray[np.bool_],
    ) -> EpisodeEnd:
        if events.simulator_failed[agent]:
            return EpisodeEnd.SIMULATOR_FAILED
        if arrived[agent]:
            return EpisodeEnd.COMPLETED
        if events.off_route[agent]:
            return EpisodeEnd.ROUTE_DEVIATION
        return EpisodeEnd.BLOCKED if blocked[agent] else EpisodeEnd.TIMEOUT

    def _is_blocked(self, events: DrivingEvents) -> NDArray[np.bool_]:
        """Standing for too long, not counted while a scenario with a time limit ran, (E,)."""
        now_s = self._elapsed_s()
        if self._scripts.held_up:
            held = self._scripts.held_up()
            self._held_until_s[held] = now_s[held]
        waited_s = now_s - self._held_until_s
        return events.blocked.numpy() & (waited_s > BLOCKED_S + _CLOCK_SLACK_S)

    def _close(self, agent: int, end: EpisodeEnd) -> None:
        """Book what the leaderboard books once, at the end of a route."""
        records = self.records
        records.ends[agent] = end
        if self._scripts.started_triggers:
            records.num_started[agent] = self._scripts.started_triggers()[agent]
        if end is EpisodeEnd.COMPLETED:
            records.route_percent[agent] = 100.0
        if end in END_INFRACTIONS:
            self._note(agent, END_INFRACTIONS[end])
        if self._exact_percent()[agent] > LAST_CHECKPOINT_PERCENT:
            self._close_speed_checkpoint(agent)
        percent = self._outside_percent(agent)
        if percent > 0.0:
            self._note(agent, InfractionKind.OUTSIDE_ROUTE_LANES, percent=percent)

    def _outside_percent(self, agent: int) -> float:
        """Share of the driven route that was driven outside the lanes."""
        outside_m, gained_m = self.records.outside_m[agent], self.records.gained_m[agent]
        return round(100.0 * float(outside_m / gained_m), 2) if outside_m > 0.0 else 0.0

    def _has_arrived(self, events: DrivingEvents) -> NDArray[np.bool_]:
        """Whether the route ends in this step for each driver, as finished."""
        return self._is_at_destination() | events.route_finished.numpy()

    def _is_at_destination(self) -> NDArray[np.bool_]:
        """Near the end with more than 99 % behind: on routes of 100 m, past the last point."""
        routes, motion = self.scene.routes, self.scene.motion
        agents, last = np.arange(self.scene.num_agents), np.maximum(routes.num_points - 1, 0)
        dx = routes.x[agents, last] - motion.x[self._place]
        dy = routes.y[agents, last] - motion.y[self._place]
        near = np.hypot(dx, dy) < ARRIVAL_M
        return (self.records.route_percent > ARRIVAL_PERCENT) & near

    # Small things ---------------------------------------------------------------------------

    def _exact_percent(self) -> NDArray[np.float64]:
        """Percent of the route passed, (E,), not rounded as that of the events is."""
        return self.scene.routes.percent[np.arange(self.scene.num_agents), self.tracker.index]

    def _elapsed_s(self) -> NDArray[np.float64]:
        return self.records.num_steps.astype(np.float64) * self.scene.step_s

    def _touched(self, agent: np.integer) -> tuple[int, str]:
        """Actor id and kind of the first new contact of this step; 0 is map geometry."""
        touched = self.scene.contacts.other_slot[agent]
        touched = touched[touched >= 0]
        if not touched.size:
            return 0, "static.layout"
        place = (self.scene.ego.world[agent], touched[0])
        kind = ActorKind(int(self.scene.traits.kind[place]))
        return int(self.scene.traits.actor_id[place]), kind.name.lower()

    def _note(
        self,
        agent: int | np.integer,
        kind: InfractionKind,
        *,
        percent: float = 0.0,
        other_id: int = 0,
        other_type: str = "",
    ) -> None:
        place = (self.scene.ego.world[agent], self.scene.ego.slot[agent])
        motion, time_s = self.scene.motion, float(self._elapsed_s()[agent])
        x, y, z = float(motion.x[place]), float(motion.y[place]), float(motion.z[place])
        infraction = Infraction(kind, time_s, x, y, z, percent, other_id, other_type)
        self.records.infractions[int(agent)].append(infraction)


def traffic_speed_mps(scene: SceneBatch) -> NDArray[np.float64]:
    """Mean speed of the background vehicles in each driver's world, (E,), NaN without any."""
    kind = scene.traits.kind
    background = scene.traits.valid & (kind >= ActorKind.CAR) & (kind <= LAST_VEHICLE_KIND)
    background[scene.ego.world, scene.ego.slot] = False
    number = background.sum(axis=1)
    total = (np.hypot(scene.motion.vx_mps, scene.motion.vy_mps) * background).sum(axis=1)
    mean = np.full(scene.num_worlds, np.nan)
    np.divide(total, number, out=mean, where=number > 0)
    return mean[scene.ego.world]
