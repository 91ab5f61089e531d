"""NuplanRows: what nuPlan's raster is drawn from, and how it is gathered from the scene."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim_adapters.array_types import IntArray
from sim_adapters.kernels import device_function, inlined_function, range_kernel
from sim_adapters.observation.nuplan_view import (
    NuplanView,
    Origin,
    in_picture,
    origin_at,
    speed_value,
    to_picture,
)
from sim_adapters.observation.observer import Arrays
from sim_adapters.scene.nuplan_events.area_index import NuplanMaps
from sim_adapters.scene.nuplan_events.memory import centre_speed_mps
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, LightState, SceneArrays

# The compact row of one nuPlan raster: all that its picture needs besides the maps.
#
# Boxes are kept as the whole pixels they are drawn with, so that a redrawn picture can't differ. A
# row is about 6 kB where its picture is 590 kB.

NUM_MEASUREMENTS = 10
NUM_VALUE_MEASUREMENTS = 4
NUM_CORNERS = 4
NO_LINE = np.iinfo(np.int16).min  # column of a speed line that is not drawn


class NuplanRowSizes(NamedTuple):
    """Capacities of a row."""

    max_boxes: int  # the ego's included
    max_lights: int
    max_route_areas: int
    has_speed_lines: bool


class NuplanRows(NamedTuple):
    """N rows. Unused boxes have value 0, unused lights and route areas are -1."""

    pose: NDArray[np.float64]  # (N, 3) ego centre x, y [m] in the world, yaw [rad]
    map_index: NDArray[np.int32]  # (N, 1)
    route_areas: NDArray[np.int32]  # (N, R) rows of MapAreas near the ego that its route passes
    light_edges: NDArray[np.int32]  # (N, L) rows of RoadEdges in the order in which to draw them
    light_values: NDArray[np.uint8]  # (N, L)
    box_points: NDArray[np.int16]  # (N, A, 4 or 6, 2) (column, row): corners, ends of a speed line
    box_values: NDArray[np.uint8]  # (N, A)
    box_channels: NDArray[np.uint8]  # (N, A)


def rows_of(arrays: Arrays) -> NuplanRows:
    """The named arrays of a buffer as kernels take them."""
    return NuplanRows(*(arrays[name] for name in NuplanRows._fields))


def stored_space(sizes: NuplanRowSizes) -> spaces.Dict:
    """Space of one driver's compact row."""
    num_points = NUM_CORNERS + (2 if sizes.has_speed_lines else 0)
    short = np.iinfo(np.int16)
    boxes: dict[str, spaces.Space] = {
        "pose": spaces.Box(-np.inf, np.inf, (3,), np.float64),
        "map_index": _rows(1),
        "route_areas": _rows(sizes.max_route_areas),
        "light_edges": _rows(sizes.max_lights),
        "light_values": spaces.Box(0, 255, (sizes.max_lights,), np.uint8),
        "box_points": spaces.Box(
            int(short.min), int(short.max), (sizes.max_boxes, num_points, 2), np.int16
        ),
        "box_values": spaces.Box(0, 255, (sizes.max_boxes,), np.uint8),
        "box_channels": spaces.Box(0, 255, (sizes.max_boxes,), np.uint8),
    }
    return spaces.Dict(boxes | measurement_spaces())


def _rows(count: int) -> spaces.Box:
    return spaces.Box(-1, np.iinfo(np.int32).max, (count,), np.int32)


def measurement_spaces() -> dict[str, spaces.Space]:
    """The short vectors beside the picture."""
    return {
        "measurements": spaces.Box(-np.inf, np.inf, (NUM_MEASUREMENTS,), np.float32),
        "value_measurements": spaces.Box(-np.inf, np.inf, (NUM_VALUE_MEASUREMENTS,), np.float32),
    }


VEHICLE_CHANNEL, WALKER_CHANNEL, EGO_CHANNEL = 6, 7, 8
MAX_VEHICLE_MPS, MAX_PEDESTRIAN_MPS = 30.0, 4.0  # speeds from which on a box is white
STATIC_VALUE = 127
LIGHT_VALUES = (255, 170, 80, 0)  # by LightState; 0: not drawn
_LAST_MOTOR_KIND = int(ActorKind.MOTORCYCLE)
_BICYCLE, _PEDESTRIAN = int(ActorKind.BICYCLE), int(ActorKind.PEDESTRIAN)
_STATIC = int(ActorKind.STATIC)
_STATIC_PASS, _EGO_PASS = 3, 4
_SHORTEST_LINE_MPS = 0.5  # slower actors have no speed line
_SPEED_LINE_S = 1.0
_OFF = int(LightState.OFF)


@inlined_function
def _drawing_pass(kind: int) -> int:
    """In which pass a kind is drawn; later ones cover earlier ones of their channel. -1: never."""
    if 0 < kind <= _LAST_MOTOR_KIND:
        return 0
    if kind == _BICYCLE:
        return 1
    if kind == _PEDESTRIAN:
        return 2
    return _STATIC_PASS if kind == _STATIC else -1


@device_function
def write_box(
    view: NuplanView,
    origin: Origin,
    x: float,
    y: float,
    yaw: float,
    half_length_m: float,
    half_width_m: float,
    speed_mps: float,
    points: NDArray[np.int16],
) -> None:
    """Write the pixels of a box's corners and, where `points` has room, of its speed line's ends.

    Corners go front left, rear left, rear right, front right; NaN speeds have no line.
    """
    cos, sin = math.cos(yaw), math.sin(yaw)
    for point in range(len(points)):
        ahead = half_length_m if point in (0, 3) else -half_length_m
        left = half_width_m if point < 2 else -half_width_m
        if point >= NUM_CORNERS:
            left = 0.0
            ahead = 0.0 if point == NUM_CORNERS else half_length_m + speed_mps * _SPEED_LINE_S
        column, row = to_picture(
            view, origin, x + cos * ahead - sin * left, y + sin * ahead + cos * left
        )
        points[point, 0], points[point, 1] = int(column), int(row)
    if len(points) > NUM_CORNERS and not speed_mps > _SHORTEST_LINE_MPS:
        points[NUM_CORNERS, 0] = NO_LINE
        points[NUM_CORNERS + 1, :] = 0


@device_function
def gather_boxes(
    world: int,
    own: int,
    ego_speed_mps: float,
    view: NuplanView,
    origin: Origin,
    motion: ActorMotion,
    traits: ActorTraits,
    points: NDArray[np.int16],
    values: NDArray[np.uint8],
    channels: NDArray[np.uint8],
) -> int:
    """All actors whose centre lies in the picture, then the ego; how many there are.

    Vehicles come first, then bicycles, pedestrians and static objects, each in slot order. Returns
    more than the row's capacity if they did not fit.
    """
    capacity, count = len(values), 0
    for drawing_pass in range(_EGO_PASS + 1):
        for slot in range(traits.valid.shape[1]):
            own_pass = _EGO_PASS if slot == own else _drawing_pass(traits.kind[world, slot])
            if not traits.valid[world, slot] or own_pass != drawing_pass:
                continue
            x, y = motion.x[world, slot], motion.y[world, slot]
            column, row = to_picture(view, origin, x, y)
            if not in_picture(view, column, row):
                continue
            if count < capacity:
                speed = math.hypot(motion.vx_mps[world, slot], motion.vy_mps[world, slot])
                line_speed = speed
                if drawing_pass < 2:
                    values[count] = speed_value(speed, MAX_VEHICLE_MPS)
                    channels[count] = VEHICLE_CHANNEL
                elif drawing_pass == _EGO_PASS:
                    values[count] = speed_value(ego_speed_mps, MAX_VEHICLE_MPS)
                    channels[count], line_speed = EGO_CHANNEL, math.nan
                elif drawing_pass == _STATIC_PASS:
                    values[count], channels[count] = STATIC_VALUE, WALKER_CHANNEL
                    line_speed = math.nan
                else:
                    values[count] = speed_value(speed, MAX_PEDESTRIAN_MPS)
                    channels[count] = WALKER_CHANNEL
                half = traits.half_length_m[world, slot], traits.half_width_m[world, slot]
                yaw = motion.yaw_rad[world, slot]
                write_box(view, origin, x, y, yaw, *half, line_speed, points[count])
            count += 1
    for box in range(count, capacity):
        values[box], channels[box] = 0, 0
        points[box, :, :] = 0
    return count


@inlined_function
def _is_near(
    min_x: float, min_y: float, max_x: float, max_y: float, origin: Origin, reach_m: float
) -> bool:
    """Whether bounds touch the square of half side `reach_m` about the picture."""
    return (
        min_x <= origin.x + reach_m
        and max_x >= origin.x - reach_m
        and min_y <= origin.y + reach_m
        and max_y >= origin.y - reach_m
    )


@device_function
def gather_lights(
    first_signal: int,
    states: NDArray[np.uint8],
    light_order: IntArray,
    signal_edge: IntArray,
    edge_block: IntArray,
    bounds: NDArray[np.float64],
    origin: Origin,
    reach_m: float,
    edges: IntArray,
    values: NDArray[np.uint8],
) -> int:
    """Connectors of near blocks whose light shows a colour, as drawn; how many there are."""
    count = 0
    for place in range(len(states)):
        light = light_order[first_signal + place]
        if states[light] >= _OFF:
            continue
        edge = signal_edge[first_signal + light]
        if edge < 0 or edge_block[edge] < 0:
            continue
        b = bounds[edge_block[edge]]
        if _is_near(b[0], b[1], b[2], b[3], origin, reach_m):
            if count < len(edges):
                edges[count], values[count] = edge, LIGHT_VALUES[states[light]]
            count += 1
    for row in range(count, len(edges)):
        edges[row], values[row] = -1, 0
    return count


@device_function
def gather_route_areas(
    route: IntArray, bounds: NDArray[np.float64], origin: Origin, reach_m: float, areas: IntArray
) -> int:
    """Areas of the route near the picture; how many there are."""
    count = 0
    for area in route:
        if area < 0:
            continue
        b = bounds[area]
        if _is_near(b[0], b[1], b[2], b[3], origin, reach_m):
            if count < len(areas):
                areas[count] = area
            count += 1
    for row in range(count, len(areas)):
        areas[row] = -1
    return count


@inlined_function
def _gather_driver(
    driver: int,
    reach_m: float,
    view: NuplanView,
    scene: SceneArrays,
    maps: NuplanMaps,
    rows: NuplanRows,
) -> tuple[int, int, int]:
    """Rows of one driver; how many boxes, lights and route areas it asked for."""
    motion, ego, tables = scene.motion, scene.ego, maps.tables
    world, own = int(ego.world[driver]), int(ego.slot[driver])
    map_index = int(scene.clocks.map_index[world])
    x, y, yaw = motion.x[world, own], motion.y[world, own], motion.yaw_rad[world, own]
    rows.pose[driver, 0], rows.pose[driver, 1], rows.pose[driver, 2] = x, y, yaw
    rows.map_index[driver, 0] = map_index
    origin, bounds = origin_at(view, x, y, yaw), tables.areas.bounds
    boxes = gather_boxes(
        world, own, centre_speed_mps(driver, scene.body), view, origin, motion, scene.traits,
        rows.box_points[driver], rows.box_values[driver], rows.box_channels[driver],
    )  # fmt: skip
    # A scene's lights are padded to those of the map with most
    first_signal = maps.first_signal[map_index]
    num_signals = maps.first_signal[map_index + 1] - first_signal
    shown = gather_lights(
        first_signal, scene.lights.state[world, :num_signals], tables.index.light_order,
        tables.index.signal_edge, tables.edges.roadblock, bounds, origin, reach_m,
        rows.light_edges[driver], rows.light_values[driver],
    )  # fmt: skip
    passed = gather_route_areas(
        scene.route_areas.area[driver], bounds, origin, reach_m, rows.route_areas[driver]
    )
    return boxes, shown, passed


@range_kernel
def gather_nuplan_range(
    first: int,
    last: int,
    view: NuplanView,
    scene: SceneArrays,
    maps: NuplanMaps,
    rows: NuplanRows,
) -> tuple[int, int, int]:
    """Rows first to last - 1; most boxes, lights and route areas that one driver asked for."""
    most_boxes, most_lights, most_areas = 0, 0, 0
    reach_m = view.size_px / view.pixels_per_meter * math.sqrt(0.5)  # half of the diagonal
    for driver in range(first, last):
        boxes, shown, passed = _gather_driver(driver, reach_m, view, scene, maps, rows)
        most_boxes, most_lights = max(most_boxes, boxes), max(most_lights, shown)
        most_areas = max(most_areas, passed)
    return most_boxes, most_lights, most_areas
