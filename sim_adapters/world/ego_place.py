"""Where the ego is on the map: road height under it and the speed limit in force."""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneGrid, LaneKind, LanePoints, Lanes
from sim_adapters.scene.state import ActorMotion, Clocks, EgoState

_DRIVING = int(LaneKind.DRIVING)


@device_function
def lane_height_m(points: LanePoints, lanes: Lanes, point: int, x: float, y: float) -> float:
    """Height of a lane beside its `point`, linear to the neighbour that (x, y) leans to."""
    lane = points.lane[point]
    yaw = points.yaw_rad[point]
    ahead = math.cos(yaw) * (x - points.x[point]) + math.sin(yaw) * (y - points.y[point])
    neighbour = point + (1 if ahead >= 0.0 else -1)
    if neighbour < lanes.first_point[lane] or neighbour >= lanes.first_point[lane + 1]:
        return points.z[point]
    gap = abs(points.s_m[neighbour] - points.s_m[point])
    fraction = min(abs(ahead) / max(gap, 1e-6), 1.0)
    return points.z[point] + fraction * (points.z[neighbour] - points.z[point])


@device_function
def locate_ego(
    agent: int,
    motion: ActorMotion,
    ego: EgoState,
    clocks: Clocks,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
) -> None:
    """Set height and speed limit from the nearest driving lane; far off the road both stay."""
    world, slot = int(ego.world[agent]), int(ego.slot[agent])
    x, y = float(motion.x[world, slot]), float(motion.y[world, slot])
    map_index = int(clocks.map_index[world])
    z = float(motion.z[world, slot])
    point = nearest_lane_point(grid, points, lanes, map_index, x, y, z, _DRIVING)
    if point >= 0:
        motion.z[world, slot] = lane_height_m(points, lanes, point, x, y)
        ego.speed_limit_mps[agent] = points.speed_limit_mps[point]


@range_kernel
def locate_ego_range(
    first: int,
    last: int,
    motion: ActorMotion,
    ego: EgoState,
    clocks: Clocks,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
) -> None:
    """`locate_ego` for drivers `first` to `last` (exclusive)."""
    for agent in range(first, last):
        locate_ego(agent, motion, ego, clocks, grid, points, lanes)
