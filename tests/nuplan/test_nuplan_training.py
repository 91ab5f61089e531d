"""`experiment=carl_nuplan_demo` trains from a scenario cache, on kernels and in nuPlan's devkit."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from carl_planner.metrics import read_metrics
from carl_planner.policy_files import load_policy
from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from tests.nuplan.tiny_log import TinyLog, write_log
from tests.nuplan.tiny_map import VERSIONS, write_map

pytestmark = pytest.mark.usefixtures("own_map_cache")

ROOT = Path(__file__).parents[2]
NUM_WORLDS, NUM_STEPS, NUM_UPDATES = 2, 16, 2
SAMPLES = NUM_WORLDS * NUM_STEPS
SMALL = (
    f"ppo.num_envs={NUM_WORLDS}",
    f"ppo.num_steps={NUM_STEPS}",
    "ppo.minibatch_size=16",
    f"ppo.total_samples={NUM_UPDATES * SAMPLES}",
    "num_threads=1",
    "device=cpu",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Folder of maps, a log of two scenarios and their cache, as the docs' commands leave it."""
    tags = {210: ("changing_lane",), 250: ("changing_lane",)}
    write_map(tmp_path / "maps", locations=VERSIONS)
    write_log(tmp_path / "logs" / "tiny.db", TinyLog(tags=tags, jitter_us=2_000))
    wanted = ScenarioFilter(scenario_types=("changing_lane",))
    folders = (tmp_path / "maps", wanted, tmp_path / "cache")
    assert build_cache(CacheJob((tmp_path / "logs",), *folders)).num_cached == 2
    return tmp_path


def train(data: Path, name: str, *overrides: str) -> Path:
    """The command of the docs with fewer samples; the run's folder."""
    folder = data / name
    done = subprocess.run(
        [
            *(sys.executable, "-m", "carl_planner.train", "experiment=carl_nuplan_demo"),
            *(f"simulator.map_root={data}/maps", f"scenarios.cache={data}/cache"),
            *(*SMALL, f"hydra.run.dir={folder}", *overrides),
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_demo_learns_from_a_scenario_cache(data: Path) -> None:
    run = train(data, "run")
    first, second = read_metrics(run)
    assert [first["samples"], second["samples"]] == [SAMPLES, NUM_UPDATES * SAMPLES]
    for line in (first, second):
        assert all(math.isfinite(value) for value in line.values())
        assert line["losses/grad_norm"] > 0.0
        assert line["reward/progress"] > 0.0
    assert second["losses/learning_rate"] < first["losses/learning_rate"]
    policy = load_policy(run / "model_final.pt")
    assert policy.config is not None
    assert policy.config.scenarios.cache == f"{data}/cache"
    assert policy.choices["observation"] == "nuplan_bev_64"


@pytest.mark.nuplan
def test_the_devkit_s_own_worlds_teach_the_same(data: Path) -> None:
    """One seed, the same scenarios: what the policy sees and is paid agrees, so do the losses."""
    kernels = read_metrics(train(data, "kernels"))
    own = ("simulator=nuplan_devkit", f"simulator.data_root={data}/logs")
    devkit = read_metrics(train(data, "devkit", *own))
    for ours, theirs in zip(kernels, devkit, strict=True):
        for tag, value in ours.items():
            if not tag.startswith("time/"):
                assert theirs[tag] == pytest.approx(value, rel=1e-3, abs=1e-4), tag
