import dataclasses
import json

import pytest
from omegaconf import OmegaConf

from evaluation.demo import again_with
from evaluation.demo_run.drives import summarise, traffic_statement
from evaluation.scoring.episode_result import EpisodeEnd, EpisodeResult, InfractionKind
from tests.evaluation.test_scores import infraction, result

TRAINING = {"samples": 6_200_000, "elapsed_s": 540.25, "update": 9}


def drive(route_id: str, actors: float, completion: float = 100.0, seed: int = 0) -> EpisodeResult:
    return dataclasses.replace(result(route_id, seed, completion), mean_actors=actors)


def planners(trained: list[EpisodeResult]) -> dict[str, list[EpisodeResult]]:
    """All four, the others on the same routes: one stands still, one runs a red light each."""
    red = infraction(InfractionKind.RED_LIGHT)
    return {
        "untrained": [dataclasses.replace(run, route_completion=0.0) for run in trained],
        "trained": trained,
        "idm": trained,
        "constant_speed": [
            dataclasses.replace(run, route_completion=50.0, infractions=(red,)) for run in trained
        ],
    }


def test_the_summary_holds_scores_routes_and_training():
    summary = summarise(planners([drive("10", 35.0), drive("9", 41.5, 80.0)]), TRAINING, 7)
    assert json.loads(json.dumps(summary, allow_nan=False)) == {
        # Standing still: no kilometre to count infractions on
        "untrained": {
            "route_completion": 0.0,
            "driving_score": 0.0,
            "infractions_per_km": None,
        },
        "trained": {
            "route_completion": 90.0,
            "driving_score": 90.0,
            "infractions_per_km": 0.0,
        },
        "idm": {"route_completion": 90.0, "driving_score": 90.0, "infractions_per_km": 0.0},
        # A red light costs 30 %, and each half of a 1 km route holds one
        "constant_speed": {
            "route_completion": 50.0,
            "driving_score": pytest.approx(35.0),
            "infractions_per_km": pytest.approx(2.0),
        },
        "routes": [
            {"id": "9", "town": "Town01", "length": 1000.0, "actors": 41.5, "completed": True},
            {"id": "10", "town": "Town01", "length": 1000.0, "actors": 35.0, "completed": True},
        ],
        "thin_routes": [],
        "samples": 6_200_000,
        "train_seconds": 540.25,
        "seed": 7,
    }


def test_a_route_with_fewer_than_30_actors_is_called_thin():
    summary = summarise(planners([drive("1", 30.0), drive("2", 29.9)]), TRAINING, 0)
    assert summary["thin_routes"] == ["2"]
    assert traffic_statement(summary) == "thin, fewer than 30 actors (at least 29.9), on: 2"


def test_a_summary_without_thin_routes_says_how_busy_the_emptiest_was():
    summary = summarise(planners([drive("1", 34.04), drive("2", 44.0)]), TRAINING, 0)
    assert traffic_statement(summary) == "34.0 actors or more on every route"


def test_a_route_driven_with_several_seeds_is_one_row():
    late = dataclasses.replace(drive("1", 40.0, seed=1), end=EpisodeEnd.TIMEOUT)
    (route,) = summarise(planners([drive("1", 30.0), late]), TRAINING, 0)["routes"]
    assert route["actors"] == 35.0
    assert not route["completed"]


def test_the_command_of_the_report_names_seed_and_folder_and_all_that_was_typed():
    config = OmegaConf.create({"seed": 2, "output": "outputs/demo"})
    plain = "python -m evaluation.demo seed=2 output=outputs/demo"
    assert again_with(config, []) == plain
    assert again_with(config, ["seed=2"]) == plain
    typed = ["output=outputs/demo", "train_overrides=[ppo.lr=1e-4]"]
    assert again_with(config, typed) == f"{plain} 'train_overrides=[ppo.lr=1e-4]'"
