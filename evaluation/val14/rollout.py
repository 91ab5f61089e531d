"""Drives scenarios in portions and scores them; what fails is named and does not stop the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence

from evaluation.nuplan_metrics import ScenarioScores, score_scenarios
from evaluation.val14.policy_driver import UnfitPolicyError
from sim_adapters.nuplan.closed_loop import Driver, simulate
from sim_adapters.nuplan.scenario_cache.file import ScenarioCache
from sim_adapters.nuplan.scenario_cache.record import ScenarioName
from sim_adapters.nuplan.slot_demand import Traffic
from sim_adapters.scene.map_bank import MapBank

log = logging.getLogger(__name__)
TRAFFIC: dict[str, Traffic] = {"nonreactive": "log", "reactive": "idm"}


def drive_scenarios(
    names: Sequence[ScenarioName],
    cache: ScenarioCache,
    maps: MapBank,
    make_driver: Callable[[], Driver],
    mode: str,
    *,
    num_worlds: int,
    num_threads: int = 1,
) -> Iterator[list[ScenarioScores]]:
    """Scores of the scenarios, a portion at a time, in their order.

    Args:
        names: Scenarios of the cache.
        cache: Where they are read from.
        maps: Their maps.
        make_driver: Gives a driver for each portion.
        mode: "nonreactive" or "reactive".
        num_worlds: Scenarios driven at once.
        num_threads: Threads of the simulation's kernels.

    Raises:
        UnfitPolicyError: the driver can drive none of them; so do errors of `make_driver` travel.
    """
    for first in range(0, len(names), num_worlds):
        portion = names[first : first + num_worlds]
        driver = make_driver()
        try:
            logs = [cache.read(name.token) for name in portion]
            traces = simulate(logs, maps, driver, traffic=TRAFFIC[mode], num_threads=num_threads)
            yield score_scenarios(*traces, logs, maps)
        except UnfitPolicyError:
            raise
        except Exception as error:  # one scenario must not cost the others their result
            if len(portion) == 1:
                log.exception("scenario %s failed", portion[0].token)
                yield [failed(portion[0], f"{type(error).__name__}: {error}")]
                continue
            log.warning("a scenario of this portion fails: driving its scenarios one by one")
            yield from drive_scenarios(
                portion, cache, maps, make_driver, mode, num_worlds=1, num_threads=num_threads
            )


def failed(name: ScenarioName, reason: str) -> ScenarioScores:
    """A scenario without a score."""
    return ScenarioScores(name.token, name.scenario_type, name.log_name, None, failure=reason)
