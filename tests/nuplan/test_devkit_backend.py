"""The devkit behind our protocol and our planner inside the devkit drive what the batch drives.

Needs the devkit (`make test-nuplan`).
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.drivers.policy_driver import policy_driver
from evaluation.val14.rollout import TRAFFIC, simulate
from sim_adapters.nuplan.trajectory import EgoTrace
from tests.nuplan.policy_files import policy_config, released_checkpoint
from tests.nuplan.tiny_log import TinyLog
from tests.nuplan.tiny_road import (
    Road,
    batch_world,
    devkit_world,
    make_env,
    make_road,
)

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]


def test_the_devkit_and_the_batch_show_the_same_world(tmp_path: Path):
    road = make_road(tmp_path, TinyLog(tags={210: ("changing_lane",)}, jitter_us=2_000))
    envs = [make_env(make(road), road) for make in (batch_world, devkit_world)]
    first = [env.restart() for env in envs]
    np.testing.assert_array_equal(first[0]["bev"], first[1]["bev"])
    for k in range(100):
        action = np.array([[0.5 * np.sin(k / 9.0) + 0.2, 0.05 * np.sin(k / 7.0)]], np.float32)
        steps = [env.step(action) for env in envs]
        np.testing.assert_array_equal(steps[0][0]["bev"], steps[1][0]["bev"])
        np.testing.assert_allclose(
            steps[0][0]["measurements"], steps[1][0]["measurements"], atol=1e-6
        )
        for one, other in zip(envs[0].scene.body, envs[1].scene.body, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-9)
        assert envs[0].outcome is not None
        assert envs[1].outcome is not None
        for name, term in envs[0].outcome.terms.items():
            assert term.item() == pytest.approx(envs[1].outcome.terms[name].item(), abs=1e-9)
        ends = [(bool(step[2][0]), bool(step[3][0])) for step in steps]
        assert ends[0] == ends[1]
        if any(ends[0]):
            break


def start_devkit(road: Road, planner: Any, mode: str = "nonreactive") -> Any:
    """The devkit's own simulation under a OneStageController, and the planner initialised."""
    from hydra.utils import instantiate as build
    from nuplan.planning.script.builders.observation_builder import build_observations
    from nuplan.planning.simulation.simulation import Simulation
    from nuplan.planning.simulation.simulation_setup import SimulationSetup

    from sim_adapters.nuplan.devkit.challenge import devkit_config, devkit_scenarios
    from sim_adapters.nuplan.devkit.controller import OneStageController

    roots = road.root / "logs", road.root / "maps"
    config = devkit_config(*roots, "simple", mode)
    assert road.scenario.log is not None
    (scenario,) = devkit_scenarios(*roots, [road.scenario.log.token])
    setup = SimulationSetup(
        time_controller=build(config.simulation_time_controller, scenario=scenario),
        observations=build_observations(config.observation, scenario=scenario),
        ego_controller=OneStageController(scenario, build(config.ego_controller.motion_model)),
        scenario=scenario,
    )
    simulation = Simulation(setup, simulation_history_buffer_duration=1.0)
    planner.initialize(simulation.initialize())
    return simulation


def present_pose(simulation: Any) -> np.ndarray:
    state, _ = simulation.get_planner_input().history.current_state
    return np.array([*state.rear_axle, _forward_mps(state), state.tire_steering_angle])


def _forward_mps(state: Any) -> float:
    return state.dynamic_car_state.rear_axle_velocity_2d.x


@pytest.mark.parametrize("mode", ["nonreactive", "reactive"])
def test_released_checkpoints_drive_the_same_in_the_devkit_and_in_val14(mode: str, tmp_path: Path):
    from evaluation.nuplan_planner import CarlPlanner

    road = make_road(tmp_path, TinyLog(tags={210: ("changing_lane",)}, jitter_us=2_000))
    pair = [str(released_checkpoint(tmp_path / f"model_{seed}.pth", seed)) for seed in range(2)]
    log = road.scenario.log
    assert log is not None

    def val14(checkpoints: list[str]) -> EgoTrace:
        driver = policy_driver(checkpoints, one_at_a_time=True)
        return simulate([log], road.maps, driver, policy_config(), traffic=TRAFFIC[mode])[0]

    ours = val14(pair)
    theirs = CarlPlanner(pair, str(tmp_path / "maps"), horizon_s=0.1)
    simulation = start_devkit(road, theirs, mode)
    for k in range(int(ours.num_samples[0])):
        expected = [
            *(ours.x[0, k], ours.y[0, k], ours.yaw_rad[0, k]),
            *(ours.motion[0, k, 0], ours.tyre_angle_rad[0, k]),
        ]
        np.testing.assert_allclose(present_pose(simulation), expected, atol=1e-6)
        simulation.propagate(theirs.compute_trajectory(simulation.get_planner_input()))
    assert not simulation.is_simulation_running()
    assert np.ptp(ours.yaw_rad[0]) > 0.01  # they did more than roll on
    for one in pair:  # and drove as neither of them does alone
        assert np.abs(val14([one]).x - ours.x).max() > 0.1


def test_the_planned_trajectory_is_what_the_policy_then_drives_when_it_is_alone(tmp_path: Path):
    from evaluation.nuplan_planner import CarlPlanner

    road = make_road(tmp_path, TinyLog(tags={210: ("changing_lane",)}, tracks=()))
    checkpoint = str(released_checkpoint(tmp_path / "model_best.pth"))
    planner = CarlPlanner(checkpoint, str(tmp_path / "maps"), horizon_s=0.3, decision_s=0.1)
    simulation = start_devkit(road, planner)
    plan = planner.compute_trajectory(simulation.get_planner_input())
    planned = [
        [*state.rear_axle, _forward_mps(state), state.tire_steering_angle]
        for state in plan.get_sampled_trajectory()
    ]
    driven = [present_pose(simulation)]
    for _ in range(3):  # the tiny log's lights change soon after
        simulation.propagate(plan)
        driven.append(present_pose(simulation))
        plan = planner.compute_trajectory(simulation.get_planner_input())
    assert len(planned) == 4
    np.testing.assert_allclose(planned, driven, atol=1e-6)
    assert np.linalg.norm(driven[-1][:2] - driven[0][:2]) > 1.0


def test_the_one_stage_controller_refuses_trajectories_without_commands(tmp_path: Path):
    from nuplan.planning.simulation.trajectory.interpolated_trajectory import (
        InterpolatedTrajectory,
    )

    from sim_adapters.nuplan.devkit.simulator import _later

    class NoPlanner:
        def initialize(self, initialization: object) -> None:
            del initialization

    simulation = start_devkit(
        make_road(tmp_path, TinyLog(tags={210: ("changing_lane",)})), NoPlanner()
    )
    state, _ = simulation.get_planner_input().history.current_state
    with pytest.raises(TypeError, match="two_stage_controller"):
        simulation.propagate(InterpolatedTrajectory([state, _later(state)]))
