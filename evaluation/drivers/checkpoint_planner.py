"""Planners from checkpoint files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from gymnasium import spaces
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import CheckpointError, describe_space
from carl_planner.policy import ActorCritic
from carl_planner.policy_files import LoadedPolicy, load_policy
from evaluation.drivers.driven_worlds import DrivenWorlds
from evaluation.drivers.planners import PolicyPlanner
from sim_adapters.driving_env import DrivingVectorEnv

MODEL_PATTERN = "model_final*.pt*"
# What a checkpoint decides: how it sees, how it acts and what it was paid for.
CHECKPOINT_GROUPS = ("observation", "policy", "reward", "env")
TRUSTED_PACKAGES = ("carl_planner", "sim_adapters", "rewards")


def load_ensemble(paths: str | Sequence[str], trust: Sequence[str] = ()) -> list[LoadedPolicy]:
    """The policies meant by `checkpoint=`: a file, a run folder (its final model), or a list.

    Args:
        paths: Files and folders.
        trust: Packages beside this project's that a checkpoint's policy may be built from.

    Raises:
        CheckpointError: none there, unreadable, or trained with different observations.
    """
    files = checkpoint_files([paths] if isinstance(paths, str) else paths)
    policies = [load_policy(file, trusted_packages=("carl_planner", *trust)) for file in files]
    for file, policy in zip(files, policies, strict=True):
        if policy.observation_spec != policies[0].observation_spec:
            raise CheckpointError(
                f"{file} sees another observation than {files[0]}: an ensemble needs one"
            )
    return policies


def checkpoint_files(paths: Sequence[str]) -> list[Path]:
    """All files meant by these files and folders."""
    files = []
    for path in map(Path, paths):
        found = sorted(path.glob(MODEL_PATTERN)) if path.is_dir() else [path]
        if not found:
            raise CheckpointError(f"folder {path} holds no {MODEL_PATTERN}: name the file itself")
        files += found
    return files


def with_checkpoint_config(config: DictConfig, trained: DictConfig | None) -> DictConfig:
    """`config` with the groups that belong to the checkpoint taken from `trained`.

    Args:
        config: Of the command.
        trained: Of the checkpoint; None (a released state dict) leaves the command's groups.

    Raises:
        CheckpointError: the checkpoint would build from a package that isn't trusted.
    """
    if trained is None:
        return config
    merged = OmegaConf.create(OmegaConf.to_container(config, resolve=False))
    assert isinstance(merged, DictConfig)
    for group in CHECKPOINT_GROUPS:
        check_targets(trained[group], (*TRUSTED_PACKAGES, *config.trust))
        merged[group] = trained[group]
    return merged


def check_targets(node: Any, trusted: Sequence[str] = TRUSTED_PACKAGES) -> None:
    """Refuse a `_target_` outside `trusted`: a stranger's file could name any function."""
    if isinstance(node, DictConfig | Mapping):
        target = node.get("_target_")
        package = str(target).split(".")[0]
        if target is not None and package not in trusted:
            raise CheckpointError(
                f"the checkpoint was made with {target}, which is in none of the packages "
                f"{', '.join(trusted)}: add trust=[{package}] if you know that code"
            )
        for key in node:
            if not (isinstance(node, DictConfig) and OmegaConf.is_interpolation(node, str(key))):
                check_targets(node[key], trusted)


def policy_planner(
    policies: Sequence[LoadedPolicy], env: DrivenWorlds, name: str = "policy"
) -> PolicyPlanner:
    """The loaded networks, after a check that they were trained with `env`'s observation."""
    assert isinstance(env.single_observation_space, spaces.Dict)
    found = describe_space(env.single_observation_space)
    for policy in policies:
        if policy.observation_spec != found:
            choice = policy.choices.get("observation", "carl_bev")
            raise CheckpointError(
                f"the environment shows {found}, the checkpoint was trained with "
                f"{policy.observation_spec}: use observation={choice}"
            )
    return PolicyPlanner([policy.policy for policy in policies], name)


def untrained_planner(config: DictConfig, env: DrivingVectorEnv, seed: int) -> PolicyPlanner:
    """The network of `config.policy` with fresh weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        policy: ActorCritic = instantiate(
            config.policy,
            observation_space=env.single_observation_space,
            action_space=env.single_action_space,
        )
    return PolicyPlanner([policy], "untrained")
