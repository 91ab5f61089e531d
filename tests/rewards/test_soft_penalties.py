"""Soft penalties by the published table."""

import pytest

from rewards import soft_penalties
from tests.rewards.reward_scenes import events_with


def test_overspeed_falls_to_zero_at_the_tolerance():
    # v = 12 m/s at a limit of 10 m/s: 1 - 2 / 2.23
    events = events_with(overspeed_mps=[0.0, 2.0, 2.23, 9.0])
    factors = soft_penalties.overspeed(events, tolerance_mps=2.23).tolist()
    assert factors == pytest.approx([1.0, 1.0 - 2.0 / 2.23, 0.0, 0.0])
    assert factors[1] == pytest.approx(0.1031, abs=5e-5)


def test_comfort_takes_off_a_twelfth_a_window():
    events = events_with(num_comfort_active=[0, 1, 2, 3, 4, 5, 6])
    expected = [1.0, 0.9167, 0.8333, 0.75, 0.6667, 0.5833, 0.5]
    assert soft_penalties.comfort(events).tolist() == pytest.approx(expected, abs=5e-5)


def test_time_to_collision_halves():
    events = events_with(ttc_active=[False, True])
    assert soft_penalties.time_to_collision(events).tolist() == [1.0, 0.5]


def test_outside_lanes_earns_nothing():
    events = events_with(outside_route_lanes=[False, True])
    assert soft_penalties.outside_route_lanes(events).tolist() == [1.0, 0.0]


def test_lane_distance_falls_to_zero_at_the_edge_but_not_in_junctions():
    events = events_with(
        lane_offset_m=[0.0, 0.875, 1.75, 3.0, 3.0], in_junction=[False] * 4 + [True]
    )
    assert soft_penalties.lane_distance(events).tolist() == [1.0, 0.5, 0.0, 0.0, 1.0]


def test_lane_distance_with_tolerance_and_softener():
    # At 1 m half of the 1.5 m between tolerance and edge is gone: half of the softener is lost
    events = events_with(lane_offset_m=[0.2, 1.0, 1.75])
    factors = soft_penalties.lane_distance(events, tolerance_m=0.25, softener=0.5)
    assert factors.tolist() == pytest.approx([1.0, 0.75, 0.5])


def test_lane_distance_without_a_lane_is_zero():
    events = events_with(lane_offset_m=8.0, lane_width_m=0.0)
    assert soft_penalties.lane_distance(events).tolist() == [0.0]


def test_steer_change_halves_beyond_its_limit():
    events = events_with(steer_change=[0.25, 0.26])
    assert soft_penalties.steer_change(events).tolist() == [1.0, 0.5]


def test_pace_rises_from_its_floor_to_the_full_speed_and_no_further():
    events = events_with(speed_mps=[0.0, 2.0, 4.0, 8.0, 12.0])
    # 0.5 + 0.5 x speed / 8
    assert soft_penalties.pace(events).tolist() == pytest.approx([0.5, 0.625, 0.75, 1.0, 1.0])


def test_every_factor_stays_between_zero_and_one():
    wild = events_with(
        overspeed_mps=1e3,
        lane_offset_m=1e3,
        num_comfort_active=6,
        ttc_active=True,
        steer_change=2.0,
        speed_mps=1e3,
        outside_route_lanes=True,
    )
    for name in (
        "outside_route_lanes",
        "overspeed",
        "time_to_collision",
        "comfort",
        "lane_distance",
        "steer_change",
        "pace",
        "comfortable",
    ):
        assert 0.0 <= getattr(soft_penalties, name)(wild).item() <= 1.0, name
