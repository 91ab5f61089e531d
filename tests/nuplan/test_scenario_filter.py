"""Scenario filters in the devkit's YAML form, and their counts, limits and spacing by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sim_adapters.nuplan.log_candidates import Candidate
from sim_adapters.nuplan.scenario_filter import (
    ScenarioFilter,
    keep_of_log,
    load_filter,
    parse_filter,
    select_scenarios,
)
from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog, ScenarioLog
from sim_adapters.nuplan.scenario_mapping import load_mapping

DEVKIT_FILE = """
_target_: nuplan.planning.scenario_builder.scenario_filter.ScenarioFilter
_convert_: 'all'
scenario_types: [changing_lane, stationary]
scenario_tokens:
  - 'fa20c34947a8558d'
log_names: ${splitter.log_splits.val}
map_names: null
num_scenarios_per_type: 100
timestamp_threshold_s: 15
ego_displacement_minimum_m: null
expand_scenarios: false
remove_invalid_goals: true
shuffle: false
"""


def row(
    number: int, scenario_type: str = "changing_lane", *, at_s: float | None = None
) -> Candidate:
    time_us = round(1e6 * (number if at_s is None else at_s))
    return Candidate(f"{number:016x}", time_us, scenario_type, "map", Path("a.db"))


def numbers(rows: Sequence[Candidate]) -> list[int]:
    return [int(candidate.token, 16) for candidate in rows]


def test_the_devkits_form_is_read(tmp_path: Path) -> None:
    (tmp_path / "filter.yaml").write_text(DEVKIT_FILE)
    (tmp_path / "splitter.yaml").write_text("log_splits: {val: [log_1, log_2]}")
    wanted = load_filter(tmp_path / "filter.yaml", splitter=tmp_path / "splitter.yaml")
    assert wanted == ScenarioFilter(
        scenario_types=("changing_lane", "stationary"),
        scenario_tokens=("fa20c34947a8558d",),
        log_names=("log_1", "log_2"),
        num_scenarios_per_type=100,
        timestamp_threshold_s=15,
        remove_invalid_goals=True,
    )
    assert wanted.takes_log("log_2")
    assert not wanted.takes_log("log_3")


def test_tokens_need_no_splitter_and_changes_replace_keys(tmp_path: Path) -> None:
    (tmp_path / "filter.yaml").write_text(DEVKIT_FILE)
    wanted = load_filter(tmp_path / "filter.yaml", scenario_types=None)
    assert wanted.log_names is None
    assert wanted.scenario_types is None
    with pytest.raises(ValueError, match=r"splitter=.*log_names=null"):
        load_filter(tmp_path / "filter.yaml", scenario_tokens=None)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scenario_type": ["changing_lane"]}, "unknown filter keys scenario_type; known are"),
        ({"expand_scenarios": True}, "expand_scenarios=True is not supported, set it to False"),
        ({"ego_route_radius": 50.0}, "ego_route_radius=50.0 is not supported"),
        ({"scenario_types": "changing_lane"}, "must be a list of names"),
        ({"scenario_tokens": [123456]}, "must be a list of names in quotes"),
        ({"scenario_tokens": ["xyz"]}, "'xyz' is no string of pairs of hex digits"),
        ({"num_scenarios_per_type": 0}, "num_scenarios_per_type must be positive"),
        ({"limit_total_scenarios": 1.5}, "a positive count or a share between 0 and 1"),
        ({"limit_total_scenarios": 0}, "a positive count or a share between 0 and 1"),
        ({"limit_total_scenarios": True}, "a positive count or a share between 0 and 1"),
        ({"limit_total_scenarios": float("nan")}, "a positive count or a share between 0 and 1"),
        ({"num_scenarios_per_type": 2.5}, "num_scenarios_per_type must be positive and whole"),
        ({"scenario_tokens": []}, "scenario_tokens is an empty list, which takes nothing: null"),
        ({"scenario_types": []}, "scenario_types is an empty list"),
        ({"log_names": []}, "log_names is an empty list"),
        ({"map_names": []}, "map_names is an empty list"),
        ({"scenario_types": ["changing_lane "]}, "holds 'changing_lane '"),
        ({"scenario_tokens": [""]}, "holds ''"),
        ({"scenario_tokens": ["FA20C34947A8558D"]}, "hex digits in lower case"),
        ({"timestamp_threshold_s": -1}, "timestamp_threshold_s must be a finite number, 0 or more"),
        ({"timestamp_threshold_s": float("nan")}, "timestamp_threshold_s must be a finite number"),
        ({"ego_displacement_minimum_m": float("inf")}, "must be a finite number, 0 or more"),
        ({"ego_start_speed_threshold": "2"}, "ego_start_speed_threshold must be a finite number"),
        ({"remove_invalid_goals": "no"}, "remove_invalid_goals must be true or false"),
    ],
)
def test_what_a_filter_cannot_mean_is_named(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"file.yaml: .*{message}"):
        parse_filter(values, "file.yaml")


def test_files_that_are_no_filters_are_named(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("[1, 2]")
    (tmp_path / "broken.yaml").write_text("a: [")
    (tmp_path / "empty.yaml").write_text("# nothing here\n")
    with pytest.raises(ValueError, match=r"empty\.yaml holds no keys"):
        load_filter(tmp_path / "empty.yaml")
    with pytest.raises(ValueError, match="holds no keys"):
        load_filter(tmp_path / "list.yaml")
    for name in ("broken.yaml", "missing.yaml"):
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            load_filter(tmp_path / name)


def test_an_empty_split_is_refused_and_one_that_takes_everything_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "filter.yaml").write_text("log_names: ${splitter.log_splits.val}\n")
    (tmp_path / "splitter.yaml").write_text("log_splits: {val: []}\n")
    with pytest.raises(ValueError, match="log_names is an empty list"):
        load_filter(tmp_path / "filter.yaml", splitter=tmp_path / "splitter.yaml")
    assert not caplog.text
    (tmp_path / "all.yaml").write_text("scenario_tokens:\nshuffle: true\n")
    assert load_filter(tmp_path / "all.yaml").takes_everything
    assert "all.yaml names nothing: it takes every scenario of every log" in caplog.text


def test_a_filter_bears_the_name_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "test14-hard.yaml"
    file.write_text("scenario_types: [changing_lane]\nexpand_scenarios: true\n")
    assert load_filter(file, expand_scenarios=False).name == "test14-hard"
    fewer = load_filter(file, expand_scenarios=False, limit_total_scenarios=3)
    assert fewer.name == "test14-hard (changed)"
    with pytest.raises(ValueError, match="unknown filter keys name"):
        load_filter(file, expand_scenarios=False, name="val14_split")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("[.inf, 0]", "must be positive and at most 3600 s"),
        ("[.nan, 0]", "must be positive"),
        ("[15, .nan]", "begins within 3600 s"),
        ("[15, -1e9]", "begins within 3600 s"),
        ("[15, 0, .nan]", "subsample_ratio must be"),
    ],
)
def test_a_mapping_of_impossible_windows_is_refused(row: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(f"scenario_map: {{changing_lane: {row}}}\n")
    with pytest.raises(ValueError, match=message):
        load_mapping(tmp_path / "mapping.yaml")


def test_a_mapping_of_unknown_types_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "mapping.yaml").write_text("scenario_map: {changing_lan: [15, 0]}\n")
    load_mapping(tmp_path / "mapping.yaml")
    assert "maps types that nuPlan has not: changing_lan" in caplog.text


def test_counts_are_spread_evenly_over_a_type() -> None:
    rows = [row(i) for i in range(10)] + [row(i, "stationary") for i in range(20, 22)]
    # Every third of the ten, and three of those four; both of the other two
    kept = select_scenarios(rows, ScenarioFilter(num_scenarios_per_type=3))
    assert numbers(kept) == [0, 3, 6, 20, 21]


def test_a_limit_drops_untagged_scenarios_first() -> None:
    rows = [row(i, "unknown") for i in range(6)] + [row(i) for i in range(10, 14)]
    # 10 scenarios, 7 wanted: 3 of the 6 untagged go, every second stays
    kept = select_scenarios(rows, ScenarioFilter(limit_total_scenarios=7))
    assert numbers(kept) == [0, 2, 4, 10, 11, 12, 13]
    # 2 wanted: all untagged go, then every second of the four by token
    kept = select_scenarios(rows, ScenarioFilter(limit_total_scenarios=2))
    assert numbers(kept) == [10, 12]
    # A share is rounded up: 0.25 of 10 is 3, every first of four, cut at three
    kept = select_scenarios(rows, ScenarioFilter(limit_total_scenarios=0.25))
    assert numbers(kept) == [10, 11, 12]


def test_a_limit_above_the_number_of_scenarios_keeps_all() -> None:
    rows = [row(1), row(2, "unknown")]
    assert numbers(select_scenarios(rows, ScenarioFilter(limit_total_scenarios=50))) == [1, 2]


def test_scenarios_of_a_type_keep_their_distance_in_time() -> None:
    rows = [row(i, at_s=0.5 * i) for i in range(8)] + [row(9, "stationary", at_s=0.1)]
    # 0 s, then the first at 1 s or later, and so on; another type is not concerned
    kept = select_scenarios(rows, ScenarioFilter(timestamp_threshold_s=1.0))
    assert numbers(kept) == [0, 2, 4, 6, 9]


def test_shuffled_subsets_are_those_of_the_seed() -> None:
    rows = [row(i) for i in range(30)]
    draws = random.Random(5)
    expected = sorted(draws.sample(range(30), 4))
    wanted = ScenarioFilter(num_scenarios_per_type=4, shuffle=True, seed=5)
    assert numbers(select_scenarios(rows, wanted)) == expected


def drive(speeds: Sequence[float]) -> ScenarioLog:
    """An ego that drives straight on at these speeds, one a frame."""
    speed = np.array(speeds)
    zero = np.zeros(len(speed))
    x = np.concatenate([[0.0], np.cumsum(0.1 * speed[:-1])])
    time_us = (1e5 * np.arange(len(speed))).astype(np.int64)
    ego = EgoLog(time_us, x, zero, zero, speed, zero, zero, zero)
    empty = EgoLog(*(column[:0] for column in ego))
    none = np.empty(0)
    no_boxes = BoxLog(np.zeros(len(speed) + 1, np.int32), none, none, *[none] * 7)
    no_lights = LightLog(np.zeros(len(speed) + 1, np.int32), none, none)
    return ScenarioLog(
        "00", "unknown", "log", "map", ego, empty, empty, no_boxes, (), no_lights, (), ()
    )


def test_the_way_of_the_ego_is_measured_from_frame_one_on() -> None:
    log = drive([10.0] * 11)  # 1 m a frame: ten steps, of which the first is not counted
    assert keep_of_log(log, ScenarioFilter(ego_displacement_minimum_m=8.99))
    assert not keep_of_log(log, ScenarioFilter(ego_displacement_minimum_m=9.01))


@pytest.mark.parametrize(
    ("speeds", "starts", "stops"),
    [
        ([0.0, 1.0, 2.0, 3.0, 3.0], True, False),
        ([3.0, 2.0, 1.0, 0.0, 0.0], False, True),
        ([3.0, 1.0, 3.0, 3.0, 3.0], True, True),
        ([1.95, 2.02, 1.95, 2.02], False, False),  # below the noise of 0.1 m/s
        ([3.0, 3.0, 3.0, 3.0], False, False),
    ],
)
def test_starts_and_stops_cross_a_speed(speeds: list[float], starts: bool, stops: bool) -> None:
    log = drive(speeds)
    assert keep_of_log(log, ScenarioFilter(ego_start_speed_threshold=2.0)) == starts
    assert keep_of_log(log, ScenarioFilter(ego_stop_speed_threshold=2.0)) == stops
