"""CacheReport: what became of every log and scenario of a cache, and the workers that make it."""

from __future__ import annotations

import json
import logging
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SHOWN_NAMES = 5  # of each list in the summary; the report file holds all


@dataclass
class CacheReport:
    """Counts and names.

    Args:
        num_logs: Logs looked into.
        num_candidates: Frames that the filter's types, tokens, maps and goals let through.
        num_selected: Those left by its counts and spacing.
        scenarios: Cached, by type.
        maps: Cached, by location.
        bad_logs: Skipped logs, and why.
        missing_logs: Names of the filter's logs that data_root does not hold.
        empty_types: Scenario types of the filter of which no log gives a scenario.
        empty_maps: Locations of the filter, likewise.
        missing_tokens: Tokens that the filter asks for and no log gives, and why.
        skipped: Selected scenarios that cannot be used, and why.
        thresholds: Selected scenarios that the filter's thresholds on the ego's motion drop.
        without_route: Cached scenarios without a roadblock route on the map.
        standing: Cached scenarios whose logged ego moves less than 0.1 m.
        notes: Oddities of the data, and how often they were met.
    """

    num_logs: int = 0
    num_candidates: int = 0
    num_selected: int = 0
    scenarios: Counter[str] = field(default_factory=Counter)
    maps: Counter[str] = field(default_factory=Counter)
    bad_logs: dict[str, str] = field(default_factory=dict)
    missing_logs: list[str] = field(default_factory=list)
    empty_types: list[str] = field(default_factory=list)
    empty_maps: list[str] = field(default_factory=list)
    missing_tokens: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    thresholds: list[str] = field(default_factory=list)
    without_route: list[str] = field(default_factory=list)
    standing: list[str] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def num_cached(self) -> int:
        """Scenarios in the cache."""
        return sum(self.scenarios.values())

    def to_json(self) -> str:
        """The whole report."""
        return json.dumps({"num_cached": self.num_cached} | vars(self), indent=1)

    def summary(self) -> str:
        """The report on a screen."""
        lines = [
            f"scenarios cached: {self.num_cached} of {self.num_selected} selected "
            f"({self.num_candidates} candidates in {self.num_logs} logs)"
        ]
        lines += [f"  {count:6d}  {name}" for name, count in sorted(self.scenarios.items())]
        for title, names in (
            ("logs skipped", self.bad_logs),
            ("logs of the filter that are not in data_root", self.missing_logs),
            ("scenario types of the filter without a scenario", self.empty_types),
            ("locations of the filter without a scenario", self.empty_maps),
            ("tokens of the filter not found", self.missing_tokens),
            ("scenarios skipped", self.skipped),
            ("scenarios dropped by the filter's thresholds", self.thresholds),
            ("scenarios without a route (not for training)", self.without_route),
            ("scenarios whose human stands still (not for training)", self.standing),
        ):
            lines += _named(title, names if isinstance(names, dict) else dict.fromkeys(names, ""))
        lines += [f"  {count} {name}" for name, count in sorted(self.notes.items()) if count]
        return "\n".join(lines)


def _named(title: str, reasons: Mapping[str, str]) -> list[str]:
    if not reasons:
        return []
    shown = list(reasons.items())[:SHOWN_NAMES]
    lines = [f"{title}: {len(reasons)}"]
    lines += [f"  {name}: {reason}" if reason else f"  {name}" for name, reason in shown]
    if len(reasons) > SHOWN_NAMES:
        lines.append(f"  ... and {len(reasons) - SHOWN_NAMES} more, see the report file")
    return lines


# Progress of a long job over many files: a bar in a terminal, plain lines in a log file.

LINE_INTERVAL_S = 10.0
log = logging.getLogger(__name__)
Item = TypeVar("Item")
Task = TypeVar("Task")
Answer = TypeVar("Answer")


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


@contextmanager
def started_pool(num_workers: int) -> Iterator[ProcessPoolExecutor | None]:
    """That many processes, which live through several lists of tasks; None for this one alone."""
    if num_workers <= 1:
        yield None
        return
    # Spawned rather than forked: libraries that run threads do not survive a fork
    pool = ProcessPoolExecutor(num_workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)  # a stopped command leaves its list undone


def done_tasks(
    pool: ProcessPoolExecutor | None,
    work: Callable[[Task], Answer],
    tasks: Sequence[Task],
    what: str,
) -> Iterator[tuple[Task, Answer]]:
    """Every task with its answer, as they come."""
    if pool is None or len(tasks) <= 1:
        done = ((task, work(task)) for task in tasks)
    else:
        futures = {pool.submit(work, task): task for task in tasks}
        done = ((futures[future], future.result()) for future in as_completed(futures))
    yield from show_progress(done, len(tasks), what)
