"""Places on the map that scripted scenarios need: road edges, junctions ahead, ways through."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.map_layers import LayerBit, layer_pixel
from sim_adapters.scene.scenario import Route, RouteCommand
from sim_adapters.world.scenario_state import STREAM_LANES

MAX_ROAD_M = 25.0
_JUNCTION_REACH_M = 150
_STREAM_ANGLE_RAD = math.radians(45.0)


class NoRoomError(ValueError):
    """The map has no room for a scenario at its trigger."""


def road_edge_m(maps: MapBank, index: int, x: float, y: float, yaw: float, side: float) -> float:
    """From a place on the road to its edge, to the left (side +1) or right (-1) of `yaw`."""
    layers = maps.layers
    ppm = float(layers.pixels_per_meter[index])
    road = int(LayerBit.DRIVING | LayerBit.PARKING)
    edge = 0.0
    for step in range(1, round(2 * MAX_ROAD_M)):
        left = side * 0.5 * step
        column = round((x - left * math.sin(yaw) - float(layers.origin_x[index])) * ppm)
        row = round((y + left * math.cos(yaw) - float(layers.origin_y[index])) * ppm)
        if not layer_pixel(layers, index, column, row) & road:
            return max(edge, 1.5)
        edge = 0.5 * step
    return edge


def junction_ahead(route: Route, row: int) -> tuple[int, int]:
    """First and last route row inside the next junction from `row` on."""
    inside = np.flatnonzero(route.in_junction[row : row + _JUNCTION_REACH_M])
    if inside.size == 0:
        raise NoRoomError(f"no junction within {_JUNCTION_REACH_M} m of route")
    first = row + int(inside[0])
    last = first
    while last + 1 < route.x.size and route.in_junction[last + 1]:
        last += 1
    return first, last


def along_lane_m(maps: MapBank, lane: int, x: float, y: float) -> float:
    """Arc length of the lane's point nearest to (x, y)."""
    rows = slice(maps.lanes.first_point[lane], maps.lanes.first_point[lane + 1])
    squared = (maps.points.x[rows] - x) ** 2 + (maps.points.y[rows] - y) ** 2
    return float(maps.points.s_m[rows][np.argmin(squared)])


def crossing_lane(maps: MapBank, junction: int, yaw_rad: float, own_lane: int) -> int:
    """Lane that goes straight through a junction in about this direction, -1 none."""
    lanes = np.flatnonzero(
        (maps.lanes.junction == junction) & (maps.lanes.kind == LaneKind.DRIVING)
    )
    lanes = lanes[(maps.rules.turn[lanes] == RouteCommand.STRAIGHT) & (lanes != own_lane)]
    yaw = maps.points.yaw_rad[maps.lanes.first_point[lanes]]
    off = np.abs(np.angle(np.exp(1j * (yaw - yaw_rad))))
    if lanes.size == 0 or off.min() > _STREAM_ANGLE_RAD:
        return -1
    return int(lanes[np.argmin(off)])


def path_through(
    maps: MapBank, crossing: int, before_wanted_m: float, after_wanted_m: float
) -> tuple[list[int], float]:
    """Lanes before, in and after a junction, and the length of those before [m]."""
    links, lengths = maps.links, maps.lanes.length_m
    before: list[int] = []
    before_m, lane = 0.0, crossing
    while before_m < before_wanted_m and len(before) < STREAM_LANES // 2:
        behind = _row(links.predecessor_first, links.predecessor, lane)
        behind = behind[maps.lanes.junction[behind] < 0]
        if behind.size == 0:
            break
        lane = int(behind[0])
        before.insert(0, lane)
        before_m += float(lengths[lane])
    if not before:
        raise NoRoomError("nothing leads into the junction there")
    path, after_m, lane = [*before, crossing], 0.0, crossing
    while after_m < after_wanted_m and len(path) < STREAM_LANES:
        ahead = _row(links.successor_first, links.successor, lane)
        if ahead.size == 0 or (lane != crossing and maps.lanes.junction[ahead[0]] >= 0):
            break
        lane = int(ahead[0])
        path.append(lane)
        after_m += float(lengths[lane])
    return path, before_m


def _row(first: NDArray[np.int32], values: NDArray[np.int32], row: int) -> NDArray[np.int32]:
    return values[first[row] : first[row + 1]]
