"""Planners from checkpoint files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from gymnasium import spaces
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import Checkpoint, CheckpointError, check_observation, load_checkpoint
from carl_planner.policy import ActorCritic
from evaluation.planners import PolicyPlanner
from sim_adapters.driving_env import DrivingVectorEnv

MODEL_PATTERN = "model_final*.pt"


def checkpoint_files(paths: str | Sequence[str]) -> list[Path]:
    """Files meant by `checkpoint=`: a file, a run folder (its final model), or a list of these.

    Raises:
        CheckpointError: there is none.
    """
    names = [paths] if isinstance(paths, str) else list(paths)
    files = []
    for path in map(Path, names):
        found = sorted(path.glob(MODEL_PATTERN)) if path.is_dir() else [path]
        if not found:
            raise CheckpointError(f"folder {path} holds no {MODEL_PATTERN}: name the file itself")
        files += found
    return files


def load_checkpoints(paths: str | Sequence[str]) -> list[Checkpoint]:
    """All checkpoints of an ensemble, which must see the same observation.

    Raises:
        CheckpointError: unreadable, or trained with different observations.
    """
    files = checkpoint_files(paths)
    checkpoints = [load_checkpoint(file) for file in files]
    for file, other in zip(files, checkpoints, strict=True):
        if other.observation_spec != checkpoints[0].observation_spec:
            raise CheckpointError(
                f"{file} sees another observation than {files[0]}: an ensemble needs one"
            )
    return checkpoints


def trained_config(checkpoint: Checkpoint) -> DictConfig:
    """The config a checkpoint was trained with, interpolations unresolved."""
    config = OmegaConf.create(checkpoint.config)
    assert isinstance(config, DictConfig)
    return config


def policy_planner(
    checkpoints: Sequence[Checkpoint], env: DrivingVectorEnv, name: str = "policy"
) -> PolicyPlanner:
    """The trained networks, after a check that they were trained with `env`'s observation."""
    for checkpoint in checkpoints:
        check_observation(checkpoint, env.single_observation_space)  # pyright: ignore[reportArgumentType]
    policies = [build_policy(trained_config(checkpoint), env) for checkpoint in checkpoints]
    for policy, checkpoint in zip(policies, checkpoints, strict=True):
        policy.load_state_dict(checkpoint.policy)
    return PolicyPlanner(policies, name)


def untrained_planner(config: DictConfig, env: DrivingVectorEnv, seed: int) -> PolicyPlanner:
    """The same network with fresh weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return PolicyPlanner([build_policy(config, env)], "untrained")


def build_policy(config: DictConfig, env: DrivingVectorEnv) -> ActorCritic:
    """The network of `config.policy` for the environment's spaces, with random weights."""
    assert isinstance(env.single_observation_space, spaces.Dict)
    return instantiate(
        config.policy,
        observation_space=env.single_observation_space,
        action_space=env.single_action_space,
    )
