"""RoachReward: the hand-shaped additive reward of Roach, which CaRL is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from rewards.driving_events import DrivingEvents
from rewards.driving_reward import EpisodeEnds, StepEnds
from rewards.reward_terms import RewardBreakdown, Term, checked_names

_BRAKING_RANGE_M = 5.0  # the desired speed falls over so many metres before a hazard


class RoachReward:
    """Speed, position, heading and smoothness, summed; each is 0 or 1 at best.

    Args:
        max_speed_mps: Desired speed on a free road.
        stand_off_m: Distance at which the desired speed is 0, by hazard: `vehicle`, `pedestrian`,
            `red_light`, `stop_sign`, each from the ego's centre.
        lateral_weight_per_m: Cost of a metre beside the route line.
        max_steer_change: Steering may change by so much for free.
        steer_change_cost: Cost of a larger change.
        terminations: Predicates by name that end an episode.
        truncations: Predicates by name that cut it off, without a cost.
        penalised: Terminations that cost 1.
        speed_penalised: Terminations that cost the speed [m/s] on top.

    Raises:
        ValueError: a predicate cannot be called, or a name is no termination.

    Source: Roach (Zhang et al. 2021), reward "valeo_action".
    """

    def __init__(
        self,
        max_speed_mps: float,
        stand_off_m: Mapping[str, float],
        lateral_weight_per_m: float,
        max_steer_change: float,
        steer_change_cost: float,
        terminations: Mapping[str, Term],
        truncations: Mapping[str, Term],
        penalised: Sequence[str],
        speed_penalised: Sequence[str],
    ) -> None:
        self.max_speed_mps = max_speed_mps
        self.stand_off_m = dict(stand_off_m)
        self.lateral_weight_per_m = lateral_weight_per_m
        self.max_steer_change = max_steer_change
        self.steer_change_cost = steer_change_cost
        self.episode_ends = EpisodeEnds(terminations, truncations)
        self.penalised = checked_names("penalised", penalised, terminations)
        self.speed_penalised = checked_names("speed_penalised", speed_penalised, terminations)

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Judge one step of all E drivers."""
        ends = self.episode_ends(events)
        desired = self.desired_speed_mps(events)
        jerks = events.steer_change > self.max_steer_change
        terms = {
            "speed": 1.0 - (events.speed_mps - desired).abs() / self.max_speed_mps,
            "position": -self.lateral_weight_per_m * events.route_lateral_m.abs(),
            "rotation": -events.route_heading_error_rad.abs(),
            "action": -self.steer_change_cost * jerks.to(desired.dtype),
            "terminal": self._terminal(events, ends),
        }
        reward = torch.stack(tuple(terms.values())).sum(0)
        reward = reward.masked_fill(events.simulator_failed, 0.0)
        return RewardBreakdown(reward, ends.terminated, ends.truncated, terms, ends.by_name)

    def desired_speed_mps(self, events: DrivingEvents) -> Tensor:
        """Speed that the nearest hazard leaves, (E,); `max_speed_mps` on a free road."""
        distances = {
            "vehicle": events.lead_vehicle_m,
            "pedestrian": events.lead_pedestrian_m,
            "red_light": events.red_light_m,
            "stop_sign": events.stop_sign_m,
        }
        rooms = [
            (distance - self.stand_off_m[name]).clamp(0.0, _BRAKING_RANGE_M)
            for name, distance in distances.items()
        ]
        return self.max_speed_mps / _BRAKING_RANGE_M * torch.stack(rooms).amin(0)

    def _terminal(self, events: DrivingEvents, ends: StepEnds) -> Tensor:
        ended = ends.any_of(self.penalised)
        fast = ends.any_of(self.speed_penalised)
        return -ended.to(events.speed_mps.dtype) - fast * events.speed_mps
