"""DriveSignals: what of a recorded drive decides which scenarios are in it, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from sim_adapters.nuplan.export.logged_world import STEP_S
from sim_adapters.nuplan.export.recording import Recording
from sim_adapters.nuplan.export.roadworks import is_on_driving_lane
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import RouteCommand

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

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
