"""Turns route files into Scenarios on the maps of a MapBank."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sim_adapters.maps.carla_plan import CarlaPlanner
from sim_adapters.maps.planned_route import route_of_plan
from sim_adapters.maps.route_file import RouteSpec, read_routes
from sim_adapters.maps.router import Router
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, Scenario, ScenarioTrigger

# A lane or two beside the route still counts: the leaderboard asks for the place, not the lane
TRIGGER_REACH_M = 12.0
_TRIGGER_ANGLE_RAD = np.radians(90.0)

_log = logging.getLogger(__name__)


def load_scenarios(
    path: str | Path, maps: MapBank, *, seed: int = 0, time_limit_s: float = 1200.0
) -> list[Scenario]:
    """Every route of a leaderboard file, traced on its town, in the order of the file.

    Args:
        path: A .xml or .xml.gz file of either leaderboard format.
        maps: Must hold the towns of the file.
        seed: Of the worlds; every route gets its own, derived from this and its place in the file.
        time_limit_s: For each route.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unreadable, a town that `maps` lacks, or a route that cannot be driven; names
            the file and the route.
    """
    router = Router(maps)
    scenarios = []
    for number, spec in enumerate(read_routes(path)):
        try:
            scenario = trace_scenario(
                spec, router, seed=seed * 1_000_003 + number, time_limit_s=time_limit_s
            )
        except ValueError as error:
            raise ValueError(f"{path}, {error}") from error
        scenarios.append(scenario)
    return scenarios


def trace_scenario(
    spec: RouteSpec, router: Router, *, seed: int, time_limit_s: float = 1200.0
) -> Scenario:
    """One route as a scenario, with all its triggers.

    A route that leaves triggers aside was drawn up along the way that CARLA's planner takes, with
    its detours: such a route is traced again that way. Triggers that neither way passes are named
    in a warning, since they cannot start.

    Raises:
        ValueError: unknown town or no drivable way; names the route.
    """
    try:
        route = router.trace(spec.town, spec.waypoints)
    except ValueError as error:
        raise ValueError(f"route {spec.route_id}: {error}") from error
    missed = missed_triggers(route, spec.triggers)
    if missed:
        carlas = _way_of_carla(spec, router)
        if carlas is not None and len(missed_triggers(carlas, spec.triggers)) < len(missed):
            _log.info(
                "route %s in %s: %.0f m as CARLA plans it instead of %.0f m, to pass %d triggers",
                *(spec.route_id, spec.town, carlas.length_m, route.length_m, len(missed)),
            )
            route, missed = carlas, missed_triggers(carlas, spec.triggers)
    if missed:
        _log.warning(
            "route %s in %s: %d of %d scenario triggers lie off the route and cannot start: %s",
            spec.route_id,
            spec.town,
            len(missed),
            len(spec.triggers),
            ", ".join(trigger.name for trigger in missed),
        )
    return Scenario(scenario_id(spec), spec.town, route, seed, spec.triggers, time_limit_s)


def _way_of_carla(spec: RouteSpec, router: Router) -> Route | None:
    """The route as CARLA's planner leads it, None where that planner is no help."""
    try:
        position, yaw_rad = CarlaPlanner(router.maps, spec.town).plan(spec.waypoints)
        return route_of_plan(router, spec.town, position, yaw_rad)
    except (FileNotFoundError, ValueError) as error:
        _log.info("route %s in %s: no plan of CARLA's: %s", spec.route_id, spec.town, error)
        return None


def scenario_id(spec: RouteSpec) -> str:
    """Name of a route by town and id, e.g. "Town01_05"."""
    return f"{spec.town}_{spec.route_id.zfill(2)}"


def missed_triggers(route: Route, triggers: Sequence[ScenarioTrigger]) -> list[ScenarioTrigger]:
    """Triggers that no part of the route passes within `TRIGGER_REACH_M` in their direction."""
    missed = []
    for trigger in triggers:
        near = np.hypot(route.x - trigger.x, route.y - trigger.y) <= TRIGGER_REACH_M
        turn = route.yaw_rad[near] - trigger.yaw_rad
        if not np.any(np.cos(turn) > np.cos(_TRIGGER_ANGLE_RAD)):
            missed.append(trigger)
    return missed
