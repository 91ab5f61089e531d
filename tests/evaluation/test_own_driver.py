"""A driver from outside the repository drives by its YAML: embedded, and as the official agent."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from evaluation import evaluate
from evaluation.leaderboard_agent.agent_parts import build_agent_parts, read_agent_config
from evaluation.leaderboard_jobs.official_options import AGENT_FILE, write_agent_config
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec, write_routes
from sim_adapters.maps.router import Router
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorKind
from tests.evaluation.own_driver import run_command, write_own_driver

CROSSING = Path(__file__).parents[1] / "data" / "crossing.xodr"
ROUTE = RouteSpec("1", "Town01", np.array([[392.315, -218.54, 0.0], [392.33, -267.582, 0.0]]))


def test_a_driver_of_ones_own_drives_the_embedded_benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_own_driver(tmp_path, monkeypatch)
    write_routes(tmp_path / "route.xml", [ROUTE])
    run_command(
        evaluate.main,
        monkeypatch,
        *("--config-dir", str(file.parents[1]), "driver=mine", f"output={tmp_path / 'out'}"),
        *(f"routes={tmp_path / 'route.xml'}", "record_episodes=false", "driver.pedal=0.7"),
    )
    document = json.loads((tmp_path / "out" / "episodes.json").read_text())
    (episode,) = document["episodes"]
    assert document["about"]["planner"] == "rolls"
    assert episode["route_completion"] > 50.0


@pytest.mark.parametrize("how", ["by its file", "written out", "as the official command writes it"])
def test_a_driver_of_ones_own_is_the_leaderboards_agent(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, agent = write_own_driver(tmp_path, monkeypatch), tmp_path / AGENT_FILE
    if how == "by its file":
        agent.write_text("driver: configs/driver/mine.yaml\n")
    elif how == "written out":
        OmegaConf.save({"driver": OmegaConf.load(file)}, agent)
    else:
        with initialize_config_module("configs", version_base="1.3"):
            config = compose("longest6_official", ["driver=idm"])
        config.driver = OmegaConf.load(file)
        assert write_agent_config(tmp_path, config) == agent
    parts = build_agent_parts(read_agent_config(str(agent)))
    maps = load_map_bank([str(CROSSING)])
    route = Router(maps).trace("crossing", np.array([[-150.0, -1.75, 0.0], [-70.0, -1.75, 0.0]]))
    drive = parts.make_drive(maps, Scenario("crossing", "crossing", route, seed=0))
    scene = drive.worlds.scene
    scene.traits.valid[0, 0], scene.traits.kind[0, 0] = True, ActorKind.CAR
    scene.motion.x[0, 0], scene.motion.y[0, 0] = route.x[0], route.y[0]
    drive.begin()
    assert drive.decide() == pytest.approx((0.0, 0.6))
    assert parts.driver.name == "rolls"
