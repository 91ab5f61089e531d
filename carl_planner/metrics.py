"""Writes numbers: to TensorBoard, as JSON lines to metrics.jsonl for plots, and to a tracker.

Trackers are wandb, or trackio, which takes the same calls.
"""

from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import matplotlib
from torch.utils.tensorboard.writer import SummaryWriter

TRACKERS = ("wandb", "trackio")
CURVES = {  # that a picture shows
    "episode/return": "return",
    "episode/route_completion": "route completion [%]",
    "losses/entropy": "entropy",
    "losses/explained_variance": "explained variance",
}


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


METRICS_FILE = "metrics.jsonl"


class MetricsWriter:
    """Logs of one run; tags are `reward/<term>`, `losses/<name>`, `episode/<name>`, `time/<phase>`.

    Args:
        folder: Of the run.
        samples: Samples the run starts at; later lines of an earlier attempt are dropped.
        tracker: Gets the same numbers; None for none.
    """

    def __init__(self, folder: Path, *, samples: int, tracker: Tracker | None = None) -> None:
        self._tracker = tracker
        self._path = folder / METRICS_FILE
        kept = [line for line in read_metrics(folder) if line["samples"] <= samples]
        with self._path.open("w") as file:
            file.writelines(json.dumps(line) + "\n" for line in kept)
        self._file = self._path.open("a", buffering=1)
        self._board = SummaryWriter(str(folder), purge_step=samples + 1 if samples else None)

    def write(self, samples: int, values: Mapping[str, float]) -> None:
        """Log all values at the given number of samples."""
        self._file.write(json.dumps({"samples": samples, **values}) + "\n")
        for tag, value in values.items():
            self._board.add_scalar(tag, value, samples)
        if self._tracker is not None:
            self._tracker.write(samples, values)

    def close(self) -> None:
        """Flush and close."""
        self._file.close()
        self._board.close()
        if self._tracker is not None:
            self._tracker.close()


def read_metrics(folder: Path) -> list[dict[str, float]]:
    """Lines of a run's metrics.jsonl, each `{"samples": ..., tag: value, ...}`; [] without one."""
    path = folder / METRICS_FILE
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text().splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:  # the last line of a killed run may be cut short
            break
    return lines


def write_curves(metrics: Sequence[dict[str, float]], stem: Path) -> list[Path]:
    """All logged numbers as STEM.csv, the most telling ones as STEM.png; both paths."""
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    table, picture = Path(f"{stem}.csv"), Path(f"{stem}.png")
    columns = sorted({tag for line in metrics for tag in line} - {"samples"})
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["samples", *columns])
        writer.writeheader()
        writer.writerows(metrics)
    shown = [tag for tag in CURVES if tag in columns]
    figure, axes = plt.subplots(1, max(len(shown), 1), figsize=(4 * max(len(shown), 1), 3))
    for axis, tag in zip([axes] if len(shown) < 2 else axes, shown, strict=False):
        points = [(line["samples"], line[tag]) for line in metrics if tag in line]
        axis.plot(*zip(*points, strict=True), linewidth=1.0)
        axis.set(xlabel="samples", ylabel=CURVES[tag])
    figure.tight_layout()
    figure.savefig(picture, dpi=100)
    plt.close(figure)
    return [table, picture]
