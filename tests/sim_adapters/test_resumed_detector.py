"""A run resumed with another detector goes by the new one's windows."""

from __future__ import annotations

import numpy as np

from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.gymnasium_envs import make_embedded_vec

SMALL = (
    "simulator.towns=[Town02]",
    "simulator.traffic.num_vehicles=2",
    "simulator.max_vehicles=4",
    "simulator.warm_up_s=0.2",
    "scenarios.length_m=200.0",
    "scenarios.scenario_triggers=false",
)
SHORTER = ("detector.ttc.hold_ticks=100", "detector.comfort.hold_ticks=50")


def make_env(*overrides: str) -> DrivingVectorEnv:
    return make_embedded_vec(2, [*SMALL, *overrides], 3)


def test_windows_keep_the_length_that_this_run_gives_them() -> None:
    saved = make_env()
    saved.reset(seed=0)
    saved.memory.counters.ttc_ticks_left[:] = [400, 7]
    saved.memory.counters.comfort_ticks_left[:, 2] = [3, 400]
    saved.memory.counters.standing_s[:] = [2.5, 0.0]
    resumed = make_env(*SHORTER, "detector.motion.blocked_s=30.0")
    resumed.load_state_dict(saved.state_dict())
    counters = resumed.memory.counters
    assert counters.ttc_hold_ticks.tolist() == [100]
    assert counters.comfort_hold_ticks.tolist() == [50]
    assert counters.blocked_limit_s.tolist() == [30.0]
    # An open window is cut to the new length, so that the critic's inputs stay below one.
    assert counters.ttc_ticks_left.tolist() == [100, 7]
    assert counters.comfort_ticks_left[:, 2].tolist() == [3, 50]
    assert counters.standing_s.tolist() == [2.5, 0.0]
    np.testing.assert_array_equal(resumed.memory.route.index, saved.memory.route.index)


def test_a_state_of_one_tracker_of_shown_signs_goes_on_with_both() -> None:
    saved, resumed = make_env(), make_env()
    saved.reset(seed=0)
    saved.memory.signs.shown_stop[:] = [3, -1]
    state = saved.state_dict()
    for name in ("vector_approached_stop", "vector_shown_stop"):
        del state[f"memory.signs.{name}"]
    resumed.load_state_dict(state)
    assert resumed.memory.signs.shown_stop.tolist() == [3, -1]
    assert resumed.memory.signs.vector_shown_stop.tolist() == [3, -1]
