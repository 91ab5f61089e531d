"""A driver from outside the repository drives a server's world by the YAML of the embedded one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from evaluation.drivers.driver import Driver
from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.carla.servers import LiveServer, ServerSettings
from sim_adapters.carla.simulator import CarlaSimulator, LiveWorldSettings
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.observation.observer import Unseen
from sim_adapters.scene.events.settings import DetectorSettings
from tests.embedded.lane_routes import scenario_along_lanes
from tests.evaluation.own_driver import gained, write_own_driver

WORLD = np.zeros(1, np.int64)


def test_a_driver_of_ones_own_drives_a_live_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: HeadlessServer
) -> None:
    driver: Driver = instantiate(OmegaConf.load(write_own_driver(tmp_path, monkeypatch)))
    maps = load_map_bank(["Town01"])
    settings = ServerSettings(kind="running", first_port=server.port, call_timeout_s=30.0)
    live = LiveServer(settings, 0, 1, town="Town01", step_s=0.1)
    simulator = CarlaSimulator(maps, live, settings=LiveWorldSettings(max_actors=8, warm_up_s=0.2))
    worlds = DrivingWorlds(simulator, Unseen(), DetectorSettings(), action_repeat=2)
    try:
        worlds.reset(WORLD, [scenario_along_lanes(maps, "Town01", choice=0)])
        driver.begin_episodes(WORLD, worlds)
        places = []
        for _ in range(30):
            if worlds.is_due:
                worlds.act(driver.act(worlds))
            events = worlds.advance()
            places.append((float(worlds.scene.motion.x[0, 0]), float(worlds.scene.motion.y[0, 0])))
            assert not events.simulator_failed.any()
    finally:
        worlds.close()
    assert max(map(gained, np.array(places).T)) > 5.0
    assert worlds.memory.route.index[0] > 3
