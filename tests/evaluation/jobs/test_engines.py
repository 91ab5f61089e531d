"""Commands on engines: a result is made once, whoever is lost meanwhile."""

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evaluation.jobs.command_job import STOPPED, CommandJob, JobEngine, LocalEngine, run_command
from evaluation.jobs.slurm_engine import SlurmEngine
from tests.evaluation.jobs.counted_jobs import ROOT, has_ended, lines, make_jobs, run_all, wait_for


def slurm_engine(folder: Path) -> SlurmEngine:
    return SlurmEngine(
        folder=str(folder / "slurm"),
        partition=None,
        num_cpus=1,
        memory_gb=1.0,
        timeout_min=5,
        cluster="local",
    )


@pytest.fixture(params=["local", "slurm"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> JobEngine:
    return LocalEngine() if request.param == "local" else slurm_engine(tmp_path)


@pytest.fixture(autouse=True)
def project_for_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = os.environ.get("PYTHONPATH", "")
    path = os.pathsep.join(filter(None, [str(ROOT), inherited]))
    monkeypatch.setenv("PYTHONPATH", path)


def test_every_result_is_made_once_and_a_second_run_makes_none(engine, tmp_path):
    jobs = make_jobs(tmp_path, 3, 0.1)
    for _ in range(2):
        assert run_all(engine, jobs, threading.Event()) == ["", "", ""]
    assert [(job.folder / "result").read_text() for job in jobs] == ["0", "1", "4"]
    assert [len(lines(job, "starts")) for job in jobs] == [1, 1, 1]


def test_a_command_that_fails_is_named_with_its_exit_code_and_log(engine, tmp_path):
    job = CommandJob("bad", ("python", "-c", "print('why'); exit(3)"), tmp_path, "result")
    problem = engine.run(job, threading.Event())
    assert problem.startswith("exit code 3 on ")
    assert str(job.log_file) in problem
    assert job.log_file.read_text() == "why\n"


def test_a_stopped_job_ends_its_command_and_has_no_result(engine, tmp_path):
    (job,) = make_jobs(tmp_path, 1, 60.0)
    stop = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(engine.run, job, stop)
        wait_for(lambda: bool(lines(job, "starts")))
        stop.set()
        assert future.result(timeout=120.0) == STOPPED
    pid = int(lines(job, "starts")[0])
    wait_for(lambda: has_ended(pid))
    assert not job.is_done


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path):
    job = CommandJob("far", ("python", "-c", "pass"), tmp_path / "elsewhere", "result")
    assert f"does not see {job.folder}" in run_command(job)


def test_slurm_without_slurm_names_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="jobs=slurm: "):
        SlurmEngine(
            folder=str(tmp_path),
            partition=None,
            num_cpus=1,
            memory_gb=1.0,
            timeout_min=5,
            cluster="slurm",
        )


def test_without_ray_the_message_names_the_extra(monkeypatch):
    from evaluation.jobs.ray_engine import RayEngine

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install -e '\.\[ray\]'"):
        RayEngine(address="auto", num_cpus=1.0, memory_gb=0.0, resources={}, max_retries=3)
