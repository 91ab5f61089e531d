"""EgoTrace and TrackTrace: what a simulation leaves behind for the benchmark's metrics."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class EgoTrace(NamedTuple):
    """Simulated ego of B scenarios and T samples, (B, T): rear axle and body frame.

    N frames of a log give N - 1 samples; `num_samples` is (B,), the rest of a row holds zeros.
    """

    num_samples: NDArray[np.int32]
    time_us: NDArray[np.int64]
    x: FloatArray  # [m] rear axle, world frame
    y: FloatArray
    yaw_rad: FloatArray
    motion: FloatArray  # (B, T, 4) vx, vy, ax, ay at the rear axle, body frame
    yaw_rate_radps: FloatArray
    yaw_acceleration_radps2: FloatArray
    tyre_angle_rad: FloatArray
    tyre_rate_radps: FloatArray


class TrackTrace(NamedTuple):
    """Observed tracks, (B, T, A): A boxes in the order in which the simulation lists them."""

    num_boxes: NDArray[np.int32]  # (B, T)
    track: NDArray[np.int32]  # identity within the scenario, row of `ScenarioLog.track_tokens`
    type: NDArray[np.uint8]  # TrackType
    x: FloatArray  # [m] box centre
    y: FloatArray
    yaw_rad: FloatArray
    length_m: FloatArray
    width_m: FloatArray
    vx_mps: FloatArray  # world frame
    vy_mps: FloatArray


def empty_traces(
    num_scenarios: int, num_samples: int, num_boxes: int
) -> tuple[EgoTrace, TrackTrace]:
    """Traces with room for that many samples and boxes."""
    times, rows = (num_scenarios, num_samples), (num_scenarios, num_samples, num_boxes)
    ego = EgoTrace(
        num_samples=np.zeros(num_scenarios, np.int32),
        time_us=np.zeros(times, np.int64),
        x=np.zeros(times),
        y=np.zeros(times),
        yaw_rad=np.zeros(times),
        motion=np.zeros((*times, 4)),
        yaw_rate_radps=np.zeros(times),
        yaw_acceleration_radps2=np.zeros(times),
        tyre_angle_rad=np.zeros(times),
        tyre_rate_radps=np.zeros(times),
    )
    tracks = TrackTrace(
        np.zeros(times, np.int32),
        np.full(rows, -1, np.int32),
        np.zeros(rows, np.uint8),
        *(np.zeros(rows) for _ in range(7)),
    )
    return ego, tracks
