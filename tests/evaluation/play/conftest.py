from __future__ import annotations

from pathlib import Path

import pytest
from hydra import compose, initialize_config_module

from evaluation.play.__main__ import make_session
from evaluation.play.session import DrivingSession

EMPTY = ["simulator.traffic.num_vehicles=0", "simulator.pedestrians.num_pedestrians=0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drives")


@pytest.fixture(scope="module")
def world(folder: Path) -> DrivingSession:
    """A session in an empty Town02, shared with a blind follower of the route."""
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("play", overrides=["driver=blind_follower", *EMPTY])
    return make_session(config, folder)


@pytest.fixture
def session(world: DrivingSession) -> DrivingSession:
    """The same at the start of route 10, a person at the wheel."""
    world.hold(set())
    world.give_wheel(type(world.driver)("person"))
    world.begin("10")
    return world
