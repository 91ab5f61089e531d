"""Turns route files into Scenarios on the maps of a MapBank."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sim_adapters.maps.route_file import RouteSpec, read_routes
from sim_adapters.maps.router import Router
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, Scenario, ScenarioTrigger

# A lane or two beside the route still counts: the leaderboard asks for the place, not the lane
TRIGGER_REACH_M = 12.0
_TRIGGER_ANGLE_RAD = np.radians(90.0)

_log = logging.getLogger(__name__)


def load_scenarios(
    path: str | Path,
    maps: MapBank,
    *,
    seed: int = 0,
    time_limit_s: float = 1200.0,
    skip_other_towns: bool = False,
) -> list[Scenario]:
    """Every route of a leaderboard file, traced on its town, in the order of the file.

    All triggers are kept. Those the route does not pass are named in a warning: they never start.

    Args:
        path: A .xml or .xml.gz file of either leaderboard format.
        maps: Must hold the towns of the file.
        seed: Of the worlds; every route gets its own, derived from this and its place in the file.
        time_limit_s: For each route.
        skip_other_towns: Take only the routes in towns of `maps`, for a part of a benchmark.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unreadable, a town that `maps` lacks, or a route that cannot be driven; names
            the file and the route.
    """
    router = Router(maps)
    scenarios = []
    for number, spec in enumerate(read_routes(path)):
        if skip_other_towns and spec.town not in maps.towns:
            continue
        try:
            route = router.trace(spec.town, spec.waypoints)
        except ValueError as error:
            raise ValueError(f"{path}, route {spec.route_id}: {error}") from error
        _warn_of_missed_triggers(path, spec, route)
        scenarios.append(
            Scenario(
                scenario_id=scenario_id(spec),
                town=spec.town,
                route=route,
                seed=seed * 1_000_003 + number,
                triggers=spec.triggers,
                time_limit_s=time_limit_s,
            )
        )
    return scenarios


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


def _warn_of_missed_triggers(path: str | Path, spec: RouteSpec, route: Route) -> None:
    missed = missed_triggers(route, spec.triggers)
    if missed:
        _log.warning(
            "%s, route %s: %d of %d scenario triggers lie off the route and cannot start: %s",
            path,
            spec.route_id,
            len(missed),
            len(spec.triggers),
            ", ".join(trigger.name for trigger in missed),
        )
