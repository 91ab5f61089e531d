"""Checkpoints: everything a run needs to go on, in one file of tensors and plain values.

They load with `weights_only=True`, so opening a stranger's checkpoint runs no code, and they are
written atomically, so that a crash or a full disk leaves the previous one intact.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from gymnasium import spaces

from carl_planner.state_dicts import CheckpointError, check_weights, load_tensors

FORMAT_VERSION = 1
MAX_BOX_NUMBERS = 1 << 26  # of one observation; a file could name any shape


@dataclass
class Checkpoint:
    """Contents of a checkpoint file; `optimizer`, `progress` and `ranks` only where resumable."""

    policy: dict[str, Any]  # state dict
    config: dict[str, Any]  # composed, interpolations unresolved
    choices: dict[str, str]  # chosen option of each config group
    observation_spec: dict[str, Any]  # name -> {shape, dtype} of one driver
    action_spec: dict[str, Any]  # {shape}
    optimizer: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    ranks: list[dict[str, Any]] = field(default_factory=list)  # environment and RNG of each rank

    @property
    def is_resumable(self) -> bool:
        """Whether training can go on from here."""
        return bool(self.optimizer)


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: the file at `path` is the old one or the new one, never a part."""
    payload = _pack({"format_version": FORMAT_VERSION, **fields_of(checkpoint)})
    memory = io.BytesIO()
    torch.save(payload, memory)
    write_atomically(path, memory.getbuffer())


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write `data` to a temporary neighbour, flush it to disk and rename it to `path`.

    A folder that is missing is made: it may be a running training's, lost by accident.
    """
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _flush_folder(path.parent)
    except OSError as error:
        disk = next(folder for folder in path.absolute().parents if folder.is_dir())
        free_mb = shutil.disk_usage(disk).free / 1e6
        kept = "the previous one is intact" if path.exists() else "there is no previous one"
        raise CheckpointError(
            f"cannot write {path} ({len(data) / 1e6:.1f} MB, {free_mb:.1f} MB free): "
            f"{error.strerror or error}; {kept}. Free some space and start again with "
            "resume=PATH, or choose another folder with hydra.run.dir=DIR"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint of this project onto the CPU; nested arrays come back as numpy.

    Raises:
        CheckpointError: the file is missing, damaged, of another kind or version, or its weights
            are not finite.
    """
    payload = load_tensors(path)
    if not isinstance(payload, dict) or "format_version" not in payload:
        raise CheckpointError(
            f"{path} is no checkpoint of this project (no format_version in {_describe(payload)}); "
            "a released state dict can be evaluated but not resumed"
        )
    version = payload["format_version"]
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path} has checkpoint format {version}, this version reads {FORMAT_VERSION}: "
            "use the version of the project that wrote it"
        )
    fields = {name: value for name, value in payload.items() if name != "format_version"}
    _check_fields(fields, path)
    fields["ranks"] = [_unpack(rank) for rank in fields.get("ranks", [])]
    return Checkpoint(**fields)


def _describe(payload: Any) -> str:
    if isinstance(payload, dict):
        return f"a dict of {', '.join(map(str, list(payload)[:6])) or 'nothing'}"
    return f"a {type(payload).__name__}"


def _check_fields(fields: Mapping[str, Any], path: Path) -> None:
    """Refuse a payload that could not be used, whatever part of it is missing or odd."""
    known = Checkpoint.__dataclass_fields__
    kinds = {name: list if name == "ranks" else dict for name in known}
    optional = ("optimizer", "progress", "ranks")
    faults = [f"no {name}" for name in known if name not in fields and name not in optional]
    faults += [f"an unknown entry {name}" for name in fields if name not in known]
    faults += [
        f"a {type(fields[name]).__name__} as {name}"
        for name, kind in kinds.items()
        if name in fields and not isinstance(fields[name], kind)
    ]
    if not faults:
        boxes = {
            **fields["observation_spec"],
            "action": {"dtype": "float32"} | fields["action_spec"],
        }
        faults = [f"{name} of {box}" for name, box in boxes.items() if not _is_box(box)]
        faults += ["no shape of the actions"] if not fields["action_spec"].get("shape") else []
    if faults:
        raise CheckpointError(
            f"{path} is no whole checkpoint, it has {', '.join(map(str, faults[:6]))}: take one "
            "that a run of this project has written"
        )
    check_weights(fields["policy"], path)


def _is_box(box: Any) -> bool:
    """Whether this is the shape and dtype of an observation that could be made."""
    if not isinstance(box, Mapping) or box.get("dtype") not in ("uint8", "float32", "float64"):
        return False
    shape = box.get("shape")
    return (
        isinstance(shape, list)
        and all(isinstance(side, int) and side > 0 for side in shape)
        and math.prod(shape) <= MAX_BOX_NUMBERS
    )


def fields_of(checkpoint: Checkpoint) -> dict[str, Any]:
    """Fields by name, without copying the tensors inside."""
    return {name: getattr(checkpoint, name) for name in Checkpoint.__dataclass_fields__}


def describe_space(space: spaces.Dict) -> dict[str, Any]:
    """Observation spec of a space: shape and dtype by name."""
    return {
        name: {"shape": list(box.shape or ()), "dtype": str(box.dtype)}
        for name, box in space.spaces.items()
    }


def space_of(observation_spec: Mapping[str, Any]) -> spaces.Dict:
    """The space that `describe_space` described, with bounds as wide as the dtype."""
    boxes: dict[str, spaces.Space] = {}
    for name, entry in observation_spec.items():
        low, high = (0, 255) if entry["dtype"] == "uint8" else (-np.inf, np.inf)
        boxes[name] = spaces.Box(low, high, tuple(entry["shape"]), np.dtype(entry["dtype"]).type)
    return spaces.Dict(boxes)


def check_observation(checkpoint: Checkpoint, space: spaces.Dict) -> None:
    """Refuse a checkpoint that was trained with another observation than `space`."""
    found, trained = describe_space(space), checkpoint.observation_spec
    if found == trained:
        return
    differences = [
        _difference(name, found.get(name), trained.get(name))
        for name in sorted(found.keys() | trained.keys())
        if found.get(name) != trained.get(name)
    ]
    choice = checkpoint.choices.get("observation", "the one it was trained with")
    raise CheckpointError(f"{'; '.join(differences)}: use observation={choice}")


def rng_state() -> dict[str, Any]:
    """State of the global generators of torch and numpy."""
    _, keys, position, has_gauss, cached = np.random.get_state()
    state: dict[str, Any] = {
        "torch": torch.get_rng_state(),
        "numpy": {
            "keys": np.asarray(keys, np.int64),
            "rest": [int(position), int(has_gauss), float(cached)],
        },
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def restore_rng_state(state: Mapping[str, Any]) -> None:
    """Put the global generators back to `rng_state`."""
    torch.set_rng_state(torch.as_tensor(state["torch"]))
    keys, rest = state["numpy"]["keys"], state["numpy"]["rest"]
    np.random.set_state(("MT19937", np.asarray(keys, np.uint32), *rest))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(torch.as_tensor(state["cuda"]))


def _difference(name: str, found: Any, trained: Any) -> str:
    if found is None:
        return f"observation has no '{name}', the checkpoint was trained with one"
    if trained is None:
        return f"observation has '{name}', the checkpoint was trained without"
    if name == "bev" and found["shape"][0] != trained["shape"][0]:
        return (
            f"observation has {found['shape'][0]} channels, "
            f"the checkpoint was trained with {trained['shape'][0]}"
        )
    return (
        f"'{name}' has shape {tuple(found['shape'])} {found['dtype']}, "
        f"the checkpoint was trained with {tuple(trained['shape'])} {trained['dtype']}"
    )


def _pack(value: Any) -> Any:
    """Replace numpy values by tensors and plain ones, all that `weights_only` admits."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value, order="C"))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {key: _pack(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(entry) for entry in value]
    if value is None or isinstance(value, torch.Tensor | str | int | float | bool):
        return value
    raise CheckpointError(f"a checkpoint cannot hold a {type(value).__name__}")


def _unpack(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, Mapping):
        return {key: _unpack(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_unpack(entry) for entry in value]
    return value


def _flush_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
