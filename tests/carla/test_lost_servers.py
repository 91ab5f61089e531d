"""Training goes on while servers are killed and stopped under it, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from carl_planner.distributed import ProcessGroup
from carl_planner.learner import Learner
from carl_planner.metrics import read_metrics
from carl_planner.training_run import FINAL, LATEST, RunProgress, TrainingRun
from sim_adapters.carla.servers import is_free
from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.gymnasium_envs import compose_training_config
from sim_adapters.process_pool import ProcessPool

FIRST_PORT = 27_000
NUM_WORLDS, NUM_SPARES = 2, 1
NUM_STEPS, NUM_UPDATES = 96, 5
SIGNALS = (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL)  # dies, hangs, dies


def _parents() -> dict[int, int]:
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            parents[int(folder.name)] = int(parent)
    return parents


def _descendants(ancestor: int) -> list[int]:
    parents, found = _parents(), [ancestor]
    for pid in found:
        found.extend(child for child, parent in parents.items() if parent == pid)
    return found[1:]


def _server_port(pid: int) -> int | None:
    """Port of a server of this test's runs; other tests may have one of their own."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return None
    ports = [int(word.removeprefix("port=")) for word in words if word.startswith("port=")]
    is_server = "sim_adapters.carla.headless" in words and not any("guard" in w for w in words)
    return ports[0] if is_server and ports and ports[0] >= FIRST_PORT else None


def _is_server(pid: int) -> bool:
    return _server_port(pid) is not None


class Killer(threading.Thread):
    """Hits the servers of driving worlds, one after the other, in the middle of the training."""

    def __init__(self, pool: ProcessPool) -> None:
        super().__init__(daemon=True)
        self.pool, self.num_hits = pool, 0
        self._random = random.Random(5)

    def run(self) -> None:
        for number in SIGNALS:
            lost_before = int(self.pool.num_lost.sum())
            os.kill(self._random.choice(self._driving_servers()), number)
            self.num_hits += 1
            while int(self.pool.num_lost.sum()) == lost_before:
                time.sleep(0.02)
            time.sleep(0.2)

    def _driving_servers(self) -> list[int]:
        while True:
            driving = [w.process for w in self.pool._workers if w.row >= 0 and w.process]
            if len(driving) == NUM_WORLDS and not self.pool._beginning:
                pids = [process.pid for process in driving if process.pid]
                return [pid for parent in pids for pid in _descendants(parent) if _is_server(pid)]
            time.sleep(0.02)


@pytest.fixture(scope="module")
def learner() -> Iterator[Learner]:
    """A learner on live worlds; its episodes outlast the test unless their server is lost."""
    config = compose_training_config(
        [
            "experiment=carla_small",
            "device=cpu",
            "simulator.towns=[Town01]",
            f"simulator.server.first_port={FIRST_PORT}",
            "simulator.server.call_timeout_s=3.0",
            "simulator.traffic.num_vehicles=3",
            f"simulator.pool.num_spares={NUM_SPARES}",
            "simulator.pool.starts_at_once=2",
            f"ppo.num_envs={NUM_WORLDS}",
            f"ppo.num_steps={NUM_STEPS}",
            "ppo.minibatch_size=64",
            f"ppo.total_samples={NUM_UPDATES * NUM_STEPS * NUM_WORLDS}",
        ]
    )
    learner = Learner(config, {}, ProcessGroup())
    learner.start()
    yield learner
    learner.env.close()


def _env(learner: Learner) -> DrivingVectorEnv:
    assert isinstance(learner.env, DrivingVectorEnv)
    return learner.env


def _pool(learner: Learner) -> ProcessPool:
    pool = _env(learner).simulator
    assert isinstance(pool, ProcessPool)
    return pool


def test_the_run_is_complete_and_every_lost_episode_is_counted(
    learner: Learner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    env, counted = _env(learner), np.zeros(NUM_WORLDS)
    step = env.step

    def count_failures(actions: np.ndarray) -> tuple:
        result = step(actions)
        if "finished_episode" in result[4]:
            ended = result[4]["_finished_episode"]
            failed = result[4]["finished_episode"]["simulator_failed"] * ended
            assert not result[2][failed > 0.0].any()  # truncated, not terminated
            assert result[3][failed > 0.0].all()
            counted[:] += failed
        return result

    env.step = count_failures  # pyright: ignore[reportAttributeAccessIssue]
    killer = Killer(_pool(learner))
    killer.start()
    with caplog.at_level(logging.WARNING):
        complete = TrainingRun(learner, tmp_path, RunProgress()).run()
    killer.join(30.0)
    assert complete
    assert (tmp_path / FINAL).exists()
    assert killer.num_hits == len(SIGNALS)
    assert counted.tolist() == _pool(learner).num_lost.tolist()
    assert counted.sum() == len(SIGNALS)
    assert caplog.text.count("lost its world") == len(SIGNALS)
    shares = [line.get("episode/simulator_failed", 0.0) for line in read_metrics(tmp_path)]
    assert max(shares) > 0.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_run(learner: Learner, tmp_path: Path, number: signal.Signals) -> None:
    timer = threading.Timer(0.5, os.kill, (os.getpid(), number))
    timer.start()
    assert not TrainingRun(learner, tmp_path, RunProgress()).run()
    assert (tmp_path / LATEST).exists()


def test_nothing_is_left_of_a_run(learner: Learner) -> None:
    pool = _pool(learner)
    ports = [port for pid in _descendants(os.getpid()) if (port := _server_port(pid))]
    assert len(ports) >= NUM_WORLDS
    own = [pid for worker in pool._workers if worker.process for pid in [worker.process.pid]]
    everybody = {pid for parent in own if parent for pid in [parent, *_descendants(parent)]}
    learner.env.close()
    deadline = time.monotonic() + 10.0
    while everybody & _parents().keys() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not everybody & _parents().keys()
    assert not any(_is_server(pid) for pid in _descendants(os.getpid()))
    assert all(is_free(port) and is_free(port + 1) for port in ports)
    assert not list(Path("/dev/shm").glob(f"pym-{os.getpid()}-*"))
