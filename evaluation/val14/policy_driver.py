"""PolicyDriver: a trained network in logged scenarios, under CaRL's one-stage control."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.checkpoint import CheckpointError
from carl_planner.policy_files import LoadedPolicy
from evaluation.drivers.checkpoint_planner import policy_planner
from sim_adapters.action_layout import ActionLayout
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.observation.observer import Observer
from sim_adapters.observation_rows import allocate
from sim_adapters.scene.events.detection import EventArrays, EventDetector
from sim_adapters.scene.history import make_history, record_history, restart_history
from sim_adapters.scene.state import SceneBatch


class UnfitPolicyError(RuntimeError):
    """Policy, observation and detector do not fit one another, whatever the scenario."""


class PictureRoom(NamedTuple):
    """Room in an observer's pictures, by the names of its keywords."""

    max_boxes: int  # the ego's included
    max_lights: int
    max_route_areas: int


def picture_room(scene: SceneBatch) -> PictureRoom:
    """Room for all that a scene can hold: no picture of it is too full."""
    num_lights, num_areas = scene.lights.state.shape[1], scene.route_areas.area.shape[1]
    return PictureRoom(scene.num_slots, max(1, num_lights), max(1, num_areas))


def roomy_observer(observation: DictConfig, scene: SceneBatch) -> Observer:
    """The observer of a config with room for all of a scene; what it shows stays the same.

    Training shows the nearest boxes, an evaluation all that its logs hold.
    """
    room = picture_room(scene)._asdict()
    return instantiate(observation, **{key: room[key] for key in room if key in observation})


class PolicyDriver:
    """Acts with the mean of the policy's Beta distribution; of several policies with their mean.

    Each scenario is shown to the networks by itself: the sums of a batch are rounded by its size,
    and what a policy does must not depend on how many scenarios are driven at once.

    Args:
        policies: Networks for one observation.
        config: Groups `observation`, `detector` and `env` that the policies were trained with.
    """

    def __init__(self, policies: Sequence[LoadedPolicy], config: DictConfig) -> None:
        self._policies = policies
        self._observation = config.observation
        self._detector: EventDetector = instantiate(config.detector)
        layout = config.env.get("action_layout")
        self.action_layout: ActionLayout = instantiate(layout) if layout else ActionLayout()
        self._action_repeat: int = config.env.get("action_repeat", 1)

    def start(self, simulator: NuplanSimulator, logs: Sequence[ScenarioLog]) -> None:
        """Prepare memory and observations for the batch.

        Raises:
            UnfitPolicyError: no scenario can be driven as this driver is configured.
        """
        del logs
        self.scene, self.maps = simulator.scene, simulator.maps
        self.num_envs = self.scene.num_agents
        try:
            self._fit_parts()
        except (CheckpointError, InstantiationException, ValueError) as error:
            raise UnfitPolicyError(f"no scenario can be driven: {error}") from error
        worlds = np.arange(self.num_envs)
        self._detector.reset_memory(worlds, self.scene, self.memory, self.maps)
        restart_history(worlds, self.scene, self.memory.signs.shown_stop, self._history)
        self._events = EventArrays.allocate(self.num_envs)
        self._steer, self._acceleration = np.zeros(self.num_envs), np.zeros(self.num_envs)
        self._num_steps = 0
        self._seen = allocate(self._observer.space, self.num_envs)
        self._one = allocate(self._observer.space, 1)

    def _fit_parts(self) -> None:
        """Build observer, memory and planner for the scene: what the configuration decides."""
        self._observer = roomy_observer(self._observation, self.scene)
        self.single_observation_space = self._observer.space
        self._history = make_history(self.scene, self._observer.history_steps)
        memory = self._detector.make_memory(self.scene)
        self.memory = replace(memory, history=self._history)
        self._planner = policy_planner(self._policies, self)

    def drive(self, simulator: NuplanSimulator) -> None:
        """Observe and act, or hold the last action; advance by one frame and remember it."""
        if self._num_steps % self._action_repeat == 0:
            self._observer.observe(self.scene, self.memory, self.maps, self._seen)
            actions = np.concatenate([self._act(agent) for agent in range(self.num_envs)])
            self.action_layout.decode(actions, self._steer, self._acceleration)
        self._num_steps += 1
        simulator.step(self._steer, self._acceleration)
        self._detector.detect(self.scene, self.memory, self.maps, self._events)
        record_history(self.scene, self.memory.signs.shown_stop, self._history)

    def _act(self, agent: int) -> np.ndarray:
        """Action of one driver, (1, 2); the networks read it from one place in memory, always."""
        for name, row in self._one.items():
            np.copyto(row, self._seen[name][agent : agent + 1])
        return self._planner.act(self._one, self)
