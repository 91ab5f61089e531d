"""Policies from files: this project's checkpoints, and CaRL's released state dicts."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hydra.utils
import numpy as np
import torch
from gymnasium import spaces
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from torch import Tensor

from carl_planner.checkpoint import (
    Checkpoint,
    CheckpointError,
    describe_space,
    load_checkpoint,
    space_of,
    write_atomically,
)
from carl_planner.features import ImageFeatures
from carl_planner.image_encoders import carl_cnn
from carl_planner.policy import ActorCritic
from carl_planner.state_dicts import find_state_dict, load_strictly, load_tensors
from carl_planner.trusted_config import trusted_node

# What builds the networks of this project.
POLICY_MODULES = ("carl_planner.policy", "carl_planner.features", "carl_planner.image_encoders")
# CaRL's rasters; its LayerNorm weights fit no other size.
CARL_IMAGE_SIZE = 256
CARL_MARKER = "features_extractor.cnn.0.weight"
MAX_WIDTH, MAX_CHANNELS = 1 << 14, 64  # of a layer and a raster; a file could name any size


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy ready to drive."""

    policy: ActorCritic  # in evaluation mode
    observation_spec: dict[str, Any]  # name -> {shape, dtype} of one driver
    config: DictConfig | None  # of the run, for `trusted_node`; None for a released state dict
    choices: dict[str, str]  # config groups of that run, e.g. choices["observation"]


def load_policy(
    path: Path | str,
    device: torch.device | str = "cpu",
    *,
    trust: Sequence[str] = (),
) -> LoadedPolicy:
    """Load a checkpoint of this project or a plain CaRL state dict (`model_final.pth`).

    Args:
        path: The file.
        device: Where the policy goes.
        trust: Packages beside this project's that the policy may be built from. A checkpoint of a
            stranger could name any function, so the package of a network of your own has to be
            named here.

    Raises:
        CheckpointError: the file is missing, damaged or of another kind, or calls what isn't
            trusted.
    """
    path = Path(path)
    payload = load_tensors(path)
    is_ours = isinstance(payload, dict) and "format_version" in payload
    released = None if is_ours else find_state_dict(payload, CARL_MARKER, path)
    if released is not None:
        policy, space = _carl_policy(released, path)
        loaded = LoadedPolicy(policy, describe_space(space), None, {})
    elif not is_ours and isinstance(payload, dict):
        raise CheckpointError(
            f"{path} holds neither a checkpoint of this project (no format_version) nor CaRL's "
            f"state dict (no {CARL_MARKER}), but {', '.join(map(str, list(payload)[:6]))}"
        )
    else:
        loaded = _checkpointed_policy(load_checkpoint(path), path, trust)
    loaded.policy.to(device).eval()
    return loaded


def _checkpointed_policy(checkpoint: Checkpoint, path: Path, trust: Sequence[str]) -> LoadedPolicy:
    """The policy of one of our own checkpoints, built from what is trusted."""
    config = checkpoint_config(checkpoint, path)
    node = trusted_node(config, "policy", (*POLICY_MODULES, *trust))
    if node is None:
        raise CheckpointError(f"{path} does not say how its policy is built")
    try:
        policy = hydra.utils.instantiate(
            node,
            observation_space=space_of(checkpoint.observation_spec),
            action_space=_action_space(checkpoint.action_spec["shape"][0]),
        )
    except InstantiationException as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: its policy cannot be built: {reason}") from error
    if not isinstance(policy, ActorCritic):
        raise CheckpointError(
            f"{path}: its config builds a {type(policy).__name__}, expected an ActorCritic"
        )
    load_strictly(policy, checkpoint.policy, path)
    return LoadedPolicy(policy, checkpoint.observation_spec, config, checkpoint.choices)


def checkpoint_config(checkpoint: Checkpoint, path: Path) -> DictConfig:
    """The composed config of a checkpoint, as it was saved.

    Raises:
        CheckpointError: it is none.
    """
    try:
        config = OmegaConf.create(checkpoint.config)
    except (OmegaConfBaseException, ValueError) as error:
        raise CheckpointError(f"the config in {path} cannot be read: {error}") from error
    assert isinstance(config, DictConfig)
    return config


def export_carl_state_dict(checkpoint_path: Path | str, path: Path | str) -> None:
    """Write a checkpoint's policy as the plain state dict that CaRL's own agents load."""
    checkpoint = load_checkpoint(Path(checkpoint_path))
    memory = io.BytesIO()
    torch.save({name: tensor.contiguous() for name, tensor in checkpoint.policy.items()}, memory)
    write_atomically(Path(path), memory.getbuffer())


def _carl_policy(state: Mapping[str, Tensor], path: Path) -> tuple[ActorCritic, spaces.Dict]:
    """CaRL's network in the size that the state dict has, loaded strictly."""
    features = _columns(state, "policy_head.0.weight", path)
    values = _columns(state, "value_head.0.weight", path)
    channels = _columns(state, CARL_MARKER, path)
    if not (features < values and channels <= MAX_CHANNELS):
        raise CheckpointError(
            f"{path}: value_head.0.weight has {values} columns, policy_head.0.weight {features} "
            f"and the raster {channels} channels: this looks like a CaRL state dict, but is none"
        )
    measurements = _columns(state, "features_extractor.state_linear.0.weight", path)
    space = spaces.Dict(
        {
            "bev": _box((channels, CARL_IMAGE_SIZE, CARL_IMAGE_SIZE), np.uint8),
            "measurements": _box((measurements,)),
            "value_measurements": _box((values - features,)),
        }
    )
    num_actions = _weight(state, "dist_mu.0.weight", path).shape[0]
    build = partial(ImageFeatures, cnn=carl_cnn)
    policy = ActorCritic(space, _action_space(num_actions), features=build)
    try:
        load_strictly(policy, state, path)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error} It looks like a CaRL state dict but is none of its `roach_ln2` networks "
            "(256x256 raster, layer norm everywhere)"
        ) from error
    return policy, space


def _weight(state: Mapping[str, Any], name: str, path: Path) -> Tensor:
    """A weight that tells the network's size, no larger than any that CaRL has."""
    weight = state.get(name)
    if not isinstance(weight, Tensor) or weight.ndim < 2 or not 0 < max(weight.shape) <= MAX_WIDTH:
        found = "is missing" if weight is None else f"is {getattr(weight, 'shape', weight)!r}"
        raise CheckpointError(
            f"{path} looks like a CaRL state dict, but its {name} {found}: it was saved in part or "
            "from another network"
        )
    return weight


def _columns(state: Mapping[str, Any], name: str, path: Path) -> int:
    return _weight(state, name, path).shape[1]


def _box(shape: tuple[int, ...], dtype: type = np.float32) -> spaces.Box:
    low, high = (0, 255) if dtype is np.uint8 else (-np.inf, np.inf)
    return spaces.Box(low, high, tuple(shape), dtype)


def _action_space(num_actions: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (num_actions,), np.float32)
