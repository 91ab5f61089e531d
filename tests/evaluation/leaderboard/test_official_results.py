"""Official records become results with the evaluator's own scores, and one merged file."""

import math
from pathlib import Path

import numpy as np
import pytest

from evaluation.leaderboard_jobs.job import RouteJob, make_jobs
from evaluation.leaderboard_jobs.official_report import (
    OfficialRun,
    headless_world,
    read_beside,
    unreal_world,
    write_official_report,
)
from evaluation.leaderboard_jobs.official_results import (
    MissingRoutesError,
    merged_document,
    official_result,
    official_results,
)
from evaluation.scoring.episode_result import EpisodeEnd, InfractionKind
from sim_adapters.world.dynamics_check import HorizonErrors, keep_check
from tests.evaluation.leaderboard.official_records import (
    COLLISION,
    OUTSIDE,
    RED_LIGHT,
    SLOW,
    make_record,
    write_record,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The user's own may hold a check of the dynamics, which reports then tell of
    monkeypatch.setenv("CARL_PLANNER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def jobs(tmp_path: Path) -> list[RouteJob]:
    return make_jobs([("2", "Town01"), ("10", "Town02")], range(1), tmp_path)


def test_sentences_become_infractions_in_our_frame(jobs):
    record = make_record(
        "2", penalty=0.6, infractions={InfractionKind.COLLISION_VEHICLE: [COLLISION]}
    )
    (infraction,) = official_result(jobs[0], record).infractions
    assert (infraction.x, infraction.y, infraction.z) == (10.5, 2.25, 0.1)
    assert (infraction.other_id, infraction.other_type) == (77, "vehicle.audi.tt")


def test_shares_are_read_and_the_score_is_the_evaluators_own(jobs):
    # 0.9 for a tenth outside its lanes, 0.85 for a quarter at half the traffic's speed
    record = make_record(
        "2",
        penalty=0.765004,  # unrounded shares
        infractions={
            InfractionKind.OUTSIDE_ROUTE_LANES: [OUTSIDE],
            InfractionKind.MINIMUM_SPEED: [SLOW],
        },
    )
    result = official_result(jobs[0], record)
    assert [infraction.percent for infraction in result.infractions] == [10.0, 50.0]
    assert result.outside_lanes_m == 25.0
    assert result.infraction_score == 0.765004
    assert result.driving_score == pytest.approx(76.5004)


def test_a_penalty_that_its_infractions_do_not_explain_is_refused(jobs):
    record = make_record("2", penalty=0.7)
    with pytest.raises(ValueError, match=r"penalty of 1\.0000"):
        official_result(jobs[0], record)


@pytest.mark.parametrize(
    ("status", "end"),
    [
        ("Perfect", EpisodeEnd.COMPLETED),
        ("Completed", EpisodeEnd.COMPLETED),
        ("Failed - Agent got blocked", EpisodeEnd.BLOCKED),
        ("Failed - Agent timed out", EpisodeEnd.TIMEOUT),
        ("Failed - Agent deviated from the route", EpisodeEnd.ROUTE_DEVIATION),
    ],
)
def test_statuses_are_the_ends_that_our_evaluator_knows(jobs, status, end):
    assert official_result(jobs[0], make_record("2", status=status)).end is end


def test_there_is_no_score_while_a_route_is_missing(jobs):
    write_record(jobs[0])
    with pytest.raises(MissingRoutesError) as caught:
        official_results(jobs, {jobs[1]: "silent for 300 s"})
    assert "route 10 seed 0 (Town02): silent for 300 s" in str(caught.value)
    assert "1 of 2" in str(caught.value)


def merged(jobs: list[RouteJob]) -> dict:
    # 0.6 * 0.7 on route 10, of which half is driven: 500 m
    records = [
        write_record(jobs[0], status="Perfect"),
        write_record(
            jobs[1],
            status="Failed - Agent got blocked",
            completion=50.0,
            penalty=0.42,
            infractions={
                InfractionKind.COLLISION_VEHICLE: [COLLISION],
                InfractionKind.RED_LIGHT: [RED_LIGHT],
            },
        ),
    ]
    return merged_document(official_results(jobs), records, {"name": "ours"})


def test_merged_file_has_the_means_and_deviations_of_all_routes(jobs):
    overall = merged(jobs)["_checkpoint"]["global_record"]
    assert overall["scores_mean"] == {
        "score_composed": 60.5,  # of 100 and 21
        "score_route": 75.0,
        "score_penalty": 0.71,
    }
    # Two values that lie 79 apart: 79 / sqrt(2)
    assert overall["scores_std_dev"]["score_composed"] == round(79.0 / math.sqrt(2.0), 3)
    assert overall["status"] == "Failed"
    assert overall["meta"]["exceptions"] == [
        ["RouteScenario_10_rep0", 1, "Failed - Agent got blocked"]
    ]


def test_merged_file_counts_infractions_per_driven_kilometre(jobs):
    # 1000 m and half of 1000 m
    infractions = merged(jobs)["_checkpoint"]["global_record"]["infractions"]
    assert infractions["collisions_vehicle"] == round(1 / 1.5, 3)
    assert infractions["red_light"] == round(1 / 1.5, 3)
    assert infractions["collisions_layout"] == 0.0


def test_merged_file_sorts_route_2_before_route_10(jobs):
    document = merged(jobs[::-1][::-1])
    records = document["_checkpoint"]["records"]
    assert [record["route_id"] for record in records] == [
        "RouteScenario_2_rep0",
        "RouteScenario_10_rep0",
    ]
    assert [record["index"] for record in records] == [0, 1]
    assert document["values"][0] == "60.5"
    assert len(document["values"]) == len(document["labels"]) == 15


def test_seeds_become_the_leaderboards_repetitions(tmp_path):
    jobs = make_jobs([("2", "Town01")], range(5, 7), tmp_path)
    records = [write_record(job) for job in jobs]
    document = merged_document(official_results(jobs), records, {})
    assert [record["route_id"] for record in document["_checkpoint"]["records"]] == [
        "RouteScenario_2_rep0",
        "RouteScenario_2_rep1",
    ]


def write_report_of(jobs: list[RouteJob], folder: Path, world) -> str:
    for job in jobs:
        write_record(job)
    run = OfficialRun("ours", world, official_results(jobs), {"server": "headless 0.9.16"})
    return write_official_report(folder, run, jobs).read_text()


def test_headless_scores_never_look_like_carla_results(jobs, tmp_path):
    html = write_report_of(jobs, tmp_path, headless_world("0.9.16"))
    assert "<th>ours: headless DS</th>" in html
    assert "<th>real CARLA</th>" in html
    assert "<td>not measured</td>" in html
    assert "not a CARLA or longest6 result" in html
    assert "unvalidated" in html
    assert "headless 0.9.16" in html
    assert "<td>headless driving score</td>" in html
    assert "2.0 x real time" in html  # 100 s of game in 50 s


def test_validated_dynamics_leave_headless_scores_headless(jobs, tmp_path):
    row = HorizonErrors("all", horizon_s=5.0, position_m=np.ones(1), speed_mps=np.ones(1))
    keep_check([row], num_drives=3)
    html = write_report_of(jobs, tmp_path, headless_world("0.9.16"))
    assert "compared with 3 recorded CARLA drives" in html
    assert "unvalidated" not in html
    assert "not a CARLA or longest6 result" in html


def test_the_report_tells_times_and_scenario_timeouts_of_each_route(jobs, tmp_path):
    timeout = {InfractionKind.SCENARIO_TIMEOUT: ["Agent timed out a scenario"]}
    write_record(jobs[0], penalty=0.7, infractions=timeout)
    write_record(jobs[1])
    run = OfficialRun("ours", headless_world("0.9.16"), official_results(jobs), {})
    html = write_official_report(tmp_path, run, jobs).read_text()
    assert html.count("<td>100 / 50</td>") == 2  # seconds of game and of wall-clock
    assert "scenario timeouts / km" in html
    assert "scenario timeout (1)" in html
    assert "actors" not in html  # the evaluator does not count them


def test_scores_from_carla_leave_nothing_unmeasured(jobs, tmp_path):
    html = write_report_of(jobs, tmp_path, unreal_world("0.9.15"))
    assert "<th>ours: CARLA DS</th>" in html
    assert "not measured" not in html


def test_a_merged_file_can_stand_beside_another_run(jobs, tmp_path):
    write_report_of(jobs, tmp_path, headless_world("0.9.16"))
    name, results = read_beside(tmp_path / "results.json", jobs)
    assert name == "ours"
    assert [result.route_id for result in results] == ["2", "10"]


@pytest.mark.parametrize("text", ["{", "[]", '{"_checkpoint": {}}'])
def test_a_file_of_something_else_cannot_stand_beside_a_run(jobs, tmp_path, text):
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(ValueError, match=r"is no results.json of evaluation\.longest6_official"):
        read_beside(tmp_path / "results.json", jobs)


def test_a_merged_file_without_one_of_the_routes_is_refused(jobs, tmp_path):
    write_report_of(jobs[:1], tmp_path, headless_world("0.9.16"))
    with pytest.raises(ValueError, match="no record of route 10"):
        read_beside(tmp_path / "results.json", jobs)
