"""Paired figures worked by hand, what is said of them, and the tables."""

import json
import math

import numpy as np
import pytest
from rich.console import Console

from evaluation.calibration.__main__ import WIDTH, json_form, markdown, print_tables, sections
from evaluation.calibration.comparison import (
    AIM_TRIGGERS,
    compare_driver,
    verdict,
)
from evaluation.calibration.drives import CalibrationDrive
from evaluation.calibration.trigger_watch import TriggerOutcome
from evaluation.scoring.episode_result import Infraction, InfractionKind
from evaluation.scoring.scores import Interval, ratio_difference_interval
from tests.evaluation.fake_drive import completed_drive

PEDESTRIAN, LEFT_TURN, DEBRIS = (
    "DynamicObjectCrossing",
    "SignalizedJunctionLeftTurn",
    "ControlLoss",
)


def visit(
    name: str,
    kind: str = PEDESTRIAN,
    *,
    played: bool = True,
    reached: bool = True,
    hit: bool = False,
) -> TriggerOutcome:
    came_s = 2.0 if reached and kind != DEBRIS else None
    return TriggerOutcome(
        *(name, kind, played, kind != DEBRIS),
        reached_s=1.0 if reached else None,
        came_s=came_s,
        nearest_m=None if came_s is None else 3.0,
        is_hit=hit,
    )


def drive(
    route_id: str, *triggers: TriggerOutcome, seed: int = 0, hits: int = 0, km: float = 1.0
) -> CalibrationDrive:
    kind = InfractionKind.COLLISION_PEDESTRIAN
    infractions = (Infraction(kind, 1.0, 0.0, 0.0, 0.0),) * hits
    result = completed_drive(
        **{"route_id": route_id, "seed": seed, "length_m": 1000.0 * km, "infractions": infractions},
        **{"mean_actors": math.nan, "episode_return": math.nan},
    )
    return CalibrationDrive(result, triggers)


def test_seeds_are_averaged_and_triggers_paired() -> None:
    embedded = [
        drive("4", visit("a", hit=True), visit("b"), hits=1),
        drive("4", visit("a", hit=False), visit("b"), seed=1),
        drive("7", visit("c", hit=True), hits=1, km=2.0),
        drive("9", visit("d")),  # not driven officially
    ]
    official = [
        drive("4", visit("a", hit=True), visit("b", hit=True), hits=2),
        drive("7", visit("c", hit=True), hits=1, km=2.0),
    ]
    found = compare_driver("blind", embedded, official)
    assert found is not None
    assert found.routes == ("4", "7")
    # 50 points a pedestrian: route 4 (50 + 100) / 2 and 25, route 7 50 and 50
    assert found.scores["4"].embedded == 75.0
    assert found.scores["4"].official == 25.0
    assert (found.driving_score.embedded, found.driving_score.official) == (62.5, 37.5)
    assert found.driving_score.difference.value == 25.0
    rate = found.per_km[InfractionKind.COLLISION_PEDESTRIAN]
    assert (rate.embedded, rate.official) == pytest.approx((1.5 / 3.0, 3.0 / 3.0))
    assert rate.difference.value == pytest.approx(-0.5)
    (script,) = found.scripts
    assert (script.num_played, script.num_paired) == (3, 3)
    # a: 1/2 and 1, b: 0 and 1, c: 1 and 1
    assert (script.hit.embedded, script.hit.official) == pytest.approx((0.5, 1.0))
    # Route 4 alone gives (-1/2 - 1) / 2, route 7 alone 0
    difference = script.hit.difference
    assert (difference.value, difference.low, difference.high) == pytest.approx((-0.5, -0.75, 0.0))
    assert (script.came.embedded, script.met.official) == (1.0, 1.0)


def test_only_triggers_played_and_reached_in_both_worlds_are_paired() -> None:
    names = ("both", "not reached", "embedded only", "official only", "nowhere")
    here = drive(
        "4",
        visit(names[0], hit=True),
        visit(names[1], hit=True),
        visit(names[2], hit=True),
        visit(names[3], played=False),
        visit(names[4], played=False),
    )
    there = drive(
        "4",
        visit(names[0]),
        visit(names[1], reached=False),
        visit(names[2], played=False),
        visit(names[3], hit=True),
        visit(names[4], played=False),
    )
    found = compare_driver("idm", [here], [there])
    assert found is not None
    (script,) = found.scripts
    assert (script.num_played, script.only_embedded, script.only_official) == (2, 1, 1)
    assert (script.reached.embedded, script.reached.official) == (1.0, 0.5)
    assert script.num_paired == 1
    assert (script.hit.embedded, script.hit.official) == (1.0, 0.0)


def test_without_a_common_route_there_is_nothing_to_compare() -> None:
    assert compare_driver("idm", [drive("4")], [drive("7")]) is None


def test_drives_of_different_route_files_are_refused() -> None:
    with pytest.raises(ValueError, match="different triggers"):
        compare_driver("idm", [drive("4", visit("a"))], [drive("4", visit("b"))])


@pytest.mark.parametrize(
    ("interval", "is_enough", "expected"),
    [
        (Interval(0.02, -0.08, 0.13), True, "met"),
        (Interval(0.02, -0.08, 0.15), True, "missed"),  # 13 points to one side
        (Interval(0.05, 0.01, 0.09), True, "missed"),  # a difference
        (Interval(0.0, 0.0, 0.0), False, "too few"),
        (Interval(math.nan, math.nan, math.nan), True, "too few"),
    ],
)
def test_the_aim_is_met_by_narrow_intervals_around_nothing(
    interval: Interval, is_enough: bool, expected: str
) -> None:
    assert verdict(interval, 0.12, is_enough=is_enough) == expected


def test_equal_values_of_few_triggers_prove_nothing() -> None:
    # 0.88^23 = 0.053 and 0.88^24 = 0.047: so many without one that differs bound the share
    assert AIM_TRIGGERS == 24
    for num, expected in ((23, "too few"), (24, "met")):
        drives = [drive(str(i), *([visit(f"t{i}", hit=True)])) for i in range(num)]
        found = compare_driver("blind", drives, drives)
        assert found is not None
        assert found.scripts[0].verdict == expected


def test_a_ratios_difference_is_resampled_over_the_same_routes() -> None:
    # Every resample has equal counts in both: the second has twice the kilometres
    counts, km = np.array([[1.0], [3.0], [8.0]]), np.array([[1.0], [2.0], [3.0]])
    found = ratio_difference_interval((counts, km), (counts, 2.0 * km))
    assert found.value == pytest.approx(1.0 - 2.0)
    # One route alone: 1/1, 3/2 or 8/3, of which the half is the difference
    assert found.low == pytest.approx(-8.0 / 6.0)
    assert found.high == pytest.approx(-1.0 / 2.0)
    nothing = ratio_difference_interval((counts, 0.0 * km), (counts, km))
    assert math.isnan(nothing.value)


# Tables ------------------------------------------------------------------------------------------


def test_tables_fit_a_terminal_and_say_the_same_in_markdown(capsys: pytest.CaptureFixture) -> None:
    kinds = (PEDESTRIAN, LEFT_TURN, DEBRIS, "OppositeVehicleRunningRedLight")
    triggers = [visit(kind, kind, hit=kind != DEBRIS) for kind in kinds]
    misses = [visit(kind, kind) for kind in kinds]
    embedded = [drive("4", *triggers, hits=3), drive("17", *misses)]
    official = [drive("4", *misses), drive("17", *triggers, hits=3)]
    names = ("blind_6", "blind_8", "idm", "policy")
    found = [compare_driver(name, embedded, official) for name in names]
    comparisons = [one for one in found if one is not None]
    tables, facts = sections(comparisons), {"embedded, idm": "2 of 36 routes, 1 seed"}
    print_tables(tables, facts, Console(width=WIDTH))
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" not in text
    assert "blind_6: at the triggers [%]" in text
    assert "embedded, idm: 2 of 36 routes, 1 seed" in text
    page = markdown(tables, facts)
    row = "| light runner | 2 | 100/100 | 100/100 | 100/100 | 50/50 | +0 [-100, +100] | too few |"
    assert row in page
    assert "| control loss | 2 | 100/100 | - | - | - | - | - |" in page
    assert "| driving score | 56.2 | 56.2 | +0.0 [-87.5, +87.5] | too few |" in page
    assert "| 17 | 100.0/12.5 |" in page


def test_what_is_not_known_is_null_in_json() -> None:
    found = compare_driver("idm", [drive("4")], [drive("4")])
    document = json.loads(json.dumps(json_form([found, drive("4")]), allow_nan=False))
    assert document[0]["routes"] == ["4"]
    assert document[1]["result"]["mean_actors"] is None
