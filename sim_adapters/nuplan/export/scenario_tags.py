"""Which moments of a drive are scenarios of the 14 types of Val14, by the definitions below.

nuPlan's own tagging is not published as code. These definitions follow its documentation in
spirit, with numbers that suit the embedded traffic; docs/nuplan_export.md lists them side by side.
A type is tagged where its condition begins to hold, and again while it goes on, every
`REPEAT_S` seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from sim_adapters.array_types import BoolArray, FloatArray
from sim_adapters.nuplan.export.logged_world import STEP_S, Recording
from sim_adapters.nuplan.export.roadworks import is_on_driving_lane
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import RouteCommand

# DriveSignals: what of a recorded drive decides which scenarios are in it, frame by frame.


SMOOTHING_S = 0.5  # of accelerations; centre lines are polylines
LEAD_HALF_CORRIDOR_M = 1.2  # centre of a lead from the ego's axis
LEAD_YAW_RAD = 0.5
NEAR_M = 15.0  # between centres
MOVING_MPS = 0.5
CROSSING_REACH_M = 12.0  # ahead of the ego's front
CROSSING_HALF_WIDTH_M = 3.5  # of the road ahead on which somebody crosses
CROSSING_MPS = 0.3  # across the ego's way


@dataclass(frozen=True)
class DriveSignals:
    """All (T,)."""

    speed_mps: FloatArray
    acceleration_mps2: FloatArray  # along the ego's axis, smoothed
    lateral_mps2: FloatArray  # smoothed
    is_in_junction: BoolArray
    is_in_left_turn: BoolArray
    is_in_right_turn: BoolArray
    is_straight_through_light: BoolArray
    is_changing_lane: BoolArray
    lead_gap_m: FloatArray  # to the nearest vehicle straight ahead, +inf none
    lead_speed_mps: FloatArray
    lead_length_m: FloatArray
    num_near: NDArray[np.int64]  # vehicles around the ego
    num_near_moving: NDArray[np.int64]
    is_crossed_ahead: BoolArray  # a pedestrian crosses the road ahead


def drive_signals(recording: Recording, maps: MapBank) -> DriveSignals:
    """Derive the signals of a drive in the bank's only town."""
    r, window = recording, round(SMOOTHING_S / STEP_S)
    yaw = r.yaw_rad[:, 0]
    cos_yaw, sin_yaw = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
    speed = np.hypot(r.vx_mps[:, 0], r.vy_mps[:, 0])
    along = uniform_filter1d(np.gradient(speed, STEP_S), window)
    lateral = uniform_filter1d(speed * r.ego_yaw_rate_radps, window)
    dx, dy = r.x - r.x[:, :1], r.y - r.y[:, :1]
    ahead, left = dx * cos_yaw + dy * sin_yaw, dy * cos_yaw - dx * sin_yaw
    others = r.actor_id > 0
    others[:, 0] = False
    vehicles = others & (r.type == TrackType.VEHICLE)
    others_speed = np.hypot(r.vx_mps, r.vy_mps)
    near = vehicles & (np.hypot(dx, dy) < NEAR_M)
    turn, entry_light = maps.rules.turn[r.ego_lane], maps.rules.signal[r.ego_lane] >= 0
    in_junction = maps.lanes.junction[r.ego_lane] >= 0
    return DriveSignals(
        speed,
        along,
        lateral,
        in_junction,
        in_junction & (turn == RouteCommand.LEFT),
        in_junction & (turn == RouteCommand.RIGHT),
        in_junction & entry_light & (turn == RouteCommand.STRAIGHT),
        r.ego_lane_change,
        *_lead(r, vehicles, ahead, left, others_speed),
        near.sum(axis=1),
        (near & (others_speed > MOVING_MPS)).sum(axis=1),
        _crossed_ahead(r, maps, others, ahead, left, cos_yaw, sin_yaw),
    )


def _lead(
    r: Recording, vehicles: BoolArray, ahead: FloatArray, left: FloatArray, speed: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gap between bumpers, speed and length of the vehicle ahead."""
    turned = np.abs(
        np.arctan2(np.sin(r.yaw_rad - r.yaw_rad[:, :1]), np.cos(r.yaw_rad - r.yaw_rad[:, :1]))
    )
    candidates = (
        vehicles & (ahead > 0.0) & (np.abs(left) < LEAD_HALF_CORRIDOR_M) & (turned < LEAD_YAW_RAD)
    )
    gap = np.where(candidates, ahead - r.half_length_m - r.half_length_m[:, :1], np.inf)
    nearest = np.argmin(gap, axis=1)
    frames = np.arange(r.num_frames)
    return gap[frames, nearest], speed[frames, nearest], 2.0 * r.half_length_m[frames, nearest]


def _crossed_ahead(
    r: Recording,
    maps: MapBank,
    others: BoolArray,
    ahead: FloatArray,
    left: FloatArray,
    cos_yaw: FloatArray,
    sin_yaw: FloatArray,
) -> BoolArray:
    """Whether a pedestrian walks across the road close ahead, on it."""
    across = np.abs(r.vy_mps * cos_yaw - r.vx_mps * sin_yaw)
    beyond_front = ahead - r.half_length_m[:, :1]
    crosses = (
        others
        & (r.type == TrackType.PEDESTRIAN)
        & (beyond_front > 0.0)
        & (beyond_front < CROSSING_REACH_M)
        & (np.abs(left) < CROSSING_HALF_WIDTH_M)
        & (across > CROSSING_MPS)
    )
    for frame, slot in np.argwhere(crosses):
        place = float(r.x[frame, slot]), float(r.y[frame, slot])
        crosses[frame, slot] = is_on_driving_lane(maps, 0, *place)
    return crosses.any(axis=1)


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
