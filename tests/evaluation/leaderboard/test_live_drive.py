"""The agent without the leaderboard: its configuration, and a drive through a hand-made world."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from carl_planner.checkpoint import CheckpointError
from evaluation.drivers.driver import Driver
from evaluation.drivers.policy_driver import PolicyDriver
from evaluation.drivers.rule_drivers import RuleBasedDriver
from evaluation.leaderboard_agent.agent_parts import (
    TICK_S,
    LiveDrive,
    build_agent_parts,
    given_scene,
    read_agent_config,
)
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.router import Router
from sim_adapters.observation.observer import Unseen
from sim_adapters.observation.vector import VectorObserver
from sim_adapters.scene.events.settings import DetectorSettings
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorKind
from tests.evaluation.leaderboard.constant_checkpoints import save_constant_policy

CROSSING_FILE = Path(__file__).parents[2] / "data" / "crossing.xodr"
DECISION_S = 0.1


@pytest.fixture(scope="module")
def crossing() -> MapBank:
    return load_map_bank([str(CROSSING_FILE)])


@pytest.fixture(scope="module")
def observer() -> VectorObserver:
    with initialize_config_module("configs", version_base="1.3"):
        return instantiate(compose("carla_agent", ["observation=vector"]).observation)


def make_drive(
    maps: MapBank,
    driver: Driver,
    observer: VectorObserver | None = None,
    action_repeat: int = 1,
) -> LiveDrive:
    """The eastbound lane before the crossing; the ego stands at its start."""
    route = Router(maps).trace("crossing", np.array([[-150.0, -1.75, 0.0], [-70.0, -1.75, 0.0]]))
    scenario = Scenario("crossing", "crossing", route, seed=0)
    given = given_scene(maps, scenario, max_actors=8, step_s=DECISION_S)
    seen = observer or Unseen()
    worlds = DrivingWorlds(given, seen, DetectorSettings(), action_repeat=action_repeat)
    drive = LiveDrive(worlds, driver)
    place_ego(drive, route.x[0], 0.0)
    drive.worlds.scene.ego.speed_limit_mps[0] = 10.0
    return drive


def place_ego(drive: LiveDrive, x: float, speed_mps: float) -> None:
    """What a scene reader would write."""
    motion, traits = drive.worlds.scene.motion, drive.worlds.scene.traits
    motion.x[0, 0], motion.y[0, 0], motion.vx_mps[0, 0] = x, -1.75, speed_mps
    traits.valid[0, 0], traits.kind[0, 0], traits.actor_id[0, 0] = True, ActorKind.CAR, 1
    traits.half_length_m[0, 0], traits.half_width_m[0, 0] = 2.446, 0.918


def test_the_rule_based_driver_starts_on_a_free_road_and_stops_for_a_car(crossing):
    drive = make_drive(crossing, RuleBasedDriver())
    drive.begin()
    steer, acceleration = drive.decide()
    assert acceleration > 0.3
    assert abs(steer) < 0.05
    traits, motion = drive.worlds.scene.traits, drive.worlds.scene.motion
    traits.valid[0, 1], traits.kind[0, 1], traits.actor_id[0, 1] = True, ActorKind.CAR, 2
    traits.half_length_m[0, 1], traits.half_width_m[0, 1] = 2.4, 1.0
    motion.x[0, 1], motion.y[0, 1] = motion.x[0, 0] + 16.0, -1.75
    place_ego(drive, motion.x[0, 0], 9.0)
    assert drive.decide()[1] < -0.3


def test_memory_follows_the_drive_from_one_decision_to_the_next(crossing):
    drive = make_drive(crossing, RuleBasedDriver())
    drive.begin()
    start_x = float(drive.worlds.scene.motion.x[0, 0])
    for step in range(1, 31):  # 10 m/s
        place_ego(drive, start_x + step, 10.0)
        drive.decide()
    assert drive.worlds.memory.route.index[0] == pytest.approx(30, abs=1)
    assert drive.worlds.memory.rings.num_samples[0] == 15


class SteersRight:
    """A network whose action is a little throttle and CARLA's right."""

    def eval(self) -> "SteersRight":
        return self

    def parameters(self):
        yield torch.zeros(1)

    draws = False

    def drive(self, observation: dict[str, torch.Tensor], _: torch.Tensor) -> torch.Tensor:
        assert observation["vector"].shape[0] == 1
        assert torch.isfinite(observation["vector"]).all()
        return self.action()

    def action(self) -> torch.Tensor:
        return torch.tensor([[0.5, 0.25]])


class SteersLeft(SteersRight):
    """Another one, for an ensemble."""

    def action(self) -> torch.Tensor:
        return torch.tensor([[-0.1, 0.75]])


def test_an_ensemble_drives_with_the_mean_of_its_actions_in_our_frame(crossing, observer):
    driver = PolicyDriver([SteersRight(), SteersLeft()])  # pyright: ignore[reportArgumentType]
    drive = make_drive(crossing, driver, observer)
    drive.begin()
    steer, acceleration = drive.decide()
    # CARLA's steering is positive to the right, ours to the left: -(0.5 - 0.1) / 2
    assert steer == pytest.approx(-0.2, abs=1e-6)
    assert acceleration == pytest.approx(0.5, abs=1e-6)


def test_an_action_is_held_while_the_memory_moves_on(crossing):
    class Counts:
        name, num_acts = "counts", 0

        def begin_episodes(self, agents, worlds):
            pass

        def act(self, worlds):
            self.num_acts += 1
            return np.array([[0.1 * self.num_acts, 0.5]], np.float32)

    drive = make_drive(crossing, Counts(), action_repeat=2)
    drive.begin()
    start_x, steers = float(drive.worlds.scene.motion.x[0, 0]), []
    for step in range(1, 7):  # 10 m/s
        place_ego(drive, start_x + step, 10.0)
        steers.append(-drive.decide()[0])
    np.testing.assert_allclose(steers, [0.1, 0.1, 0.2, 0.2, 0.3, 0.3], atol=1e-6)
    assert drive.worlds.memory.route.index[0] == 6
    drive.begin()
    assert -drive.decide()[0] == pytest.approx(0.4, abs=1e-6)


def test_the_agent_holds_an_action_as_long_as_the_checkpoint_did(tmp_path):
    path = save_constant_policy(tmp_path / "model_final.pt", 0.0, 0.5, "env.action_repeat=2")
    parts = build_agent_parts(read_agent_config(str(path)))
    assert parts.action_repeat == 2
    rules = tmp_path / "rules.yaml"
    rules.write_text("driver: idm")
    assert build_agent_parts(read_agent_config(str(rules))).action_repeat == 1


def test_a_yaml_file_changes_only_its_own_keys(tmp_path):
    file = tmp_path / "agent.yaml"
    file.write_text("planner: idm\nobservation: vector\n")
    config = read_agent_config(str(file))
    assert config.driver.name == "idm"
    assert config.decision_ticks == 2
    assert config.observation._target_.endswith("VectorObserver")
    assert isinstance(build_agent_parts(config).driver, RuleBasedDriver)


def test_a_checkpoint_alone_is_a_configuration(tmp_path):
    file = tmp_path / "model_final.pt"
    file.touch()
    config = read_agent_config(str(file))
    assert (config.checkpoint, config.driver.name) == (str(file), "policy")
    with pytest.raises(InstantiationException) as caught:
        build_agent_parts(config)
    assert isinstance(caught.value.__cause__, CheckpointError)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("planer: idm", "known keys are"),
        ("- idm", "no YAML mapping"),
    ],
)
def test_files_that_cannot_be_meant_are_refused(tmp_path, text, message):
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_agent_config(str(file))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"driver": "policy"}, "needs checkpoint"),
        ({"planner": "idm", "decision_ticks": 0}, "at least 1"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(tmp_path, changed, message):
    file = tmp_path / "agent.yaml"
    file.write_text(OmegaConf.to_yaml(OmegaConf.create(changed)))
    with pytest.raises((ValueError, InstantiationException), match=message):
        build_agent_parts(read_agent_config(str(file)))


def test_a_missing_configuration_says_what_is_expected(tmp_path):
    with pytest.raises(ValueError, match="--agent-config"):
        read_agent_config("")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_agent_config(str(tmp_path / "none.yaml"))


def test_decisions_and_detectors_are_those_of_training():
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("carla_agent")
    assert instantiate(config.detector) == DetectorSettings()
    assert config.decision_ticks * TICK_S == pytest.approx(DECISION_S)
