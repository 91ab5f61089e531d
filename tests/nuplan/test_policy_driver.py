"""A policy in Val14 sees and drives what it sees and drives in the training environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.drivers.policy_driver import PolicyDriver, policy_driver
from evaluation.val14.rollout import TRAFFIC, picture_room, simulate
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.nuplan.scenario_log import TrackType
from tests.nuplan.hand_made_logs import make_log, make_nuplan_maps
from tests.nuplan.policy_files import policy_config, released_checkpoint
from tests.nuplan.tiny_log import TinyLog
from tests.nuplan.tiny_road import NO_INFRACTION_ENDS, batch_world, make_env, make_road

pytestmark = pytest.mark.usefixtures("own_map_cache")

NUM_STEPS = 50


class Watched:
    """Keeps a copy of all that the policy sees in its first steps."""

    def __init__(self, driver: PolicyDriver) -> None:
        self.driver, self.name = driver, driver.name

    def begin_episodes(self, agents: np.ndarray, worlds: DrivingWorlds) -> None:
        self.driver.begin_episodes(agents, worlds)
        self.scene = worlds.scene
        self.seen: list[dict[str, np.ndarray]] = []

    def act(self, worlds: DrivingWorlds) -> np.ndarray:
        actions = self.driver.act(worlds)
        if len(self.seen) < NUM_STEPS:
            self.seen.append({name: array.copy() for name, array in worlds.seen.items()})
        return actions


@pytest.mark.parametrize("mode", ["nonreactive", "reactive"])
def test_val14_shows_and_drives_what_the_training_environment_does(mode: str, tmp_path: Path):
    road = make_road(tmp_path, TinyLog(tags={210: ("changing_lane",)}, jitter_us=2_000))
    checkpoint = str(released_checkpoint(tmp_path / "model_best.pth"))
    log = road.scenario.log
    assert log is not None
    driver = Watched(policy_driver(checkpoint, one_at_a_time=True))
    ego, _ = simulate([log], road.maps, driver, policy_config(), traffic=TRAFFIC[mode])

    env = make_env(batch_world(road, TRAFFIC[mode]), road, *NO_INFRACTION_ENDS)
    policy, observation = policy_driver(checkpoint), env.restart()
    policy.begin_episodes(np.arange(1), env.worlds)
    for k, seen in enumerate(driver.seen):
        for name, array in seen.items():
            np.testing.assert_array_equal(observation[name], array, err_msg=f"{name} {k}")
        body = env.scene.body
        assert body.rear_axle_x[0] == ego.x[0, k]
        assert body.rear_axle_y[0] == ego.y[0, k]
        assert env.scene.motion.yaw_rad[0, 0] == ego.yaw_rad[0, k]
        assert body.vx_mps[0] == ego.motion[0, k, 0]
        observation, _, terminated, truncated, _ = env.step(policy.act(env.worlds))
        assert not terminated.any()
        assert not truncated.any()
    assert len(driver.seen) == NUM_STEPS
    assert abs(ego.x[0, NUM_STEPS] - ego.x[0, 0]) > 5.0
    assert ego.tyre_angle_rad[0, NUM_STEPS] != 0.0


def test_an_evaluation_has_room_for_all_that_its_logs_hold(tmp_path: Path):
    config = policy_config()
    crowd = [(f"car{i}", TrackType.VEHICLE, 5.0 + 2.0 * i % 60, 8.0, 0.0, 0.0) for i in range(300)]
    route = (200, 201, 202) * 50
    log = replace(make_log(num_frames=5, frames=[crowd]), corrected_route_fids=route)
    maps = make_nuplan_maps()
    checkpoint = str(released_checkpoint(tmp_path / "model_best.pth"))
    driver = Watched(policy_driver(checkpoint, one_at_a_time=True))
    ego, tracks = simulate([log], maps, driver, config)
    assert (ego.num_samples[0], tracks.num_boxes[0, 0]) == (4, len(crowd))
    assert picture_room(driver.scene) == (len(crowd) + 1, maps.max_lights, len(route))
    assert len(crowd) > config.observation.max_boxes  # neither would fit into training's rows
    assert len(route) > config.observation.max_route_areas
    assert driver.seen[0]["bev"].shape == (1, 9, 256, 256)
