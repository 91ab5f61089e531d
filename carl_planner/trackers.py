"""Experiment trackers, beside TensorBoard: wandb, or trackio, which takes the same calls."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

TRACKERS = ("wandb", "trackio")


def tracker_module(name: str | None) -> ModuleType | None:
    """The package of a tracker; None for none.

    Raises:
        ValueError: it is none of those that are known.
        ModuleNotFoundError: it is not installed.
    """
    if name is None:
        return None
    if name not in TRACKERS:
        raise ValueError(f"tracker={name} is unknown: choose null, {' or '.join(TRACKERS)}")
    return importlib.import_module(name)


class Tracker:
    """One run in a tracker; a resumed run goes on in it, by the name of its folder.

    Args:
        name: One of `TRACKERS`.
        project: Under which it keeps runs.
        folder: Of the run.
        config: Of the run, shown beside its curves.
    """

    def __init__(self, name: str, project: str, folder: Path, config: Mapping[str, Any]) -> None:
        module = tracker_module(name)
        assert module is not None
        label = "_".join(folder.resolve().parts[-2:])  # demo_2026-01-31_12-00-00
        place = {"id": label, "dir": str(folder)} if name == "wandb" else {}
        self._run = module.init(
            project=project, name=label, config=dict(config), resume="allow", **place
        )

    def write(self, samples: int, values: Mapping[str, float]) -> None:
        """Log all values at the given number of samples."""
        self._run.log({"samples": samples, **values}, step=samples)

    def close(self) -> None:
        """Hand over what is still on its way."""
        self._run.finish()
