"""Our simulation and metrics against golden runs of nuPlan's devkit, without the devkit.

Agreement is asked for within 1e-6 (metres, radians, points of score).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.nuplan_metrics import score_scenarios
from evaluation.val14.rollout import TRAFFIC, simulate
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.trajectory import EgoTrace
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.golden_runs import (
    FOLDER,
    MODES,
    PLANNERS,
    SIZE_LIMIT,
    mean_of_boxes,
    read_golden_logs,
    read_golden_run,
    unpack_golden_maps,
)
from tests.nuplan.run_parity import DRIVERS

TOLERANCE = 1e-6

pytestmark = pytest.mark.usefixtures("own_map_cache")


@pytest.fixture(scope="module")
def logs() -> list[ScenarioLog]:
    return read_golden_logs()


@pytest.fixture
def maps(tmp_path: Path) -> MapBank:
    return unpack_golden_maps(tmp_path / "maps")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("planner", PLANNERS)
def test_states_tracks_and_scores_are_the_devkit_s(
    planner: str, mode: str, logs: list[ScenarioLog], maps: MapBank
) -> None:
    ego, tracks = simulate(logs, maps, DRIVERS[planner](), traffic=TRAFFIC[mode])
    scores = score_scenarios(ego, tracks, logs, maps)
    for row, (log, ours) in enumerate(zip(logs, scores, strict=True)):
        golden = read_golden_run(log.token, planner, mode)
        count = int(golden.ego.num_samples[0])
        assert ego.num_samples[row] == count
        for name in EgoTrace._fields[1:]:
            np.testing.assert_allclose(
                getattr(ego, name)[row, :count],
                getattr(golden.ego, name)[0],
                rtol=0.0,
                atol=TOLERANCE,
                err_msg=f"{log.token} {name}",
            )
        np.testing.assert_array_equal(tracks.num_boxes[row, :count], golden.num_boxes)
        np.testing.assert_allclose(
            mean_of_boxes(tracks, row, count), golden.mean_xy, rtol=0.0, atol=TOLERANCE
        )
        assert ours.metrics is not None, ours.failure
        assert ours.metrics._asdict() == pytest.approx(golden.scores, abs=TOLERANCE)
        assert ours.score == pytest.approx(golden.final_score, abs=TOLERANCE)


def test_the_golden_runs_are_worth_comparing_with(logs: list[ScenarioLog]) -> None:
    """They hold good and bad drives of three towns, and little enough for the repository."""
    assert len({log.map_name for log in logs}) == 3
    finals = [
        read_golden_run(log.token, planner, mode).final_score
        for log in logs
        for planner in PLANNERS
        for mode in MODES
    ]
    assert min(finals) == 0.0
    assert max(finals) > 0.95
    assert len({round(score, 6) for score in finals}) >= 6
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= SIZE_LIMIT
