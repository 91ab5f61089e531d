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
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from carl_planner.checkpoint import (
    CheckpointError,
    describe_space,
    load_checkpoint,
    load_tensors,
    space_of,
    write_atomically,
)
from carl_planner.features import ImageFeatures
from carl_planner.image_encoders import carl_cnn
from carl_planner.policy import ActorCritic
from carl_planner.trusted_config import trusted_node

# What builds the networks of this project.
POLICY_MODULES = ("carl_planner.policy", "carl_planner.features", "carl_planner.image_encoders")
# CaRL's rasters; its LayerNorm weights fit no other size.
CARL_IMAGE_SIZE = 256


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
    if isinstance(payload, dict) and "features_extractor.cnn.0.weight" in payload:
        policy, space = _carl_policy(payload, path)
        loaded = LoadedPolicy(policy, describe_space(space), None, {})
    else:
        checkpoint = load_checkpoint(path)
        config = OmegaConf.create(checkpoint.config)
        assert isinstance(config, DictConfig)
        node = trusted_node(config, "policy", (*POLICY_MODULES, *trust))
        if node is None:
            raise CheckpointError(f"{path} does not say how its policy is built")
        policy = hydra.utils.instantiate(
            node,
            observation_space=space_of(checkpoint.observation_spec),
            action_space=_action_space(checkpoint.action_spec["shape"][0]),
        )
        policy.load_state_dict(checkpoint.policy)
        loaded = LoadedPolicy(policy, checkpoint.observation_spec, config, checkpoint.choices)
    loaded.policy.to(device).eval()
    return loaded


def export_carl_state_dict(checkpoint_path: Path | str, path: Path | str) -> None:
    """Write a checkpoint's policy as the plain state dict that CaRL's own agents load."""
    checkpoint = load_checkpoint(Path(checkpoint_path))
    memory = io.BytesIO()
    torch.save({name: tensor.contiguous() for name, tensor in checkpoint.policy.items()}, memory)
    write_atomically(Path(path), memory.getbuffer())


def _carl_policy(state: Mapping[str, Tensor], path: Path) -> tuple[ActorCritic, spaces.Dict]:
    """CaRL's network in the size that the state dict has, loaded strictly."""
    num_channels = state["features_extractor.cnn.0.weight"].shape[1]
    space = spaces.Dict(
        {
            "bev": _box((num_channels, CARL_IMAGE_SIZE, CARL_IMAGE_SIZE), np.uint8),
            "measurements": _box(state["features_extractor.state_linear.0.weight"].shape[1:]),
            "value_measurements": _box(
                (state["value_head.0.weight"].shape[1] - state["policy_head.0.weight"].shape[1],)
            ),
        }
    )
    features = partial(ImageFeatures, cnn=carl_cnn)
    policy = ActorCritic(space, _action_space(len(state["action_space_low"])), features=features)
    try:
        policy.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path} looks like a CaRL state dict but is none of its `roach_ln2` networks "
            f"(256x256 raster, layer norm everywhere): {error}"
        ) from error
    return policy, space


def _box(shape: tuple[int, ...], dtype: type = np.float32) -> spaces.Box:
    low, high = (0, 255) if dtype is np.uint8 else (-np.inf, np.inf)
    return spaces.Box(low, high, tuple(shape), dtype)


def _action_space(num_actions: int) -> spaces.Box:
    return spaces.Box(-1.0, 1.0, (num_actions,), np.float32)
