"""Places on the map that scripted scenarios need: road edges, junctions ahead, ways through."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.map_layers import LayerBit, MapLayers, layer_pixel
from sim_adapters.scene.scenario import Route, RouteCommand
from sim_adapters.world.scenarios.state import STREAM_LANES

MAX_ROAD_M = 25.0
LANE_APART_M = 2.5  # lanes that begin nearer than this to ours leave the same arm
_ROAD = int(LayerBit.DRIVING | LayerBit.PARKING)
_JUNCTION_REACH_M = 150
_STREAM_ANGLE_RAD = math.radians(45.0)


class NoRoomError(ValueError):
    """The map has no room for a scenario at its trigger."""


@device_function
def road_edge_m(
    layers: MapLayers, index: int, x: float, y: float, yaw: float, side: float
) -> float:
    """From a place on the road to its edge, to the left (side +1) or right (-1) of `yaw`."""
    ppm = layers.pixels_per_meter[index]
    edge = 0.0
    for step in range(1, int(2 * MAX_ROAD_M)):
        left = side * 0.5 * step
        column = round((x - left * math.sin(yaw) - layers.origin_x[index]) * ppm)
        row = round((y + left * math.cos(yaw) - layers.origin_y[index]) * ppm)
        if not layer_pixel(layers, index, column, row) & _ROAD:
            return max(edge, 1.5)
        edge = 0.5 * step
    return edge


def junctions_ahead(route: Route, row: int) -> list[tuple[int, int]]:
    """First and last route row inside each junction that begins within reach of `row`."""
    found = []
    first = row
    while first < min(row + _JUNCTION_REACH_M, route.x.size):
        if not route.in_junction[first]:
            first += 1
            continue
        last = first
        while last + 1 < route.x.size and route.in_junction[last + 1]:
            last += 1
        found.append((first, last))
        first = last + 1
    if not found:
        raise NoRoomError(f"no junction within {_JUNCTION_REACH_M} m of route")
    return found


def along_lane_m(maps: MapBank, lane: int, x: float, y: float) -> float:
    """Arc length of the lane's point nearest to (x, y)."""
    rows = slice(maps.lanes.first_point[lane], maps.lanes.first_point[lane + 1])
    squared = (maps.points.x[rows] - x) ** 2 + (maps.points.y[rows] - y) ** 2
    return float(maps.points.s_m[rows][np.argmin(squared)])


def crossing_lane(maps: MapBank, yaw_rad: float, own_lanes: list[int]) -> int:
    """Junction lane that meets ours and is entered in about this direction, -1 none.

    One that goes straight on is preferred. Where no arm points that way (T-junctions), it is
    whichever lane of another arm meets ours, so that the scenario still takes place.
    """
    links, points, first = maps.links, maps.points, maps.lanes.first_point
    lanes = np.unique(
        np.concatenate([csr_row(links.conflict_first, links.conflict, lane) for lane in own_lanes])
    )
    start = first[lanes]
    apart_m = np.full(lanes.size, np.inf)
    for lane in own_lanes:
        dx, dy = points.x[start] - points.x[first[lane]], points.y[start] - points.y[first[lane]]
        apart_m = np.minimum(apart_m, np.hypot(dx, dy))
    lanes = lanes[apart_m > LANE_APART_M]
    if lanes.size == 0:
        return -1
    off_rad = np.abs(np.angle(np.exp(1j * (points.yaw_rad[first[lanes]] - yaw_rad))))
    turns = maps.rules.turn[lanes] != RouteCommand.STRAIGHT
    is_elsewhere = off_rad > _STREAM_ANGLE_RAD
    return int(lanes[np.argmin(off_rad + 10.0 * turns + 100.0 * is_elsewhere)])


def passing_lane(maps: MapBank, yaw_rad: float, own_lanes: list[int]) -> int:
    """Lane of our junction entered in about this direction beside which ours passes, -1 none.

    On a way straight through a T-junction oncoming vehicles pass and nobody meets.
    """
    lanes, first = maps.lanes, maps.lanes.first_point
    junctions = lanes.junction[own_lanes]
    members = np.flatnonzero(
        np.isin(lanes.junction, junctions[junctions >= 0]) & (lanes.kind == LaneKind.DRIVING)
    )
    off_rad = np.abs(np.angle(np.exp(1j * (maps.points.yaw_rad[first[members]] - yaw_rad))))
    members, off_rad = members[off_rad < _STREAM_ANGLE_RAD], off_rad[off_rad < _STREAM_ANGLE_RAD]
    if members.size == 0:
        return -1
    turns = maps.rules.turn[members] != RouteCommand.STRAIGHT
    return int(members[np.argmin(off_rad + 10.0 * turns)])


def path_through(
    maps: MapBank, crossing: int, before_wanted_m: float, after_wanted_m: float
) -> tuple[list[int], float]:
    """Lanes before, in and after a junction, and the length of those before [m]."""
    links, lengths = maps.links, maps.lanes.length_m
    before: list[int] = []
    before_m, lane = 0.0, crossing
    while before_m < before_wanted_m and len(before) < STREAM_LANES // 2:
        behind = csr_row(links.predecessor_first, links.predecessor, lane)
        is_outside = bool(maps.lanes.junction[lane] < 0)
        if behind.size == 0 or (is_outside and np.all(maps.lanes.junction[behind] >= 0)):
            break  # the road begins here, or another junction lies before it
        lane = int(behind[np.argmax(maps.lanes.junction[behind] < 0)])  # outside if there is one
        before.insert(0, lane)
        before_m += float(lengths[lane])
    if not before:
        raise NoRoomError("nothing leads into the junction there")
    path, after_m, lane = [*before, crossing], 0.0, crossing
    while after_m < after_wanted_m and len(path) < STREAM_LANES:
        ahead = csr_row(links.successor_first, links.successor, lane)
        if ahead.size == 0 or (lane != crossing and maps.lanes.junction[ahead[0]] >= 0):
            break
        lane = int(ahead[0])
        path.append(lane)
        after_m += float(lengths[lane])
    return path, before_m


def csr_row(first: NDArray[np.int32], values: NDArray[np.int32], row: int) -> NDArray[np.int32]:
    """Row of a CSR list."""
    return values[first[row] : first[row + 1]]
