"""Puts scenario triggers on a random route: one slot every 100 m, filled if the place allows it.

Each of CaRL's seven training types looks at the road ahead and either proposes its parameters or
passes. Source: CaRL's training routes; the ranges are those of leaderboard 2.0's official routes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.counter_rng import Draws
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import Route, RouteCommand, ScenarioTrigger

SLOT_SPACING_M = 100.0
_CROSSING_REACH_M = (10.0, 100.0)  # from its trigger to the junction of a junction scenario
_ROOM_M = 60.0  # of route that a scenario on the open road needs
_CLEAR_OF_JUNCTION_M = 40.0  # ahead, where vehicles brake hard
CROSSING_DISTANCE_M = 12  # scenario_runner's DynamicObjectCrossing, from trigger to walker
_STREAM_ANGLE_RAD = np.radians(45.0)

_BLOCKERS = ("haybalelb", "foodcart", "advertisement", "container", "busstoplb")
_BLOCKER_WEIGHTS = (52, 28, 14, 12, 6)
_CROSSING_ANGLES_DEG = (3, 1, 2, 5, -2, 6, -4, -1, 4, -3)
_CROSSING_ANGLE_WEIGHTS = (22, 16, 14, 10, 8, 6, 4, 4, 2, 2)

Parameters = dict[str, str]


class PlannedStreams:
    """Straight movements through the signalised junctions of a MapBank."""

    def __init__(self, maps: MapBank) -> None:
        straight = (
            (maps.lanes.kind == LaneKind.DRIVING)
            & (maps.lanes.junction >= 0)
            & (maps.rules.turn == RouteCommand.STRAIGHT)
            & (maps.rules.signal >= 0)
        )
        self._junction = maps.lanes.junction[straight]
        self._yaw_rad = maps.points.yaw_rad[maps.lanes.first_point[:-1][straight]]

    def has(self, junction: int, yaw_rad: float) -> bool:
        """True if traffic crosses `junction` straight ahead in about this direction."""
        cos = np.cos(self._yaw_rad[self._junction == junction] - yaw_rad)
        return bool(np.any(cos > math.cos(_STREAM_ANGLE_RAD)))


class PlannedCrossing(NamedTuple):
    """A junction on a route."""

    first_row: int  # of the route, inside the junction
    junction: int
    turn: RouteCommand
    is_signalised: bool
    entry_yaw_rad: float


class PlannedSite(NamedTuple):
    """A place on a route that a scenario may start from, outside junctions."""

    route: Route
    row: int
    room_m: float  # to the end of the route
    gap_m: float  # to the next junction, infinite without one
    crossing: PlannedCrossing | None  # that junction, if no scenario plays in it yet
    streams: PlannedStreams
    as_benchmark: bool  # with the defaults of scenario_runner, which longest6 v2 keeps throughout


class TriggerShares(NamedTuple):
    """How the slots of a route are filled."""

    benchmark: float = 0.0  # with scenario_runner's own parameters, which longest6 v2 keeps
    open_road: float = 1.0  # of those without a scenario for a junction ahead that are filled


def scenario_weights(chosen: Mapping[str, float] | None = None) -> dict[str, float]:
    """How likely each type is tried first in a slot; types that are not named weigh 1, as in CaRL.

    Raises:
        ValueError: an unknown type or a negative weight.
    """
    weights = dict.fromkeys(PROPOSALS, 1.0) | dict(chosen or {})
    bad = [name for name in weights if name not in PROPOSALS or not weights[name] >= 0.0]
    if bad:
        raise ValueError(
            f"scenario_weights has {bad}: expected weights of 0 or more for {list(PROPOSALS)}"
        )
    return weights


def place_triggers(
    route: Route,
    maps: MapBank,
    streams: PlannedStreams,
    draws: Draws,
    weights: Mapping[str, float],
    shares: TriggerShares | None = None,
) -> tuple[ScenarioTrigger, ...]:
    """Triggers of one route, at most one a slot and a junction, exactly on the route and along it.

    Args:
        route: Where the triggers go.
        maps: Of the route.
        streams: Of `maps`.
        draws: Random numbers of this route's triggers.
        weights: Of all types, see `scenario_weights`.
        shares: Of the slots that are filled in certain ways; CaRL fills all.
    """
    shares = shares or TriggerShares()
    stations_m = route.cumulative_m
    crossings = find_crossings(route, maps)
    counts: dict[str, int] = {}
    triggers = []
    taken: set[PlannedCrossing] = set()
    for slot in range(int(stations_m[-1] / SLOT_SPACING_M)):
        station_m = SLOT_SPACING_M * slot + draws.integer(int(SLOT_SPACING_M))
        # Nothing is drawn for shares of none and all
        as_benchmark = shares.benchmark > 0.0 and draws.uniform() < shares.benchmark
        is_open = shares.open_road == 1.0 or draws.uniform() < shares.open_road
        site = _look_ahead(route, stations_m, station_m, crossings, streams, as_benchmark)
        if site is None:
            continue
        if site.crossing in taken:
            site = site._replace(crossing=None)
        scenario_type, parameters = _fill(site, draws, weights)
        if scenario_type and (is_open or scenario_type in JUNCTION_TYPES):
            counts[scenario_type] = counts.get(scenario_type, 0) + 1
            name = f"{scenario_type}_{counts[scenario_type]}"
            triggers.append(_trigger(name, scenario_type, parameters, route, site.row))
            if site.crossing and scenario_type in JUNCTION_TYPES:
                taken.add(site.crossing)
    return tuple(triggers)


def find_crossings(route: Route, maps: MapBank) -> list[PlannedCrossing]:
    """Junctions of a route in their order."""
    junction = np.where(route.in_junction, maps.lanes.junction[route.lane], -1)
    borders = [0, *(np.flatnonzero(np.diff(junction)) + 1).tolist(), len(junction)]
    return [
        PlannedCrossing(
            first_row=first,
            junction=int(junction[first]),
            turn=RouteCommand(int(route.command[first])),
            is_signalised=bool(np.any(maps.rules.signal[route.lane[first:last]] >= 0)),
            entry_yaw_rad=float(route.yaw_rad[first]),
        )
        for first, last in itertools.pairwise(borders)
        if junction[first] >= 0
    ]


def _look_ahead(
    route: Route,
    stations_m: NDArray[np.float64],
    station_m: float,
    crossings: list[PlannedCrossing],
    streams: PlannedStreams,
    as_benchmark: bool,
) -> PlannedSite | None:
    """The site at a station, None inside a junction."""
    row = min(int(np.searchsorted(stations_m, station_m)), len(stations_m) - 1)
    if route.in_junction[row]:
        return None
    ahead = next((crossing for crossing in crossings if crossing.first_row > row), None)
    gap_m = math.inf if ahead is None else float(stations_m[ahead.first_row] - stations_m[row])
    return PlannedSite(
        route, row, float(stations_m[-1] - stations_m[row]), gap_m, ahead, streams, as_benchmark
    )


def _fill(site: PlannedSite, draws: Draws, weights: Mapping[str, float]) -> tuple[str, Parameters]:
    """The first type, in random order, that the site allows; an empty name if none does."""
    for name in draws.order(weights):
        parameters = PROPOSALS[name](site, draws)
        if parameters is not None:
            return name, parameters
    return "", {}


def _trigger(
    name: str, scenario_type: str, parameters: Parameters, route: Route, row: int
) -> ScenarioTrigger:
    return ScenarioTrigger(
        name=name,
        scenario_type=scenario_type,
        x=round(float(route.x[row]), 3),
        y=round(float(route.y[row]), 3),
        z=round(float(route.z[row]), 3),
        yaw_rad=float(route.yaw_rad[row]),
        parameters=parameters,
    )


# What each type needs, and its parameters ---------------------------------------------------------


def _control_loss(site: PlannedSite, draws: Draws) -> Parameters | None:
    del draws
    return {} if site.room_m >= _ROOM_M else None


def _hard_brake(site: PlannedSite, draws: Draws) -> Parameters | None:
    del draws
    return {} if site.room_m >= _ROOM_M and site.gap_m >= _CLEAR_OF_JUNCTION_M else None


def _object_crossing(site: PlannedSite, draws: Draws) -> Parameters | None:
    """A pedestrian steps onto the route ahead, outside junctions."""
    distance_m = (
        CROSSING_DISTANCE_M if site.as_benchmark else round(_triangular(draws, 15.0, 50.0, 113.0))
    )
    place = site.row + distance_m
    if place + 10 >= len(site.route.x) or np.any(site.route.in_junction[place - 5 : place + 10]):
        return None
    if site.as_benchmark:
        return {}
    return {
        "distance": str(distance_m),
        "direction": draws.choose(("right", "left"), (0.97, 0.03)),
        "blocker_model": f"static.prop.{draws.choose(_BLOCKERS, _BLOCKER_WEIGHTS)}",
        "crossing_angle": str(draws.choose(_CROSSING_ANGLES_DEG, _CROSSING_ANGLE_WEIGHTS)),
    }


def _vehicle_turning(site: PlannedSite, draws: Draws) -> Parameters | None:
    del draws
    crossing = _crossing_in_reach(site)
    turns = crossing is not None and crossing.turn in (RouteCommand.LEFT, RouteCommand.RIGHT)
    return {} if turns else None


def _signalised_left(site: PlannedSite, draws: Draws) -> Parameters | None:
    """An oncoming stream through which the route turns left."""
    crossing = _crossing_in_reach(site)
    if crossing is None or crossing.turn != RouteCommand.LEFT or not crossing.is_signalised:
        return None
    if not site.streams.has(crossing.junction, crossing.entry_yaw_rad + math.pi):
        return None
    return {} if site.as_benchmark else _flow(draws, mode_mps=12.0)


def _signalised_right(site: PlannedSite, draws: Draws) -> Parameters | None:
    """A stream from the left into the road that the route turns into."""
    crossing = _crossing_in_reach(site)
    if crossing is None or crossing.turn != RouteCommand.RIGHT or not crossing.is_signalised:
        return None
    if not site.streams.has(crossing.junction, crossing.entry_yaw_rad - 0.5 * math.pi):
        return None
    return {} if site.as_benchmark else _flow(draws, mode_mps=10.0)


def _red_light_runner(site: PlannedSite, draws: Draws) -> Parameters | None:
    """A crossing vehicle that ignores its red light."""
    crossing = _crossing_in_reach(site)
    if crossing is None or not crossing.is_signalised:
        return None
    from_side = {"left": -0.5 * math.pi, "right": 0.5 * math.pi}  # its heading relative to ours
    sides = [
        side
        for side, angle in from_side.items()
        if site.streams.has(crossing.junction, crossing.entry_yaw_rad + angle)
    ]
    if not sides or site.as_benchmark:
        return {} if sides else None
    return {"direction": draws.choose(sides)}


PROPOSALS: dict[str, Callable[[PlannedSite, Draws], Parameters | None]] = {
    "ControlLoss": _control_loss,
    "HardBreakRoute": _hard_brake,
    "DynamicObjectCrossing": _object_crossing,
    "VehicleTurningRoute": _vehicle_turning,
    "SignalizedJunctionLeftTurn": _signalised_left,
    "OppositeVehicleRunningRedLight": _red_light_runner,
    "SignalizedJunctionRightTurn": _signalised_right,
}


JUNCTION_TYPES = (
    "VehicleTurningRoute",
    "SignalizedJunctionLeftTurn",
    "OppositeVehicleRunningRedLight",
    "SignalizedJunctionRightTurn",
)


def _crossing_in_reach(site: PlannedSite) -> PlannedCrossing | None:
    nearest, farthest = _CROSSING_REACH_M
    return site.crossing if nearest <= site.gap_m <= farthest else None


def _flow(draws: Draws, *, mode_mps: float) -> Parameters:
    """Speed and gaps of a stream of vehicles."""
    speed_mps = round(_triangular(draws, 7.0, mode_mps, 19.0))
    smallest_m, largest_m = draws.uniform(10.0, 40.0), draws.uniform(35.0, 85.0)
    return {
        "flow_speed": str(speed_mps),
        "source_dist_interval.from": str(round(smallest_m)),
        "source_dist_interval.to": str(round(max(largest_m, smallest_m + 10.0))),
    }


def _triangular(draws: Draws, low: float, mode: float, high: float) -> float:
    """Triangular distribution, by its inverse."""
    share = draws.uniform()
    turning = (mode - low) / (high - low)
    if share < turning:
        return low + math.sqrt(share * (high - low) * (mode - low))
    return high - math.sqrt((1.0 - share) * (high - low) * (high - mode))
