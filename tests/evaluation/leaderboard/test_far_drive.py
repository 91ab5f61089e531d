"""A drive that an engine makes: the order, the server, the evaluator and what comes back."""

import json
import threading
from pathlib import Path

import pytest

from evaluation.jobs.command_job import CommandJob, LocalEngine
from evaluation.leaderboard_jobs.evaluator_process import (
    EvaluatorSettings,
    OfficialServers,
    Upstream,
)
from evaluation.leaderboard_jobs.far_drive import FarDrive
from evaluation.leaderboard_jobs.job import JobEnd, JobQueue, RouteJob, read_record
from sim_adapters.carla.servers import ServerSettings
from tests.evaluation.leaderboard.test_upstream import install

PORT = 26_700
# Takes the place of the leaderboard's script: fails at first, then drives
EVALUATOR = """
import json, pathlib, sys
options = dict(word.lstrip("-").split("=", 1) for word in sys.argv[1:])
if not pathlib.Path("failed").exists():
    pathlib.Path("failed").touch()
    raise ValueError("no road")
record = {"route_id": f"RouteScenario_{options['routes-subset']}_rep0", "status": "Completed"}
document = {"_checkpoint": {"records": [record]}, "seed": options["traffic-manager-seed"]}
pathlib.Path(options["checkpoint"]).write_text(json.dumps(document))
"""


@pytest.fixture
def far_drive(tmp_path: Path) -> FarDrive:
    leaderboard, runner, carla = install(tmp_path)
    (leaderboard / "leaderboard" / "leaderboard_evaluator.py").write_text(EVALUATOR)
    settings = EvaluatorSettings(
        Upstream(leaderboard, runner, carla / "PythonAPI" / "carla"),
        tmp_path / "routes.xml",
        tmp_path / "agent.yaml",
    )
    servers = ServerSettings(kind="headless", first_port=PORT)
    return FarDrive(LocalEngine(), settings, OfficialServers(servers, 1, tmp_path))


def test_a_far_drive_reports_a_crash_with_its_reason_and_then_a_record(far_drive, tmp_path):
    job = RouteJob("7", "Town01", 3, tmp_path / "route_07_seed_3")
    outcome = JobQueue([job], far_drive, num_drives=1, max_attempts=2).run()
    assert [attempt.end for attempt in outcome.attempts] == [JobEnd.CRASHED, JobEnd.DONE]
    assert "ValueError: no road" in outcome.attempts[0].reason
    assert read_record(job) is not None
    assert json.loads(job.record_file.read_text())["seed"] == "3"
    assert json.loads((tmp_path / "server.json").read_text())["kind"] == "headless"


class BrokenEngine:
    """Loses every job."""

    def run(self, job: CommandJob, stop: threading.Event) -> str:
        return "the machine is gone"

    def close(self) -> None:
        pass


def test_a_lost_machine_counts_as_a_crash(far_drive, tmp_path):
    far_drive._engine = BrokenEngine()
    job = RouteJob("7", "Town01", 3, tmp_path / "route_07_seed_3")
    assert far_drive(0, job, threading.Event()) == (JobEnd.CRASHED, "the machine is gone")
