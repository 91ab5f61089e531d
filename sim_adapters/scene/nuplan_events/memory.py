"""NuplanMemory: what nuPlan's detectors remember of an episode."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.state import EgoBody, SceneBatch

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

MAX_REMEMBERED_TRACKS = 32
MAX_REMEMBERED_CONNECTORS = 8


class NuplanTracker(NamedTuple):
    """Place in the log and what has happened since its first frame, (E,)."""

    frame: IntArray  # of the log: steps since the episode began
    num_frames: IntArray  # N of the log
    completion: FloatArray  # furthest place on the human's path so far, in [0, 1]
    num_uncomfortable: IntArray  # comfort checks that fail over the episode so far
    ttc_failed: NDArray[np.bool_]  # a time-to-collision test has failed
    edge: IntArray  # lane or connector under the ego, row of RoadEdges, -1 none
    num_hit: IntArray  # tracks hit so far
    hit_id: NDArray[np.int64]  # (E, 32) actor ids of those tracks, the latest overwrite the oldest
    num_human_reds: IntArray  # connectors the human was in while they were red
    human_red: IntArray  # (E, 8) rows of RoadEdges, likewise


class MotionRecord(NamedTuple):
    """The ego's states since the episode began, (E, T); `tracker.frame` says how many."""

    longitudinal_mps2: FloatArray  # of the centre
    lateral_mps2: FloatArray  # of the centre
    magnitude_mps2: FloatArray  # of the rear axle
    yaw_rad: FloatArray  # unwrapped


class NuplanMemory(NamedTuple):
    """All of the above for E drivers."""

    tracker: NuplanTracker
    record: MotionRecord


def empty_tracker(num_agents: int) -> NuplanTracker:
    """A tracker of drivers whose episode has not begun."""
    return NuplanTracker(
        frame=np.zeros(num_agents, np.int32),
        num_frames=np.ones(num_agents, np.int32),
        completion=np.zeros(num_agents),
        num_uncomfortable=np.zeros(num_agents, np.int32),
        ttc_failed=np.zeros(num_agents, np.bool_),
        edge=np.full(num_agents, -1, np.int32),
        num_hit=np.zeros(num_agents, np.int32),
        hit_id=np.zeros((num_agents, MAX_REMEMBERED_TRACKS), np.int64),
        num_human_reds=np.zeros(num_agents, np.int32),
        human_red=np.full((num_agents, MAX_REMEMBERED_CONNECTORS), -1, np.int32),
    )


def empty_nuplan_memory(scene: SceneBatch) -> NuplanMemory:
    """Memory of the scene's drivers; a route point, one of each frame, is room for a sample."""
    shape = scene.num_agents, scene.routes.x.shape[1]
    record = MotionRecord(*(np.zeros(shape) for _ in MotionRecord._fields))
    return NuplanMemory(empty_tracker(scene.num_agents), record)


# The devkit's car as nuPlan's facts see it: its centre, from what EgoBody has of the rear axle.

REAR_AXLE_TO_CENTRE_M = 1.461  # Pacifica


@inlined_function
def centre_vy_mps(driver: int, body: EgoBody) -> float:
    """Velocity of the centre to the left; forward it is that of the rear axle."""
    return body.vy_mps[driver] + REAR_AXLE_TO_CENTRE_M * body.yaw_rate_radps[driver]


@inlined_function
def centre_ax_mps2(driver: int, body: EgoBody) -> float:
    """Forward acceleration of the centre; to the left it is that of the rear axle.

    The devkit adds both the centripetal part, with this sign, and that of the yaw acceleration to
    the forward component (`get_acceleration_shifted`).
    """
    rate = body.yaw_rate_radps[driver]
    turning = rate * rate + body.yaw_acceleration_radps2[driver]
    return body.ax_mps2[driver] + REAR_AXLE_TO_CENTRE_M * turning


@inlined_function
def centre_speed_mps(driver: int, body: EgoBody) -> float:
    """Magnitude of the centre's velocity."""
    return math.hypot(body.vx_mps[driver], centre_vy_mps(driver, body))


@inlined_function
def rear_axle_speed_mps(driver: int, body: EgoBody) -> float:
    """Magnitude of the rear axle's velocity: the devkit's `speed`."""
    return math.hypot(body.vx_mps[driver], body.vy_mps[driver])


# Thresholds of nuPlan's detectors, CaRL's training values by default.


class NuplanSettings(NamedTuple):
    """What counts as a collision, as leaving road or route, and as a coming collision."""

    stopped_mps: float = 0.05  # a slower ego is not to blame for a contact or a red light
    off_road_tolerance_m: float = 0.0  # how far a corner may be off a polygon that holds another
    route_by_lanes: int = 0  # 1: off the route is off its lanes ("v2"), 0: off its roadblocks
    first_horizon_s: float = 0.2  # time to collision: boxes are moved on by so much ...
    horizon_step_s: float = 0.2
    num_horizons: int = 5  # 0.2, 0.4, 0.6, 0.8, 1.0 s
    min_ttc_speed_mps: float = 0.005  # a slower ego meets nobody
    # 1: as in nuPlan's metric, a track counts only if it was not hit before and is ahead, or beside
    # an ego between lanes, off the road or in an intersection. CaRL finds out who does, and then
    # tests all tracks
    ttc_relevant_only: int = 0


class ComfortBounds(NamedTuple):
    """Bounds of the six comfort checks; a value on a bound fails."""

    min_longitudinal_mps2: float = -4.05
    max_longitudinal_mps2: float = 2.40
    max_lateral_mps2: float = 4.89
    max_jerk_mps3: float = 8.37
    max_longitudinal_jerk_mps3: float = 4.13
    max_yaw_acceleration_radps2: float = 1.93
    max_yaw_rate_radps: float = 0.95
    min_samples: int = 4  # with fewer, all checks pass
