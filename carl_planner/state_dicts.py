"""Tensors that others wrote.

Files are opened without running what they hold, state dicts brought to our names and checked.
"""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from carl_planner.pretrained import PREFIX, shipped_names, shipped_or_own


class CheckpointError(RuntimeError):
    """A checkpoint cannot be written, read or used here."""


_HEAD_BYTES = 512
# Beginning of a file -> what it is and what to do; the first that fits
_KINDS = (
    (rb"version https://git-lfs", "is a Git LFS pointer, not the file itself: run git lfs pull"),
    (
        rb"(?i)\s*<(!doctype html|html|head)",
        "is a web page, not the file itself: fetch it again through the page's download link",
    ),
    (rb"\x89HDF", "is an HDF5 file: convert its weights with torch.save(state_dict, PATH)"),
    (rb"\x1f\x8b", "is compressed with gzip: unpack it first"),
    (rb"(?s).{8}\{\s*\"", "is a safetensors file: convert it with torch.save(load_file(A), B)"),
)
_ZIPPED = (  # name inside a zip archive -> what the archive is
    (r"(.*/)?constants\.pkl", "is a TorchScript program: save its state_dict() with torch.save"),
    (r"policy\.pth", "is a Stable-Baselines3 archive: unpack it and name its policy.pth"),
)
_FOREIGN_CODE = re.compile(r"(?:GLOBAL|Unsupported class|function) `?([A-Za-z_][\w.]*)")


def load_tensors(path: Path) -> Any:
    """`torch.load` of tensors and plain values, onto the CPU.

    Raises:
        CheckpointError: the file is missing or something else; says what it is.
    """
    named, path = path, shipped_or_own(path)
    if path.is_dir():
        raise CheckpointError(f"checkpoint {path} is a folder: name a file in it")
    if not path.is_file():
        shipped = ", ".join(f"{PREFIX}/{name}" for name in shipped_names()) or "no policies"
        raise CheckpointError(f"checkpoint {named} does not exist; the package has {shipped}")
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path} cannot be read: {error.strerror}") from error
    if not head:
        raise CheckpointError(f"checkpoint {path} is empty: fetch or write it again")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Torch's own words advise to switch `weights_only` off, which would run the file's code
        raise CheckpointError(f"{path} {_what_it_is(path, head, str(error))}") from error


def _what_it_is(path: Path, head: bytes, refusal: str) -> str:
    for beginning, meaning in _KINDS:
        if re.match(beginning, head):
            return meaning
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        for inside, meaning in _ZIPPED:
            if any(re.fullmatch(inside, name) for name in names):
                return meaning
        if not any(name.endswith("data.pkl") for name in names):
            return "is a zip archive that torch did not write: unpack it and name the file inside"
    if foreign := _FOREIGN_CODE.search(refusal):
        return (
            f"cannot be read as a checkpoint: it holds {foreign[1]}, more than tensors and plain "
            "values, and opening it would run code. Where you trust it, load it there and save "
            "its state_dict() alone with torch.save"
        )
    if head.startswith(b"PK"):
        return "cannot be read as a checkpoint: it is damaged or cut short, fetch it again"
    if b"\0" not in head and _is_text(head):
        return "cannot be read as a checkpoint: it is a text file"
    return "cannot be read as a checkpoint: torch did not write it, or it is damaged"


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a letter cut in two
    return True


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
    odd = [
        name
        for name, value in state.items()
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta
    ]
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
        # Torch would copy quantized weights as the numbers that they are not
        "has as other numbers": [
            f"{name} {state[name].dtype} instead of {wanted[name].dtype}"
            for name in wanted
            if name in state and state[name].is_floating_point() != wanted[name].is_floating_point()
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
