"""Says what is compiled while kernels are: which one, how far, for how long, and that it is once.

Every process that compiles shows it, a command or a notebook: numba tells of each function that it
did not find in its cache. In a terminal it is one line that goes away again, elsewhere a line in
the log now and then. Ranks but the first and worker processes keep quiet.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
from time import perf_counter

from numba.core import event
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sim_adapters.kernel_cache import kernel_folder

log = logging.getLogger(__name__)
LINE_INTERVAL_S = 10.0
NAME_WIDTH = 26
# Functions that a first start compiles for the embedded world and the vector observation; whoever
# has changed a file compiles a part of them, and then no number is promised.
FIRST_START = 310
_COMPILING = "numba:compile"


class CompileDisplay(event.Listener):
    """Counts functions as numba compiles them; callees begin and end within their callers."""

    def __init__(self) -> None:
        self.num_compiled = 0
        self.seconds = 0.0
        self.expected: int | None = None
        self._depth, self._began_s, self._next_line_s = 0, 0.0, 0.0
        self._bar: Progress | None = None

    def on_start(self, event: event.Event) -> None:
        """A function is compiled from now on."""
        assert event.data is not None
        name = event.data["dispatcher"].py_func.__name__
        if self._depth == 0:
            self._begin()
        self._depth += 1
        self._show(name)

    def on_end(self, event: event.Event) -> None:
        """It is done."""
        del event
        self._depth -= 1
        self.num_compiled += 1
        if self._depth == 0:
            self.seconds += perf_counter() - self._began_s
            if self._bar is not None:
                self._bar.stop()

    def state(self, name: str) -> str:
        """How far it is, in words."""
        total = f" of about {self.expected}" if self._is_expected else ""
        seconds = self.seconds + perf_counter() - self._began_s
        return f"{self.num_compiled}{total} functions after {seconds:.0f} s, now {name}"

    @property
    def _is_expected(self) -> bool:
        return self.expected is not None and self.num_compiled <= self.expected

    def _begin(self) -> None:
        if self.num_compiled == 0:
            self.expected = None if _holds_kernels() else FIRST_START
            self._next_line_s = perf_counter() + LINE_INTERVAL_S
            if sys.stderr.isatty():
                self._bar = _make_bar(self.expected)
        self._began_s = perf_counter()
        if self._bar is not None:
            self._bar.start()

    def _show(self, name: str) -> None:
        if self._bar is not None:
            total = f" of about {self.expected}" if self._is_expected else ""
            state = f"{self.num_compiled}{total}  {name[:NAME_WIDTH]}"
            self._bar.update(self._bar.task_ids[0], completed=self.num_compiled, state=state)
        elif perf_counter() >= self._next_line_s:
            self._next_line_s = perf_counter() + LINE_INTERVAL_S
            log.info("compiling kernels, once: %s", self.state(name))


def _make_bar(total: int | None) -> Progress:
    bar = Progress(
        SpinnerColumn(),
        TextColumn("compiling, once"),
        *([BarColumn(bar_width=12)] if total else []),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    bar.add_task("", total=total, state="")
    return bar


def _holds_kernels() -> bool:
    """Whether kernels were kept by an earlier start."""
    return next(kernel_folder().glob("*/*/*.nbi"), None) is not None


def show_compilation() -> None:
    """Register the display with numba; call it once a process."""
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    if is_first and multiprocessing.parent_process() is None:
        event.register(_COMPILING, CompileDisplay())
