"""ScenarioLog: one scenario of a nuPlan log as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.scene.scenario import Scenario


class TrackType(IntEnum):
    """The devkit's TrackedObjectType, by its order."""

    VEHICLE = 0
    PEDESTRIAN = 1
    BICYCLE = 2
    TRAFFIC_CONE = 3
    BARRIER = 4
    CZONE_SIGN = 5
    GENERIC_OBJECT = 6


class LoggedLight(IntEnum):
    """The devkit's TrafficLightStatusType, by its order."""

    GREEN = 0
    YELLOW = 1
    RED = 2
    UNKNOWN = 3


class EgoLog(NamedTuple):
    """Logged ego states, (N,): rear axle in the world frame, velocity and acceleration in its own.

    The log has no steering: angle, its rate, yaw rate and yaw acceleration start at zero.
    """

    time_us: NDArray[np.int64]
    x: FloatArray  # [m] rear axle
    y: FloatArray
    yaw_rad: FloatArray
    vx_mps: FloatArray  # body frame
    vy_mps: FloatArray
    ax_mps2: FloatArray
    ay_mps2: FloatArray


class BoxLog(NamedTuple):
    """Tracked boxes of all frames in the devkit's order; frame i is first[i]:first[i + 1].

    Within a frame they are sorted by type, and boxes of one type are as the database has them.
    """

    first: IntArray  # (N + 1,)
    track: IntArray  # row of `ScenarioLog.track_tokens`
    type: NDArray[np.uint8]  # TrackType
    x: FloatArray  # [m] box centre
    y: FloatArray
    yaw_rad: FloatArray
    length_m: FloatArray
    width_m: FloatArray
    vx_mps: FloatArray  # world frame; zero for static objects
    vy_mps: FloatArray


class LightLog(NamedTuple):
    """Status of lane connectors; frame i is first[i]:first[i + 1]."""

    first: IntArray  # (N + 1,)
    connector_fid: NDArray[np.int64]
    state: NDArray[np.uint8]  # LoggedLight


@dataclass(frozen=True)
class ScenarioLog:
    """N frames at 10 Hz of one scenario, with what lies before and after in its log."""

    token: str  # of the tagged lidar frame, 16 hex digits
    scenario_type: str
    log_name: str
    map_name: str  # location, e.g. "us-nv-las-vegas-strip"
    ego: EgoLog  # N frames of the window
    past_ego: EgoLog  # up to 5 s before the window, oldest first, 10 Hz
    future_ego: EgoLog  # up to 16 s after the window, 10 Hz
    boxes: BoxLog  # N frames
    track_tokens: tuple[str, ...]
    lights: LightLog  # N frames
    route_fids: tuple[int, ...]  # roadblocks and their connectors, as the log names them
    corrected_route_fids: tuple[int, ...]  # after CaRL's route correction

    @property
    def num_frames(self) -> int:
        """N: simulation takes N - 1 steps."""
        return len(self.ego.time_us)


@dataclass(frozen=True)
class LoggedScenario(Scenario):
    """A Scenario that is reset to a log; its route is the logged path of the ego's centre."""

    log: ScenarioLog | None = None
