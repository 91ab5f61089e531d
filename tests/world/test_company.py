"""The ego's company on its road: how many, how far, how fast, and what they overlook."""

import math

import numpy as np
import pytest

from sim_adapters.scene.map_bank import LaneKind
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.traffic.company import pace_of
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.step import reset_traffic_range
from sim_adapters.world.vehicle_catalogue import EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M
from tests.world.town_traffic import TownTraffic, count_contacts, make_town_traffic

SETTINGS = TrafficSettings(
    num_vehicles=30, radius_m=70.0, despawn_m=100.0, company=2, changes_lanes=False
)


@pytest.fixture(scope="module")
def town() -> TownTraffic:
    """Town06, whose roads are long and have up to five lanes a direction."""
    return make_town_traffic(["Town06"], [3], SETTINGS, [30])


def _long_lanes(run: TownTraffic) -> np.ndarray:
    """Straight lanes of 250 m that have a neighbour of their direction on each side."""
    lanes, yaw = run.maps.lanes, run.maps.points.yaw_rad
    turn = np.cos(yaw[lanes.first_point[1:] - 1] - yaw[lanes.first_point[:-1]])
    return np.flatnonzero(
        (lanes.kind == LaneKind.DRIVING)
        & (lanes.junction < 0)
        & (lanes.length_m > 250.0)
        & (turn > 0.999)
        & (lanes.left >= 0)
        & (lanes.right >= 0)
    )


def _put_ego(run: TownTraffic, speed_mps: float = 0.0, *, aside_m: float = 0.0) -> int:
    """Stand the ego 120 m into a lane of three or more; the lane."""
    lane = int(_long_lanes(run)[0])
    points, motion, traits = run.maps.points, run.scene.motion, run.scene.traits
    point = run.maps.lanes.first_point[lane] + 120
    yaw = points.yaw_rad[point]
    motion.x[0, 0] = points.x[point] - aside_m * math.sin(yaw)
    motion.y[0, 0] = points.y[point] + aside_m * math.cos(yaw)
    motion.z[0, 0], motion.yaw_rad[0, 0] = points.z[point], yaw
    motion.vx_mps[0, 0] = speed_mps * math.cos(yaw)
    motion.vy_mps[0, 0] = speed_mps * math.sin(yaw)
    traits.valid[0, 0], traits.kind[0, 0], traits.actor_id[0, 0] = True, ActorKind.CAR, 1
    traits.half_length_m[0, 0], traits.half_width_m[0, 0] = EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M
    return lane


def _start(run: TownTraffic, settings: TrafficSettings) -> None:
    run.settings = [settings]
    reset_traffic_range(0, 1, *run.arguments(settings))


def _ahead_and_left(run: TownTraffic) -> tuple[np.ndarray, np.ndarray]:
    """Where the cars of the ego's direction are, in its frame; of other slots NaN."""
    motion, yaw = run.scene.motion, run.scene.motion.yaw_rad[0, 0]
    same = run.scene.traits.valid[0] & (np.cos(motion.yaw_rad[0] - yaw) > 0.8)
    same[0] = False
    dx, dy = motion.x[0] - motion.x[0, 0], motion.y[0] - motion.y[0, 0]
    return (
        np.where(same, np.cos(yaw) * dx + np.sin(yaw) * dy, np.nan),
        np.where(same, np.cos(yaw) * dy - np.sin(yaw) * dx, np.nan),
    )


def test_who_is_ahead_waits_and_who_is_behind_hurries() -> None:
    assert pace_of(30.0, 2) == 1.0
    assert pace_of(37.5, 2) == pytest.approx(0.5)  # half way from 30 to 45 m
    assert pace_of(45.0, 2) == pace_of(60.0, 2) == 0.0
    assert pace_of(-7.5, 2) == pytest.approx(1.5)
    assert pace_of(-15.0, 2) == pace_of(-60.0, 2) == 2.0


def test_a_reset_puts_two_cars_ahead_and_two_behind_on_each_lane(town: TownTraffic) -> None:
    _put_ego(town)
    _start(town, SETTINGS)
    ahead, left = _ahead_and_left(town)
    for offset in (-3.5, 0.0, 3.5):
        column = np.sort(ahead[np.abs(left - offset) < 1.0])
        np.testing.assert_allclose(column, [-30.0, -15.0, 15.0, 30.0], atol=1.0)


def test_without_company_nothing_is_kept(town: TownTraffic) -> None:
    _put_ego(town)
    _start(town, SETTINGS._replace(company=0, num_vehicles=0))
    assert not town.scene.traits.valid[0, 1:].any()


def test_cars_pass_a_standing_ego_for_ever_and_nobody_leaves_it_far_behind(
    town: TownTraffic,
) -> None:
    _put_ego(town)
    _start(town, SETTINGS)
    seen: set[int] = set()
    for _ in range(600):
        town.step()
        ahead, left = _ahead_and_left(town)
        beside = np.abs(np.abs(left) - 3.5) < 1.0
        assert np.sum(beside & (ahead > 0.0)) <= 6  # two lanes, one more while it is in view
        seen |= set(town.scene.traits.actor_id[0].tolist())
        assert count_contacts(town.scene.motion, town.scene.traits) == 0
    assert len(seen) > 30


@pytest.mark.parametrize(("overlooked_m", "passes"), [(0.0, False), (0.5, True), (1.2, True)])
def test_a_little_of_the_ego_in_their_way_is_overlooked(
    town: TownTraffic, overlooked_m: float, passes: bool
) -> None:
    """Lanes of 3.5 m: its body reaches to 0.9 m from the next centre line, into a car."""
    _put_ego(town, aside_m=3.5 - EGO_HALF_WIDTH_M - 0.9)
    _start(town, SETTINGS._replace(overlooked_m=overlooked_m))
    passed = 0
    for _ in range(150):
        ids, (before, _) = run_ids(town), _ahead_and_left(town)
        town.step()
        after, left = _ahead_and_left(town)
        in_that_lane = np.abs(left - EGO_HALF_WIDTH_M - 0.9) < 0.5
        passed += int(
            np.sum((before < 0.0) & (after >= 0.0) & in_that_lane & (ids == run_ids(town)))
        )
    assert (passed > 0) == passes


def run_ids(run: TownTraffic) -> np.ndarray:
    """Who is in which slot."""
    return run.scene.traits.actor_id[0].copy()
