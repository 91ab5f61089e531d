"""Policies that come with the package: `checkpoint=pretrained/NAME` in every command.

Each is one file NAME.pt of this project's own format (weights and config, loaded with
`weights_only=True`) beside a card NAME.md that says what it is and where it fails.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path

log = logging.getLogger(__name__)
PREFIX = "pretrained"


def shipped_names() -> list[str]:
    """Names of the policies in the package."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.pt"))


def shipped_or_own(path: Path) -> Path:
    """The file that `pretrained/NAME` means; any other path, or one that exists, as it is.

    While there are only stages of NAME's training, `NAME_stage_a` and so on, it means the last one.
    """
    if path.exists() or path.parent != Path(PREFIX):
        return path
    name, folder = path.name.removesuffix(".pt"), Path(__file__).parent
    stages = sorted(folder.glob(f"{name}_stage_*.pt"))
    if (folder / f"{name}.pt").exists() or not stages:
        return folder / f"{name}.pt"
    _tell_stage(str(path), stages[-1].stem)
    return stages[-1]


@functools.cache
def _tell_stage(asked: str, found: str) -> None:
    """Say once which policy is meant: a file is opened more than once."""
    log.info("%s: so far its training has come to %s", asked, found)
