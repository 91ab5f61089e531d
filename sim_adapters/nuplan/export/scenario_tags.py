"""Which moments of a drive are scenarios of the 14 types of Val14, by the definitions below.

nuPlan's own tagging is not published as code. These definitions follow its documentation in
spirit, with numbers that suit the embedded traffic; docs/nuplan_export.md lists them side by side.
A type is tagged where its condition begins to hold, and again while it goes on, every
`REPEAT_S` seconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan.export.drive_signals import DriveSignals

BoolArray = NDArray[np.bool_]

REPEAT_S = 20.0
STANDING_MPS = 0.1
HIGH_SPEED_MPS = 9.0
LOW_SPEED_MPS = (0.3, 1.2)
STEADY_MPS2 = 0.5  # acceleration below which a speed is held
LATERAL_MPS2 = (1.5, 3.5)
FOLLOWING_MPS, FOLLOWING_GAP_M = 3.5, 10.0
STOPPING_MPS, STOPPING_MPS2, STOPPING_GAP_M = 2.0, -0.4, 6.0
LONG_VEHICLE_M, LONG_VEHICLE_GAP_M = 5.9, (3.0, 10.0)
NEAR_MPS, NUM_NEAR = 3.0, 4  # while moving; and how many moving vehicles are near
NUM_NEAR_STANDING = 4  # vehicles around an ego that stands
WAITING_MPS = 2.0  # slower than this the ego waits for somebody who crosses


class Tag(NamedTuple):
    """A scenario at a frame of the log."""

    frame: int
    type: str


def find_tags(signals: DriveSignals, *, step_s: float) -> list[Tag]:
    """All tags of a drive, by frame and then by type."""
    tags = [
        Tag(int(frame), kind)
        for kind, holds in tag_conditions(signals).items()
        for frame in _begins(holds, round(REPEAT_S / step_s))
    ]
    return sorted(tags)


def tag_conditions(s: DriveSignals) -> dict[str, BoolArray]:
    """For each type the frames at which its condition holds, (T,).

    `traversing_pickup_dropoff` is missing: CARLA's towns have no such areas.
    """
    is_moving = s.speed_mps > STANDING_MPS
    is_steady = np.abs(s.acceleration_mps2) < STEADY_MPS2
    lateral = np.abs(s.lateral_mps2)
    return {
        "behind_long_vehicle": is_moving
        & (s.lead_length_m > LONG_VEHICLE_M)
        & (s.lead_gap_m > LONG_VEHICLE_GAP_M[0])
        & (s.lead_gap_m < LONG_VEHICLE_GAP_M[1]),
        "changing_lane": s.is_changing_lane,
        "following_lane_with_lead": (s.speed_mps > FOLLOWING_MPS)
        & (s.lead_speed_mps > FOLLOWING_MPS)
        & (s.lead_gap_m < FOLLOWING_GAP_M)
        & ~s.is_in_junction,
        "high_lateral_acceleration": (lateral > LATERAL_MPS2[0])
        & (lateral < LATERAL_MPS2[1])
        & ~s.is_in_junction,
        "high_magnitude_speed": (s.speed_mps > HIGH_SPEED_MPS) & is_steady,
        "low_magnitude_speed": (s.speed_mps > LOW_SPEED_MPS[0])
        & (s.speed_mps < LOW_SPEED_MPS[1])
        & is_steady,
        "near_multiple_vehicles": (s.speed_mps > NEAR_MPS) & (s.num_near_moving >= NUM_NEAR),
        "starting_left_turn": s.is_in_left_turn & is_moving,
        "starting_right_turn": s.is_in_right_turn & is_moving,
        "starting_straight_traffic_light_intersection_traversal": s.is_straight_through_light
        & is_moving,
        "stationary_in_traffic": ~is_moving & (s.num_near >= NUM_NEAR_STANDING),
        "stopping_with_lead": is_moving
        & (s.speed_mps < STOPPING_MPS)
        & (s.acceleration_mps2 < STOPPING_MPS2)
        & (s.lead_gap_m < STOPPING_GAP_M),
        "waiting_for_pedestrian_to_cross": (s.speed_mps < WAITING_MPS) & s.is_crossed_ahead,
    }


def _begins(holds: BoolArray, repeat: int) -> list[int]:
    """Frames where a condition begins, and every `repeat` frames from there while it holds."""
    frames: list[int] = []
    began = -1
    for frame, holding in enumerate(holds.tolist()):
        if not holding:
            began = -1
            continue
        if began < 0:
            began = frame
            if frames and frame - frames[-1] < repeat:
                began = frames[-1]  # flickered: the count goes on
        if (frame - began) % repeat == 0 and (not frames or frame - frames[-1] >= repeat):
            frames.append(frame)
    return frames
