"""Progress of an evaluation: a bar in a terminal, plain lines in a log file."""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from evaluation.scoring.episode_result import EpisodeResult

log = logging.getLogger(__name__)
LINE_INTERVAL_S = 10.0
BAR_INTERVAL_S = 0.2
BAR_WIDTH = 11  # characters


class EvaluationProgress:
    """A Listener that shows how far a rollout has come; use it as a context manager."""

    def __init__(self, name: str, num_episodes: int) -> None:
        self.name, self.num_episodes = name, num_episodes
        self.num_finished, self.score_sum = 0, 0.0
        self._next_time = 0.0
        self._is_terminal = sys.stderr.isatty()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(BAR_WIDTH),  # with the longest name and the rest 80 columns
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            disable=not self._is_terminal,
        )
        self._task = self._bar.add_task(name, total=num_episodes, state="")

    @property
    def mean_score(self) -> float:
        """Mean driving score of the finished episodes, as the table has it; 0 before the first."""
        return self.score_sum / self.num_finished if self.num_finished else 0.0

    def __enter__(self) -> EvaluationProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.update(self._task, state=self._state())
        self._bar.stop()
        if not self._is_terminal and kind is None:
            self._log()

    def episode_finished(self, result: EpisodeResult) -> None:
        """Count one finished route."""
        self.num_finished += 1
        self.score_sum += result.driving_score
        self._bar.advance(self._task)

    def stepped(self, num_steps: int) -> None:
        """Refresh the display now and then."""
        now = time.monotonic()
        if now < self._next_time:
            return
        self._next_time = now + (BAR_INTERVAL_S if self._is_terminal else LINE_INTERVAL_S)
        self._bar.update(self._task, state=self._state())
        if not self._is_terminal and num_steps > 1:
            self._log()

    def _state(self) -> str:
        return f"mean score {self.mean_score:.1f}" if self.num_finished else "mean score -"

    def _log(self) -> None:
        log.info(
            "%s: %d/%d routes, %s", self.name, self.num_finished, self.num_episodes, self._state()
        )
