"""The devkit's own run_simulation.py, started as the docs say, scores our planner as Val14 does.

Needs the devkit (`make test-nuplan`).
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from evaluation.drivers.checkpoint_planner import load_ensemble
from evaluation.nuplan_metrics import score_scenarios
from evaluation.nuplan_metrics.scenario_scores import METRICS
from evaluation.val14.policy_driver import PolicyDriver
from sim_adapters.nuplan.closed_loop import simulate
from tests.nuplan.policy_files import policy_config, released_checkpoint
from tests.nuplan.tiny_log import TinyLog
from tests.nuplan.tiny_road import Road, make_road

pytest.importorskip("nuplan", reason="nuplan-devkit is missing: make test-nuplan runs these")

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).parents[2]
SEARCH_PATH = (
    "hydra.searchpath=[pkg://configs.devkit,pkg://nuplan.planning.script.config.common,"
    "pkg://nuplan.planning.script.experiments]"
)
CALLBACKS = "main_callback=[time_callback,metric_file_callback,metric_aggregator_callback]"


def run_official(road: Road, checkpoint: Path, output: Path) -> str:
    """docs/nuplan.md's command line; what it wrote."""
    import nuplan

    script = Path(nuplan.__path__[0]) / "planning" / "script" / "run_simulation.py"
    environment = os.environ | {
        "NUPLAN_DATA_ROOT": str(road.root / "logs"),
        "NUPLAN_MAPS_ROOT": str(road.root / "maps"),
        "NUPLAN_EXP_ROOT": str(output),
        "PYTHONPATH": os.pathsep.join([str(script.parents[3]), str(ROOT)]),
    }
    assert road.scenario.log is not None
    done = subprocess.run(
        [
            *(sys.executable, str(script), "+simulation=closed_loop_nonreactive_agents"),
            *("planner=carl_planner", f"planner.carl_planner.checkpoint={checkpoint}"),
            *("planner.carl_planner.horizon_s=0.1", "ego_controller=one_stage_controller"),
            *(
                SEARCH_PATH,
                "scenario_builder=nuplan",
                f"scenario_builder.data_root={road.root}/logs",
            ),
            *("scenario_filter=all_scenarios", "worker=sequential", CALLBACKS),
            f"scenario_filter.scenario_tokens=[{road.scenario.log.token}]",
            f"output_dir={output}",
        ],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-4000:]
    return text


def test_run_simulation_gives_the_policy_the_score_of_val14(tmp_path: Path):
    import pandas as pd

    road = make_road(tmp_path, TinyLog(tags={210: ("changing_lane",)}, jitter_us=2_000))
    checkpoint = released_checkpoint(tmp_path / "model_best.pth")
    output = tmp_path / "exp" / "closed_loop_nonreactive_agents" / "carl"
    text = run_official(road, checkpoint, output)
    tables = list(output.glob("aggregator_metric/*.parquet"))
    assert len(tables) == 1, text[-4000:]
    table = pd.read_parquet(tables[0]).set_index("scenario")
    log = road.scenario.log
    assert log is not None

    driver = PolicyDriver(load_ensemble(str(checkpoint)), policy_config())
    (ours,) = score_scenarios(*simulate([log], road.maps, driver), [log], road.maps)
    assert ours.metrics is not None, ours.failure
    theirs = table.loc[log.token]
    scores = [float(theirs[name]) for name in METRICS]
    np.testing.assert_allclose(ours.metrics, scores, rtol=0.0, atol=1e-6)
    assert ours.score == pytest.approx(float(theirs["score"]), abs=1e-6)
