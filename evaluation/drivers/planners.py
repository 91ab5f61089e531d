"""Planner: whatever drives in an evaluation, a network or rules, on one interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from carl_planner.policy import ActorCritic
from evaluation.drivers.driven_worlds import DrivenWorlds
from evaluation.drivers.route_following import follow_routes_range
from evaluation.drivers.vehicle_control import pedals_range


class Planner(Protocol):
    """Chooses the actions of all drivers of a batch."""

    name: str

    def begin_episodes(self, agents: NDArray[np.int64], env: DrivenWorlds) -> None:
        """Drivers `agents` have just been reset."""
        ...

    def act(self, observation: Mapping[str, np.ndarray], env: DrivenWorlds) -> NDArray[np.float32]:
        """Actions (E, 2) in the environment's own layout."""
        ...


@runtime_checkable
class EstimatesValues(Protocol):
    """What a planner with a critic also tells."""

    values: NDArray[np.float32] | None  # (E,) of the observation it acted on last, if it is asked


class PolicyPlanner:
    """A trained network, acting with the mean of its Beta distribution as CaRL does.

    Args:
        policies: Networks for the environment's observation; of several, the mean actions are
            averaged (CaRL evaluates all `model*.pth` of a folder so).
        name: Shown in tables.
        with_values: Keep the critics' mean estimate of each observation in `values`.
    """

    values: NDArray[np.float32] | None

    def __init__(
        self,
        policies: Sequence[ActorCritic],
        name: str = "policy",
        *,
        with_values: bool = False,
    ) -> None:
        self.policies = [policy.eval() for policy in policies]
        self.device = next(self.policies[0].parameters()).device  # that of all of them
        self.name = name
        self.with_values, self.values = with_values, None

    def begin_episodes(self, agents: NDArray[np.int64], env: DrivenWorlds) -> None:
        """The network remembers nothing."""

    @torch.inference_mode()
    def act(self, observation: Mapping[str, np.ndarray], env: DrivenWorlds) -> NDArray[np.float32]:
        """Mean actions of the current observation."""
        tensors = {
            name: torch.from_numpy(array).to(self.device) for name, array in observation.items()
        }
        if self.with_values:
            outputs = [policy(tensors) for policy in self.policies]
            means = [output.distribution.mean() for output in outputs]
            values = torch.stack([output.value for output in outputs])
            self.values = values.mean(dim=0).cpu().numpy()
        else:
            means = [policy.distribution(tensors).mean() for policy in self.policies]
        return torch.stack(means).mean(dim=0).cpu().numpy().astype(np.float32)


class ConstantSpeedPlanner:
    """Goes straight on at one speed, the constant-velocity yardstick of motion forecasting.

    It sees nothing: neither the route's turns nor traffic, lights or signs.
    """

    name = "constant_speed"

    def __init__(self, speed_mps: float = 6.0, *, gain_per_s: float = 1.0) -> None:
        self.speed_mps = speed_mps
        self.gain_per_s = gain_per_s  # of the speed error

    def begin_episodes(self, agents: NDArray[np.int64], env: DrivenWorlds) -> None:
        """It remembers nothing."""

    def act(self, observation: Mapping[str, np.ndarray], env: DrivenWorlds) -> NDArray[np.float32]:
        """A proportional speed controller and `steer`."""
        speed, pedal = ego_speed_mps(env), np.zeros(env.num_envs)
        wanted = self.gain_per_s * (self.speed_mps - speed)
        pedals_range(0, env.num_envs, speed, wanted, pedal)
        return env.action_layout.encode(self.steer(env), pedal)

    def steer(self, env: DrivenWorlds) -> NDArray[np.float64]:
        """Straight on, (E,)."""
        return np.zeros(env.num_envs)


class BlindFollower(ConstantSpeedPlanner):
    """Steers along the route at one speed, blind to traffic, lights and signs.

    The leaderboard does not end a route at a collision, so such a car completes nearly all of them:
    its score, not its completion, shows what driving without looking is worth.
    """

    name = "blind_follower"

    def steer(self, env: DrivenWorlds) -> NDArray[np.float64]:
        """Pure pursuit, (E,)."""
        steer, bend_mps = np.zeros(env.num_envs), np.zeros(env.num_envs)
        scene, passed = env.scene, env.memory.route.index
        follow_routes_range(
            0, env.num_envs, scene.ego, scene.motion, scene.routes, passed, steer, bend_mps
        )
        return steer


def ego_speed_mps(env: DrivenWorlds) -> NDArray[np.float64]:
    """Horizontal speed of every driver, (E,)."""
    place = (env.scene.ego.world, env.scene.ego.slot)
    return np.hypot(env.scene.motion.vx_mps[place], env.scene.motion.vy_mps[place])
