"""Speed of Val14 on synthetic maps: milliseconds a scenario, and how many times the devkit's."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Sequence

from evaluation.nuplan_metrics import score_scenarios
from evaluation.speed.nuplan_set import speed_folder, speed_scenarios
from evaluation.speed.stopwatch import Measurement, measure_rate
from evaluation.val14.drivers import RULE_DRIVERS
from evaluation.val14.rollout import TRAFFIC
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.closed_loop import simulate
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.scene.map_bank import MapBank

MOST_MS = {"nonreactive": 30.0, "reactive": 60.0}
LEAST_RATIO = 200.0
NUM_WORLDS = 16
DEVKIT_SCENARIOS = 3  # each run once, after one that warms the devkit up
COPIES = 5  # of these scenarios, which we drive at once, as an evaluation drives its portions


def measure_scenario_ms() -> list[Measurement]:
    """CPU time of one 15 s scenario: log replay behind the LQR tracker, and all metrics."""
    logs, maps = _logs_and_maps(NUM_WORLDS)
    boxes = sum(len(log.boxes.x) for log in logs) / sum(log.num_frames for log in logs)
    note = f"{len(logs)} scenarios at once, {boxes:.0f} boxes a frame, log replay"
    measured = []
    for mode, most_ms in MOST_MS.items():
        median, low, high = measure_rate(_scoring(logs, maps, "log_replay", mode), num_windows=5)
        times = (1e3 / median, 1e3 / high, 1e3 / low)
        key = f"val14_scenario_ms.{mode}"
        measured.append(Measurement(key, times[0], "ms", *times[1:], note=note, ceiling=most_ms))
    return measured


def measure_vs_devkit() -> list[Measurement]:
    """How many times faster than the devkit: same scenarios, same planner, same process."""
    if importlib.util.find_spec("nuplan") is None:
        note = "nuplan-devkit is not installed"
        return [Measurement("val14_vs_devkit", 0.0, "not measured", 0.0, 0.0, note=note)]
    logs, maps = _logs_and_maps(DEVKIT_SCENARIOS + 1)
    measured = []
    for mode in MOST_MS:
        work = _scoring(logs[1:] * COPIES, maps, "idm", mode)
        ours_s = 1.0 / measure_rate(work, num_windows=3)[0]
        ratios = [theirs_s / ours_s for theirs_s in _devkit_seconds(logs, mode)]
        value = statistics.median(ratios)
        worlds = COPIES * len(ratios)
        note = f"IDM planner, {len(ratios)} scenarios; ours {1e3 * ours_s:.0f} ms, {worlds} at once"
        measured.append(
            Measurement(
                f"val14_vs_devkit.{mode}",
                value,
                "times as fast",
                min(ratios),
                max(ratios),
                LEAST_RATIO,
                note,
            )
        )
    return measured


def _logs_and_maps(count: int) -> tuple[list[ScenarioLog], MapBank]:
    cache = speed_scenarios()
    maps = load_nuplan_maps(speed_folder() / "maps", cache.map_names)
    return [cache.read(token) for token in cache.tokens[:count]], maps


def _scoring(
    logs: Sequence[ScenarioLog], maps: MapBank, planner: str, mode: str
) -> Callable[[], int]:
    """Work that simulates and scores all scenarios once."""

    def score() -> int:
        traces = simulate(logs, maps, RULE_DRIVERS[planner](), traffic=TRAFFIC[mode])
        return len(score_scenarios(*traces, logs, maps))

    return score


def _devkit_seconds(logs: Sequence[ScenarioLog], mode: str) -> list[float]:
    """CPU time of the devkit's own simulation and metrics, the first scenario left out."""
    from sim_adapters.nuplan.devkit.challenge import DevkitChallenge, devkit_scenarios

    roots = (speed_folder() / "logs", speed_folder() / "maps")
    scenarios = devkit_scenarios(*roots, [log.token for log in logs])
    challenge = DevkitChallenge(*roots, "idm", mode, scenarios)
    seconds = []
    for scenario in scenarios:
        start = time.process_time()
        challenge.run(scenario)
        seconds.append(time.process_time() - start)
    return seconds[1:]
