"""Which scenarios of a route scenario_runner left out, and why, as its output tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from evaluation.leaderboard_jobs.job import RouteJob

_SKIPPED = re.compile(r"Skipping scenario '([^']+)' due to setup error: (.*)")
_TOO_FAR = re.compile(r"WARNING: Ignoring scenario '([^']+)' as (.*)")
_COLOUR = re.compile(r"\x1b\[\d+m")


@dataclass(frozen=True)
class SkippedScenario:
    """A scenario that the route file asks for and the evaluator did not build."""

    route_id: str
    town: str
    seed: int
    name: str
    reason: str  # scenario_runner's own words

    def as_row(self) -> dict[str, str | int]:
        """All fields as JSON values."""
        return dict(self.__dict__)


def skipped_scenarios(jobs: Sequence[RouteJob]) -> list[SkippedScenario]:
    """All scenarios that the evaluators of these jobs named as left out."""
    found = []
    for job in jobs:
        if not job.log_file.is_file():
            continue
        text = _COLOUR.sub("", job.log_file.read_text(errors="replace"))
        for line in text.splitlines():
            match = _SKIPPED.search(line) or _TOO_FAR.search(line)
            if match:
                name, reason = match[1], match[2].strip()
                found.append(SkippedScenario(job.route_id, job.town, job.seed, name, reason))
    return found
