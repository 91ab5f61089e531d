"""Simulation and planner in plain Python give what the compiled kernels give."""

import numpy as np
import pytest

from evaluation.drivers.driver import Driver
from evaluation.nuplan_drivers import idm_plan, idm_planner, yardsticks
from evaluation.val14.rollout import simulate
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.nuplan import (
    bicycle,
    replay,
    simulator,
    simulator_start,
    trackers,
    trajectory,
)
from sim_adapters.nuplan.idm import agents as idm_agents
from sim_adapters.nuplan.idm import nearest as idm_nearest
from sim_adapters.nuplan.idm import outline as idm_outline
from sim_adapters.nuplan.idm import paths as idm_paths
from sim_adapters.nuplan.idm import shapes as idm_shapes
from sim_adapters.nuplan.idm import start as idm_start
from sim_adapters.nuplan.idm import state as idm_state
from sim_adapters.nuplan.idm import traffic as idm_traffic
from sim_adapters.nuplan.scenario_log import LoggedLight, TrackType
from sim_adapters.nuplan.simulator import Traffic
from sim_adapters.scene import area_lookup
from tests.nuplan.hand_made_logs import Box, make_log, make_nuplan_maps
from tests.observation.test_bev_kernels import use_plain_python

KERNEL_MODULES = (
    *(area_lookup, bicycle, trackers, replay, trajectory),
    *(idm_agents, idm_shapes, idm_outline, idm_paths, idm_nearest, idm_state, idm_start),
    *(idm_traffic, simulator_start, simulator),
    *(yardsticks, idm_plan, idm_planner),
)


class WavingPolicy:
    """Acts directly: some steering and some pedal."""

    name = "waving"

    def begin_episodes(self, agents: np.ndarray, worlds: DrivingWorlds) -> None:
        """Nothing to prepare."""

    def act(self, worlds: DrivingWorlds) -> np.ndarray:
        """Steer left and accelerate."""
        return worlds.action_layout.encode(np.full(1, 0.1), np.full(1, 0.5))


@pytest.mark.kernel
@pytest.mark.parametrize("traffic", ["log", "idm"])
@pytest.mark.parametrize("driver", [WavingPolicy, yardsticks.ConstantSpeed, idm_planner.IdmPlanner])
def test_compiled_worlds_equal_their_plain_python_selves(
    driver: type[Driver], traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame: list[Box] = [
        ("lead", TrackType.VEHICLE, 95.0, -1.75, 0.0, 6.0),
        ("follower", TrackType.VEHICLE, 84.0, -1.6, 0.05, 7.0),
        ("oncoming", TrackType.VEHICLE, 118.0, 1.75, 3.1, 8.0),
        ("walker", TrackType.PEDESTRIAN, 112.0, -2.5, 1.5, 1.0),
    ]
    lights = [{101: LoggedLight.GREEN}] * 3 + [{101: LoggedLight.RED}]
    log = make_log(num_frames=8, start_x=70.0, frames=[frame], lights=lights)
    maps = make_nuplan_maps()
    compiled = simulate([log], maps, driver(), traffic=traffic)
    use_plain_python(monkeypatch, KERNEL_MODULES)
    plain = simulate([log], maps, driver(), traffic=traffic)
    assert compiled[0].num_samples[0] == 7
    for one, other in zip(compiled, plain, strict=True):
        for name, array in one._asdict().items():
            np.testing.assert_allclose(getattr(other, name), array, atol=1e-9, err_msg=name)
