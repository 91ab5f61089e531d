"""Against the real leaderboard, where LEADERBOARD_ROOT and SCENARIO_RUNNER_ROOT say where it is.

LEADERBOARD_PYTHON names an interpreter with its packages, if this one has none of them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module

from evaluation.leaderboard_jobs.evaluator_process import PACKAGE_ROOT
from evaluation.leaderboard_jobs.job import make_jobs
from evaluation.leaderboard_jobs.official_results import merged_document, official_results
from evaluation.leaderboard_jobs.upstream import MissingUpstreamError, Upstream, find_upstream
from evaluation.longest6_official import run_official
from evaluation.scoring.infractions import InfractionKind
from tests.evaluation.leaderboard.official_records import (
    COLLISION,
    OUTSIDE,
    RED_LIGHT,
    write_record,
)

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


@pytest.mark.carla
def test_a_short_route_is_driven_on_the_headless_server_and_scored(upstream, tmp_path):
    routes = tmp_path / "routes.xml"
    routes.write_text(ROUTE)
    overrides = [
        "planner=idm",
        "server.kind=headless",
        f"routes={routes}",
        f"python={PYTHON}",
        f"output={tmp_path / 'run'}",
        "attempts=2",
    ]
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("longest6_official", overrides)
    report = run_official(config)
    assert "headless DS" in report.read_text()
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    (record,) = results["_checkpoint"]["records"]
    assert record["scores"]["score_route"] == 100
    assert Path(tmp_path / "run" / "server.json").is_file()
