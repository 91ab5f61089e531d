"""NuplanMemory: what nuPlan's detectors remember of an episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.state import SceneBatch

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


@dataclass(frozen=True)
class NuplanMemory:
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
