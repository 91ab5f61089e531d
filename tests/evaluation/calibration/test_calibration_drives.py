"""Drives of both worlds in one form: the same positions, the same outcomes; files that go on."""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from evaluation.calibration import __main__ as command
from evaluation.calibration import drives as drives_module
from evaluation.calibration.drives import (
    CalibrationDrive,
    TriggerRecorder,
    drive_from_row,
    drive_row,
    embedded_drives,
    read_drive,
)
from evaluation.calibration.trigger_watch import TriggerOutcome, WatchedTrigger, walk_way
from evaluation.leaderboard_agent.tick_recording import TickRecorder
from evaluation.leaderboard_jobs.job import make_jobs
from evaluation.rollout.benchmark import EvaluationTask
from evaluation.scoring.episode_result import (
    EpisodeRecords,
    EpisodeResult,
    Infraction,
    InfractionKind,
)
from rewards.driving_events import uneventful
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorKind, SceneBatch
from tests.evaluation.fake_drive import completed_drive, make_scene, no_reward, straight_scenario
from tests.evaluation.leaderboard.official_records import make_record

WALKER, EGO_MPS = 77, 6.0
HIT = (
    f"Agent collided against object with type=walker.pedestrian.0001 and id={WALKER} "
    "at (x=21.5, y=-0.0, z=0.0)"
)
SKIPPED = "Skipping scenario 'left_out' due to setup error: no lane\n"


def triggers(scenario: Scenario, maps: Any) -> list[WatchedTrigger]:
    """Two at x = 10 that let a pedestrian cross 12 m further on; one is left out officially."""
    start, end = np.array([22.0, -4.3]), np.array([22.0, 4.3])
    way = walk_way(start, end, 2.0, int(ActorKind.PEDESTRIAN), (22.0, 0.0))
    place = (10.0, 0.0, 0.0, 0.0)
    names = ("crossing", "left_out")
    return [WatchedTrigger(name, "DynamicObjectCrossing", place, True, way) for name in names]


@pytest.fixture(autouse=True)
def triggers_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (drives_module, drives_module):
        monkeypatch.setattr(module, "watched_triggers", triggers)


def place(scene: SceneBatch, time_s: float) -> None:
    """The ego drives east; the walker starts after 1.45 s."""
    motion, traits = scene.motion, scene.traits
    walked_m = 2.0 * max(time_s - 1.45, 0.0)
    motion.x[0, :2], motion.y[0, :2] = (EGO_MPS * time_s, 22.0), (0.0, -4.3 + walked_m)
    motion.yaw_rad[0, 1] = math.pi / 2.0
    motion.vy_mps[0, 1] = 2.0 if walked_m else 0.0
    traits.valid[0, :2], traits.actor_id[0, :2] = True, (1, WALKER)
    traits.kind[0, 1] = ActorKind.PEDESTRIAN
    scene.clocks.elapsed_s[0] = time_s


def result(route_id: str = "4", seed: int = 0, *infractions: Infraction) -> EpisodeResult:
    return completed_drive(
        **{"route_id": route_id, "seed": seed, "length_m": 100.0, "infractions": infractions},
        mean_speed_mps=EGO_MPS,
    )


def embedded_drive() -> CalibrationDrive:
    """In steps of 0.1 s."""
    scene, records = make_scene(1), EpisodeRecords(1)
    scenario = straight_scenario("4", 100)
    recorder = TriggerRecorder()
    recorder.begin(0, EvaluationTask(scenario, 0), scene, maps=None)  # pyright: ignore
    events = uneventful(1)
    for step in range(60):
        records.num_steps[0] = step
        place(scene, 0.1 * step)
        recorder.watch(events, no_reward(events), records)
    kind = InfractionKind.COLLISION_PEDESTRIAN
    hit = Infraction(kind, 3.6, 21.6, 0.0, 0.0, other_id=WALKER, other_type="pedestrian")
    recorder.end(0, result("4", 0, hit))
    (drive,) = recorder.drives
    return drive


def official_drive(folder: Path) -> CalibrationDrive:
    """In ticks of 0.05 s."""
    (job,) = make_jobs([("4", "Town01")], range(1), folder)
    scene = make_scene(1)
    recorder = TickRecorder("Town01", np.zeros((2, 4)))
    for tick in range(120):
        place(scene, 0.05 * tick)
        recorder.add(scene, math.nan)
    recorder.save(job.folder / "ticks.npz")
    job.log_file.write_text(SKIPPED)
    infractions = {InfractionKind.COLLISION_PEDESTRIAN: [HIT]}
    record = make_record("4", penalty=0.5, infractions=infractions)
    return read_drive(job, record, straight_scenario("4", 100), maps=None)  # pyright: ignore


def test_the_same_positions_have_the_same_outcome_in_both_worlds(tmp_path: Path) -> None:
    here, there = embedded_drive(), official_drive(tmp_path)
    assert here.triggers[0] == there.triggers[0]
    outcome = here.triggers[0]
    # Past x = 8 first at 1.4 s; the walker moves from 1.5 s on. At 3.7 s: (22.2, 0) and (22, 0.2)
    assert (outcome.reached_s, outcome.came_s) == pytest.approx((1.4, 1.5))
    assert outcome.nearest_m == pytest.approx(math.hypot(0.2, 0.2))
    assert outcome.is_hit
    assert there.result.driving_score == 50.0


def test_what_scenario_runner_left_out_is_not_played(tmp_path: Path) -> None:
    assert [one.is_played for one in official_drive(tmp_path).triggers] == [True, False]
    assert [one.is_played for one in embedded_drive().triggers] == [True, True]


def test_a_drive_without_a_recording_is_refused(tmp_path: Path) -> None:
    (job,) = make_jobs([("4", "Town01")], range(1), tmp_path)
    with pytest.raises(ValueError, match="record=true"):
        read_drive(job, make_record("4"), straight_scenario("4", 100), maps=None)  # pyright: ignore


def test_a_drive_comes_back_from_its_row() -> None:
    drive = embedded_drive()
    assert drive_from_row(drive_row(drive)) == drive


# Files -------------------------------------------------------------------------------------------


class Driven:
    """Stands in for the embedded world, and notes what it was asked to drive."""

    def __init__(self) -> None:
        self.routes: list[str] = []

    def __call__(
        self, config: DictConfig, specs: Sequence[RouteSpec], seeds: Any, make_recorder: Any
    ) -> None:
        scene, recorder = make_scene(1), make_recorder(None)
        for spec in specs:
            self.routes.append(spec.route_id)
            task = EvaluationTask(straight_scenario(spec.route_id, 100), seeds[0])
            recorder.begin(0, task, scene, maps=None)
            recorder.end(0, result(spec.route_id, seeds[0]))


@pytest.fixture
def driven(monkeypatch: pytest.MonkeyPatch) -> Driven:
    stand_in = Driven()
    monkeypatch.setattr(drives_module, "drive_routes", stand_in)
    return stand_in


def spec(route_id: str) -> RouteSpec:
    return RouteSpec(route_id, "Town01", np.zeros((2, 3)), (), ())


def idm_config(**changes: Any) -> DictConfig:
    config = command.compose_config("evaluate", ["driver=idm", "routes=some.xml"])
    merged = OmegaConf.merge(config, changes)
    assert isinstance(merged, DictConfig)
    return merged


def test_routes_on_file_are_not_driven_again(driven: Driven, tmp_path: Path) -> None:
    file, config = tmp_path / "seed_0.json", idm_config()
    embedded_drives(config, [spec("4")], 0, file, may_drive=True)
    drives = embedded_drives(config, [spec("4"), spec("7")], 0, file, may_drive=True)
    assert driven.routes == ["4", "7"]
    assert [drive.result.route_id for drive in drives] == ["4", "7"]
    drives = embedded_drives(config, [spec("7"), spec("9")], 0, file, may_drive=False)
    assert [drive.result.route_id for drive in drives] == ["7"]


def test_drives_of_an_older_world_count_no_more(
    driven: Driven, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, config = tmp_path / "seed_0.json", idm_config()
    embedded_drives(config, [spec("4")], 0, file, may_drive=True)
    monkeypatch.setattr(drives_module, "world_digest", lambda: "another")
    assert embedded_drives(config, [spec("4")], 0, file, may_drive=False) == []
    embedded_drives(config, [spec("4")], 0, file, may_drive=True)
    assert driven.routes == ["4", "4"]


def test_a_file_of_another_driver_is_refused(driven: Driven, tmp_path: Path) -> None:
    file = tmp_path / "seed_0.json"
    embedded_drives(idm_config(), [spec("4")], 0, file, may_drive=True)
    other = idm_config(driver={"name": "another"})
    with pytest.raises(ValueError, match="choose another output="):
        embedded_drives(other, [spec("4")], 0, file, may_drive=True)


# The command -------------------------------------------------------------------------------------


def calibration_config(*words: str) -> DictConfig:
    return command.compose_config("calibration", ["routes=some.xml", *words])


def test_every_driver_can_be_given_to_both_commands() -> None:
    config = calibration_config("+drivers.mine.checkpoint=some.pt")
    found = {}
    for name in command.chosen_drivers(config):
        words = command.driver_overrides(config, name)
        evaluate = command.compose_config("evaluate", [*words, *config.embedded.overrides])
        official = command.compose_config("longest6_official", words)
        assert (evaluate.driver, evaluate.checkpoint) == (official.driver, official.checkpoint)
        found[name] = (evaluate.driver.name, evaluate.driver.get("speed_mps"))
        assert evaluate.simulator.pedestrians.num_pedestrians == 0
    assert found == {
        "blind_6": ("blind_follower", 6.0),
        "blind_8": ("blind_follower", 8.0),
        "idm": ("idm", None),
        "mine": ("policy", None),
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["routes=null"], "routes=FILE.xml"),
        (["drive=[carla]"], "expected some of embedded, official"),
        (["embedded.seeds=0"], "at least one"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        command.check_options(calibration_config(*words))


def test_an_unknown_driver_is_named() -> None:
    with pytest.raises(ValueError, match=r"nobody is not among the drivers \(blind_6, blind_8"):
        command.chosen_drivers(calibration_config("only=[nobody]"))


def test_the_statement_names_what_is_missing() -> None:
    specs = [spec("4"), spec("7"), spec("10")]
    one = CalibrationDrive(result("7"), ())
    two = CalibrationDrive(dataclasses.replace(result("7"), seed=1), ())
    facts = command.statement(specs, {"idm": [one, two]}, {"idm": []})
    assert facts == {
        "embedded, idm": "1 of 3 routes, 2 seeds; missing: 4, 10",
        "official, idm": "0 of 3 routes, 0 seeds; missing: 4, 7, 10",
    }


def test_outcomes_know_whether_somebody_was_met() -> None:
    outcome = TriggerOutcome("t", "T", True, True, reached_s=1.0)
    assert not outcome.is_met
    assert dataclasses.replace(outcome, nearest_m=14.9).is_met
    assert not dataclasses.replace(outcome, nearest_m=15.0).is_met
