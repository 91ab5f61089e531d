"""Log replay: writes a frame of the log's boxes and lights into the scene."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.replay_log import BoxBook, LightBook, Timeline
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, Lights, LightState

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
