"""Clears the memory of drivers whose episode begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.scene.events.route import route_lateral_m
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneGrid, LaneKind, LanePoints, Lanes, MapBank
from sim_adapters.scene.memory import EpisodeMemory, LaneTracker, RouteTracker
from sim_adapters.scene.named_arrays import copy_arrays, iterate_arrays, restore_arrays
from sim_adapters.scene.state import ActorMotion, Clocks, EgoState, Routes, SceneBatch

_DRIVING = int(LaneKind.DRIVING)


def reset_memory(
    agents: NDArray[np.int64], scene: SceneBatch, memory: EpisodeMemory, maps: MapBank
) -> None:
    """Forget the last episode of `agents`, whose worlds stand at the start of their next one."""
    _fill(memory.rings, agents, 0)
    counters = memory.counters
    _fill((counters.ttc_ticks_left, counters.comfort_ticks_left, counters.standing_s), agents, 0)
    counters.previous_steer[agents] = scene.ego.steer[agents]
    _fill(memory.route, agents, 0)
    _fill(memory.lane, agents, 0)
    _fill(memory.signs, agents, -1)
    memory.signs.stop_completed[agents] = False
    _fill(memory.contacts, agents, 0)
    _place_agents(
        np.asarray(agents, np.int64),
        scene.motion,
        scene.ego,
        scene.clocks,
        scene.routes,
        maps.grid,
        maps.points,
        maps.lanes,
        memory.lane,
        memory.route,
    )


def _fill(arrays: Iterable[np.ndarray], agents: NDArray[np.int64], value: int) -> None:
    for array in arrays:
        array[agents] = value


@device_function
def _place_agents(
    agents: NDArray[np.int64],
    motion: ActorMotion,
    ego: EgoState,
    clocks: Clocks,
    routes: Routes,
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    lane_tracker: LaneTracker,
    route_tracker: RouteTracker,
) -> None:
    """Write the lane and the lateral offset in which the drivers start."""
    for agent in agents:
        world, slot = int(ego.world[agent]), int(ego.slot[agent])
        x, y, z = motion.x[world, slot], motion.y[world, slot], motion.z[world, slot]
        map_index = int(clocks.map_index[world])
        point = nearest_lane_point(grid, points, lanes, map_index, x, y, z, _DRIVING)
        lane_tracker.lane[agent] = points.lane[point] if point >= 0 else -1
        lane_tracker.yaw_rad[agent] = points.yaw_rad[point] if point >= 0 else 0.0
        if routes.num_points[agent] > 0:
            route_tracker.lateral_m[agent] = route_lateral_m(routes, agent, 0, x, y)


# An EpisodeMemory in a checkpoint: all but the settings in it, which are a run's own

PREFIX = "memory"
# Arrays only because kernels read them beside the counters.
SETTINGS = tuple(
    f"{PREFIX}.counters.{name}"
    for name in ("ttc_hold_ticks", "comfort_hold_ticks", "blocked_limit_s")
)


def save_memory(memory: EpisodeMemory) -> dict[str, np.ndarray]:
    """Copies of all arrays that an episode has changed, by name."""
    arrays = copy_arrays(memory, PREFIX)
    return {name: array for name, array in arrays.items() if name not in SETTINGS}


def restore_memory(memory: EpisodeMemory, state: Mapping[str, np.ndarray]) -> None:
    """Write what `save_memory` gave back into `memory`, whose settings stay.

    A window that is open longer than this run's settings allow is cut to their length.

    Raises:
        ValueError: an array is missing or has another shape.
    """
    signs = f"{PREFIX}.signs."
    for name in ("approached_stop", "shown_stop"):  # states from before they were told apart
        if signs + name in state:
            state = {f"{signs}vector_{name}": state[signs + name], **state}
    settings = {name: array for name, array in iterate_arrays(memory, PREFIX) if name in SETTINGS}
    restore_arrays(memory, {**state, **settings}, PREFIX)
    counters = memory.counters
    for ticks_left, hold_ticks in (
        (counters.ttc_ticks_left, counters.ttc_hold_ticks),
        (counters.comfort_ticks_left, counters.comfort_hold_ticks),
    ):
        np.minimum(ticks_left, hold_ticks[0], out=ticks_left)
