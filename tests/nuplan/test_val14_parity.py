"""The devkit simulates and scores scenarios in this very run; ours must come to the same, 1e-6.

Rule planners, the LQR tracker, replayed and reactive traffic and all metrics: what
test_val14_golden.py compares with stored runs, on a set exported here. Needs the devkit
(`make test-nuplan`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sim_adapters.kernel_cache import CACHE_ROOT_VARIABLE
from sim_adapters.nuplan.export.data_set import make_data_set, tagged_frames
from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from tests.nuplan.exported_set import TOWN, export_settings
from tests.nuplan.golden_runs import MODES, PLANNERS
from tests.nuplan.run_parity import Comparison, compare_runs

pytestmark = [
    pytest.mark.nuplan,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(1800),  # three minutes, of which the devkit takes two, on a core of its own
]

DRIVE_S = 60.0  # the devkit's log replay needs logged states beyond the scenario's end
NUM_SCENARIOS = 2


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, map_cache: Path) -> list[Comparison]:
    """Every planner in both modes on the first scenarios of an exported log."""
    from tests.nuplan import devkit_oracle

    root = tmp_path_factory.mktemp("parity")
    logs, maps, runs, cache = (root / name for name in ("logs", "maps", "runs", "cache"))
    (made,) = make_data_set(root, [TOWN], 1, export_settings(drive_s=DRIVE_S))
    tokens = [frame.token for frame in tagged_frames(made.path)[:NUM_SCENARIOS]]
    wanted = ScenarioFilter(scenario_tokens=tuple(tokens))
    folders = ("--data-root", str(logs), "--map-root", str(maps), "--out", str(runs))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_ROOT_VARIABLE, str(map_cache))
        build_cache(CacheJob((logs,), maps, wanted, cache))
        failed = devkit_oracle.main([*folders, "--tokens", *tokens])
        assert failed == 0
        return compare_runs(runs, cache, maps)


def test_states_agents_and_metrics_are_those_of_the_running_devkit(
    compared: list[Comparison],
) -> None:
    found = {(one.run.token, one.planner, one.mode) for one in compared}
    assert len(found) == NUM_SCENARIOS * len(PLANNERS) * len(MODES)
    for one in compared:
        assert not one.beyond, f"{one.run.token} {one.planner} {one.mode}"


def test_the_runs_compared_are_worth_it(compared: list[Comparison]) -> None:
    """Good and bad drives, for several reasons, and agents that react."""
    runs = {(one.run.token, one.planner, one.mode): one.run for one in compared}
    finals = {round(run.final_score, 6) for run in runs.values()}
    assert min(finals) == 0.0
    assert max(finals) > 0.9
    assert len(finals) >= 4
    for name in ("no_ego_at_fault_collisions", "ego_progress_along_expert_route"):
        assert len({run.scores[name] for run in runs.values()}) > 1, name
    for (token, planner, mode), run in runs.items():
        if mode == "reactive":
            replayed = runs[token, planner, "nonreactive"].tracks
            assert run.tracks.num_boxes.max() > 10
            assert not np.array_equal(run.tracks.x, replayed.x)
