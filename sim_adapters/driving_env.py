"""The environment that a configuration describes; runs and checkpoints know it by this name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rewards.reward_terms import Reward
from sim_adapters.action_layout import ActionLayout
from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.driving.world_scenarios import ScenarioSource, checked_seed
from sim_adapters.driving.worlds import DEFAULT_PIXELS_PER_METER, DrivingWorlds
from sim_adapters.flat_keys import flat_keys
from sim_adapters.observation.observer import Observer
from sim_adapters.scene.events.detection import DetectorSettings, EventDetector
from sim_adapters.simulator import Simulator


@dataclass(frozen=True)
class WorldShare:
    """The worlds of this process among those of a run, and what their routes are drawn from."""

    num_envs: int  # worlds in this process
    # Of this process; its worlds are number `rank * num_envs` and following, so that a run's worlds
    # drive the same routes however many processes share them
    rank: int = 0
    seed: int = 0  # of routes and all that happens on them, until a `reset` names another

    @property
    def first_world(self) -> int:
        """Number of this process' world 0 among all worlds of the run."""
        return self.rank * self.num_envs


@dataclass(frozen=True)
class ActionTiming:
    """How long an action is held and when it takes effect; see `DrivingWorlds`."""

    action_repeat: int = 1
    late_share: float = 0.0


@flat_keys(share=WorldShare, timing=ActionTiming)
def make_driving_env(
    simulator: Callable[..., Simulator],
    scenarios: Callable[..., ScenarioSource],
    detector: DetectorSettings | EventDetector,
    reward: Reward,
    observation: Observer,
    *,
    share: WorldShare,
    timing: ActionTiming,
    action_layout: ActionLayout | None = None,
    rollout_storage: Literal["pixels", "scene"] = "pixels",
    final_observations: bool = False,
) -> DrivingVectorEnv:
    """The environment that a configuration describes; what hydra calls for the node `env`.

    Args:
        simulator: Called with `num_worlds` and `pixels_per_meter`, that of the observation.
        scenarios: Called with the simulator's `maps` and the `seed`.
        detector: Finds the events of a step; thresholds alone mean CARLA's rules.
        reward: Judges the events.
        observation: Draws what the policy sees.
        share: Its fields are keywords: `num_envs`, `rank` and `seed`, which the learner adds.
        timing: Its fields are keywords, too: `action_repeat` and `late_share`.
        action_layout: CARLA's if not given.
        rollout_storage: See `DrivingWorlds`.
        final_observations: See `DrivingVectorEnv`.
    """
    seed = checked_seed(share.seed)
    resolution = observation.required_pixels_per_meter or DEFAULT_PIXELS_PER_METER
    worlds = DrivingWorlds(
        simulator(num_worlds=share.num_envs, pixels_per_meter=resolution),
        observation,
        detector,
        action_layout,
        rollout_storage=rollout_storage,
        action_repeat=timing.action_repeat,
        late_share=timing.late_share,
    )
    return DrivingVectorEnv(
        worlds,
        scenarios(maps=worlds.maps, seed=seed),
        reward,
        final_observations=final_observations,
        first_world=share.first_world,
        seed=seed,
    )
