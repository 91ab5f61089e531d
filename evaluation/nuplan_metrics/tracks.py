"""SeenTracks: the boxes around the ego in one scenario, as the metrics look at them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.nuplan.traces import TrackTrace

FloatArray = NDArray[np.float64]


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
