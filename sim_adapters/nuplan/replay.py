"""Log replay: writes a frame of the log's boxes and lights into the scene."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.scenario_log import LoggedLight, ScenarioLog, TrackType
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, Lights, LightState

# LogBook: the logs of all worlds in padded arrays, so that kernels can replay them.


LIGHT_STATE = np.empty(len(LoggedLight), np.uint8)  # by LoggedLight
LIGHT_STATE[LoggedLight.GREEN] = LightState.GREEN
LIGHT_STATE[LoggedLight.YELLOW] = LightState.YELLOW
LIGHT_STATE[LoggedLight.RED] = LightState.RED
LIGHT_STATE[LoggedLight.UNKNOWN] = LightState.OFF


class Timeline(NamedTuple):
    """Frames of each world; `frame` is the present one."""

    frame: IntArray  # (B,)
    num_frames: IntArray  # (B,) N of the log
    time_us: NDArray[np.int64]  # (B, F)


class BoxBook(NamedTuple):
    """Logged boxes, (B, K), frame i at first[b, i]:first[b, i + 1], sorted by type within it."""

    first: IntArray  # (B, F + 1)
    track: IntArray  # row of `ScenarioLog.track_tokens`
    type: NDArray[np.uint8]  # TrackType
    x: FloatArray  # [m] box centre
    y: FloatArray
    yaw_rad: FloatArray
    length_m: FloatArray
    width_m: FloatArray
    vx_mps: FloatArray
    vy_mps: FloatArray


class LightBook(NamedTuple):
    """Logged lights, (B, K), frame i at first[b, i]:first[b, i + 1]."""

    first: IntArray  # (B, F + 1)
    edge: IntArray  # lane connector, row of RoadEdges
    signal: IntArray  # within the world's map, -1 if the map gives the connector no light
    state: NDArray[np.uint8]  # LightState; UNKNOWN is OFF


class LogBook(NamedTuple):
    """All of the above."""

    timeline: Timeline
    boxes: BoxBook
    lights: LightBook


def empty_log_book(
    num_worlds: int, *, num_frames: int = 152, num_boxes: int = 8192, num_lights: int = 4096
) -> LogBook:
    """A book with room for that many frames, boxes and lights in each world's log."""
    boxes, lights = (num_worlds, num_boxes), (num_worlds, num_lights)
    firsts = (num_worlds, num_frames + 1)
    return LogBook(
        Timeline(
            np.zeros(num_worlds, np.int32),
            np.zeros(num_worlds, np.int32),
            np.zeros((num_worlds, num_frames), np.int64),
        ),
        BoxBook(
            np.zeros(firsts, np.int32),
            np.zeros(boxes, np.int32),
            np.zeros(boxes, np.uint8),
            *(np.zeros(boxes) for _ in range(7)),
        ),
        LightBook(
            np.zeros(firsts, np.int32),
            np.zeros(lights, np.int32),
            np.zeros(lights, np.int32),
            np.zeros(lights, np.uint8),
        ),
    )


def book_with_room(book: LogBook, log: ScenarioLog) -> LogBook:
    """The same book, or a copy with longer rows if `log` does not fit."""
    frames = max(book.timeline.time_us.shape[1], log.num_frames)
    boxes = _row_length(book.boxes.x.shape[1], log.boxes.x.size)
    lights = _row_length(book.lights.edge.shape[1], log.lights.state.size)
    return book_of_size(book, frames, boxes, lights)


def book_of_size(book: LogBook, num_frames: int, num_boxes: int, num_lights: int) -> LogBook:
    """The same book, or a copy with rows of exactly these lengths."""
    timeline, boxes, lights = book
    if (num_frames, num_boxes, num_lights) == (
        timeline.time_us.shape[1],
        boxes.x.shape[1],
        lights.edge.shape[1],
    ):
        return book
    larger = empty_log_book(
        timeline.frame.size, num_frames=num_frames, num_boxes=num_boxes, num_lights=num_lights
    )
    for old, new in zip(book, larger, strict=True):
        for old_array, new_array in zip(old, new, strict=True):
            if old_array.ndim == 1:
                new_array[:] = old_array
            else:
                kept = min(old_array.shape[1], new_array.shape[1])
                new_array[:, :kept] = old_array[:, :kept]
    return larger


def write_log(book: LogBook, world: int, log: ScenarioLog, maps: MapBank, map_index: int) -> None:
    """Put a log into a world's rows and go to its first frame."""
    timeline, boxes, lights = book
    num_frames = log.num_frames
    timeline.frame[world] = 0
    timeline.num_frames[world] = num_frames
    timeline.time_us[world, :num_frames] = log.ego.time_us

    boxes.first[world, : num_frames + 1] = log.boxes.first
    order = _order_by_type(log)
    for name in BoxBook._fields[1:]:
        getattr(boxes, name)[world, : order.size] = getattr(log.boxes, name)[order]

    _write_lights(lights, world, log, maps, map_index)


def _order_by_type(log: ScenarioLog) -> NDArray[np.int64]:
    """The devkit sorts the objects of a frame by type and keeps the database's order within it."""
    frame = np.repeat(np.arange(log.num_frames), np.diff(log.boxes.first))
    return np.argsort(frame * 256 + log.boxes.type, kind="stable")


def _write_lights(
    lights: LightBook, world: int, log: ScenarioLog, maps: MapBank, map_index: int
) -> None:
    """Look up the logged connectors; those that the map lacks are left out."""
    vector = maps.vector
    assert vector is not None
    first_edge, end_edge = vector.first_edge[map_index], vector.first_edge[map_index + 1]
    rows = first_edge + np.flatnonzero(vector.edges.is_connector[first_edge:end_edge])
    rows = rows[np.argsort(vector.edges.fid[rows])]
    fids = vector.edges.fid[rows]
    places = np.searchsorted(fids, log.lights.connector_fid)
    places = np.minimum(places, max(fids.size - 1, 0))
    known = (
        fids[places] == log.lights.connector_fid
        if fids.size
        else np.zeros(log.lights.state.size, np.bool_)
    )
    frame = np.repeat(np.arange(log.num_frames), np.diff(log.lights.first))[known]
    edge = rows[places[known]] if fids.size else np.zeros(0, np.int64)
    signal = maps.rules.signal[edge] - maps.ranges.signal[map_index]

    lights.first[world, 0] = 0
    lights.first[world, 1 : log.num_frames + 1] = np.cumsum(
        np.bincount(frame, minlength=log.num_frames)
    )
    lights.edge[world, : edge.size] = edge
    lights.signal[world, : edge.size] = np.where(maps.rules.signal[edge] < 0, -1, signal)
    lights.state[world, : edge.size] = LIGHT_STATE[log.lights.state[known]]


def _row_length(present: int, needed: int) -> int:
    """Rows grow by half at least, so that a run settles after a few logs."""
    return present if needed <= present else max(needed, present + present // 2)


HALF_HEIGHT_M = 0.5  # logs in memory have no heights: CaRL's box height of 1 m

KIND_OF_TYPE = np.full(len(TrackType), ActorKind.STATIC, np.uint8)
KIND_OF_TYPE[TrackType.VEHICLE] = ActorKind.CAR
KIND_OF_TYPE[TrackType.PEDESTRIAN] = ActorKind.PEDESTRIAN
KIND_OF_TYPE[TrackType.BICYCLE] = ActorKind.BICYCLE
_OFF = int(LightState.OFF)


@device_function
def place_box(
    world: int,
    slot: int,
    row: int,
    boxes: BoxBook,
    kinds: NDArray[np.uint8],
    motion: ActorMotion,
    traits: ActorTraits,
) -> None:
    """Copy one logged box into an actor slot."""
    traits.valid[world, slot] = True
    traits.kind[world, slot] = kinds[boxes.type[world, row]]
    traits.half_length_m[world, slot] = 0.5 * boxes.length_m[world, row]
    traits.half_width_m[world, slot] = 0.5 * boxes.width_m[world, row]
    traits.half_height_m[world, slot] = HALF_HEIGHT_M
    traits.actor_id[world, slot] = boxes.track[world, row] + 1
    motion.x[world, slot] = boxes.x[world, row]
    motion.y[world, slot] = boxes.y[world, row]
    motion.yaw_rad[world, slot] = boxes.yaw_rad[world, row]
    motion.vx_mps[world, slot] = boxes.vx_mps[world, row]
    motion.vy_mps[world, slot] = boxes.vy_mps[world, row]


@device_function
def clear_slots(world: int, first_slot: int, motion: ActorMotion, traits: ActorTraits) -> None:
    """Empty the slots from `first_slot` up to the first that is empty already."""
    for slot in range(first_slot, traits.valid.shape[1]):
        if not traits.valid[world, slot]:
            break
        traits.valid[world, slot] = False
        traits.kind[world, slot] = 0
        traits.half_length_m[world, slot] = traits.half_width_m[world, slot] = 0.0
        traits.half_height_m[world, slot] = 0.0
        traits.actor_id[world, slot] = 0
        motion.x[world, slot] = motion.y[world, slot] = motion.yaw_rad[world, slot] = 0.0
        motion.vx_mps[world, slot] = motion.vy_mps[world, slot] = 0.0


@range_kernel
def replay_boxes_range(
    first: int,
    last: int,
    timeline: Timeline,
    boxes: BoxBook,
    kinds: NDArray[np.uint8],
    motion: ActorMotion,
    traits: ActorTraits,
) -> None:
    """Show the present frame's boxes in worlds [first, last): slots 1 and following, in order."""
    for world in range(first, last):
        frame = timeline.frame[world]
        begin, end = boxes.first[world, frame], boxes.first[world, frame + 1]
        for row in range(begin, end):
            place_box(world, row - begin + 1, row, boxes, kinds, motion, traits)
        clear_slots(world, end - begin + 1, motion, traits)


@range_kernel
def replay_lights_range(
    first: int, last: int, timeline: Timeline, book: LightBook, lights: Lights
) -> None:
    """Show the present frame's lights in worlds [first, last); those without a status are OFF."""
    for world in range(first, last):
        frame = timeline.frame[world]
        lights.state[world, :] = _OFF
        for row in range(book.first[world, frame], book.first[world, frame + 1]):
            signal = book.signal[world, row]
            if signal >= 0:
                lights.state[world, signal] = book.state[world, row]
