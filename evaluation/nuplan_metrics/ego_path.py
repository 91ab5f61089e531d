"""EgoPath and SeenTracks: the ego and the boxes around it, as the metrics look at them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.nuplan.bicycle import LENGTH_M, REAR_AXLE_TO_CENTRE_M, WIDTH_M
from sim_adapters.nuplan.scenario_log import EgoLog, TrackType
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace


class EgoPath(NamedTuple):
    """T samples of one scenario, (T,), world frame.

    Cosine and sine come from numpy rather than from a kernel: whether a track straight ahead counts
    as ahead hangs on their last bit (see `bearing`).
    """

    rear_axle_x: FloatArray  # [m]
    rear_axle_y: FloatArray
    x: FloatArray  # [m] box centre
    y: FloatArray
    cos_yaw: FloatArray
    sin_yaw: FloatArray
    speed_mps: FloatArray  # of the rear axle, as the devkit's `dynamic_car_state.speed`
    corner_x: FloatArray  # (T, 4) front left, rear left, rear right, front right
    corner_y: FloatArray


def ego_path(ego: EgoTrace, row: int) -> EgoPath:
    """The path of one scenario of a batch."""
    samples = slice(int(ego.num_samples[row]))
    motion = ego.motion[row, samples]
    return _path(
        ego.x[row, samples],
        ego.y[row, samples],
        ego.yaw_rad[row, samples],
        np.hypot(motion[:, 0], motion[:, 1]),
    )


def expert_path(log: EgoLog) -> EgoPath:
    """The path the human drove, all frames of the window."""
    return _path(log.x, log.y, log.yaw_rad, np.hypot(log.vx_mps, log.vy_mps))


def _path(x: FloatArray, y: FloatArray, yaw_rad: FloatArray, speed_mps: FloatArray) -> EgoPath:
    cos_yaw, sin_yaw = np.cos(yaw_rad), np.sin(yaw_rad)
    centre_x, centre_y = x + REAR_AXLE_TO_CENTRE_M * cos_yaw, y + REAR_AXLE_TO_CENTRE_M * sin_yaw
    ahead = LENGTH_M / 2.0 * np.array([1.0, -1.0, -1.0, 1.0])
    left = WIDTH_M / 2.0 * np.array([1.0, 1.0, -1.0, -1.0])
    return EgoPath(
        x,
        y,
        centre_x,
        centre_y,
        cos_yaw,
        sin_yaw,
        speed_mps,
        centre_x[:, None] + cos_yaw[:, None] * ahead - sin_yaw[:, None] * left,
        centre_y[:, None] + sin_yaw[:, None] * ahead + cos_yaw[:, None] * left,
    )


# SeenTracks: the boxes around the ego in one scenario, as the metrics look at them.


class SeenTracks(NamedTuple):
    """T samples of one scenario, (T, A)."""

    track: NDArray[np.int32]  # identity within the scenario, -1 where there is no box
    type: NDArray[np.uint8]  # TrackType
    x: FloatArray  # [m] box centre
    y: FloatArray
    cos_yaw: FloatArray
    sin_yaw: FloatArray
    half_length_m: FloatArray
    half_width_m: FloatArray
    speed_mps: FloatArray  # zero for static objects


def seen_tracks(tracks: TrackTrace, row: int, num_samples: int) -> SeenTracks:
    """The tracks of one scenario of a batch."""
    part = (row, slice(num_samples))
    yaw, kind = tracks.yaw_rad[part], tracks.type[part]
    speed = np.hypot(tracks.vx_mps[part], tracks.vy_mps[part])
    return SeenTracks(
        tracks.track[part],
        kind,
        tracks.x[part],
        tracks.y[part],
        np.cos(yaw),
        np.sin(yaw),
        tracks.length_m[part] / 2.0,
        tracks.width_m[part] / 2.0,
        np.where(kind <= TrackType.BICYCLE, speed, 0.0),
    )
