"""Writes numbers: to TensorBoard, as JSON lines to metrics.jsonl for plots, and to a tracker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard.writer import SummaryWriter

from carl_planner.trackers import Tracker

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
