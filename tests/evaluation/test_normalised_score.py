import pytest

from evaluation.scoring.episode_result import EpisodeResult, Infraction, InfractionKind
from evaluation.scoring.scores import normalised_score, slowness_percent
from tests.evaluation.fake_drive import completed_drive


def result(length_m: float, completion: float, *infractions: Infraction) -> EpisodeResult:
    return completed_drive(length_m=length_m, route_completion=completion, infractions=infractions)


def infraction(kind: InfractionKind, percent: float = 0.0) -> Infraction:
    return Infraction(kind, time_s=1.0, x=0.0, y=0.0, z=0.0, percent=percent)


def test_one_red_light_in_two_kilometres_costs_the_root_of_its_penalty():
    # (0.2 * 0.7) ** (1 / 2 km) = 0.374166
    drive = result(2000.0, 100.0, infraction(InfractionKind.RED_LIGHT))
    assert normalised_score(drive) == pytest.approx(37.4166, abs=1e-4)


def test_the_score_does_not_depend_on_how_a_drive_is_cut_into_routes():
    red = infraction(InfractionKind.RED_LIGHT)
    assert normalised_score(result(2000.0, 100.0, red, red)) == pytest.approx(
        normalised_score(result(1000.0, 100.0, red))
    )


def test_only_the_driven_part_counts_as_length():
    # 1 km of 2 km driven: 50 * (0.2 * 0.5) ** 1
    drive = result(2000.0, 50.0, infraction(InfractionKind.COLLISION_PEDESTRIAN))
    assert normalised_score(drive) == pytest.approx(5.0)


def test_shares_of_the_route_are_not_normalised():
    drive = result(2000.0, 100.0, infraction(InfractionKind.OUTSIDE_ROUTE_LANES, 10.0))
    assert normalised_score(drive) == pytest.approx(90.0)


def test_a_route_without_a_metre_driven_scores_nothing():
    assert normalised_score(result(2000.0, 0.0)) == 0.0


def test_slowness_is_averaged_over_all_four_quarters():
    # One quarter at half the traffic's speed, three at full speed
    drive = result(1000.0, 100.0, infraction(InfractionKind.MINIMUM_SPEED, 50.0))
    assert slowness_percent(drive) == pytest.approx(12.5)
