"""How many road users a log's traffic shows at once: what actor slots and traces must hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.scenario_log import BoxLog, ScenarioLog, TrackType

Traffic = Literal["log", "idm"]
# The order in which the devkit lists what it replays in reactive traffic
REPLAYED_TYPES = np.array(
    [
        TrackType.PEDESTRIAN,
        TrackType.BARRIER,
        TrackType.CZONE_SIGN,
        TrackType.TRAFFIC_CONE,
        TrackType.GENERIC_OBJECT,
    ],
    np.uint8,
)


class ReactiveDemand(NamedTuple):
    """What reactive traffic shows at most."""

    num_agents: int  # vehicles of the first frame
    num_replayed: int  # of REPLAYED_TYPES, in any one frame


def reactive_demand(log: ScenarioLog) -> ReactiveDemand:
    """Agents and replayed objects of a log."""
    boxes = log.boxes
    vehicles = boxes.type[: boxes.first[1]] == TrackType.VEHICLE
    counted = np.concatenate([[0], np.cumsum(np.isin(boxes.type, REPLAYED_TYPES))])
    return ReactiveDemand(int(vehicles.sum()), int(np.diff(counted[boxes.first]).max(initial=0)))


def slots_needed(log: ScenarioLog, traffic: Traffic) -> int:
    """Most road users besides the ego at any one time.

    Agents outlive the frames of their vehicles, so reactive traffic may show more than any frame
    of the log holds.
    """
    if traffic == "idm":
        return sum(reactive_demand(log))
    return int(np.diff(log.boxes.first).max(initial=0))


# Keeps the tracks nearest to the ego, at most so many of a kind, as CaRL's training data does.


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

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value < 0:
                raise ValueError(f"track_limits.{name} is {value}, expected 0 or more")

    @property
    def num_boxes(self) -> int:
        """Most boxes a frame."""
        return self.vehicles + self.pedestrians + self.bicycles + self.static_objects


CARL_LIMITS = TrackLimits()


def nearest_tracks(log: ScenarioLog, limits: TrackLimits) -> ScenarioLog:
    """The scenario with the boxes nearest to the logged ego's centre, frame by frame.

    Where a kind has more boxes than its limit, those that stay go nearest first, as CaRL's cache
    has them, so that in the picture farther ones cover nearer ones. Others keep their order.
    """
    ego, boxes = log.ego, log.boxes
    frame = np.repeat(np.arange(log.num_frames), np.diff(boxes.first))
    x = ego.x + REAR_AXLE_TO_CENTRE_M * np.cos(ego.yaw_rad)
    y = ego.y + REAR_AXLE_TO_CENTRE_M * np.sin(ego.yaw_rad)
    distance_m = np.hypot(boxes.x - x[frame], boxes.y - y[frame])
    kept: list[NDArray[np.int64]] = []
    for is_kind, most in (
        (boxes.type == TrackType.VEHICLE, limits.vehicles),
        (boxes.type == TrackType.PEDESTRIAN, limits.pedestrians),
        (boxes.type == TrackType.BICYCLE, limits.bicycles),
        (boxes.type > TrackType.BICYCLE, limits.static_objects),
    ):
        rows = np.flatnonzero(is_kind)
        is_many = (np.bincount(frame[rows], minlength=log.num_frames) > most)[frame[rows]]
        rows = rows[np.lexsort((np.where(is_many, distance_m[rows], 0.0), frame[rows]))]
        first = np.searchsorted(frame[rows], frame[rows])  # of the frame's rows
        kept.append(rows[np.arange(len(rows)) - first < most])
    chosen = np.concatenate(kept)
    if len(chosen) == len(frame):
        return log
    # By frame, and within it by type as the devkit has them: a stable sort keeps what is above
    chosen = chosen[np.lexsort((boxes.type[chosen], frame[chosen]))]
    counts = np.bincount(frame[chosen], minlength=log.num_frames)
    first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return replace(log, boxes=BoxLog._make([first, *(column[chosen] for column in boxes[1:])]))
