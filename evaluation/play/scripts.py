"""Scripts that a person starts by a click: a trigger on the route ahead of the ego."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from sim_adapters.embedded.route_triggers import PlannedCrossing, find_crossings
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, RouteCommand, ScenarioTrigger
from sim_adapters.world.scenarios.geometry import NoRoomError

CROSSING_S, NEAREST_CROSSING_M, FARTHEST_CROSSING_M = 3.5, 16, 60  # ahead of the ego
CLEAR_M = (5, 10)  # of junctions before and behind somebody who crosses
JUNCTION_TRIGGER_M, LATEST_M = 45, 12  # before its junction a script begins, at the latest here
ROOM_M = 60  # of route that a script on the open road needs
BLOCKERS = ("busstoplb", "advertisement", "foodcart", "haybalelb", "container")

Parameters = dict[str, str]


class Place(NamedTuple):
    """Where a script may begin."""

    route: Route
    row: int  # of the ego on it
    speed_mps: float
    crossings: Sequence[PlannedCrossing]  # junctions ahead that no script has taken
    number: int  # scripts of this drive so far


class Script(NamedTuple):
    """One thing that a person may let happen."""

    label: str
    place: Callable[[Place], tuple[int, Parameters]]  # row of the trigger, or a NoRoomError


def trigger_ahead(
    scenario_type: str,
    route: Route,
    row: int,
    speed_mps: float,
    maps: MapBank,
    earlier: Sequence[ScenarioTrigger],
) -> ScenarioTrigger:
    """The trigger of a script that begins as soon as it can ahead of the ego.

    Args:
        scenario_type: Of SCRIPTS.
        route: Driven.
        row: The route point that the ego has passed last.
        speed_mps: Of the ego.
        maps: Of the route.
        earlier: Triggers that are on the route already.

    Raises:
        NoRoomError: the rest of the route has no place for it, and why.
    """
    ahead = [c for c in find_crossings(route, maps) if c.first_row - row > LATEST_M]
    free = [crossing for crossing in ahead if not _is_taken(crossing, route, earlier)]
    place = Place(route, row, speed_mps, free, len(earlier))
    at, parameters = SCRIPTS[scenario_type].place(place)
    return ScenarioTrigger(
        name=f"{scenario_type}_{len(earlier) + 1}",
        scenario_type=scenario_type,
        x=float(route.x[at]),
        y=float(route.y[at]),
        z=float(route.z[at]),
        yaw_rad=float(route.yaw_rad[at]),
        parameters=parameters,
    )


def _is_taken(crossing: PlannedCrossing, route: Route, earlier: Sequence[ScenarioTrigger]) -> bool:
    """Whether a script of a junction waits before this one already."""
    first = max(crossing.first_row - JUNCTION_TRIGGER_M - 1, 0)
    rows = slice(first, crossing.first_row)
    return any(
        trigger.scenario_type in JUNCTION_TYPES
        and np.hypot(route.x[rows] - trigger.x, route.y[rows] - trigger.y).min() < 1.0
        for trigger in earlier
    )


# Where each may begin -------------------------------------------------------------------------


def _pedestrian(place: Place) -> tuple[int, Parameters]:
    """The nearest place that leaves a driver the time to stop, outside junctions."""
    route, row = place.route, place.row
    nearest = max(NEAREST_CROSSING_M, round(CROSSING_S * place.speed_mps))
    before, behind = CLEAR_M
    for distance_m in range(nearest, max(FARTHEST_CROSSING_M, nearest + 1)):
        at = row + distance_m
        if at + behind < route.x.size and not route.in_junction[at - before : at + behind].any():
            model = BLOCKERS[place.number % len(BLOCKERS)]
            blocker = f"static.prop.{model}"
            return row, {"distance": str(distance_m), "blocker_model": blocker}
    raise NoRoomError("the next metres lie in a junction, or the route ends: try again further on")


def _open_road(place: Place) -> tuple[int, Parameters]:
    if place.row + ROOM_M >= place.route.x.size:
        raise NoRoomError("the route ends soon")
    if place.route.in_junction[place.row]:
        raise NoRoomError("you are in a junction: try again behind it")
    return place.row, {}


def _before_junction(
    place: Place, *, what: str, turns: Sequence[RouteCommand] = (), lights: bool = True
) -> tuple[int, Parameters]:
    """Before the next junction with one of these turns, any by default, with lights or without."""
    for crossing in place.crossings:
        if (crossing.turn in turns or not turns) and (crossing.is_signalised or not lights):
            return max(place.row, crossing.first_row - JUNCTION_TRIGGER_M), {}
    raise NoRoomError(f"there is no {what} on the rest of this route")


_LEFT, _RIGHT = RouteCommand.LEFT, RouteCommand.RIGHT
_runner = partial(_before_junction, what="junction with lights")
_cyclist = partial(_before_junction, what="turn", turns=(_LEFT, _RIGHT), lights=False)
_oncoming = partial(_before_junction, what="left turn at lights", turns=(_LEFT,))
_from_left = partial(_before_junction, what="right turn at lights", turns=(_RIGHT,))

SCRIPTS = {
    "DynamicObjectCrossing": Script("a pedestrian steps out", _pedestrian),
    "HardBreakRoute": Script("the car ahead brakes hard", _open_road),
    "ControlLoss": Script("the road is slippery", _open_road),
    "OppositeVehicleRunningRedLight": Script("a car runs the red light", _runner),
    "VehicleTurningRoute": Script("a cyclist crosses behind the turn", _cyclist),
    "SignalizedJunctionLeftTurn": Script("oncoming cars at a left turn", _oncoming),
    "SignalizedJunctionRightTurn": Script("cars from the left at a right turn", _from_left),
}
JUNCTION_TYPES = tuple(SCRIPTS)[3:]
