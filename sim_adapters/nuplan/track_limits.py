"""Keeps the tracks nearest to the ego, at most so many of a kind, as CaRL's training data does."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.scenario_log import BoxLog, ScenarioLog, TrackType


@dataclass(frozen=True)
class TrackLimits:
    """Most boxes a frame; the defaults are those of CaRL's cache.

    Args:
        vehicles: Cars, trucks, buses.
        pedestrians: People on foot.
        bicycles: Riders.
        static_objects: Cones, barriers, signs and generic objects together.
    """

    vehicles: int = 50
    pedestrians: int = 50
    bicycles: int = 10
    static_objects: int = 10

    @property
    def num_boxes(self) -> int:
        """Most boxes a frame."""
        return self.vehicles + self.pedestrians + self.bicycles + self.static_objects


CARL_LIMITS = TrackLimits()


def nearest_tracks(log: ScenarioLog, limits: TrackLimits) -> ScenarioLog:
    """The scenario with the boxes nearest to the logged ego's centre, frame by frame.

    The order of the boxes that stay is kept.
    """
    ego, boxes = log.ego, log.boxes
    frame = np.repeat(np.arange(log.num_frames), np.diff(boxes.first))
    x = ego.x + REAR_AXLE_TO_CENTRE_M * np.cos(ego.yaw_rad)
    y = ego.y + REAR_AXLE_TO_CENTRE_M * np.sin(ego.yaw_rad)
    distance_m = np.hypot(boxes.x - x[frame], boxes.y - y[frame])
    kept = np.zeros(len(frame), bool)
    for is_kind, most in (
        (boxes.type == TrackType.VEHICLE, limits.vehicles),
        (boxes.type == TrackType.PEDESTRIAN, limits.pedestrians),
        (boxes.type == TrackType.BICYCLE, limits.bicycles),
        (boxes.type > TrackType.BICYCLE, limits.static_objects),
    ):
        rows = np.flatnonzero(is_kind)
        rows = rows[np.lexsort((distance_m[rows], frame[rows]))]
        first = np.searchsorted(frame[rows], frame[rows])  # of the frame's rows, nearest first
        kept[rows[np.arange(len(rows)) - first < most]] = True
    if kept.all():
        return log
    counts = np.bincount(frame[kept], minlength=log.num_frames)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return replace(log, boxes=BoxLog._make([first, *(column[kept] for column in boxes[1:])]))
