"""Finds the facts of a step, once, for every simulator: scene and memory in, DrivingEvents out."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rewards.driving_events import DrivingEvents
from sim_adapters.kernels import range_kernel
from sim_adapters.scene.events.arrays import EventArrays, Facts
from sim_adapters.scene.events.collisions import detect_collisions_range
from sim_adapters.scene.events.lanes import detect_lane_events_range
from sim_adapters.scene.events.lights import detect_light_events_range
from sim_adapters.scene.events.motion import (
    ComfortWeights,
    comfort_weights,
    detect_comfort_events_range,
    detect_motion_events_range,
    detect_ttc_events_range,
)
from sim_adapters.scene.events.roach_hazards import detect_hazards_range
from sim_adapters.scene.events.route import detect_route_events_range
from sim_adapters.scene.events.settings import DetectorSettings, Thresholds
from sim_adapters.scene.events.stop_signs import detect_stop_sign_events_range
from sim_adapters.scene.map_bank import MapBank, Roads
from sim_adapters.scene.memory import EpisodeMemory, Trackers, empty_memory
from sim_adapters.scene.memory_reset import reset_memory
from sim_adapters.scene.state import SceneArrays, SceneBatch

__all__ = [
    "DetectorSettings",
    "EventArrays",
    "EventDetector",
    "RoadEventDetector",
    "detect_driving_events",
    "make_memory",
    "reset_memory",
]


class EventDetector(Protocol):
    """Finds the facts of every step; CARLA's rules and nuPlan's are two of them."""

    def make_memory(self, scene: SceneBatch) -> EpisodeMemory:
        """Memory for the scene's drivers; `reset_memory` must run before the first step."""
        ...

    def reset_memory(
        self, agents: NDArray[np.int64], scene: SceneBatch, memory: EpisodeMemory, maps: MapBank
    ) -> None:
        """Forget the last episode of `agents`, whose worlds stand at the start of their next."""
        ...

    def detect(
        self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: EventArrays
    ) -> DrivingEvents:
        """Find the facts of the step that led to the scene; call exactly once a step."""
        ...


class RoadEventDetector:
    """CARLA's rules (an `EventDetector`), by the thresholds of `settings`."""

    def __init__(self, settings: DetectorSettings) -> None:
        self.settings = settings

    def make_memory(self, scene: SceneBatch) -> EpisodeMemory:
        """See `make_memory` of this module."""
        return make_memory(scene, self.settings)

    def reset_memory(
        self, agents: NDArray[np.int64], scene: SceneBatch, memory: EpisodeMemory, maps: MapBank
    ) -> None:
        """See `reset_memory` of this module."""
        reset_memory(agents, scene, memory, maps)

    def detect(
        self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: EventArrays
    ) -> DrivingEvents:
        """See `detect_driving_events`."""
        return detect_driving_events(scene, memory, maps, self.settings, out)


def make_memory(scene: SceneBatch, settings: DetectorSettings) -> EpisodeMemory:
    """Memory for the scene's drivers; `reset_memory` must run before the first step.

    The lengths of the penalty windows go in, because the critic reads counters relative to them.
    """
    memory = empty_memory(scene)
    memory.counters.ttc_hold_ticks[:] = settings.ttc.hold_ticks
    memory.counters.comfort_hold_ticks[:] = settings.comfort.hold_ticks
    memory.counters.blocked_limit_s[:] = settings.motion.blocked_s
    return memory


def detect_driving_events(
    scene: SceneBatch,
    memory: EpisodeMemory,
    maps: MapBank,
    settings: DetectorSettings,
    out: EventArrays,
) -> DrivingEvents:
    """Find the facts of the step that led to the scene; call exactly once a step.

    Args:
        scene: The present.
        memory: Counters and trackers of the drivers, moved on in place.
        maps: The towns.
        settings: Thresholds.
        out: Where the facts go.

    Returns:
        `out.events`, whose tensors share the arrays' memory: valid until the next call.
    """
    detect_events_range(
        0, scene.num_agents,
        scene.arrays, maps.roads, memory.trackers, comfort_weights(), scene.step_s,
        settings.thresholds, out.facts,
    )  # fmt: skip
    failed: NDArray[np.bool_] = out.infractions.simulator_failed
    if failed.any():
        out.clear_failed(failed.copy())
    return out.events


@range_kernel
def detect_events_range(
    first: int,
    last: int,
    scene: SceneArrays,
    roads: Roads,
    memory: Trackers,
    weights: ComfortWeights,
    step_s: float,
    settings: Thresholds,
    out: Facts,
) -> None:
    """All facts of drivers first to last - 1; one call, because Python's calls are dear."""
    motion, traits, ego, clocks = scene.motion, scene.traits, scene.ego, scene.clocks
    detect_route_events_range(
        first, last, motion, traits, ego, scene.routes, memory.route, settings.route, out.progress
    )
    detect_lane_events_range(first, last, scene, roads, memory.lane, settings.lane, out.lanes)
    detect_collisions_range(
        first, last, motion, traits, ego, scene.contacts, clocks, memory.contacts,
        settings.collision, out.infractions,
    )  # fmt: skip
    detect_light_events_range(
        first, last, scene, roads, memory.signs, settings.light, out.infractions
    )
    detect_stop_sign_events_range(
        first, last, scene, roads, memory.signs, settings.stop_sign, out.infractions
    )
    detect_motion_events_range(
        first, last, motion, ego, clocks, memory.counters, step_s, settings.motion, out.motion,
        out.infractions,
    )  # fmt: skip
    detect_ttc_events_range(
        first, last, motion, traits, ego, memory.counters, settings.ttc, out.motion
    )
    detect_comfort_events_range(
        first, last, motion, ego, memory.rings, memory.counters, weights, step_s,
        settings.comfort, out.motion,
    )  # fmt: skip
    detect_hazards_range(first, last, scene, roads, memory.signs, settings.hazard, out.hazards)
