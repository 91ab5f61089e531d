"""Trajectories that planners give, interpolated as the devkit does; traces of what was driven."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.kernels import device_function
from sim_adapters.nuplan.bicycle import principal_angle

MIN_DURATION_US = 100_000  # the tracker needs two poses a tenth of a second apart


class Trajectories(NamedTuple):
    """One planned trajectory a driver, (E, P); rows are filled up to `num_points`."""

    num_points: IntArray  # (E,) two at least
    time_us: NDArray[np.int64]  # ascending, the log's clock; covers the present
    x: FloatArray  # [m] rear axle, world frame
    y: FloatArray
    yaw_rad: FloatArray


def empty_trajectories(num_agents: int, num_points: int) -> Trajectories:
    """Trajectories with room for P points each."""
    shape = (num_agents, num_points)
    return Trajectories(
        np.zeros(num_agents, np.int32),
        np.zeros(shape, np.int64),
        *(np.zeros(shape) for _ in range(3)),
    )


def check_trajectories(trajectories: Trajectories, now_us: NDArray[np.int64]) -> None:
    """Refuse what the tracker can't follow.

    Raises:
        ValueError: fewer than two points, less than 0.1 s, not covering the present, not finite.
    """
    agents = np.arange(now_us.size)
    count = trajectories.num_points
    start_us = trajectories.time_us[:, 0]
    end_us = trajectories.time_us[agents, np.maximum(count, 1) - 1]
    used = np.arange(trajectories.x.shape[1]) < count[:, None]
    finite = np.isfinite(trajectories.x + trajectories.y + trajectories.yaw_rad)
    for wrong, problem in (
        (count < 2, "has fewer than two points"),
        (end_us - start_us < MIN_DURATION_US, "lasts less than 0.1 s"),
        ((now_us < start_us) | (now_us > end_us), "does not cover the present"),
        ((used & ~finite).any(axis=1), "has poses that are NaN or infinite"),
    ):
        if wrong.any():
            raise ValueError(f"the trajectory of driver {np.flatnonzero(wrong)[0]} {problem}")


@device_function
def pose_at(
    agent: int, time_us: int, hint: int, trajectories: Trajectories
) -> tuple[float, float, float, int]:
    """Pose at a time, linear between points, and the point at the segment's end.

    Args:
        agent: Row.
        time_us: Within the trajectory.
        hint: Where to look first: 1, or what the call for an earlier time returned.
        trajectories: All rows.

    Returns:
        x, y, yaw in [-pi, pi), index of the segment's later point.
    """
    times = trajectories.time_us
    later = hint
    while later < trajectories.num_points[agent] - 1 and times[agent, later] < time_us:
        later += 1
    before = later - 1
    span = times[agent, later] - times[agent, before]
    passed = time_us - times[agent, before]
    x, y, yaw = trajectories.x, trajectories.y, trajectories.yaw_rad
    turn = principal_angle(yaw[agent, later] - yaw[agent, before])
    return (
        (x[agent, later] - x[agent, before]) / span * passed + x[agent, before],
        (y[agent, later] - y[agent, before]) / span * passed + y[agent, before],
        principal_angle(turn / span * passed + yaw[agent, before]),
        later,
    )


# What a simulation leaves behind for the benchmark's metrics


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
    type: NDArray[np.uint8]  # scenario_log.TrackType
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
        np.zeros(num_scenarios, np.int32),
        np.zeros(times, np.int64),
        *(np.zeros(times) for _ in range(3)),
        motion=np.zeros((*times, 4)),
        **{name: np.zeros(times) for name in EgoTrace._fields[6:]},
    )
    tracks = TrackTrace(
        np.zeros(times, np.int32),
        np.full(rows, -1, np.int32),
        np.zeros(rows, np.uint8),
        *(np.zeros(rows) for _ in range(7)),
    )
    return ego, tracks
