"""Two ray machines on loopback, one of which is killed in the middle."""

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from evaluation.jobs.command_job import STOPPED, CommandJob
from evaluation.jobs.ray_engine import RayEngine
from tests.evaluation.jobs.counted_jobs import ROOT, lines, make_jobs, run_all, wait_for

LOOPBACK = "127.0.0.1"
pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="ray is not installed: the extra `ray`"),
    pytest.mark.filterwarnings("ignore"),  # of files and processes that ray closes late
    pytest.mark.timeout(600),
]


@pytest.fixture(autouse=True)
def on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # before ray is imported
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")  # where cores are shared
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without a place for jobs; a test adds the machines."""
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "node_ip_address": LOOPBACK, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    yield cluster
    cluster.shutdown()


def add_machine(cluster: Any) -> Any:
    return cluster.add_node(num_cpus=1, resources={"carla_server": 2}, node_ip_address=LOOPBACK)


def make_engine(address: str, **resources: float) -> RayEngine:
    return RayEngine(
        address=address, num_cpus=0.5, memory_gb=0.01, resources=resources, max_retries=3
    )


def processes_of(node: Any) -> list[int]:
    """A machine's raylet and all that descends from it: workers, guards, commands."""
    from ray._private.ray_constants import PROCESS_TYPE_RAYLET

    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found = [info.process.pid for info in node.all_processes[PROCESS_TYPE_RAYLET]]
    for pid in found:  # grows
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def running_among(processes: list[int], jobs: list[CommandJob]) -> list[CommandJob]:
    return [
        job
        for job in jobs
        if not lines(job, "ends") and {int(pid) for pid in lines(job, "starts")} & {*processes}
    ]


def test_a_machine_killed_in_the_middle_loses_nothing_and_nothing_is_made_twice(cluster, tmp_path):
    first, _ = add_machine(cluster), add_machine(cluster)
    cluster.wait_for_nodes()
    jobs = make_jobs(tmp_path, 8, 3.0)
    engine = make_engine(cluster.address, carla_server=1)
    try:
        with ThreadPoolExecutor(1) as thread:
            problems = thread.submit(run_all, engine, jobs, threading.Event())
            wait_for(lambda: any(job.is_done for job in jobs))
            wait_for(lambda: bool(running_among(processes_of(first), jobs)))
            processes = processes_of(first)
            lost = running_among(processes, jobs)
            for pid in processes:  # as a power cut would: no word to the other machine
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert problems.result(timeout=300.0) == [""] * len(jobs)
    finally:
        engine.close()
    assert [(job.folder / "result").read_text() for job in jobs] == [str(k * k) for k in range(8)]
    assert [len(lines(job, "ends")) for job in jobs] == [1] * len(jobs)
    assert lost
    assert all(len(lines(job, "starts")) == (2 if job in lost else 1) for job in jobs)


def test_a_stopped_ray_job_ends_its_command(cluster, tmp_path):
    add_machine(cluster)
    cluster.wait_for_nodes()
    (job,) = make_jobs(tmp_path, 1, 60.0)
    stop = threading.Event()
    engine = make_engine(cluster.address, carla_server=1)
    try:
        with ThreadPoolExecutor(1) as thread:
            problem = thread.submit(engine.run, job, stop)
            wait_for(lambda: bool(lines(job, "starts")))
            stop.set()
            assert problem.result(timeout=30.0) == STOPPED
        pid = int(lines(job, "starts")[0])
        wait_for(lambda: not Path(f"/proc/{pid}").exists())
    finally:
        engine.close()
    assert not job.is_done


def test_no_cluster_is_named_with_its_remedy():
    with pytest.raises(ValueError, match="ray start --head"):
        make_engine("auto")


def listening_addresses() -> set[str]:
    """Addresses and ports on which this machine listens, as the kernel writes them."""
    found = set()
    for name in ("tcp", "tcp6"):
        for row in Path("/proc/net", name).read_text().splitlines()[1:]:
            _, local, _, state, *_ = row.split()
            if state == "0A":
                found.add(local)
    return found


def test_a_ray_of_the_runs_own_listens_on_loopback_only(tmp_path):
    before = listening_addresses()
    engine = make_engine("local")
    try:
        (job,) = make_jobs(tmp_path, 1, 0.0)
        assert engine.run(job, threading.Event()) == ""
        opened = {address.partition(":")[0] for address in listening_addresses() - before}
    finally:
        engine.close()
    loopback = "0100007F"
    assert opened
    assert opened <= {loopback, f"0000000000000000FFFF0000{loopback}"}
