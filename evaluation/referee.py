"""LeaderboardReferee: keeps the record of running episodes by CARLA leaderboard 2.0's rules.

It takes the place of the reward in a DrivingVectorEnv, because that is where every step's facts
meet the scene they belong to, before finished worlds are reset. The checkpoint's own reward is
still computed, for its terms; only the episode ends are the leaderboard's. Infractions are counted
and do not end an episode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.episode_result import EpisodeEnd
from evaluation.infractions import Infraction, InfractionKind
from evaluation.minimum_speed import LAST_CHECKPOINT_PERCENT, MinimumSpeedTest
from rewards.driving_events import CollisionKind, DrivingEvents
from rewards.reward_breakdown import Reward, RewardBreakdown
from sim_adapters.scene.state import LAST_VEHICLE_KIND, ActorKind, SceneBatch

FIRST_BUDGET_S = 300.0  # leaderboard RouteTimeoutBehavior
SLOWEST_SHARE_OF_LIMIT = 0.1  # each metre gained buys the time it takes at 10 % of the limit
ARRIVAL_M = 10.0  # RouteCompletionTest: this near to the end and past 99 % is arrival
ARRIVAL_PERCENT = 99.0
COLLISION_INFRACTIONS = {
    CollisionKind.VEHICLE: InfractionKind.COLLISION_VEHICLE,
    CollisionKind.PEDESTRIAN: InfractionKind.COLLISION_PEDESTRIAN,
    CollisionKind.STATIC: InfractionKind.COLLISION_LAYOUT,
}


@dataclass
class EpisodeRecord:
    """What one running episode has added up to."""

    length_m: float
    num_steps: int = 0
    route_percent: float = 0.0
    budget_s: float = FIRST_BUDGET_S  # game time allowed so far
    gained_m: float = 0.0
    outside_m: float = 0.0
    speed_sum_mps: float = 0.0
    actor_sum: int = 0
    episode_return: float = 0.0
    infractions: list[Infraction] = field(default_factory=list)
    end: EpisodeEnd | None = None


class LeaderboardReferee:
    """A Reward whose episode ends are the leaderboard's, and the record behind a score.

    Args:
        driving_reward: The reward the planner was trained with; its values and terms pass through.
        scene: The scene that `events` were found in.
    """

    def __init__(self, driving_reward: Reward, scene: SceneBatch) -> None:
        self.driving_reward = driving_reward
        self.scene = scene
        self.records = [EpisodeRecord(length_m=0.0) for _ in range(scene.num_agents)]
        self._speed_test = MinimumSpeedTest(scene.num_agents)
        self._place = (scene.ego.world, scene.ego.slot)

    def begin(self, agent: int, length_m: float) -> None:
        """Open a new record for a driver that was just reset to a route of `length_m`."""
        self.records[agent] = EpisodeRecord(length_m)
        self._speed_test.restart(agent)

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Record one step; see the class."""
        outcome = self.driving_reward(events)
        self._add_step(events, outcome)
        self._record_infractions(events)
        self._judge_speed()
        ends = self._find_ends(events)
        truncated = np.array(
            [end in (EpisodeEnd.TIMEOUT, EpisodeEnd.SIMULATOR_FAILED) for end in ends]
        )
        terminated = np.array([end is not None for end in ends]) & ~truncated
        return RewardBreakdown(
            outcome.reward,
            torch.from_numpy(terminated),
            torch.from_numpy(truncated),
            outcome.terms,
        )

    # One step -------------------------------------------------------------------------------

    def _add_step(self, events: DrivingEvents, outcome: RewardBreakdown) -> None:
        speed = events.speed_mps.numpy()
        percent, gained_percent = events.route_percent.numpy(), events.route_percent_gained.numpy()
        outside = events.outside_route_lanes.numpy()
        limit = np.maximum(self.scene.ego.speed_limit_mps, 1.0)
        num_actors = self.scene.traits.valid.sum(axis=1)[self.scene.ego.world] - 1
        reward = outcome.reward.numpy()
        for agent, record in enumerate(self.records):
            gained_m = float(gained_percent[agent]) / 100.0 * record.length_m
            record.num_steps += 1
            record.route_percent = float(percent[agent])
            record.gained_m += gained_m
            record.outside_m += gained_m if outside[agent] else 0.0
            record.budget_s += gained_m / (SLOWEST_SHARE_OF_LIMIT * float(limit[agent]))
            record.speed_sum_mps += float(speed[agent])
            record.actor_sum += int(num_actors[agent])
            record.episode_return += float(reward[agent])
        self._speed_test.add_step(speed, traffic_speed_mps(self.scene))

    def _record_infractions(self, events: DrivingEvents) -> None:
        for agent in np.flatnonzero(events.collision.numpy()):
            kind = COLLISION_INFRACTIONS[int(events.collision_kind[agent])]
            other_id, other_type = self._touched(agent)
            self._note(agent, kind, other_id=other_id, other_type=other_type)
        for agent in np.flatnonzero(events.ran_red_light.numpy()):
            self._note(agent, InfractionKind.RED_LIGHT)
        for agent in np.flatnonzero(events.ran_stop_sign.numpy()):
            self._note(agent, InfractionKind.STOP_SIGN)

    def _judge_speed(self) -> None:
        percent = np.array([record.route_percent for record in self.records])
        for agent in self._speed_test.agents_at_checkpoint(percent):
            self._close_speed_checkpoint(int(agent))

    def _close_speed_checkpoint(self, agent: int) -> None:
        speed_percent = self._speed_test.close_checkpoint(agent, self.records[agent].route_percent)
        if speed_percent < 100.0:
            self._note(agent, InfractionKind.MINIMUM_SPEED, percent=speed_percent)

    # Ends -----------------------------------------------------------------------------------

    def _find_ends(self, events: DrivingEvents) -> Sequence[EpisodeEnd | None]:
        arrived = events.route_finished.numpy() | self._has_arrived()
        for agent, record in enumerate(self.records):
            if events.simulator_failed[agent]:
                record.end = EpisodeEnd.SIMULATOR_FAILED
            elif arrived[agent]:
                record.end = EpisodeEnd.COMPLETED
                record.route_percent = 100.0
            elif events.off_route[agent]:
                record.end = EpisodeEnd.ROUTE_DEVIATION
                self._note(agent, InfractionKind.ROUTE_DEVIATION)
            elif events.blocked[agent]:
                record.end = EpisodeEnd.BLOCKED
                self._note(agent, InfractionKind.BLOCKED)
            elif events.timed_out[agent] or self._elapsed_s(record) > record.budget_s:
                record.end = EpisodeEnd.TIMEOUT
                self._note(agent, InfractionKind.ROUTE_TIMEOUT)
            if record.end is not None:
                self._close(agent, record)
        return [record.end for record in self.records]

    def _close(self, agent: int, record: EpisodeRecord) -> None:
        """Book what the leaderboard books once, at the end of a route."""
        if record.route_percent > LAST_CHECKPOINT_PERCENT:
            self._close_speed_checkpoint(agent)
        if record.outside_m > 0.0:
            percent = round(100.0 * record.outside_m / record.gained_m, 2)
            self._note(agent, InfractionKind.OUTSIDE_ROUTE_LANES, percent=percent)

    def _has_arrived(self) -> NDArray[np.bool_]:
        routes, motion = self.scene.routes, self.scene.motion
        agents, last = np.arange(self.scene.num_agents), np.maximum(routes.num_points - 1, 0)
        dx = routes.x[agents, last] - motion.x[self._place]
        dy = routes.y[agents, last] - motion.y[self._place]
        percent = np.array([record.route_percent for record in self.records])
        return (percent > ARRIVAL_PERCENT) & (np.hypot(dx, dy) < ARRIVAL_M)

    # Small things ---------------------------------------------------------------------------

    def _elapsed_s(self, record: EpisodeRecord) -> float:
        return record.num_steps * self.scene.step_s

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
        motion, record = self.scene.motion, self.records[int(agent)]
        x, y, z = float(motion.x[place]), float(motion.y[place]), float(motion.z[place])
        time_s = self._elapsed_s(record)
        infraction = Infraction(kind, time_s, x, y, z, percent, other_id, other_type)
        record.infractions.append(infraction)


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
