"""Traffic kept up around an ego: density, appearing out of view, and keeping off its bumper."""

import math

import numpy as np
import pytest

from sim_adapters.scene.map_bank import EntryRule
from sim_adapters.scene.state import ActorKind, LightState
from sim_adapters.world.traffic.right_of_way import light_permits
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.step import (
    reset_traffic_range,
    step_traffic_range,
    traffic_arguments,
)
from sim_adapters.world.vehicle_catalogue import EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M
from tests.world.town_traffic import TownTraffic, count_contacts, make_town_traffic

SETTINGS = TrafficSettings(num_vehicles=20)
RADIUS_M, OUT_OF_VIEW_M = SETTINGS.radius_m, SETTINGS.out_of_view_m


@pytest.fixture
def run() -> TownTraffic:
    """Town01 with a parked ego in the middle of a lane, traffic around it."""
    run = make_town_traffic(["Town01"], [3], SETTINGS, [24])
    points, traits, motion = run.maps.points, run.scene.traits, run.scene.motion
    spawn = run.traffic.map.spawn_point
    point = spawn[len(spawn) // 3]
    for name in ("x", "y", "z", "yaw_rad"):
        getattr(motion, name)[0, 0] = getattr(points, name)[point]
    traits.valid[0, 0], traits.kind[0, 0], traits.actor_id[0, 0] = True, ActorKind.CAR, 1
    traits.half_length_m[0, 0], traits.half_width_m[0, 0] = EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M
    run.settings = [SETTINGS]
    reset_traffic_range(0, 1, *run.arguments(SETTINGS))
    return run


def _distances_m(run: TownTraffic) -> np.ndarray:
    motion = run.scene.motion
    away = np.hypot(motion.x[0] - motion.x[0, 0], motion.y[0] - motion.y[0, 0])
    return np.where(run.scene.traits.valid[0], away, np.nan)[1:]


def test_reset_fills_the_surroundings_without_touching_the_ego(run: TownTraffic) -> None:
    away = _distances_m(run)
    # The leaderboard's density on a road with one lane each way: 2 ahead, 2 behind, and one every
    # 40 m of the 180 m of opposite lane
    assert np.sum(away < RADIUS_M) >= 8
    assert count_contacts(run.scene.motion, run.scene.traits) == 0


def test_newcomers_appear_out_of_view_and_the_far_vanish(run: TownTraffic) -> None:
    newcomers = 0
    for _ in range(300):
        before = run.scene.traits.actor_id[0, 1:].copy()
        run.step()
        away = _distances_m(run)
        is_new = (run.scene.traits.actor_id[0, 1:] != before) & run.scene.traits.valid[0, 1:]
        newcomers += int(is_new.sum())
        assert not np.any(away[is_new] < OUT_OF_VIEW_M)
        assert np.nanmax(away) < SETTINGS.despawn_m + 3.0
        assert count_contacts(run.scene.motion, run.scene.traits) == 0
    assert newcomers > 3


def test_same_seed_gives_the_same_traffic(run: TownTraffic) -> None:
    positions = run.scene.motion.x.copy()
    reset_traffic_range(0, 1, *run.arguments(SETTINGS))
    np.testing.assert_array_equal(run.scene.motion.x, positions)


def test_traffic_arguments_feed_both_calls(run: TownTraffic) -> None:
    arguments = traffic_arguments(run.scene, run.maps, run.traffic, SETTINGS, run.layout)
    reset_traffic_range(0, 1, *arguments)
    step_traffic_range(0, 1, *arguments)
    assert np.isfinite(run.scene.motion.x).all()


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("state", "remaining_s", "front_m", "speed_mps", "enters"),
    [
        (LightState.GREEN, 5.0, 10.0, 10.0, True),
        (LightState.RED, 5.0, 10.0, 10.0, False),
        # Stopping within 10 m from 10 m/s needs 5 m/s2, more than the comfortable 3
        (LightState.YELLOW, 2.0, 10.0, 10.0, True),
        # Stopping within 20 m needs 2.5 m/s2
        (LightState.YELLOW, 3.0, 20.0, 10.0, False),
        # It would arrive after 1 s, the light is red in half a second
        (LightState.YELLOW, 0.5, 10.0, 10.0, False),
        (LightState.OFF, math.inf, 10.0, 10.0, True),
    ],
)
def test_yellow_is_passed_only_if_stopping_is_hard_and_red_is_far(
    run: TownTraffic,
    state: LightState,
    remaining_s: float,
    front_m: float,
    speed_mps: float,
    enters: bool,
) -> None:
    rules, lights = run.maps.rules, run.scene.lights
    lane = int(np.flatnonzero((rules.entry == EntryRule.LIGHT) & (rules.signal >= 0))[0])
    lights.state[0, rules.signal[lane]] = state
    lights.remaining_s[0, rules.signal[lane]] = remaining_s
    arguments = (rules, lights, 0, 0, lane, front_m, speed_mps)
    assert light_permits(*arguments) == enters
    assert light_permits.py_func(*arguments) == enters
