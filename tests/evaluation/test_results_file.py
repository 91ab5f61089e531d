import json

import pytest

from evaluation.scoring.episode_result import Infraction, InfractionKind
from evaluation.scoring.results_file import read_results, write_json, write_results
from tests.evaluation.test_scores import infraction, result

ABOUT = {"planner": "idm", "benchmark": "test"}


def example():
    collision = Infraction(
        InfractionKind.COLLISION_VEHICLE, 2.0, 10.0, 5.0, 0.0, other_id=7, other_type="car"
    )
    return [
        result("10", 0, 50.0, collision),
        result("9", 0, 100.0),
        result("10", 3, 100.0, infraction(InfractionKind.MINIMUM_SPEED, 80.0)),
        result("9", 3, 100.0),
    ]


def written(folder):
    write_results(folder, example(), ABOUT)
    return json.loads((folder / "results.json").read_text())


def test_records_have_the_leaderboards_form(tmp_path):
    document = written(tmp_path)
    records = document["_checkpoint"]["records"]
    assert [record["route_id"] for record in records] == [
        "RouteScenario_9_rep0",
        "RouteScenario_9_rep1",
        "RouteScenario_10_rep0",
        "RouteScenario_10_rep1",
    ]
    assert set(records[0]["infractions"]) == {
        "collisions_layout",
        "collisions_pedestrian",
        "collisions_vehicle",
        "red_light",
        "stop_infraction",
        "outside_route_lanes",
        "min_speed_infractions",
        "yield_emergency_vehicle_infractions",
        "scenario_timeouts",
        "route_dev",
        "vehicle_blocked",
        "route_timeout",
    }
    assert records[2]["scores"] == {
        "score_composed": 30.0,
        "score_route": 50.0,
        "score_penalty": 0.6,
    }
    assert records[2]["num_infractions"] == 1
    assert document["_checkpoint"]["progress"] == [4, 4]


def test_texts_are_in_the_frame_of_carla(tmp_path):
    records = written(tmp_path)["_checkpoint"]["records"]
    assert records[2]["infractions"]["collisions_vehicle"] == [
        "Agent collided against object with type=car and id=7 at (x=10.000, y=-5.000, z=0.000)"
    ]


def test_global_record_holds_means_and_rates(tmp_path):
    document = written(tmp_path)
    record = document["_checkpoint"]["global_record"]
    # 30, 100, 100 x 0.94, 100
    assert record["scores_mean"]["score_composed"] == pytest.approx(81.0)
    assert record["infractions"]["collisions_vehicle"] == pytest.approx(1 / 3.5, abs=1e-3)
    assert len(document["values"]) == len(document["labels"]) == 15
    assert document["values"][0] == "81.0"


def test_nothing_is_lost_between_writing_and_reading(tmp_path):
    written(tmp_path)
    results, about = read_results(tmp_path)
    assert results == example()
    assert about == ABOUT


def test_a_folder_without_results_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no episodes\.json"):
        read_results(tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "episodes.json").write_text('{"episodes": [{}]}')
    with pytest.raises(ValueError, match="cannot be read"):
        read_results(tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert json.loads(path.read_text()) == {"a": 1}
