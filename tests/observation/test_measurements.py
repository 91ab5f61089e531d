"""CaRL's two short vectors: values by hand, and the mirrored scene."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sim_adapters.observation.measurements import write_measurements_range
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import SceneBatch
from tests.observation.observation_scenes import straight_scene


def measure(scene: SceneBatch, memory: EpisodeMemory) -> tuple[np.ndarray, np.ndarray]:
    out = np.zeros((scene.num_agents, 8), np.float32), np.zeros((scene.num_agents, 10), np.float32)
    write_measurements_range(
        0,
        scene.num_agents,
        scene.motion,
        scene.ego,
        scene.clocks,
        memory.counters,
        memory.route,
        scene.routes,
        *out,
    )
    return out


def turning_scene(sign: float) -> tuple[SceneBatch, EpisodeMemory]:
    """An ego heading north-east, sliding a little; `sign` -1 mirrors the world at the x axis."""
    scene, memory = straight_scene()
    scene.motion.yaw_rad[0, 0] = sign * math.pi / 4
    scene.motion.vx_mps[0, 0], scene.motion.vy_mps[0, 0] = 3.0, sign * 5.0
    scene.ego.steer[0], scene.ego.throttle[0], scene.ego.gear[0] = sign * 0.25, 0.5, 2.0
    return scene, memory


def test_measurements_have_right_positive_steering_and_lateral_velocity():
    measurements, _ = measure(*turning_scene(1.0))
    root = math.sqrt(0.5)
    # Forward: (3 + 5) / sqrt 2; to the left: (5 - 3) / sqrt 2, so to the right it is negative.
    expected = [-0.25, 0.5, 0.0, 2.0, 8.0 * root, -2.0 * root, 8.0 * root, 10.0]
    np.testing.assert_allclose(measurements[0], expected, rtol=1e-6)


def test_a_mirrored_scene_gives_mirrored_measurements():
    left, _ = measure(*turning_scene(1.0))
    right, _ = measure(*turning_scene(-1.0))
    np.testing.assert_allclose(right[0], left[0] * [-1, 1, 1, 1, 1, -1, 1, 1], rtol=1e-6)


def test_critic_inputs_are_shares_of_their_limits():
    scene, memory = straight_scene()
    scene.clocks.elapsed_s[0], scene.clocks.time_limit_s[0] = 300.0, 1200.0
    counters = memory.counters
    counters.blocked_limit_s[0], counters.standing_s[0] = 90.0, 9.0
    counters.ttc_hold_ticks[0], counters.ttc_ticks_left[0] = 500, 50
    counters.comfort_hold_ticks[0], counters.comfort_ticks_left[0] = 500, [0, 100, 0, 0, 500, 0]
    _, values = measure(scene, memory)
    expected = [0.75, 0.9, (250 - 20) / 100, 0.1, 0.0, 0.2, 0.0, 0.0, 1.0, 0.0]
    np.testing.assert_allclose(values[0], expected, rtol=1e-6)


def test_an_episode_without_time_limit_has_all_its_time_left():
    scene, memory = straight_scene()
    scene.clocks.elapsed_s[0] = 300.0
    _, values = measure(scene, memory)
    assert values[0, 0] == pytest.approx(1.0)
