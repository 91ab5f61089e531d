"""What drives in the agent: observer, action layout and planner of its configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.policy_files import LoadedPolicy
from evaluation.drivers.checkpoint_planner import (
    load_ensemble,
    policy_planner,
    with_checkpoint_config,
)
from evaluation.drivers.planners import Planner
from evaluation.drivers.rule_planners import RULE_PLANNERS
from evaluation.leaderboard_agent.live_drive import LiveDrive
from sim_adapters.action_layout import ActionLayout
from sim_adapters.driving_env import DEFAULT_PIXELS_PER_METER
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.observation.observer import Observer
from sim_adapters.scene.events.settings import DetectorSettings
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario

TICK_S = 0.05  # of the leaderboard's simulator


@dataclass(frozen=True)
class AgentParts:
    """All that an episode needs but the world itself."""

    config: DictConfig  # with the checkpoint's groups
    policies: Sequence[LoadedPolicy]
    observer: Observer | None
    detector: DetectorSettings
    action_layout: ActionLayout
    action_repeat: int

    def load_maps(self, town: str) -> MapBank:
        """The town in the resolution that the observation needs."""
        resolution = self.observer.required_pixels_per_meter if self.observer else None
        return load_map_bank([town], pixels_per_meter=resolution or DEFAULT_PIXELS_PER_METER)

    def make_drive(self, maps: MapBank, scenario: Scenario) -> LiveDrive:
        """An empty world for the scenario."""
        return LiveDrive(
            maps,
            scenario,
            self.observer,
            self.detector,
            self.action_layout,
            max_actors=self.config.max_actors,
            step_s=self.config.decision_ticks * TICK_S,
            action_repeat=self.action_repeat,
        )

    def make_planner(self, drive: LiveDrive) -> Planner:
        """The configured planner, checked against the drive's observation."""
        if self.policies:
            return policy_planner(self.policies, drive)
        return RULE_PLANNERS[self.config.planner](self.config.speed_mps)


def build_agent_parts(config: DictConfig) -> AgentParts:
    """Load the networks and build what they see with.

    Raises:
        CheckpointError: a checkpoint is missing, damaged or of another kind.
        ValueError: options that cannot be meant.
    """
    check_agent_options(config)
    torch.set_num_threads(1)  # the server and the evaluator need the other cores
    policies = load_ensemble(config.checkpoint, config.trust) if config.planner == "policy" else []
    for loaded in policies:
        loaded.policy.to(torch.device(config.device))
    layout, action_repeat = config.action_layout, 1
    if policies and policies[0].config is not None:
        config = with_checkpoint_config(config, policies[0].config)
        layout, action_repeat = config.env.get("action_layout"), config.env.action_repeat
    return AgentParts(
        config=config,
        policies=policies,
        observer=instantiate(config.observation) if policies else None,
        detector=instantiate(config.detector),
        action_layout=instantiate(layout) if layout is not None else ActionLayout(),
        action_repeat=action_repeat,
    )


def check_agent_options(config: DictConfig) -> None:
    """Refuse what cannot be meant.

    Raises:
        ValueError: says what was found, what was expected and what to do.
    """
    known = ("policy", *RULE_PLANNERS)
    if config.planner not in known:
        raise ValueError(f"planner={config.planner} is unknown: choose one of {', '.join(known)}")
    if config.planner == "policy" and config.checkpoint is None:
        raise ValueError(
            f"planner=policy needs checkpoint=PATH; the others do not: {', '.join(RULE_PLANNERS)}"
        )
    if config.decision_ticks < 1 or config.start_ticks < 1:
        raise ValueError(
            f"decision_ticks={config.decision_ticks} and start_ticks={config.start_ticks}: "
            "expected at least 1"
        )
    if str(config.device).startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device={config.device}, but torch finds no CUDA device: use device=cpu")
