import dataclasses
import json
from pathlib import Path

import pytest

from evaluation.compare import TITLES, compare, main, short_names
from evaluation.leaderboard_jobs.job import make_jobs
from evaluation.leaderboard_jobs.official_results import merged_document, official_result
from evaluation.scoring.episode_result import NAMES, InfractionKind
from evaluation.scoring.results_file import write_json, write_results
from evaluation.scoring.score_table import broken_name, comparison_table, score_rows
from evaluation.scoring.scores import benchmark_scores
from evaluation.video.panel import SHORT_NAMES as PANEL_NAMES
from tests.evaluation.leaderboard.official_records import make_record
from tests.evaluation.test_scores import infraction, result


def drives(bonus: float, seeds=(0, 1)):
    return [
        result(str(route), seed, 10.0 * route + 5.0 * seed + bonus)
        for route in range(1, 6)
        for seed in seeds
    ]


def test_a_constant_advantage_has_no_spread_however_different_the_routes_are():
    change = compare(drives(0.0), drives(7.0)).differences["driving_score"].change
    assert (change.value, change.low, change.high) == pytest.approx((7.0, 7.0, 7.0))


def test_pairs_that_got_better_and_worse_are_counted():
    other = drives(0.0)
    other[0] = dataclasses.replace(other[0], route_completion=99.0)
    other[1] = dataclasses.replace(other[1], route_completion=0.0)
    difference = compare(drives(0.0), other).differences["route_completion"]
    assert (difference.num_better, difference.num_worse) == (1, 1)


def test_what_was_lost_to_slowness_is_compared_under_the_name_that_every_table_has():
    half = infraction(InfractionKind.MINIMUM_SPEED, 50.0)  # of the traffic's speed, in one quarter
    slow = [dataclasses.replace(drive, infractions=(half,)) for drive in drives(0.0)]
    found = compare(drives(0.0), slow)
    change = found.differences["slower_than_traffic"]
    assert (change.first, change.second) == pytest.approx((0.0, 12.5))
    name = NAMES[InfractionKind.MINIMUM_SPEED]
    assert name == PANEL_NAMES[InfractionKind.MINIMUM_SPEED]
    assert f"{name} [%]" == TITLES["slower_than_traffic"]
    assert f"{name} [%]" in score_rows(benchmark_scores(slow))


def test_what_went_wrong_is_compared_kind_by_kind_and_what_never_did_is_left_out():
    red = infraction(InfractionKind.RED_LIGHT)
    runner = [dataclasses.replace(drive, infractions=(red, red)) for drive in drives(0.0)]
    comparison = compare(drives(0.0), runner)
    found = comparison.differences["infractions_of_red_light"]
    assert (found.first, found.second, found.num_better) == (0.0, 2.0, len(runner))
    rows = [row[0] for row in comparison_table(("a", "b"), comparison, TITLES, 1).rows]
    assert "red lights run / route" in rows
    assert not [row for row in rows if "stop signs" in row or "collision" in row]


def test_the_order_of_the_episodes_does_not_matter():
    assert compare(drives(0.0), drives(7.0)[::-1]) == compare(drives(0.0), drives(7.0))


def test_other_seeds_are_refused():
    with pytest.raises(ValueError, match="in one evaluation only"):
        compare(drives(0.0), drives(0.0, seeds=(0, 2)))


def test_other_routes_under_the_same_ids_are_refused():
    longer = [dataclasses.replace(drive, length_m=1234.0) for drive in drives(0.0)]
    with pytest.raises(ValueError, match="not the same route file"):
        compare(drives(0.0), longer)


def test_the_command_prints_a_table_and_writes_json(tmp_path, capsys):
    write_results(tmp_path / "a", drives(0.0), {})
    write_results(tmp_path / "b", drives(7.0), {})
    output = tmp_path / "difference.json"
    main([str(tmp_path / "a"), str(tmp_path / "b"), "--json", str(output)])
    assert "driving score" in capsys.readouterr().out
    changes = json.loads(output.read_text())["changes"]["routes"]
    change = changes["differences"]["driving_score"]["change"]
    assert change["value"] == pytest.approx(7.0)


def test_a_folder_without_results_ends_with_one_line(tmp_path):
    with pytest.raises(SystemExit, match=r"error: .* holds no episodes"):
        main([str(tmp_path), str(tmp_path)])


def test_what_is_compared_is_named_within_80_columns(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    folders = [tmp_path / "a" / "long" / "way" / name for name in ("carl_drives", "other_drives")]
    for folder, score in zip(folders, (100.0, 62.5), strict=True):
        runs = [dataclasses.replace(result(str(i)), route_completion=score) for i in range(3)]
        write_results(folder, runs, {})
    main([str(folder) for folder in folders])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    (heading,) = (line for line in lines if "carl_drives" in line and "against" not in line)
    assert heading.index("carl_drives") < heading.index("other_drives")
    assert "other_drives against carl_drives, routes" in lines[0]
    assert any("-37.5 [-37.5, -37.5]" in line for line in lines)


def test_a_long_name_is_broken_at_its_joints_alone():
    assert broken_name("idm") == "idm"
    assert broken_name("no_lights_drives") == "no_lights_\ndrives"
    assert broken_name("path/no_lights_drives") == "path/no_\nlights_drives"
    assert broken_name("averylongnamewithout") == "averylongnamewithout"


def test_folders_are_told_apart_by_what_differs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_names(Path("x/run_1/idm"), Path("x/run_2/idm")) == ("run_1", "run_2")
    assert short_names(Path("x/run"), Path("x/run/idm")) == ("run", "run/idm")
    assert short_names(Path("x"), Path("x")) == ("x", "x")


def write_official(folder, completions, *, server="headless 0.9.16", first_seed=0):
    """A finished run of routes 1, 2 ... with two seeds each; the second seed gets 10 % less."""
    routes = [(str(number), "Town01") for number in range(1, len(completions) + 1)]
    jobs = make_jobs(routes, range(first_seed, first_seed + 2), folder / "routes")
    records = [
        make_record(job.route_id, completion=completions[int(job.route_id) - 1] - 10.0 * (k % 2))
        for k, job in enumerate(jobs)
    ]
    results = [official_result(job, record) for job, record in zip(jobs, records, strict=True)]
    about = {"server": server, "seeds": f"{first_seed} to {first_seed + 1}"}
    folder.mkdir(exist_ok=True)
    write_json(folder / "results.json", merged_document(results, records, about))
    return folder


def test_official_runs_are_paired_by_route_and_seed(tmp_path):
    first = write_official(tmp_path / "a", [50.0, 60.0, 70.0], first_seed=3)
    second = write_official(tmp_path / "b", [55.0, 66.0, 70.0], first_seed=3)
    output = tmp_path / "difference.json"
    main([str(first), str(second), "--json", str(output)])
    found = json.loads(output.read_text())["changes"]["routes"]
    score = found["differences"]["driving_score"]
    assert found["num_pairs"] == 6
    assert (score["first"], score["second"]) == pytest.approx((55.0, 58.0 + 2.0 / 3.0))
    assert (score["num_better"], score["num_worse"]) == (4, 0)


def test_official_runs_of_other_seeds_are_refused(tmp_path):
    first = write_official(tmp_path / "a", [50.0], first_seed=0)
    second = write_official(tmp_path / "b", [50.0], first_seed=2)
    with pytest.raises(SystemExit, match="in one evaluation only"):
        main([str(first), str(second)])


def test_drives_in_different_worlds_are_not_paired(tmp_path):
    official = write_official(tmp_path / "a", [50.0])
    carla = write_official(tmp_path / "b", [50.0], server="CARLA 0.9.16")
    write_results(tmp_path / "c", [result("1", seed) for seed in (0, 1)], {})
    for other in (carla, tmp_path / "c"):
        with pytest.raises(SystemExit, match="different worlds"):
            main([str(official), str(other)])


def test_a_result_file_of_somebody_else_is_named(tmp_path):
    (tmp_path / "results.json").write_text("[]")
    with pytest.raises(SystemExit, match=r"results\.json is no results\.json of"):
        main([str(tmp_path), str(tmp_path)])


def test_an_episode_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="2 of 12 episodes are there twice"):
        compare(drives(0.0), drives(7.0) + drives(7.0)[:2])
