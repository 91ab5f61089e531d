"""Checkpoints of small fresh networks on the vector observation that always act alike."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from gymnasium import spaces
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from omegaconf import OmegaConf

from carl_planner.checkpoint import Checkpoint, describe_space, save_checkpoint
from carl_planner.policy import ActorCritic

_CONCENTRATION = 8.0  # alpha + beta


def save_constant_policy(path: Path, steer_right: float, acceleration: float, *more: str) -> Path:
    """Write a checkpoint whose mean action is the given one, whatever it sees; its path.

    Args:
        path: The file.
        steer_right: In (-0.75, 0.75), CARLA's sign.
        acceleration: In (-0.75, 0.75).
        more: Overrides of the training's configuration.
    """
    overrides = ["experiment=demo", "policy.features.widths=[8]", "policy.head_widths=[8]", *more]
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("train", overrides)
    space = instantiate(config.observation).space
    policy: ActorCritic = instantiate(
        config.policy, observation_space=space, action_space=spaces.Box(-1.0, 1.0, (2,))
    )
    for column, mean in enumerate((steer_right, acceleration)):
        for head, share in ((policy.dist_mu, 1.0 + mean), (policy.dist_sigma, 1.0 - mean)):
            linear = head[0]
            assert isinstance(linear, torch.nn.Linear)
            with torch.no_grad():
                linear.weight[column] = 0.0
                linear.bias[column] = _softplus_inverse(0.5 * _CONCENTRATION * share - 1.0)
    kept = OmegaConf.to_container(config, resolve=False)
    assert isinstance(kept, dict)
    fields = {str(key): value for key, value in kept.items()}
    spec = describe_space(space)
    save_checkpoint(path, Checkpoint(policy.state_dict(), fields, {}, spec, {"shape": [2]}))
    return path


def _softplus_inverse(value: float) -> float:
    return math.log(math.expm1(value))
