"""What lies ahead in Roach's hand-shaped reward: vehicle, pedestrian, red light, stop sign."""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import HazardFacts
from sim_adapters.scene.events.lights import is_same_lane
from sim_adapters.scene.events.settings import HazardSettings
from sim_adapters.scene.geometry import boxes_overlap, wrap_angle
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M, nearest_lane_point
from sim_adapters.scene.map_bank import (
    LaneKind,
    LaneLinks,
    Lanes,
    Roads,
    Signals,
    StopLines,
)
from sim_adapters.scene.map_layers import LayerBit, MapLayers, layer_pixel
from sim_adapters.scene.memory import SignTracker
from sim_adapters.scene.state import (
    LAST_VEHICLE_KIND,
    ActorKind,
    ActorMotion,
    ActorTraits,
    Lights,
    LightState,
    SceneArrays,
)

_DRIVING = int(LaneKind.DRIVING)
_DRIVING_PIXEL = int(LayerBit.DRIVING)
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)
_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)
_BACK_OF_LINE_M = 4.0  # the lane so far before a stop line is governed by its light, too
_SAME_HEIGHT_M = 8.0


@inlined_function
def is_on_driving_lane(layers: MapLayers, map_index: int, x: float, y: float) -> bool:
    """Whether the map pixel nearest to (x, y) belongs to a driving lane."""
    scale = layers.pixels_per_meter[map_index]
    column = math.floor((x - layers.origin_x[map_index]) * scale + 0.5)
    row = math.floor((y - layers.origin_y[map_index]) * scale + 0.5)
    return layer_pixel(layers, map_index, column, row) & _DRIVING_PIXEL != 0


@inlined_function
def is_hazard(
    kind: int, distance_m: float, bearing_rad: float, yaw_gap_rad: float, settings: HazardSettings
) -> bool:
    """Whether an actor of `kind` at that distance and bearing lies in the ego's way."""
    if distance_m > settings.max_distance_m:
        return False
    if kind == _PEDESTRIAN:
        near, far = settings.pedestrian_near_m, settings.pedestrian_far_m
        cone = settings.pedestrian_angle_deg / (min(max(distance_m, near), far) + 0.3)
        return abs(bearing_rad) < math.radians(cone)
    same_way = abs(yaw_gap_rad) <= math.radians(settings.max_vehicle_yaw_deg)
    return same_way and abs(bearing_rad) < math.radians(settings.max_vehicle_bearing_deg)


@inlined_function
def touches_doubled_box(
    car: EgoCar, other: int, motion: ActorMotion, traits: ActorTraits, settings: HazardSettings
) -> bool:
    """Whether the ego's box overlaps a pedestrian's box as large as Roach draws it.

    Roach counts pixels of 0.2 m, ours is exact; and it looks from above, ours on one level.
    """
    world = car.world
    scale, least = settings.pedestrian_scale, settings.least_half_extent_m
    return abs(motion.z[world, other] - car.z) < SAME_LEVEL_M and boxes_overlap(
        car.x,
        car.y,
        car.yaw_rad,
        car.half_length_m,
        car.half_width_m,
        motion.x[world, other],
        motion.y[world, other],
        motion.yaw_rad[world, other],
        max(scale * traits.half_length_m[world, other], least),
        max(scale * traits.half_width_m[world, other], least),
    )


@inlined_function
def detect_actors_ahead(
    agent: int,
    map_index: int,
    car: EgoCar,
    motion: ActorMotion,
    traits: ActorTraits,
    layers: MapLayers,
    settings: HazardSettings,
    facts: HazardFacts,
) -> None:
    """Write the distances to the nearest hazard vehicle and pedestrian, and who is touched.

    Limit: Roach looks at the ten nearest of each kind only; more than ten within 9.5 m are rare.
    """
    facts.lead_vehicle_m[agent] = facts.lead_pedestrian_m[agent] = math.inf
    facts.too_near_pedestrian[agent] = False
    world, x, y, yaw = car.world, car.x, car.y, car.yaw_rad
    reach = settings.max_distance_m
    for other in range(traits.valid.shape[1]):
        kind = traits.kind[world, other]
        if other == car.slot or not traits.valid[world, other] or kind > _PEDESTRIAN:
            continue
        dx, dy = motion.x[world, other] - x, motion.y[world, other] - y
        if (
            dx * dx + dy * dy > reach * reach
            or abs(motion.z[world, other] - car.z) > _SAME_HEIGHT_M
        ):
            continue
        if kind == _PEDESTRIAN and touches_doubled_box(car, other, motion, traits, settings):
            facts.too_near_pedestrian[agent] = True
        distance = math.hypot(dx, dy)
        bearing = wrap_angle(math.atan2(dy, dx) - yaw)
        yaw_gap = wrap_angle(motion.yaw_rad[world, other] - yaw)
        if not is_hazard(kind, distance, bearing, yaw_gap, settings):
            continue
        if kind <= LAST_VEHICLE_KIND:
            facts.lead_vehicle_m[agent] = min(facts.lead_vehicle_m[agent], distance)
        elif is_on_driving_lane(layers, map_index, x + dx, y + dy):
            facts.lead_pedestrian_m[agent] = min(facts.lead_pedestrian_m[agent], distance)


@inlined_function
def governs_lane(lanes: Lanes, links: LaneLinks, line_lane: int, lane: int) -> bool:
    """Whether `lane` is the stop line's lane or, where that is short, one that leads into it."""
    if is_same_lane(lanes, line_lane, lane):
        return True
    if lanes.length_m[line_lane] >= _BACK_OF_LINE_M:
        return False
    for k in range(links.predecessor_first[line_lane], links.predecessor_first[line_lane + 1]):
        if is_same_lane(lanes, links.predecessor[k], lane):
            return True
    return False


@inlined_function
def is_light_near(
    signals: Signals, lines: StopLines, signal: int, x: float, y: float, range_m: float
) -> bool:
    """Whether the midpoint of a light's stop-line points lies within `range_m` of (x, y)."""
    first, end = signals.first_stop_line[signal], signals.first_stop_line[signal + 1]
    if first == end:
        return False
    mid_x, mid_y = 0.0, 0.0
    for line in range(first, end):
        mid_x += lines.x[line] / (end - first)
        mid_y += lines.y[line] / (end - first)
    return (mid_x - x) ** 2 + (mid_y - y) ** 2 <= range_m * range_m


@inlined_function
def red_light_ahead_m(
    map_index: int,
    car: EgoCar,
    roads: Roads,
    lights: Lights,
    settings: HazardSettings,
) -> float:
    """Distance to the stop line of the red or yellow light of the ego's lane, +inf without one."""
    ranges, lanes = roads.ranges, roads.lanes
    signals, lines = roads.signals, roads.stop_lines
    x, y, yaw = car.x, car.y, car.yaw_rad
    back = settings.light_probe_fraction * car.half_length_m
    probe_x, probe_y = x - math.cos(yaw) * back, y - math.sin(yaw) * back
    distance, probe = math.inf, -2  # the probe's lane is looked up only when some light is near
    first = ranges.signal[map_index]
    for signal in range(first, ranges.signal[map_index + 1]):
        state = lights.state[car.world, signal - first]
        if state != _RED and state != _YELLOW:
            continue
        if not is_light_near(signals, lines, signal, probe_x, probe_y, settings.light_range_m):
            continue
        if probe == -2:
            probe = nearest_lane_point(
                roads.grid, roads.points, lanes, map_index, probe_x, probe_y, car.z, _DRIVING
            )
        if probe < 0:
            return math.inf
        for line in range(signals.first_stop_line[signal], signals.first_stop_line[signal + 1]):
            if math.cos(lines.yaw_rad[line] - yaw) <= 0.0:
                continue
            if governs_lane(lanes, roads.links, lines.lane[line], roads.points.lane[probe]):
                distance = math.hypot(lines.x[line] - x, lines.y[line] - y)  # the last one wins
    return distance


@range_kernel
def detect_hazards_range(
    first: int,
    last: int,
    scene: SceneArrays,
    roads: Roads,
    tracker: SignTracker,
    settings: HazardSettings,
    facts: HazardFacts,
) -> None:
    """Write the hazards of drivers first to last - 1."""
    motion, traits, signs = scene.motion, scene.traits, roads.signs
    for agent in range(first, last):
        car = ego_car(agent, motion, traits, scene.ego)
        map_index = int(scene.clocks.map_index[car.world])
        detect_actors_ahead(agent, map_index, car, motion, traits, roads.layers, settings, facts)
        facts.red_light_m[agent] = red_light_ahead_m(map_index, car, roads, scene.lights, settings)
        facts.stop_sign_m[agent] = math.inf
        sign = tracker.target_stop[agent]
        if sign >= 0 and not tracker.stop_completed[agent]:
            facts.stop_sign_m[agent] = math.hypot(signs.x[sign] - car.x, signs.y[sign] - car.y)
