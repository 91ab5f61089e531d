"""Running red lights: the ego's tail crosses the stop line of a red light.

Source: the leaderboard's red-light criterion with CaRL's longer stop line, which keeps a driver
from dodging the light through another lane.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function, range_kernel
from sim_adapters.scene.ego_car import EgoCar, ego_car
from sim_adapters.scene.events.arrays import InfractionFacts
from sim_adapters.scene.events.settings import LightSettings
from sim_adapters.scene.geometry import segments_cross
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import (
    LaneKind,
    Lanes,
    Roads,
    Signals,
)
from sim_adapters.scene.memory import SignTracker
from sim_adapters.scene.state import (
    Lights,
    LightState,
    SceneArrays,
)

_DRIVING = int(LaneKind.DRIVING)
_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)


@inlined_function
def crosses_stop_line(
    near_x: float,
    near_y: float,
    far_x: float,
    far_y: float,
    ego_yaw: float,
    line_x: float,
    line_y: float,
    line_yaw: float,
    half_width_m: float,
) -> bool:
    """Whether the segment near-far crosses a stop line that faces the same way as the ego."""
    if math.cos(line_yaw - ego_yaw) <= 0.0:
        return False
    left_x, left_y = -math.sin(line_yaw) * half_width_m, math.cos(line_yaw) * half_width_m
    return segments_cross(
        near_x,
        near_y,
        far_x,
        far_y,
        line_x + left_x,
        line_y + left_y,
        line_x - left_x,
        line_y - left_y,
    )


@inlined_function
def is_judged_light(
    car: EgoCar, signal: int, state: int, signals: Signals, settings: LightSettings
) -> bool:
    """Whether a light is near enough and shows a colour that must not be crossed."""
    if state != _RED and not (settings.yellow_counts != 0 and state == _YELLOW):
        return False
    dx, dy = signals.x[signal] - car.x, signals.y[signal] - car.y
    dz = signals.z[signal] - car.z
    return dx * dx + dy * dy + dz * dz <= settings.range_m * settings.range_m


@inlined_function
def crossed_red_light(
    agent: int,
    map_index: int,
    car: EgoCar,
    roads: Roads,
    lights: Lights,
    tracker: SignTracker,
    settings: LightSettings,
) -> int:
    """Global index of the red light that the ego's tail is crossing, or -1."""
    ranges, grid, points, lanes = roads.ranges, roads.grid, roads.points, roads.lanes
    signals, stop_lines = roads.signals, roads.stop_lines
    cos, sin = math.cos(car.yaw_rad), math.sin(car.yaw_rad)
    near = settings.near_fraction * car.half_length_m
    far = car.half_length_m + settings.far_margin_m
    near_x, near_y = car.x - cos * near, car.y - sin * near
    far_x, far_y = car.x - cos * far, car.y - sin * far
    first = ranges.signal[map_index]
    for signal in range(first, ranges.signal[map_index + 1]):
        state = lights.state[car.world, signal - first]
        if signal == tracker.last_light[agent] or not is_judged_light(
            car, signal, state, signals, settings
        ):
            continue
        for line in range(signals.first_stop_line[signal], signals.first_stop_line[signal + 1]):
            line_x, line_y = stop_lines.x[line], stop_lines.y[line]
            half_width = settings.line_half_lanes * stop_lines.lane_width_m[line]
            line_yaw = stop_lines.yaw_rad[line]
            if not crosses_stop_line(
                near_x, near_y, far_x, far_y, car.yaw_rad, line_x, line_y, line_yaw, half_width
            ):
                continue
            if settings.same_lane_only != 0:
                tail = nearest_lane_point(
                    grid, points, lanes, map_index, far_x, far_y, car.z, _DRIVING
                )
                if tail < 0 or not is_same_lane(lanes, points.lane[tail], stop_lines.lane[line]):
                    continue
            return signal
    return -1


@inlined_function
def is_same_lane(lanes: Lanes, a: int, b: int) -> bool:
    """Whether two lane rows are one lane of one road; its sections have a row each."""
    return lanes.road_id[a] == lanes.road_id[b] and lanes.lane_id[a] == lanes.lane_id[b]


@range_kernel
def detect_light_events_range(
    first: int,
    last: int,
    scene: SceneArrays,
    roads: Roads,
    tracker: SignTracker,
    settings: LightSettings,
    facts: InfractionFacts,
) -> None:
    """Write whether drivers first to last - 1 ran a red light; each light counts once in a row."""
    for agent in range(first, last):
        facts.ran_red_light[agent] = False
        car = ego_car(agent, scene.motion, scene.traits, scene.ego)
        if car.speed_mps <= settings.min_speed_mps:
            continue
        map_index = int(scene.clocks.map_index[car.world])
        light = crossed_red_light(agent, map_index, car, roads, scene.lights, tracker, settings)
        if light >= 0:
            facts.ran_red_light[agent] = True
            tracker.last_light[agent] = light
