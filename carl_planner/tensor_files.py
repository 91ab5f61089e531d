"""Files that torch writes, opened without running what they hold, or named for what they are."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import torch

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
