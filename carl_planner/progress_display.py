"""Shows how a run goes: a progress bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
from time import perf_counter
from typing import Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

log = logging.getLogger(__name__)

LINE_INTERVAL_S = 10.0


class ProgressDisplay:
    """Progress in samples with a note on speed and success.

    Args:
        total_samples: Of the whole run.
        samples: Done before.
        visible: False on all ranks but the first.
    """

    def __init__(self, total_samples: int, samples: int, *, visible: bool) -> None:
        self._total = total_samples
        self._visible = visible
        self._last_line = -LINE_INTERVAL_S
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if visible and sys.stdout.isatty():
            self._bar = Progress(
                TextColumn("{task.description:8s}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )
            self._task = self._bar.add_task("start", total=total_samples, note="")
            self._bar.update(self._task, completed=samples)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def collected(self, samples: int) -> None:
        """Samples seen so far, called during collection."""
        if self._bar is not None:
            self._bar.update(self._task, completed=samples, description="collect")

    def updating(self) -> None:
        """The update has begun."""
        if self._bar is not None:
            self._bar.update(self._task, description="update")

    def report(self, samples: int, note: str) -> None:
        """An iteration is over; `note` tells its speed and success."""
        if self._bar is not None:
            self._bar.update(self._task, completed=samples, note=note)
            return
        now = perf_counter()
        done = samples >= self._total
        if self._visible and (done or now - self._last_line >= LINE_INTERVAL_S):
            self._last_line = now
            log.info("%s of %s samples | %s", f"{samples:,}", f"{self._total:,}", note)
