"""The whole tick of all actors in one kernel call, because a call costs as much as ten vehicles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.headless.actor_arrays import ActorColumns
from sim_adapters.carla.headless.contacts import ContactPairs, touch_bodies
from sim_adapters.carla.headless.motion import Ground, advance_actors_range
from sim_adapters.carla.headless.trigger_boxes import Touched, TriggerBoxes, touch_boxes_range
from sim_adapters.kernels import range_kernel


@range_kernel
def tick_actors(
    count: int,
    actors: ActorColumns,
    ground: Ground,
    order: NDArray[np.int32],
    west: NDArray[np.float64],
    pairs: ContactPairs,
    boxes: TriggerBoxes,
    touched: Touched,
    dt: float,
) -> tuple[int, bool]:
    """Move rows 0 to `count`, part what overlaps, find the trigger boxes that vehicles are in.

    Returns:
        Number of contact pairs, and whether any vehicle is in other boxes than before.
    """
    advance_actors_range(0, count, actors, ground, dt)
    pose, motion, body, driving, _, _ = actors
    num_pairs = touch_bodies(order, west, pose, motion, body, driving, pairs)
    return num_pairs, touch_boxes_range(0, count, pose, body, boxes, touched)
