"""The devkit's own run_simulation.py, started by docs/nuplan.md's lines, scores as our Val14 does.

Needs the devkit (`make test-nuplan`).
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from evaluation.drivers.policy_driver import policy_driver
from evaluation.nuplan_metrics import score_scenarios
from evaluation.nuplan_metrics.scoring import METRICS
from evaluation.val14.rollout import simulate
from tests.nuplan.policy_files import policy_config, released_checkpoint
from tests.nuplan.tiny_log import TinyLog, write_log
from tests.nuplan.tiny_road import Road, make_road

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]

ROOT = Path(__file__).parents[2]
SCRIPT = "run_simulation.py"
VAL_LOG = "2021.06.07.11.59.52_veh-35_00008_00083"  # the first of the devkit's validation split
# Keys and references of tuplan_garage's file, with one token in place of 1,118
VAL14_FILTER = """\
_target_: nuplan.planning.scenario_builder.scenario_filter.ScenarioFilter
_convert_: 'all'
scenario_types: [changing_lane]
scenario_tokens: ['{token}']
log_names: ${{splitter.log_splits.val}}
map_names: null
num_scenarios_per_type: 100
limit_total_scenarios: null
timestamp_threshold_s: 15
ego_displacement_minimum_m: null
ego_start_speed_threshold: null
ego_stop_speed_threshold: null
speed_noise_tolerance: null
expand_scenarios: false
remove_invalid_goals: true
shuffle: false
"""
LOG = TinyLog(tags={210: ("changing_lane",)}, jitter_us=2_000)


def documented_command() -> str:
    """The block of docs/nuplan.md that starts the devkit's script."""
    page = (ROOT / "docs" / "nuplan.md").read_text()
    blocks = re.findall(r"(?:^ {4}.+\n)+", page, re.MULTILINE)
    (command,) = (block for block in blocks if SCRIPT in block)
    return textwrap.dedent(command)


def with_folders(command: str, folders: Mapping[str, Path]) -> str:
    """A documented command with folders in place of its words in capitals."""
    for word, folder in folders.items():
        command, count = re.subn(rf"(?<![\w$]){re.escape(word)}\b", str(folder), command)
        assert count > 0, f"the command names no {word}"
    return command


def run_official(road: Road, checkpoint: Path) -> str:
    """docs/nuplan.md's command line on the log of a road; what it wrote."""
    import nuplan

    logs, filters = road.root / "unpacked", road.root / "filters"
    write_log(logs / "val" / f"{VAL_LOG}.db", LOG)
    (filters / "scenario_filter").mkdir(parents=True)
    assert road.scenario.log is not None
    text = VAL14_FILTER.format(token=road.scenario.log.token)
    (filters / "scenario_filter" / "val14_split.yaml").write_text(text)
    folders = {
        "$PWD/nuplan-devkit": Path(nuplan.__path__[0]).parent,
        "LOGS": logs,
        "MAPS": road.root / "maps",
        "FILTERS": filters,
        "FILE": checkpoint,
        "EXP": road.root / "exp",
    }
    done = subprocess.run(
        ["bash", "-ec", with_folders(documented_command(), folders)],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    text = done.stdout + done.stderr
    assert done.returncode == 0, text[-4000:]
    return text


def test_run_simulation_gives_the_policy_the_score_of_val14(tmp_path: Path):
    import pandas as pd

    road = make_road(tmp_path, LOG)
    checkpoint = released_checkpoint(tmp_path / "model_best.pth")
    text = run_official(road, checkpoint)
    output = tmp_path / "exp" / "closed_loop_nonreactive_agents" / "carl"
    tables = list(output.glob("aggregator_metric/*.parquet"))
    assert len(tables) == 1, text[-4000:]
    table = pd.read_parquet(tables[0]).set_index("scenario")
    log = road.scenario.log
    assert log is not None

    driver = policy_driver(str(checkpoint), one_at_a_time=True)
    traces = simulate([log], road.maps, driver, policy_config())
    (ours,) = score_scenarios(*traces, [log], road.maps)
    assert ours.metrics is not None, ours.failure
    theirs = table.loc[log.token]
    scores = [float(theirs[name]) for name in METRICS]
    np.testing.assert_allclose(ours.metrics, scores, rtol=0.0, atol=1e-6)
    assert ours.score == pytest.approx(float(theirs["score"]), abs=1e-6)
