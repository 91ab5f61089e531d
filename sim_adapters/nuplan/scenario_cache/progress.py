"""Progress of a long job over many files: a bar in a terminal, plain lines in a log file."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_INTERVAL_S = 10.0

log = logging.getLogger(__name__)
Item = TypeVar("Item")


def show_progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items, while how many of `total` have come is shown."""
    if not sys.stderr.isatty():
        yield from _with_lines(items, total, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn()) as progress:
        yield from progress.track(items, total=total, description=what)


def _with_lines(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    next_s = time.monotonic() + LINE_INTERVAL_S
    for number, item in enumerate(items, start=1):
        yield item
        if time.monotonic() >= next_s and number < total:
            next_s = time.monotonic() + LINE_INTERVAL_S
            log.info("%s: %d/%d", what, number, total)
    log.info("%s: %d done", what, total)
