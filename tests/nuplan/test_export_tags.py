from __future__ import annotations

from dataclasses import fields, replace

import numpy as np

from sim_adapters.nuplan.export.scenario_tags import DriveSignals, Tag, find_tags

T = 1000  # frames of 0.05 s


def quiet_drive() -> DriveSignals:
    """Straight on at 5 m/s, alone: nothing to tag."""
    values = {field.name: np.zeros(T) for field in fields(DriveSignals)}
    flags = [name for name in values if name.startswith("is_")]
    values |= {name: np.zeros(T, np.bool_) for name in flags}
    values |= {"speed_mps": np.full(T, 5.0), "lead_gap_m": np.full(T, np.inf)}
    return DriveSignals(**values)


def during(first: int, last: int, inside: float, outside: float = 0.0) -> np.ndarray:
    values = np.full(T, outside)
    values[first:last] = inside
    return values


def tags_of(**signals: np.ndarray) -> list[Tag]:
    return find_tags(replace(quiet_drive(), **signals), step_s=0.05)


def test_a_quiet_drive_has_no_scenarios() -> None:
    assert tags_of() == []


def test_a_turn_is_tagged_once_where_it_begins() -> None:
    turning = during(300, 380, 1.0) > 0
    assert tags_of(is_in_junction=turning, is_in_left_turn=turning) == [
        Tag(300, "starting_left_turn")
    ]
    assert tags_of(is_in_junction=turning, is_in_right_turn=turning) == [
        Tag(300, "starting_right_turn")
    ]


def test_a_turn_begins_when_a_standing_car_starts_to_move() -> None:
    turning = during(300, 500, 1.0) > 0
    speed = during(290, 400, 0.0, 5.0)
    tags = tags_of(is_in_left_turn=turning, is_in_junction=turning, speed_mps=speed)
    assert tags == [Tag(400, "starting_left_turn")]


def test_a_lasting_condition_is_tagged_every_twenty_seconds() -> None:
    # 45 s of standing among five cars from 2 s on: at 2, 22 and 42 s
    standing = tags_of(
        speed_mps=during(40, 940, 0.0, 5.0), num_near=during(40, 940, 5.0).astype(np.int64)
    )
    assert standing == [Tag(frame, "stationary_in_traffic") for frame in (40, 440, 840)]


def test_a_flickering_condition_is_not_tagged_anew() -> None:
    near = during(100, 400, 5.0)
    near[200] = 0.0
    tags = tags_of(speed_mps=during(0, T, 0.0), num_near=near.astype(np.int64))
    assert tags == [Tag(100, "stationary_in_traffic")]


def test_speed_scenarios_need_a_steady_speed() -> None:
    assert tags_of(speed_mps=during(100, 200, 12.0, 5.0)) == [Tag(100, "high_magnitude_speed")]
    assert tags_of(speed_mps=during(100, 200, 1.0, 5.0)) == [Tag(100, "low_magnitude_speed")]
    braking = np.full(T, -1.0)
    assert tags_of(speed_mps=during(100, 200, 12.0, 5.0), acceleration_mps2=braking) == []


def test_a_lead_makes_following_stopping_and_long_vehicle_scenarios() -> None:
    lead = during(100, 150, 6.0, np.inf)
    length = np.full(T, 4.5)
    following = tags_of(lead_gap_m=lead, lead_speed_mps=np.full(T, 5.0), lead_length_m=length)
    assert following == [Tag(100, "following_lane_with_lead")]
    long = tags_of(lead_gap_m=lead, lead_length_m=np.full(T, 6.2))
    assert long == [Tag(100, "behind_long_vehicle")]
    stopping = tags_of(
        lead_gap_m=during(100, 150, 4.0, np.inf),
        lead_length_m=length,
        speed_mps=during(100, 150, 1.5, 5.0),
        acceleration_mps2=during(100, 150, -0.8),
    )
    assert stopping == [Tag(100, "stopping_with_lead")]


def test_lateral_acceleration_counts_on_bends_and_not_in_junctions() -> None:
    lateral = during(100, 200, -2.0)
    assert tags_of(lateral_mps2=lateral) == [Tag(100, "high_lateral_acceleration")]
    assert tags_of(lateral_mps2=lateral, is_in_junction=np.ones(T, np.bool_)) == []


def test_waiting_for_a_pedestrian_needs_a_slow_car_and_somebody_who_crosses() -> None:
    crossed = during(100, 200, 1.0) > 0
    assert tags_of(is_crossed_ahead=crossed) == []
    tags = tags_of(is_crossed_ahead=crossed, speed_mps=during(90, 300, 0.0, 5.0))
    assert tags == [Tag(100, "waiting_for_pedestrian_to_cross")]
