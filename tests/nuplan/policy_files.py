"""Checkpoints with random weights, and the configuration that goes with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from gymnasium import spaces
from hydra.utils import instantiate
from omegaconf import DictConfig

from sim_adapters.gymnasium_envs import compose_training_config


def policy_config() -> DictConfig:
    """What CaRL's nuPlan policies see and how they act."""
    return compose_training_config(["experiment=carl_nuplan"])


def released_checkpoint(path: Path, seed: int = 0) -> Path:
    """A state dict in the layout of CaRL's released nuPlan checkpoints, with random weights."""
    config = policy_config()
    torch.manual_seed(seed)
    policy = instantiate(
        config.policy,
        observation_space=instantiate(config.observation).space,
        action_space=spaces.Box(-1.0, 1.0, (2,), np.float32),
    )
    trainable = sum(p.numel() for p in policy.parameters() if p.requires_grad)
    assert trainable == 1_982_317
    torch.save(policy.state_dict(), path)
    return path
