"""Traces written by hand: a path of the ego's box centre and the boxes around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog, ScenarioLog, TrackType
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace, empty_traces
from tests.nuplan.tiny_log import START_US
from tests.nuplan.tiny_map import LOCATION, ORIGIN

NUM_SAMPLES = 150
STEP_S = 0.1


@dataclass(frozen=True)
class Car:
    """A car whose centre goes straight on at constant speed, in the tiny map's coordinates."""

    x: float
    y: float
    speed_mps: float
    yaw_rad: float = 0.0
    course_rad: float | None = None  # where it goes, if not where it points

    def centres(self, count: int) -> np.ndarray:
        """Centres in world coordinates, (count, 2)."""
        way = self.speed_mps * STEP_S * np.arange(count)
        course = self.yaw_rad if self.course_rad is None else self.course_rad
        heading = np.array([np.cos(course), np.sin(course)])
        return ORIGIN + [self.x, self.y] + way[:, None] * heading


@dataclass(frozen=True)
class Thing:
    """A box beside the road, or on it."""

    x: float
    y: float
    type: TrackType = TrackType.VEHICLE
    speed_mps: float = 0.0
    yaw_rad: float = 0.0
    length_m: float = 4.0
    width_m: float = 2.0


def ego_trace(ego: Car, acceleration_mps2: np.ndarray | None = None) -> EgoTrace:
    """The trace of one scenario."""
    trace, _ = empty_traces(1, NUM_SAMPLES, 1)
    trace.num_samples[0] = NUM_SAMPLES
    trace.time_us[0] = START_US + np.arange(NUM_SAMPLES) * 100_000
    centres = ego.centres(NUM_SAMPLES)
    trace.x[0] = centres[:, 0] - REAR_AXLE_TO_CENTRE_M * np.cos(ego.yaw_rad)
    trace.y[0] = centres[:, 1] - REAR_AXLE_TO_CENTRE_M * np.sin(ego.yaw_rad)
    trace.yaw_rad[0] = ego.yaw_rad
    trace.motion[0, :, 0] = ego.speed_mps
    if acceleration_mps2 is not None:
        trace.motion[0, :, 2] = acceleration_mps2
    return trace


def track_trace(things: Sequence[Thing]) -> TrackTrace:
    """What is around one scenario's ego; things move straight on."""
    _, trace = empty_traces(1, NUM_SAMPLES, max(1, len(things)))
    trace.num_boxes[0] = len(things)
    for i, thing in enumerate(things):
        car = Car(thing.x, thing.y, thing.speed_mps, thing.yaw_rad)
        centres = car.centres(NUM_SAMPLES)
        trace.track[0, :, i], trace.type[0, :, i] = i, thing.type
        trace.x[0, :, i], trace.y[0, :, i] = centres.T
        trace.yaw_rad[0, :, i] = thing.yaw_rad
        trace.length_m[0, :, i], trace.width_m[0, :, i] = thing.length_m, thing.width_m
        trace.vx_mps[0, :, i] = thing.speed_mps * np.cos(thing.yaw_rad)
        trace.vy_mps[0, :, i] = thing.speed_mps * np.sin(thing.yaw_rad)
    return trace


def log_of(expert: Car, *, num_tracks: int = 0, location: str = LOCATION) -> ScenarioLog:
    """A scenario with this expert: one frame more than the traces have samples."""
    count = NUM_SAMPLES + 1
    centres = expert.centres(count)
    zeros = np.zeros(count)
    ego = EgoLog(
        time_us=START_US + np.arange(count) * 100_000,
        x=centres[:, 0] - REAR_AXLE_TO_CENTRE_M * np.cos(expert.yaw_rad),
        y=centres[:, 1] - REAR_AXLE_TO_CENTRE_M * np.sin(expert.yaw_rad),
        yaw_rad=zeros + expert.yaw_rad,
        vx_mps=zeros + expert.speed_mps,
        vy_mps=zeros,
        ax_mps2=zeros,
        ay_mps2=zeros,
    )
    frames = np.zeros(count + 1, np.int32)
    nothing = np.zeros(0)
    none = EgoLog(*(nothing for _ in EgoLog._fields))
    return ScenarioLog(
        token="00aa00aa00aa00aa",
        scenario_type="following_lane_with_lead",
        log_name="by_hand",
        map_name=location,
        ego=ego,
        past_ego=none,
        future_ego=none,
        boxes=BoxLog(frames, *(nothing for _ in BoxLog._fields[1:])),
        track_tokens=tuple(f"{i:04x}" for i in range(num_tracks)),
        lights=LightLog(frames, *(nothing for _ in LightLog._fields[1:])),
        route_fids=(),
        corrected_route_fids=(),
    )


def shorter(trace: EgoTrace, count: int) -> EgoTrace:
    """The first samples of a trace."""
    return trace._replace(num_samples=np.array([count], np.int32))


def renamed(log: ScenarioLog, map_name: str) -> ScenarioLog:
    """The same scenario on another map."""
    return replace(log, map_name=map_name)
