"""EpisodeMemory: what outlives a step, owned by the event detector, cleared on reset.

An observation is a pure function of (scene, memory, maps); a reward sees only DrivingEvents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.driving_events import NUM_COMFORT_METRICS
from sim_adapters.array_types import BoolArray, FloatArray, IntArray
from sim_adapters.scene.history import SceneHistory
from sim_adapters.scene.nuplan_events.memory import NuplanMemory
from sim_adapters.scene.state import SceneBatch

RING_SAMPLES = 15  # CARLA: 1.5 s of history for the comfort metrics
NUM_REMEMBERED_CONTACTS = 8


class MotionRings(NamedTuple):
    """The last samples of the ego's motion, (E, R), oldest first; `num_samples` is (E,)."""

    num_samples: IntArray
    longitudinal_mps2: FloatArray
    lateral_mps2: FloatArray
    magnitude_mps2: FloatArray
    yaw_rad: FloatArray


class HoldCounters(NamedTuple):
    """Penalty windows and clocks, (E,) unless said otherwise."""

    ttc_ticks_left: IntArray
    comfort_ticks_left: IntArray  # (E, 6)
    standing_s: FloatArray  # continuously below the blocked speed
    ttc_hold_ticks: IntArray  # (1,) full length of the windows, by which the critic's inputs
    comfort_hold_ticks: IntArray  # (1,) are normalised
    blocked_limit_s: FloatArray  # (1,)
    previous_steer: FloatArray


class RouteTracker(NamedTuple):
    """Place along the route, (E,)."""

    index: IntArray  # last dense route point passed
    percent: FloatArray  # rounded to two decimals, as CaRL
    deviation_index: IntArray  # nearest index of the in-route test
    deviation_percent: FloatArray  # part of the route passed while 15 m or more beside it
    lateral_m: FloatArray  # offset from the route line, left is positive


class LaneTracker(NamedTuple):
    """Lane of the last step, (E,)."""

    lane: IntArray  # nearest driving lane, -1 unknown
    yaw_rad: FloatArray  # of its nearest point
    wrong_way: BoolArray


class SignTracker(NamedTuple):
    """Lights and stop signs already dealt with, (E,); indices are global, -1 none."""

    last_light: IntArray  # last light punished
    target_stop: IntArray  # stop sign affecting the ego (reward's tracker, 20 m ahead)
    stop_completed: BoolArray
    last_failed_stop: IntArray
    approached_stop: IntArray  # as target_stop for the raster (50 m ahead), kept once stopped at
    shown_stop: IntArray  # stop sign drawn in the raster: approached_stop, -1 once stopped at
    # Both once more for the vector observation, which at a fork follows the first of our successors
    # where CaRL's raster follows CARLA's: policies were trained on it so
    vector_approached_stop: IntArray
    vector_shown_stop: IntArray


class ContactTracker(NamedTuple):
    """Contacts already counted, (E, N), newest overwrites oldest; `next_row` is (E,)."""

    next_row: IntArray
    actor_id: NDArray[np.int64]
    time_s: FloatArray
    x: FloatArray
    y: FloatArray
    near_place: BoolArray  # the place still suppresses repeats (ego within 5 m ever since)


class Trackers(NamedTuple):
    """What kernels that judge driving by CARLA's rules remember of E drivers."""

    rings: MotionRings
    counters: HoldCounters
    route: RouteTracker
    lane: LaneTracker
    signs: SignTracker
    contacts: ContactTracker


@dataclass(frozen=True)
class EpisodeMemory:
    """All of the above for E drivers."""

    rings: MotionRings
    counters: HoldCounters
    route: RouteTracker
    lane: LaneTracker
    signs: SignTracker
    contacts: ContactTracker
    history: SceneHistory | None = None  # only if the observer looks back
    nuplan: NuplanMemory | None = None  # only of nuPlan's detector

    @property
    def trackers(self) -> Trackers:
        """The arrays themselves, not copies of them."""
        return Trackers(*(getattr(self, name) for name in Trackers._fields))


def empty_memory(scene: SceneBatch) -> EpisodeMemory:
    """Memory of drivers that have not started; `reset_memory` must run before the first step."""
    agents = scene.num_agents
    ring, kept = (agents, RING_SAMPLES), (agents, NUM_REMEMBERED_CONTACTS)

    def ints(value: int = 0, shape: int | tuple[int, ...] = agents) -> IntArray:
        return np.full(shape, value, np.int32)

    def floats(shape: int | tuple[int, ...] = agents) -> FloatArray:
        return np.zeros(shape)

    return EpisodeMemory(
        rings=MotionRings(ints(), floats(ring), floats(ring), floats(ring), floats(ring)),
        counters=HoldCounters(
            ints(),
            ints(0, (agents, NUM_COMFORT_METRICS)),
            floats(),
            ints(1, 1),
            ints(1, 1),
            np.ones(1),
            floats(),
        ),
        route=RouteTracker(ints(), floats(), ints(), floats(), floats()),
        lane=LaneTracker(ints(-1), floats(), np.zeros(agents, np.bool_)),
        signs=SignTracker(
            ints(-1), ints(-1), np.zeros(agents, np.bool_), *(ints(-1) for _ in range(5))
        ),
        contacts=ContactTracker(
            ints(),
            np.zeros(kept, np.int64),
            floats(kept),
            floats(kept),
            floats(kept),
            np.zeros(kept, np.bool_),
        ),
    )
