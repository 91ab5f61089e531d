"""State dicts as other tools name and wrap them, brought to our names and checked."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from carl_planner.tensor_files import CheckpointError

# Keys under which training scripts and Lightning keep a state dict among other things
WRAPPERS = ("state_dict", "model_state_dict", "policy_state_dict", "model", "policy", "network")
# Parts of a name that DistributedDataParallel and torch.compile put in
_INSERTED = ("module", "_orig_mod")
_SHOWN = 6  # names in a message

log = logging.getLogger(__name__)


def find_state_dict(payload: Any, marker: str, source: object) -> dict[str, Tensor] | None:
    """The state dict in `payload` that has a tensor named `marker`, under plain names.

    What DistributedDataParallel, torch.compile and wrapping modules put before a name is taken
    off, as is a dict around; the log says so.

    Args:
        payload: What a file holds.
        marker: Name of a tensor that tells the network.
        source: Named in messages.

    Raises:
        CheckpointError: plain names would collide.
    """
    for where in ("", *WRAPPERS):
        held = payload.get(where) if where and isinstance(payload, Mapping) else payload
        if not isinstance(held, Mapping) or not all(isinstance(name, str) for name in held):
            continue
        plain = plain_names(held, source)
        ends = [name for name in plain if f".{name}".endswith(f".{marker}")]
        if not ends:
            continue
        prefix = ends[0].removesuffix(marker)
        if prefix and all(name.startswith(prefix) for name in plain):
            plain = {name.removeprefix(prefix): value for name, value in plain.items()}
        if marker not in plain:
            continue
        if where or plain.keys() != held.keys():
            first = next(iter(held))
            log.info("%s: took the weights from %r, named as %r", source, where or "/", first)
        return plain
    return None


def plain_names(state: Mapping[str, Any], source: object) -> dict[str, Any]:
    """The same under the names of the network itself, without what DDP and compile put in.

    Raises:
        CheckpointError: two names would become one.
    """
    plain: dict[str, Any] = {}
    for name, value in state.items():
        short = ".".join(part for part in name.split(".") if part not in _INSERTED)
        if short in plain:
            raise CheckpointError(f"{source} holds {short} twice, once as {name}: keep one of them")
        plain[short] = value
    return plain


def check_weights(state: Mapping[str, Any], source: object) -> None:
    """Refuse what is no dense tensor of finite numbers.

    Raises:
        CheckpointError: names the entries.
    """
    odd = [n for n, v in state.items() if not isinstance(v, Tensor) or v.layout != torch.strided]
    if odd:
        raise CheckpointError(
            f"{source} holds entries that are no weights: {_some(odd)}. Save the network's "
            "state_dict() alone"
        )
    bad = [name for name, value in state.items() if not torch.isfinite(value).all()]
    if bad:
        raise CheckpointError(
            f"{source} has weights that are NaN or infinite: {_some(bad)}. The training has "
            "diverged: take an earlier checkpoint"
        )


def load_strictly(network: nn.Module, state: Mapping[str, Any], source: object) -> None:
    """Load checked weights into a network of exactly these names and shapes.

    Raises:
        CheckpointError: says which names lack, are too many or have another shape.
    """
    state = plain_names(state, source)
    check_weights(state, source)
    wanted = network.state_dict()
    faults = {
        "lacks": [name for name in wanted if name not in state],
        "has beside them": [name for name in state if name not in wanted],
        "has in another shape": [
            f"{name} {tuple(state[name].shape)} instead of {tuple(wanted[name].shape)}"
            for name in wanted
            if name in state and state[name].shape != wanted[name].shape
        ],
    }
    found = [f"it {fault} {_some(names)}" for fault, names in faults.items() if names]
    if found:
        raise CheckpointError(
            f"{source} does not fit its network of {len(wanted)} tensors: {'; '.join(found)}. "
            "Was it saved from another network, or only in part?"
        )
    network.load_state_dict(state)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
