"""Against the real leaderboard, where LEADERBOARD_ROOT and SCENARIO_RUNNER_ROOT say where it is.

LEADERBOARD_PYTHON names an interpreter with its packages, if this one has none of them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_module

from evaluation.leaderboard_agent.tick_recording import TickRecording, read_recording
from evaluation.leaderboard_jobs.evaluator_process import (
    PACKAGE_ROOT,
    MissingUpstreamError,
    Upstream,
    find_upstream,
)
from evaluation.leaderboard_jobs.job import make_jobs
from evaluation.leaderboard_jobs.official_options import RECORDING_FILE
from evaluation.leaderboard_jobs.official_results import merged_document, official_results
from evaluation.longest6_official import run_official
from evaluation.scoring.episode_result import InfractionKind
from tests.evaluation.leaderboard.constant_checkpoints import save_constant_policy
from tests.evaluation.leaderboard.official_records import (
    COLLISION,
    OUTSIDE,
    RED_LIGHT,
    write_record,
)

FIRST_PORT = 24_000  # of these tests
PYTHON = os.environ.get("LEADERBOARD_PYTHON", sys.executable)
pytestmark = [pytest.mark.slow]
ROUTE = """<routes><route id="0" town="Town01"><weathers><weather route_percentage="0"/></weathers>
<waypoints><position x="200.0" y="2.0" z="0.0"/><position x="260.0" y="2.0" z="0.0"/></waypoints>
<scenarios/></route></routes>"""


@pytest.fixture(scope="module")
def upstream() -> Upstream:
    try:
        return find_upstream()
    except MissingUpstreamError as error:
        pytest.skip(str(error).splitlines()[0])


def test_the_merged_file_is_that_of_the_leaderboards_own_script(upstream, tmp_path):
    jobs = make_jobs([("0", "Town01"), ("1", "Town02")], range(2), tmp_path / "routes")
    # Penalties 0.6, 0.7 and 0.9 of a route that is half driven
    infractions = {
        InfractionKind.COLLISION_VEHICLE: [COLLISION],
        InfractionKind.RED_LIGHT: [RED_LIGHT],
        InfractionKind.OUTSIDE_ROUTE_LANES: [OUTSIDE],
    }
    records = [write_record(job) for job in jobs[:3]]
    records.append(
        write_record(
            jobs[3],
            status="Failed - Agent got blocked",
            completion=50.0,
            penalty=0.378,
            infractions=infractions,
        )
    )
    ours = merged_document(official_results(jobs), records, {})
    for job, record in zip(jobs, ours["_checkpoint"]["records"], strict=True):
        document = {
            "_checkpoint": {"records": [record], "progress": [1, 1]},
            "sensors": [],
            "entry_status": "Finished",
        }
        job.record_file.write_text(json.dumps(document))
    script = upstream.leaderboard / "scripts" / "merge_statistics.py"
    files = [str(job.record_file) for job in jobs]
    subprocess.run(
        [PYTHON, str(script), "-f", *files, "-e", str(tmp_path / "merged.json")],
        env=upstream.environment(PACKAGE_ROOT),
        check=True,
        capture_output=True,
    )
    theirs = json.loads((tmp_path / "merged.json").read_text())
    for key in ("scores_mean", "scores_std_dev", "infractions", "status"):
        assert ours["_checkpoint"]["global_record"][key] == pytest.approx(
            theirs["_checkpoint"]["global_record"][key]
        )
    assert ours["labels"] == theirs["labels"]
    assert list(map(float, ours["values"])) == pytest.approx(list(map(float, theirs["values"])))
    assert [record["route_id"] for record in ours["_checkpoint"]["records"]] == [
        record["route_id"] for record in theirs["_checkpoint"]["records"]
    ]


def run_route(folder: Path, routes: str, *overrides: str) -> dict[str, Any]:
    """Drive a route file on the headless server; the official results."""
    file, run_folder = folder / "routes.xml", folder / "run"
    file.write_text(routes)
    common = [
        "server.kind=headless",
        f"server.first_port={FIRST_PORT}",
        f"routes={file}",
        f"python={PYTHON}",
        f"output={run_folder}",
        "attempts=2",
        "record=true",
    ]
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("longest6_official", [*common, *overrides])
    report = run_official(config)
    assert "headless DS" in report.read_text()
    assert (run_folder / "server.json").is_file()
    return json.loads((run_folder / "results.json").read_text())


def run_short_route(folder: Path, *overrides: str) -> tuple[dict[str, Any], TickRecording]:
    """Drive 60 m of Town01; the official record and the ticks."""
    (record,) = run_route(folder, ROUTE, *overrides)["_checkpoint"]["records"]
    return record, read_recording(folder / "run" / "routes" / "route_00_seed_0" / RECORDING_FILE)


@pytest.mark.carla
def test_the_rule_based_driver_completes_a_short_route_and_is_scored(upstream, tmp_path):
    record, _ = run_short_route(tmp_path, "driver=idm")
    assert record["scores"]["score_route"] == 100


@pytest.mark.carla
@pytest.mark.parametrize(
    "actions",
    [
        pytest.param([(0.0, 0.4)], id="checkpoint"),
        pytest.param([(0.3, 0.7), (-0.3, 0.1)], id="ensemble"),  # each alone leaves the lane
    ],
)
def test_checkpoints_complete_a_short_route_with_their_mean_action(upstream, tmp_path, actions):
    files = [
        save_constant_policy(tmp_path / f"model_{number}.pt", steer_right, acceleration)
        for number, (steer_right, acceleration) in enumerate(actions)
    ]
    record, ticks = run_short_route(tmp_path, f"checkpoint=[{','.join(map(str, files))}]")
    assert record["scores"]["score_route"] == 100
    assert record["status"] in ("Completed", "Perfect")
    # What the server applied, after two ticks of full brake and one more until it is read back
    throttle, steer = (ticks.arrays[f"ego.{name}"][4:] for name in ("throttle", "steer"))
    assert len(throttle) > 100
    np.testing.assert_allclose(throttle, 0.4, atol=1e-6)
    np.testing.assert_allclose(steer, 0.0, atol=1e-6)


@pytest.mark.carla
def test_a_plain_agent_of_anybodys_drives_a_short_route(upstream, tmp_path):
    agent = Path(__file__).with_name("plain_agent.py")
    document = run_route(tmp_path, ROUTE, f"agent={agent}", "name=plain", "record=false")
    (record,) = document["_checkpoint"]["records"]
    assert record["scores"]["score_route"] == 100
