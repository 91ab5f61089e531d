"""SceneHistory: where actors were, what lights and stop signs showed, for observers that ask.

A ring of all slots' poses, of lights and of shown stop signs, written once a step. A policy with
history channels (Roach) looks at a few ages of it; nobody else pays for it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, inlined_function, range_kernel
from sim_adapters.scene.state import ActorMotion, ActorTraits, EgoState, Lights, SceneBatch

_UNUSED = 3  # LightState.OFF


class SceneHistory(NamedTuple):
    """Rings of R steps, newest at `next_row - 1`."""

    ages: NDArray[np.int32]  # (H,) steps ago that observers look at, oldest first
    next_row: NDArray[np.int32]  # (B,)
    num_samples: NDArray[np.int32]  # (B,) written since the reset, at most R
    x: NDArray[np.float64]  # (B, R, A) [m] world frame
    y: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]
    actor_id: NDArray[np.int64]  # (B, R, A) who was in the slot, 0 nobody
    light_state: NDArray[np.uint8]  # (B, R, L) LightState
    shown_stop: NDArray[np.int32]  # (E, R) `SignTracker.shown_stop`, -1 none


def make_history(scene: SceneBatch, ages: tuple[int, ...] = ()) -> SceneHistory:
    """An empty history that reaches back to the oldest of `ages`; without ages it holds nothing.

    Args:
        scene: Gives the sizes.
        ages: Steps ago, 1 is the step before the present one; oldest first.
    """
    if any(age < 1 for age in ages) or list(ages) != sorted(ages, reverse=True):
        raise ValueError(f"history ages are {ages}, expected steps >= 1 ago, oldest first")
    worlds, steps = scene.num_worlds if ages else 0, max(ages, default=0) + 1
    actors, lights = (worlds, steps, scene.num_slots), (worlds, steps, scene.lights.state.shape[1])
    drivers = scene.num_agents if ages else 0
    return SceneHistory(
        np.array(ages, np.int32),
        np.zeros(worlds, np.int32),
        np.zeros(worlds, np.int32),
        np.zeros(actors),
        np.zeros(actors),
        np.zeros(actors),
        np.zeros(actors, np.int64),
        np.full(lights, _UNUSED, np.uint8),
        np.full((drivers, steps), -1, np.int32),
    )


@range_kernel
def record_history_range(
    first: int,
    last: int,
    motion: ActorMotion,
    traits: ActorTraits,
    lights: Lights,
    ego: EgoState,
    shown_stop: NDArray[np.int32],
    history: SceneHistory,
) -> None:
    """Write the present of the worlds `first` to `last - 1`; call once after each step."""
    steps, slots = history.x.shape[1], history.x.shape[2]
    for driver in range(ego.world.shape[0]):
        world = ego.world[driver]
        if first <= world < last:
            history.shown_stop[driver, history.next_row[world]] = shown_stop[driver]
    for world in range(first, last):
        row = history.next_row[world]
        for slot in range(slots):
            history.x[world, row, slot] = motion.x[world, slot]
            history.y[world, row, slot] = motion.y[world, slot]
            history.yaw_rad[world, row, slot] = motion.yaw_rad[world, slot]
            valid = traits.valid[world, slot]
            history.actor_id[world, row, slot] = traits.actor_id[world, slot] if valid else 0
        for light in range(history.light_state.shape[2]):
            history.light_state[world, row, light] = lights.state[world, light]
        history.next_row[world] = (row + 1) % steps
        history.num_samples[world] = min(history.num_samples[world] + 1, steps)


def record_history(
    scene: SceneBatch,
    shown_stop: NDArray[np.int32],
    history: SceneHistory,
    worlds: range | None = None,
) -> None:
    """Write the present of all or some worlds; free if nobody asked for history.

    Args:
        scene: The present.
        shown_stop: (E,) stop sign that each driver is shown, -1 none: `memory.signs.shown_stop`.
        history: Written to.
        worlds: One after the other; all of them if None.
    """
    if history.ages.size:
        first, last = (worlds.start, worlds.stop) if worlds else (0, scene.num_worlds)
        record_history_range(
            first, last, scene.motion, scene.traits, scene.lights, scene.ego, shown_stop, history
        )


def restart_history(
    worlds: NDArray[np.integer],
    scene: SceneBatch,
    shown_stop: NDArray[np.int32],
    history: SceneHistory,
) -> None:
    """Forget the past of `worlds` and write their present, the first of a new episode."""
    if not history.ages.size:
        return
    history.next_row[worlds] = 0
    history.num_samples[worlds] = 0
    for world in worlds.tolist():
        record_history(scene, shown_stop, history, range(world, world + 1))


@inlined_function
def _ring_row(history: SceneHistory, past: int, world: int) -> int:
    """Row of the `past`-th age; younger episodes give their oldest. -1 if there is none."""
    age = min(history.ages[past], history.num_samples[world] - 1)
    steps = history.x.shape[1]
    return (history.next_row[world] - 1 - age + steps) % steps if age >= 0 else -1


@device_function
def past_pose(
    history: SceneHistory, past: int, world: int, slot: int, actor_id: int
) -> tuple[float, float, float]:
    """World (x, y, yaw) of an actor `ages[past]` steps ago; nan if it did not exist."""
    row = _ring_row(history, past, world)
    if row < 0 or history.actor_id[world, row, slot] != actor_id:
        return np.nan, np.nan, np.nan
    return (
        history.x[world, row, slot],
        history.y[world, row, slot],
        history.yaw_rad[world, row, slot],
    )


@device_function
def past_light_state(history: SceneHistory, past: int, world: int, light: int) -> int:
    """LightState `ages[past]` steps ago; OFF before the first step."""
    row = _ring_row(history, past, world)
    return int(history.light_state[world, row, light]) if row >= 0 else _UNUSED


@device_function
def past_shown_stop(history: SceneHistory, past: int, world: int, driver: int) -> int:
    """Stop sign that a driver was shown `ages[past]` steps ago, or -1."""
    row = _ring_row(history, past, world)
    return int(history.shown_stop[driver, row]) if row >= 0 else -1
