"""DevkitChallenge: nuPlan's own closed-loop simulation and metrics, in this process.

Built from the devkit's hydra configuration as its run_simulation.py builds them; what we compare
our numbers and our speed with. Needs nuplan-devkit.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import shutil
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from nuplan.planning import script
from nuplan.planning.script.builders.metric_builder import build_metrics_engines
from nuplan.planning.script.builders.observation_builder import build_observations
from nuplan.planning.script.builders.planner_builder import build_planners
from nuplan.planning.simulation.runner.simulations_runner import SimulationRunner
from nuplan.planning.simulation.simulation import Simulation
from nuplan.planning.simulation.simulation_setup import SimulationSetup
from nuplan.planning.utils.multithreading.worker_sequential import Sequential

PLANNERS = ("idm", "simple", "log_future")
MODES = ("nonreactive", "reactive")


class DevkitRun(NamedTuple):
    """One scenario simulated and scored by the devkit; types are the devkit's."""

    samples: Sequence[Any]  # SimulationHistorySample
    metrics: dict[str, list[Any]]  # MetricStatistics by metric
    final_score: float
    simulation_s: float  # wall time
    metrics_s: float


class DevkitChallenge:
    """One planner in one mode; what the devkit writes meanwhile goes when this object does.

    Args:
        data_root: Folder of .db logs.
        map_root: Folder of the maps.
        planner: One of PLANNERS.
        mode: One of MODES.
        scenarios: Of `devkit_scenarios`, to be run.
    """

    def __init__(
        self, data_root: Path, map_root: Path, planner: str, mode: str, scenarios: Sequence[Any]
    ) -> None:
        scratch = tempfile.mkdtemp(prefix="devkit_challenge_")
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        output = Path(scratch) / f"closed_loop_{mode}_agents"  # by its name the aggregator goes
        self._config = devkit_config(data_root, map_root, planner, mode, output)
        self._engines = build_metrics_engines(self._config, list(scenarios))

    def run(self, scenario: Any) -> DevkitRun:
        """Simulate and score one scenario."""
        config = self._config
        (planner,) = build_planners(config.planner, scenario)
        setup = SimulationSetup(
            time_controller=instantiate(config.simulation_time_controller, scenario=scenario),
            observations=build_observations(config.observation, scenario=scenario),
            ego_controller=instantiate(config.ego_controller, scenario=scenario),
            scenario=scenario,
        )
        past_s = config.simulation_history_buffer_duration
        runner = SimulationRunner(
            Simulation(setup, simulation_history_buffer_duration=past_s), planner
        )
        before = time.perf_counter()
        runner.run()
        between = time.perf_counter()
        history = runner.simulation.history
        metrics = self._engines[scenario.scenario_type].compute_metric_results(history, scenario)
        after = time.perf_counter()
        score = self._final_score(scenario, metrics)
        return DevkitRun(history.data, metrics, score, between - before, after - between)

    def _final_score(self, scenario: Any, metrics: dict[str, list[Any]]) -> float:
        """The scenario's score as the devkit's own aggregator forms it."""
        (node,) = self._config.metric_aggregator.values()
        folder = Path(self._config.output_dir) / "aggregator"
        aggregator = instantiate(node, aggregator_save_path=folder)
        columns = {one.name: one.metric_score for several in metrics.values() for one in several}
        table: dict[str, dict[str, Any]] = {scenario.token: dict(sorted(columns.items()))}
        aggregator._compute_scenario_score(table)
        return float(table[scenario.token]["score"])


def devkit_scenarios(
    data_root: Path, map_root: Path, tokens: Sequence[str] | None = None
) -> list[Any]:
    """The devkit's scenario objects, in the order of their tokens.

    Args:
        data_root: Folder of .db logs.
        map_root: Folder of the maps.
        tokens: Which; None takes all that are tagged.
    """
    config = devkit_config(data_root, map_root, "simple", "nonreactive")
    builder = instantiate(config.scenario_builder)
    wanted = instantiate(config.scenario_filter, scenario_tokens=list(tokens) if tokens else None)
    scenarios = builder.get_scenarios(wanted, Sequential())
    if not tokens:
        scenarios = [one for one in scenarios if one.scenario_type != "unknown"]
    return sorted(scenarios, key=lambda one: one.token)


def devkit_config(
    data_root: Path, map_root: Path, planner: str, mode: str, output: Path | None = None
) -> Any:
    """The devkit's own configuration of a challenge, as run_simulation.py composes it.

    All that it would look up in the environment is set here.

    Args:
        data_root: Folder of .db logs.
        map_root: Folder of the maps.
        planner: One of PLANNERS.
        mode: One of MODES.
        output: Folder for what the devkit writes; None if only parts that write nothing are built.
    """
    folder = Path(script.__path__[0]) / "config" / "simulation"
    places = [f"group={output.parent}", f"output_dir={output}"] if output else []
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder), version_base="1.1"):
        return compose(
            "default_simulation",
            [
                f"+simulation=closed_loop_{mode}_agents",
                f"planner={planner}_planner",
                f"scenario_builder.data_root={data_root}",
                f"scenario_builder.sensor_root={data_root}",
                f"scenario_builder.map_root={map_root}",
                "scenario_filter=all_scenarios",
                "worker=sequential",
                "main_callback=[]",
                *places,
            ],
        )
