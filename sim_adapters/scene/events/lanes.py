"""Lane keeping: distance to the lane's centre, leaving all lanes, driving the wrong way.

Source: the leaderboard's outside-route-lanes criterion as CaRL trains with it, on the ego centre.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import LaneFacts
from sim_adapters.scene.events.settings import LaneSettings
from sim_adapters.scene.geometry import closest_fraction, wrap_angle
from sim_adapters.scene.lane_lookup import nearest_lane_point, nearest_lane_point_within
from sim_adapters.scene.map_bank import (
    LANE_GRID_REACH_M,
    LaneKind,
    LanePoints,
    Lanes,
    Roads,
)
from sim_adapters.scene.map_layers import LayerBit, MapLayers, layer_pixel
from sim_adapters.scene.memory import LaneTracker
from sim_adapters.scene.state import SceneArrays

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
