"""Puts a scenario into a world of the scene: route, clocks, and the ego at its start."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorKind, SceneBatch
from sim_adapters.world.slots import new_actor_id
from sim_adapters.world.vehicle_catalogue import (
    EGO_HALF_HEIGHT_M,
    EGO_HALF_LENGTH_M,
    EGO_HALF_WIDTH_M,
)


def check_route(scenario: Scenario, capacity: int) -> None:
    """Refuse routes that no world can hold or nobody can drive.

    Raises:
        ValueError: fewer than two points, more points than `capacity`, or not finite.
    """
    route, name = scenario.route, scenario.scenario_id
    num_points = route.x.size
    if num_points < 2 or not route.length_m > 0.0:
        raise ValueError(
            f"scenario {name!r} has a route of {num_points} points and {route.length_m} m, "
            "expected two or more points at different places"
        )
    if num_points > capacity:
        raise ValueError(
            f"scenario {name!r} has a route of {num_points} points, this simulator holds "
            f"{capacity}: set simulator.max_route_points={num_points} or more"
        )
    if not all(np.isfinite(part).all() for part in (route.x, route.y, route.z, route.yaw_rad)):
        raise ValueError(f"scenario {name!r} has a route with NaN or infinite coordinates")


def write_route(scene: SceneBatch, agent: int, scenario: Scenario) -> None:
    """Copy the dense route into the driver's row; the rest of the row repeats nothing: zeros.

    On the path of a human who stood still percent is zero at all points.
    """
    route, routes = scenario.route, scene.routes
    num_points = route.x.size
    routes.num_points[agent] = num_points
    cumulative_m = route.cumulative_m
    length_m = max(float(cumulative_m[-1]), np.finfo(np.float64).tiny)
    for name, values in (vars(route) | {"percent": 100.0 * cumulative_m / length_m}).items():
        row = getattr(routes, name)[agent]
        row[:num_points] = values
        row[num_points:] = -1 if name == "lane" else 0


def clear_world(scene: SceneBatch, world: int) -> None:
    """Empty all actor slots of a world and its driver's contacts."""
    for array in (*scene.motion, *scene.traits):
        array[world] = 0
    scene.contacts.other_slot[world] = -1
    scene.contacts.x[world] = scene.contacts.y[world] = 0.0


def place_ego(scene: SceneBatch, agent: int, scenario: Scenario) -> None:
    """Stand the ego on the route's first point, brakes on."""
    world, slot = scene.ego.world[agent], scene.ego.slot[agent]
    route, motion, traits = scenario.route, scene.motion, scene.traits
    for array, values in (
        (motion.x, route.x),
        (motion.y, route.y),
        (motion.z, route.z),
        (motion.yaw_rad, route.yaw_rad),
    ):
        array[world, slot] = values[0]
    traits.valid[world, slot] = True
    traits.kind[world, slot] = ActorKind.CAR
    traits.half_length_m[world, slot] = EGO_HALF_LENGTH_M
    traits.half_width_m[world, slot] = EGO_HALF_WIDTH_M
    traits.half_height_m[world, slot] = EGO_HALF_HEIGHT_M
    traits.actor_id[world, slot] = new_actor_id(1, int(slot), scene.num_slots)
    for control in (scene.ego.steer, scene.ego.throttle, scene.ego.gear):
        control[agent] = 0.0
    scene.ego.brake[agent] = 1.0


def start_clocks(scene: SceneBatch, world: int, scenario: Scenario, map_index: int) -> None:
    """Set time, time limit, map and seed of a world."""
    clocks = scene.clocks
    clocks.elapsed_s[world] = 0.0
    clocks.time_limit_s[world] = scenario.time_limit_s
    clocks.failed[world] = False
    clocks.map_index[world] = map_index
    clocks.seed[world] = np.uint64(scenario.seed % 2**64)


def contiguous_runs(worlds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Half-open ranges that cover exactly these world indices, so that kernels need few calls."""
    ordered = np.unique(worlds)
    if ordered.size == 0:
        return []
    runs = np.split(ordered, np.flatnonzero(np.diff(ordered) > 1) + 1)
    return [(int(run[0]), int(run[-1]) + 1) for run in runs]
