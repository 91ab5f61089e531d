"""Finds the facts of a step, once, for every simulator: scene and memory in, DrivingEvents out."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rewards.driving_events import DrivingEvents
from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import EventArrays, Facts, LaneFacts
from sim_adapters.scene.events.collisions import detect_collisions_range
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
from sim_adapters.scene.events.settings import DetectorSettings, LaneSettings, Thresholds
from sim_adapters.scene.events.stop_signs import detect_stop_sign_events_range
from sim_adapters.scene.geometry import closest_fraction, wrap_angle
from sim_adapters.scene.lane_lookup import nearest_lane_point, nearest_lane_point_within
from sim_adapters.scene.map_bank import (
    LANE_GRID_REACH_M,
    LaneKind,
    LanePoints,
    Lanes,
    MapBank,
    Roads,
)
from sim_adapters.scene.map_layers import LayerBit, MapLayers, layer_pixel
from sim_adapters.scene.memory import EpisodeMemory, LaneTracker, Trackers, empty_memory
from sim_adapters.scene.memory_reset import reset_memory
from sim_adapters.scene.state import SceneArrays, SceneBatch

# Lane keeping: distance to the lane's centre, leaving all lanes, driving the wrong way

_FIRM = int(LayerBit.DRIVING | LayerBit.PARKING | LayerBit.SHOULDER)


@inlined_function
def is_firm_ground(layers: MapLayers, map_index: int, x: float, y: float) -> bool:
    """Whether any map pixel around (x, y) is road, parking lane or shoulder.

    CaRL reads a bilinear picture and calls every non-zero value drivable, so one of the up to four
    pixels that would enter the interpolation is enough.
    """
    scale = layers.pixels_per_meter[map_index]
    u, v = (x - layers.origin_x[map_index]) * scale, (y - layers.origin_y[map_index]) * scale
    column, row = math.floor(u), math.floor(v)
    if layer_pixel(layers, map_index, column, row) & _FIRM != 0:
        return True
    beside, above = u > column, v > row  # pixels on which (x, y) lies alone do not blend
    if beside and layer_pixel(layers, map_index, column + 1, row) & _FIRM != 0:
        return True
    if above and layer_pixel(layers, map_index, column, row + 1) & _FIRM != 0:
        return True
    return beside and above and layer_pixel(layers, map_index, column + 1, row + 1) & _FIRM != 0


@inlined_function
def off_road_fraction(
    layers: MapLayers,
    map_index: int,
    car: EgoCar,
) -> float:
    """Fraction of the car's box on neither road nor shoulder, at the map's resolution.

    The grid lies in the ego's frame, as the pixels of an ego-centred picture do: 10 x 4 points
    for CARLA's 4.9 m x 1.8 m car at 2 px/m.
    """
    scale = layers.pixels_per_meter[map_index]
    num_along = max(1, round(2.0 * car.half_length_m * scale))
    num_across = max(1, round(2.0 * car.half_width_m * scale))
    cos_yaw, sin_yaw = math.cos(car.yaw_rad), math.sin(car.yaw_rad)
    num_off = 0
    for i in range(num_along):
        along = (2.0 * (i + 0.5) / num_along - 1.0) * car.half_length_m
        for j in range(num_across):
            left = (2.0 * (j + 0.5) / num_across - 1.0) * car.half_width_m
            x = car.x + cos_yaw * along - sin_yaw * left
            y = car.y + sin_yaw * along + cos_yaw * left
            if not is_firm_ground(layers, map_index, x, y):
                num_off += 1
    return num_off / (num_along * num_across)


_POINT_SPACING_M = 1.0
_DRIVING, _PARKING = int(LaneKind.DRIVING), int(LaneKind.PARKING)


@inlined_function
def distance_to_lane_m(points: LanePoints, lanes: Lanes, point: int, x: float, y: float) -> float:
    """Distance of (x, y) to the centre line around its nearest point."""
    lane = points.lane[point]
    nearest_squared = math.inf
    first = max(point - 1, lanes.first_point[lane])
    last = min(point + 1, lanes.first_point[lane + 1] - 1)
    for a in range(first, max(last, first + 1)):
        b = min(a + 1, last)
        ax, ay, bx, by = points.x[a], points.y[a], points.x[b], points.y[b]
        t = closest_fraction(x, y, ax, ay, bx, by)
        dx, dy = ax + t * (bx - ax) - x, ay + t * (by - ay) - y
        nearest_squared = min(nearest_squared, dx * dx + dy * dy)
    return math.sqrt(nearest_squared)


@inlined_function
def is_wrong_way(
    agent: int,
    yaw: float,
    point: int,
    points: LanePoints,
    lanes: Lanes,
    tracker: LaneTracker,
    settings: LaneSettings,
) -> bool:
    """Whether the ego drives against the lane at `point`, from how it came there.

    Only a change of lane is judged: out of a junction by the ego's own heading, else by a flip of
    the lane's direction. In a junction nobody is wrong.
    """
    lane, old = points.lane[point], tracker.lane[agent]
    if lanes.junction[lane] >= 0:
        return False
    was_wrong = bool(tracker.wrong_way[agent])
    if old < 0:
        return was_wrong
    same_road = lanes.road_id[lane] == lanes.road_id[old]
    if same_road and lanes.lane_id[lane] == lanes.lane_id[old]:
        return was_wrong
    lane_yaw = points.yaw_rad[point]
    if lanes.junction[old] >= 0:
        return abs(wrap_angle(lane_yaw - yaw)) >= math.radians(settings.max_exit_angle_deg)
    turn = abs(wrap_angle(lane_yaw - tracker.yaw_rad[agent]))
    return was_wrong != (turn > math.radians(settings.min_opposite_angle_deg))


@inlined_function
def detect_lane_events(
    agent: int,
    map_index: int,
    car: EgoCar,
    roads: Roads,
    tracker: LaneTracker,
    settings: LaneSettings,
    facts: LaneFacts,
) -> None:
    """Write one driver's lane facts and remember its lane."""
    grid, points, lanes = roads.grid, roads.points, roads.lanes
    x, y, z, yaw = car.x, car.y, car.z, car.yaw_rad
    driving = nearest_lane_point(grid, points, lanes, map_index, x, y, z, _DRIVING)
    distance, width = LANE_GRID_REACH_M, 0.0  # further than any lane is wide
    facts.in_junction[agent] = False
    if driving >= 0:
        distance = distance_to_lane_m(points, lanes, driving, x, y)
        width = points.width_m[driving]
        facts.in_junction[agent] = lanes.junction[points.lane[driving]] >= 0
        tracker.wrong_way[agent] = is_wrong_way(
            agent, yaw, driving, points, lanes, tracker, settings
        )
        tracker.lane[agent] = points.lane[driving]
        tracker.yaw_rad[agent] = points.yaw_rad[driving]
    facts.lane_offset_m[agent], facts.lane_width_m[agent] = distance, width
    # A parking lane matters only where it is nearer than the driving lane. Its nearest point may
    # be half a point spacing further than the lane itself.
    parking = nearest_lane_point_within(
        grid, points, lanes, map_index, x, y, z, _PARKING, distance + _POINT_SPACING_M
    )
    if parking >= 0:
        beside = distance_to_lane_m(points, lanes, parking, x, y)
        if beside < distance:
            distance, width = beside, points.width_m[parking]
    outside = distance > width / 2.0 + settings.outside_margin_m
    facts.in_oncoming_lane[agent] = tracker.wrong_way[agent]
    facts.outside_route_lanes[agent] = outside or tracker.wrong_way[agent]


@range_kernel
def detect_lane_events_range(
    first: int,
    last: int,
    scene: SceneArrays,
    roads: Roads,
    tracker: LaneTracker,
    settings: LaneSettings,
    facts: LaneFacts,
) -> None:
    """`detect_lane_events` and the off-road fraction for drivers first to last - 1."""
    for agent in range(first, last):
        car = ego_car(agent, scene.motion, scene.traits, scene.ego)
        map_index = int(scene.clocks.map_index[car.world])
        detect_lane_events(agent, map_index, car, roads, tracker, settings, facts)
        facts.off_road_fraction[agent] = off_road_fraction(roads.layers, map_index, car)


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
