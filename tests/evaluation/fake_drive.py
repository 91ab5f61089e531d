"""Fake worlds for evaluation tests: cars on straight roads, events by hand, no map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from evaluation.scoring.episode_result import EpisodeEnd, EpisodeResult
from rewards.driving_events import DrivingEvents, uneventful
from rewards.reward_terms import RewardBreakdown
from sim_adapters.scene.memory import EpisodeMemory, empty_memory
from sim_adapters.scene.scenario import Route, Scenario
from sim_adapters.scene.state import ActorKind, SceneBatch, empty_scene


def completed_drive(**given: Any) -> EpisodeResult:
    """A kilometre of Town01 without a fault, except for what is given."""
    usual: dict[str, Any] = {
        **{"route_id": "1", "town": "Town01", "seed": 0, "length_m": 1000.0},
        **{"route_completion": 100.0, "infractions": (), "end": EpisodeEnd.COMPLETED},
        **{"duration_s": 100.0, "wall_s": 1.0, "mean_actors": 30.0, "mean_speed_mps": 10.0},
        **{"outside_lanes_m": 0.0, "episode_return": 0.0},
    }
    return EpisodeResult(**usual | given)


def straight_route(length_m: int) -> Route:
    """One point a metre from the origin to the east."""
    n = length_m + 1
    return Route(
        x=np.arange(n, dtype=np.float64),
        y=np.zeros(n),
        z=np.zeros(n),
        yaw_rad=np.zeros(n),
        lane=np.zeros(n, np.int32),
        in_junction=np.zeros(n, np.bool_),
        command=np.full(n, 4, np.uint8),
    )


def straight_scenario(route_id: str, length_m: int, town: str = "Town01") -> Scenario:
    return Scenario(route_id, town, straight_route(length_m), seed=0)


def make_scene(num_worlds: int, num_slots: int = 3, max_length_m: int = 300) -> SceneBatch:
    """Egos at the origin, heading east, beside nobody."""
    scene = empty_scene(num_worlds, num_slots, num_lights=1, num_route_points=max_length_m + 1)
    scene.traits.valid[:, 0] = True
    scene.traits.kind[:, 0] = ActorKind.CAR
    scene.traits.half_length_m[:, 0] = 2.446
    scene.traits.half_width_m[:, 0] = 0.918
    scene.ego.speed_limit_mps[:] = 10.0
    for world in range(num_worlds):
        write_route(scene, world, straight_route(max_length_m))
    return scene


def write_route(scene: SceneBatch, agent: int, route: Route) -> None:
    n = len(route.x)
    scene.routes.num_points[agent] = n
    scene.routes.x[agent, :n], scene.routes.y[agent, :n] = route.x, route.y
    scene.routes.yaw_rad[agent, :n] = route.yaw_rad
    scene.routes.percent[agent, :n] = np.linspace(0.0, 100.0, n)


def events_with(num_agents: int, **fields: Any) -> DrivingEvents:
    """Uneventful events with some fields given, as one value for all or one each."""
    events = uneventful(num_agents)
    changed = {}
    for name, value in fields.items():
        old = getattr(events, name)
        changed[name] = torch.as_tensor(value, dtype=old.dtype).expand(num_agents).clone()
    return events._replace(**changed)


def no_reward(events: DrivingEvents) -> RewardBreakdown:
    """Pays route progress; ends never."""
    never = torch.zeros_like(events.collision)
    reward = events.route_percent_gained
    return RewardBreakdown(reward, never, never, {"progress": reward}, {})


@dataclass
class FakeWorlds:
    """Driving worlds in which an ego moves by its action in metres."""

    num_envs: int
    simulator: Any = None
    maps: Any = None
    action_repeat: int = 1
    scene: SceneBatch = field(init=False)
    memory: EpisodeMemory = field(init=False)
    passed: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.scene = make_scene(self.num_envs)
        self.memory = empty_memory(self.scene)
        self.passed = np.zeros(self.num_envs)
        self.length = np.ones(self.num_envs)
        self.metres = np.zeros(self.num_envs)

    def reset(self, worlds: np.ndarray, scenarios: Sequence[Scenario]) -> None:
        for world, scenario in zip(worlds, scenarios, strict=True):
            self.passed[world] = 0.0
            self.length[world] = scenario.route.length_m
            write_route(self.scene, world, scenario.route)

    def act(self, actions: np.ndarray) -> None:
        self.metres = actions[:, 1]

    def advance(self) -> DrivingEvents:
        before = 100.0 * self.passed / self.length
        self.passed = np.minimum(self.passed + self.metres, self.length)
        self.scene.motion.x[:, 0] = self.passed
        self.memory.route.index[:] = self.passed
        percent = 100.0 * self.passed / self.length
        return events_with(
            self.num_envs,
            route_percent=percent,
            route_percent_gained=percent - before,
            route_finished=self.passed >= self.length,
            speed_mps=self.metres / self.scene.step_s,
        )


class MetreAStep:
    """A planner of the fake worlds that gains `metres` in every step."""

    name = "metre_a_step"

    def __init__(self, metres: float = 1.0) -> None:
        self.metres = metres

    def begin_episodes(self, agents: np.ndarray, worlds: FakeWorlds) -> None:
        pass

    def act(self, worlds: FakeWorlds) -> np.ndarray:
        return np.tile([0.0, self.metres], (worlds.num_envs, 1))
