"""Leaderboard 1's scenario files (JSON): places in towns where scenarios may start.

`available_scenarios[0][town]` lists `{scenario_type, available_event_configurations}`, each event
with a `transform` in CARLA's left-handed frame, which is flipped here. Such a file knows no routes:
a route gets the events whose place it passes. The types have numbers; what 7 to 9 are depends on
the turn that the route makes next.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.scenario import Route, RouteCommand, ScenarioTrigger

REACH_M, REACH_RAD = 2.0, math.radians(10.0)  # leaderboard: so near an event belongs to a route
_LEFT, _RIGHT, _STRAIGHT = RouteCommand.LEFT, RouteCommand.RIGHT, RouteCommand.STRAIGHT
_RUNNER = "OppositeVehicleRunningRedLight"
# By the route's next turn; None stands for any
_TYPES: dict[str, dict[RouteCommand | None, str]] = {
    "Scenario1": {None: "ControlLoss"},
    "Scenario2": {None: "HardBreakRoute"},
    "Scenario3": {None: "DynamicObjectCrossing"},
    "Scenario4": {_LEFT: "VehicleTurningRoute", _RIGHT: "VehicleTurningRoute"},
    "Scenario7": {_LEFT: _RUNNER, _RIGHT: _RUNNER, _STRAIGHT: _RUNNER},
    "Scenario8": {_LEFT: "SignalizedJunctionLeftTurn"},
    "Scenario9": {_RIGHT: "SignalizedJunctionRightTurn"},
}
NOT_PLAYED = ("Scenario5", "Scenario6", "Scenario10")  # overtaking, evasion, junctions unsignalised
_DRAW_TYPE = 2601


class EventPlace(NamedTuple):
    """Where one scenario may start, in our frame."""

    scenario_type: str  # "Scenario1" to "Scenario10"
    x: float
    y: float
    z: float
    yaw_rad: float


def read_scenario_file(path: str | Path) -> dict[str, list[EventPlace]]:
    """All events of a scenario file, by town.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: unreadable, incomplete or of an unknown type; says where.
    """
    path = Path(path)
    try:
        towns = json.loads(path.read_text(encoding="utf-8"))["available_scenarios"]
        return {
            town: [place for entry in entries for place in _read_entry(entry)]
            for group in towns
            for town, entries in group.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no leaderboard 1 scenario file ({type(error).__name__}: {error}): expected "
            f"available_scenarios, a list of towns with their scenario_type and "
            f"available_event_configurations"
        ) from error


def _read_entry(entry: Mapping[str, Any]) -> Iterator[EventPlace]:
    kind = entry["scenario_type"]
    if kind not in _TYPES and kind not in NOT_PLAYED:
        raise ValueError(f"unknown scenario_type {kind!r}")
    for event in entry["available_event_configurations"]:
        pose = {name: float(event["transform"][name]) for name in ("x", "y", "z", "yaw")}
        if not all(map(math.isfinite, pose.values())):
            raise ValueError(f"a transform of {kind} is not finite: {event['transform']}")
        yield EventPlace(kind, pose["x"], -pose["y"], pose["z"], -math.radians(pose["yaw"]))


def triggers_on_route(
    route: Route, places: Sequence[EventPlace]
) -> tuple[tuple[ScenarioTrigger, ...], tuple[str, ...]]:
    """What of a town's events starts on a route, one at a place; in the order of the route.

    Where several types share a place one is drawn, always the same; leaderboard 1 draws as well.

    Returns:
        The triggers, and the types in `NOT_PLAYED` whose places the route passes.
    """
    by_row: dict[int, list[str]] = {}
    refused: list[str] = []
    for place in places:
        row = _row_at(route, place)
        if row < 0:
            continue
        if place.scenario_type in NOT_PLAYED:
            refused.append(place.scenario_type)
            continue
        by_turn = _TYPES[place.scenario_type]
        name = by_turn.get(None) or by_turn.get(_next_turn(route, row))
        if name is not None:
            by_row.setdefault(row, []).append(name)
    triggers: list[ScenarioTrigger] = []
    last_m = -math.inf
    for row in sorted(by_row):
        if route.cumulative_m[row] - last_m < REACH_M:
            continue  # another event at the same place
        last_m = float(route.cumulative_m[row])
        names = sorted(by_row[row])
        name = names[int(uniform(np.uint64(0), row, len(names), _DRAW_TYPE) * len(names))]
        number = 1 + sum(trigger.scenario_type == name for trigger in triggers)
        triggers.append(_trigger(f"{name}_{number}", name, route, row))
    return tuple(triggers), tuple(refused)


def _trigger(name: str, scenario_type: str, route: Route, row: int) -> ScenarioTrigger:
    x, y, z, yaw = (float(part[row]) for part in (route.x, route.y, route.z, route.yaw_rad))
    return ScenarioTrigger(name, scenario_type, x, y, z, yaw, {})


def _row_at(route: Route, place: EventPlace) -> int:
    """Route point at an event's place in its direction, -1 if the route does not pass it."""
    distance = np.hypot(route.x - place.x, route.y - place.y)
    is_along = np.cos(route.yaw_rad - place.yaw_rad) > math.cos(REACH_RAD)
    distance[~is_along] = math.inf
    row = int(np.argmin(distance))
    return row if distance[row] < REACH_M else -1


def _next_turn(route: Route, row: int) -> RouteCommand | None:
    """What the route does in the first junction from a row on."""
    inside = np.flatnonzero(route.in_junction[row:])
    return RouteCommand(int(route.command[row + inside[0]])) if inside.size else None
