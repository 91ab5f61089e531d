"""What drives in the agent: driver, observer and action layout of its configuration."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from evaluation.drivers.driver import Driver, with_parts
from evaluation.leaderboard_agent.live_drive import LiveDrive, given_scene
from sim_adapters.action_layout import ActionLayout
from sim_adapters.driving.worlds import DEFAULT_PIXELS_PER_METER, DrivingWorlds
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.observation.observer import Observer
from sim_adapters.scene.events.settings import DetectorSettings
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario

TICK_S = 0.05  # of the leaderboard's simulator


@dataclass(frozen=True)
class AgentParts:
    """All that an episode needs but the world itself."""

    config: DictConfig  # with the driver's groups
    driver: Driver
    observer: Observer
    detector: DetectorSettings
    action_layout: ActionLayout
    action_repeat: int

    def load_maps(self, town: str) -> MapBank:
        """The town in the resolution that the observation needs."""
        resolution = self.observer.required_pixels_per_meter or DEFAULT_PIXELS_PER_METER
        return load_map_bank([town], pixels_per_meter=resolution)

    def make_drive(self, maps: MapBank, scenario: Scenario) -> LiveDrive:
        """The driver in an empty world for the scenario."""
        given = given_scene(
            maps,
            scenario,
            max_actors=self.config.max_actors,
            step_s=self.config.decision_ticks * TICK_S,
        )
        worlds = DrivingWorlds(
            given,
            self.observer,
            self.detector,
            self.action_layout,
            action_repeat=self.action_repeat,
        )
        return LiveDrive(worlds, self.driver)


def build_agent_parts(config: DictConfig) -> AgentParts:
    """Build the driver and what it sees with.

    Raises:
        CheckpointError: a checkpoint is missing, damaged or of another kind.
        ValueError: options that cannot be meant.
    """
    if config.decision_ticks < 1 or config.start_ticks < 1:
        raise ValueError(
            f"decision_ticks={config.decision_ticks} and start_ticks={config.start_ticks}: "
            "expected at least 1"
        )
    torch.set_num_threads(1)  # the server and the evaluator need the other cores
    driver: Driver = instantiate(config.driver)
    config = with_parts(config, driver)
    return AgentParts(
        config=config,
        driver=driver,
        observer=instantiate(config.observation),
        detector=instantiate(config.detector),
        action_layout=instantiate(config.env.action_layout) or ActionLayout(),
        action_repeat=config.env.action_repeat,
    )
