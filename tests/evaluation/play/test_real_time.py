"""Real time: a step of 50 ms may take 50 ms of one core, whatever else the machine does."""

import statistics
import time

import pytest

from evaluation.play.__main__ import make_session
from evaluation.play.session import DrivingSession, Wheel
from evaluation.speed.servers import stepping
from sim_adapters.gymnasium_envs import compose_config


@pytest.fixture(scope="module")
def busy_session(tmp_path_factory: pytest.TempPathFactory) -> DrivingSession:
    """What `python -m evaluation.play` starts with: the shipped policy among its traffic."""
    return make_session(compose_config("play", []), tmp_path_factory.mktemp("drives"))


@pytest.mark.parametrize("wheel", [Wheel.PERSON, Wheel.PLANNER])
def test_twenty_steps_a_second_fit_on_one_core(busy_session: DrivingSession, wheel: Wheel):
    busy_session.begin(busy_session.scenario.scenario_id)
    busy_session.give_wheel(wheel)
    assert busy_session.simulator.background == (30, 12)
    step = stepping(busy_session)
    taken_s = []
    for _ in range(80):
        began_s = time.process_time()
        step()
        taken_s.append(time.process_time() - began_s)
    assert busy_session.worlds.scene.traits.valid.sum() > 30
    assert busy_session.worlds.scene.step_s == 0.05
    assert statistics.median(taken_s) < 0.5 * 0.05
    # Decisions fall on every fourth step alone: no such step may be late, either
    assert statistics.quantiles(taken_s, n=20)[-1] < 0.05
