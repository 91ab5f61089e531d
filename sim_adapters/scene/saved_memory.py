"""An EpisodeMemory in a checkpoint: all but the settings in it, which are a run's own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.named_arrays import copy_arrays, iterate_arrays, restore_arrays

PREFIX = "memory"
# Arrays only because kernels read them beside the counters.
SETTINGS = tuple(
    f"{PREFIX}.counters.{name}"
    for name in ("ttc_hold_ticks", "comfort_hold_ticks", "blocked_limit_s")
)


def save_memory(memory: EpisodeMemory) -> dict[str, np.ndarray]:
    """Copies of all arrays that an episode has changed, by name."""
    arrays = copy_arrays(memory, PREFIX)
    return {name: array for name, array in arrays.items() if name not in SETTINGS}


def restore_memory(memory: EpisodeMemory, state: Mapping[str, np.ndarray]) -> None:
    """Write what `save_memory` gave back into `memory`, whose settings stay.

    A window that is open longer than this run's settings allow is cut to their length.

    Raises:
        ValueError: an array is missing or has another shape.
    """
    signs = f"{PREFIX}.signs."
    for name in ("approached_stop", "shown_stop"):  # states from before they were told apart
        if signs + name in state:
            state = {f"{signs}vector_{name}": state[signs + name], **state}
    settings = {name: array for name, array in iterate_arrays(memory, PREFIX) if name in SETTINGS}
    restore_arrays(memory, {**state, **settings}, PREFIX)
    counters = memory.counters
    for ticks_left, hold_ticks in (
        (counters.ttc_ticks_left, counters.ttc_hold_ticks),
        (counters.comfort_ticks_left, counters.comfort_hold_ticks),
    ):
        np.minimum(ticks_left, hold_ticks[0], out=ticks_left)
