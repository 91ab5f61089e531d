"""Planners from checkpoint files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from gymnasium import spaces
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from carl_planner.checkpoint import CheckpointError, describe_space
from carl_planner.policy import ActorCritic
from carl_planner.policy_files import POLICY_MODULES, LoadedPolicy, load_policy
from carl_planner.trusted_config import trusted_node
from evaluation.drivers.driven_worlds import DrivenWorlds
from evaluation.drivers.planners import PolicyPlanner
from sim_adapters.driving_env import DrivingVectorEnv

MODEL_PATTERN = "model_final*.pt*"
# What a checkpoint decides, with its action layout: how it sees and what it was paid for. Each is
# built by these modules only, since others of this project write files and start programs.
CHECKPOINT_GROUPS = {
    "observation": ("sim_adapters.observation",),
    "policy": POLICY_MODULES,
    "reward": ("rewards",),
}
LAYOUT = "env.action_layout"
ACTION_REPEAT = "env.action_repeat"


def load_ensemble(paths: str | Sequence[str], trust: Sequence[str] = ()) -> list[LoadedPolicy]:
    """The policies meant by `checkpoint=`: a file, a run folder (its final model), or a list.

    Args:
        paths: Files and folders.
        trust: Packages beside this project's that a checkpoint's policy may be built from.

    Raises:
        CheckpointError: none there, unreadable, or trained with different observations.
    """
    files = checkpoint_files([paths] if isinstance(paths, str) else paths)
    policies = [load_policy(file, trust=trust) for file in files]
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
    """`config` with what belongs to the checkpoint taken from `trained`.

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
        merged[group] = checkpoint_group(trained, group, config.trust)
    OmegaConf.update(merged, LAYOUT, checkpoint_layout(trained, config.trust), merge=False)
    OmegaConf.update(merged, ACTION_REPEAT, checkpoint_action_repeat(trained))
    return merged


def refuse_ignored_groups(trained: DictConfig | None) -> None:
    """Refuse what the command line says of a group that the checkpoint brings itself.

    Args:
        trained: Of the checkpoint; None (a released state dict) brings nothing.

    Raises:
        CheckpointError: it would change nothing.
    """
    is_told = trained is not None and HydraConfig.initialized()
    given = HydraConfig.get().overrides.task if is_told else []
    for override in given:
        group = override.lstrip("+~").partition("=")[0].partition(".")[0]
        if group in CHECKPOINT_GROUPS:
            raise CheckpointError(
                f"{override} would change nothing: the checkpoint brings its own {group}. Leave it "
                f"out, or train with it"
            )


def checkpoint_group(trained: DictConfig, group: str, trust: Sequence[str] = ()) -> DictConfig:
    """One of CHECKPOINT_GROUPS, safe to instantiate.

    Raises:
        CheckpointError: the checkpoint has none, or it would call what isn't trusted.
    """
    node = trusted_node(trained, group, (*CHECKPOINT_GROUPS[group], *trust))
    if node is None:
        raise CheckpointError(f"the checkpoint's config has no {group}: it drives in another world")
    return node


def checkpoint_layout(trained: DictConfig, trust: Sequence[str] = ()) -> DictConfig | None:
    """The checkpoint's action layout, safe to instantiate; None is CARLA's.

    Raises:
        CheckpointError: it would call what isn't trusted.
    """
    return trusted_node(trained, LAYOUT, ("sim_adapters.action_layout", *trust))


def checkpoint_action_repeat(trained: DictConfig) -> int:
    """Steps of the simulator that the checkpoint's actions were held in training; 1 if unsaid.

    Raises:
        CheckpointError: it is no positive number.
    """
    env = trained.get("env")
    plain = OmegaConf.to_container(env, resolve=False) if isinstance(env, DictConfig) else {}
    found = plain.get("action_repeat", 1) if isinstance(plain, dict) else 1
    if not isinstance(found, int) or found < 1:
        raise CheckpointError(
            f"the checkpoint's {ACTION_REPEAT} is {found!r}, expected a number of steps, 1 or more"
        )
    return found


def policy_planner(
    policies: Sequence[LoadedPolicy],
    env: DrivenWorlds,
    name: str = "policy",
    *,
    with_values: bool = False,
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
    return PolicyPlanner([policy.policy for policy in policies], name, with_values=with_values)


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
