import dataclasses
import json
from pathlib import Path

import pytest

from evaluation.compare import compare, main, short_names
from evaluation.scoring.results_file import write_results
from tests.evaluation.test_scores import result


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


def test_folders_are_told_apart_by_what_differs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_names(Path("x/run_1/idm"), Path("x/run_2/idm")) == ("run_1", "run_2")
    assert short_names(Path("x/run"), Path("x/run/idm")) == ("run", "run/idm")
    assert short_names(Path("x"), Path("x")) == ("x", "x")
