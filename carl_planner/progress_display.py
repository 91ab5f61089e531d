"""Shows how a run goes: a progress bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import sys
from time import perf_counter
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn

log = logging.getLogger(__name__)

LINE_INTERVAL_S = 10.0
BAR_WIDTH = 12  # characters
NOTE_SEPARATOR = " | "


class ProgressDisplay:
    """Progress in samples, or in time where that ends the run, with a note on speed and success.

    Args:
        total_samples: Of the whole run.
        samples: Done before.
        visible: False on all ranks but the first.
        time_limit_s: Of the whole run; None where its samples end it.
        elapsed_s: Gone by before.
    """

    def __init__(
        self,
        total_samples: int,
        samples: int,
        *,
        visible: bool,
        time_limit_s: float | None = None,
        elapsed_s: float = 0.0,
    ) -> None:
        self._total, self._samples = total_samples, samples
        self._time_limit_s = time_limit_s
        self._began, self._samples_before = perf_counter(), samples
        self._elapsed_before_s = elapsed_s
        self._visible = visible
        self._last_line = -LINE_INTERVAL_S
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if visible and sys.stdout.isatty():
            self._bar = Progress(
                TextColumn("{task.description:7s}"),
                BarColumn(BAR_WIDTH),
                TextColumn("{task.fields[done]}"),
                TextColumn("{task.fields[note]}"),
            )
            self._task = self._bar.add_task("start", total=1.0, done=self._done(), note="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def collected(self, samples: int) -> None:
        """Samples seen so far, called during collection."""
        self._samples = samples
        if self._bar is not None:
            self._bar.update(
                self._task, completed=self._share(), done=self._done(), description="collect"
            )

    def updating(self) -> None:
        """The update has begun."""
        if self._bar is not None:
            self._bar.update(self._task, description="update")

    def report(self, samples: int, note: str) -> None:
        """An iteration is over.

        Args:
            samples: Done so far.
            note: Its speed and success, what matters most first; where the terminal is narrow, the
                last of the parts between bars are left out.
        """
        self._samples = samples
        if self._bar is not None:
            done = self._done()
            room = self._bar.console.width - len("collect ") - BAR_WIDTH - len(done) - 2
            self._bar.update(
                self._task, completed=self._share(), done=done, note=fitting(note, room)
            )
            return
        now = perf_counter()
        done = samples >= self._total
        if self._visible and (done or now - self._last_line >= LINE_INTERVAL_S):
            self._last_line = now
            log.info("%s | %s", self._long_done(), note)

    def _elapsed_s(self) -> float:
        return self._elapsed_before_s + perf_counter() - self._began

    def _share(self) -> float:
        """How much of the run is done, 0 to 1: of its samples, or of its time if that is more."""
        share = self._samples / self._total
        if self._time_limit_s is None:
            return share
        return min(1.0, max(share, self._elapsed_s() / self._time_limit_s))

    def _done(self) -> str:
        """What is done of how much, short."""
        if self._time_limit_s is not None:
            # The iteration in which it runs out is finished
            elapsed_s = min(self._elapsed_s(), self._time_limit_s)
            return f"{minutes(elapsed_s)} of {minutes(self._time_limit_s)}"
        text = f"{_short(self._samples)} of {_short(self._total)}"
        new = self._samples - self._samples_before
        if new <= 0:
            return text
        left_s = (perf_counter() - self._began) * (self._total - self._samples) / new
        return f"{text}, {minutes(left_s)} left"

    def _long_done(self) -> str:
        if self._time_limit_s is not None:
            return f"{self._done()} minutes, {self._samples:,} samples"
        return f"{self._samples:,} of {self._total:,} samples"


def minutes(seconds: float) -> str:
    """`9:05`, or `1:02:30` from an hour on."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    if hours:
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}"


def fitting(note: str, room: int) -> str:
    """As many parts of the note, from the first on, as `room` characters hold."""
    parts = note.split(NOTE_SEPARATOR)
    while parts and len(NOTE_SEPARATOR.join(parts)) > room:
        parts.pop()
    return NOTE_SEPARATOR.join(parts)


def _short(samples: int) -> str:
    return f"{samples / 1e6:.1f}M" if samples >= 1e6 else f"{samples / 1e3:.0f}k"
