"""Resolves the triggers of a route against the map: who stands where, who drives through where.

Parameters come from the trigger, as in leaderboard XML files; missing ones take the defaults below.
They are those of scenario_runner's classes, version 0.9.16 (docs/embedded_world.md names them all).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, Scenario, ScenarioTrigger
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.scenarios.geometry import (
    NoRoomError,
    along_lane_m,
    crossing_lane,
    junctions_ahead,
    passing_lane,
    path_through,
    road_edge_m,
)
from sim_adapters.world.scenarios.state import ScenarioKind, ScriptBook, clear_scripts
from sim_adapters.world.vehicle_catalogue import (
    DIRT_DEBRIS,
    PROP_HALF_LENGTH_M,
    PROP_HALF_WIDTH_M,
    PROP_NAMES,
    VEHICLE_NAMES,
)

KINDS = {
    "ControlLoss": ScenarioKind.CONTROL_LOSS,
    "HardBreakRoute": ScenarioKind.HARD_BREAK,
    "DynamicObjectCrossing": ScenarioKind.OBJECT_CROSSING,
    "VehicleTurningRoute": ScenarioKind.VEHICLE_TURNING,
    "SignalizedJunctionLeftTurn": ScenarioKind.LEFT_TURN,
    "SignalizedJunctionRightTurn": ScenarioKind.RIGHT_TURN,
    "OppositeVehicleRunningRedLight": ScenarioKind.RED_LIGHT_RUNNER,
}

DEBRIS_AHEAD_M = (14.0, 48.0, 74.0)  # ControlLoss
CROSSING_DISTANCE_M = 12.0  # DynamicObjectCrossing
PEDESTRIAN_SPEED_MPS, PEDESTRIAN_REACTION_S = 2.0, 2.1
REACTION_PER_ANGLE_S, ANGLE_STEP_DEG = 0.1, 5.0  # whole steps of a slanting crossing
CYCLIST_SPEED_MPS, CYCLIST_REACTION_S = 1.8, 1.8  # VehicleTurningRoute
CYCLIST_AFTER_JUNCTION_M = 11.0
OWN_LANE_M = 3.0  # a crosser this near to the route's line has only the ego's lane to cross
KERB_CLEARANCE_M = 0.6  # from the road's edge to whoever wants to cross
STREAM_SPEED_MPS = 20.0  # SignalizedJunctionLeftTurn and RightTurn
STREAM_GAPS_M = (25.0, 50.0)
LEFT_TURN_SOURCE_S, LEFT_TURN_EXIT_S = 4.0, 2.5  # a stream's way before and after the junction
RIGHT_TURN_SOURCE_S, RIGHT_TURN_EXIT_S = 5.0, 3.0
RUNNER_SPEED_MPS = 60.0 / 3.6  # OppositeVehicleRunningRedLight
RUNNER_SOURCE_M = 30.0
RUNNER_EXIT_M = 60.0  # ours: it drives on with the traffic
HARD_BREAK_AHEAD_M = 30.0
_CYCLIST = VEHICLE_NAMES.index("bh.crossbike")
# Blueprints without a size in the catalogue stand in as the nearest one that has
_PROP_OF_MODEL = {
    "vendingmachine": "vendingmachine",
    "container": "container",
    "advertisement": "advertisement",
    "haybalelb": "haybale",
    "haybale": "haybale",
    "busstoplb": "busstop",
    "busstop": "busstop",
    "foodcart": "container",
}

LaneFinder = Callable[[MapBank, float, list[int]], int]
_logger = logging.getLogger(__name__)


class Site(NamedTuple):
    """One trigger on its way into the book."""

    trigger: ScenarioTrigger
    scenario: Scenario
    row: int  # route point of the trigger
    maps: MapBank
    book: ScriptBook
    at: tuple[int, int]  # (world, trigger) of the book


def resolve_triggers(
    scenario: Scenario, maps: MapBank, book: ScriptBook, world: int
) -> list[tuple[str, str]]:
    """Write all triggers of a scenario into a world's row of the book.

    Returns:
        (trigger name, reason) of those that the map has no room for.

    Raises:
        ValueError: an unknown scenario type, or more triggers than the book holds.
    """
    clear_scripts(book, world)
    capacity = book.triggers.kind.shape[1]
    if len(scenario.triggers) > capacity:
        raise ValueError(
            f"scenario {scenario.scenario_id!r} has {len(scenario.triggers)} triggers, this "
            f"simulator holds {capacity}: raise simulator.max_triggers"
        )
    failed = []
    for row, trigger in enumerate(scenario.triggers):
        if trigger.scenario_type not in KINDS:
            raise ValueError(
                f"scenario {scenario.scenario_id!r} has a trigger of type "
                f"{trigger.scenario_type!r}, expected one of {', '.join(KINDS)}"
            )
        try:
            _resolve(trigger, scenario, maps, book, (world, row))
        except NoRoomError as reason:
            failed.append((trigger.name, str(reason)))
            _logger.debug("%s: %s: %s", scenario.scenario_id, trigger.name, reason)
    return failed


def _resolve(
    trigger: ScenarioTrigger,
    scenario: Scenario,
    maps: MapBank,
    book: ScriptBook,
    at: tuple[int, int],
) -> None:
    kind, route = KINDS[trigger.scenario_type], scenario.route
    row = _route_row(route, trigger)
    _RESOLVERS[kind](Site(trigger, scenario, row, maps, book, at))
    triggers = book.triggers
    triggers.kind[at] = kind
    # On the route, whose height is right; the height of triggers in files often is not
    triggers.x[at], triggers.y[at], triggers.z[at] = route.x[row], route.y[row], route.z[row]


def _route_row(route: Route, trigger: ScenarioTrigger) -> int:
    """Route point nearest to the trigger that leads its way."""
    squared = (route.x - trigger.x) ** 2 + (route.y - trigger.y) ** 2
    is_against = np.cos(route.yaw_rad - trigger.yaw_rad) < 0.0
    return int(np.argmin(squared + 1e6 * is_against))


def _number(trigger: ScenarioTrigger, key: str, default: float) -> float:
    text = trigger.parameters.get(key)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(
            f"trigger {trigger.name!r} has {key}={text!r}, expected a number"
        ) from error


def _direction(trigger: ScenarioTrigger, default: str | None) -> str | None:
    """Side from which somebody comes."""
    direction = trigger.parameters.get("direction", default)
    if direction not in ("left", "right", default):
        raise ValueError(
            f"trigger {trigger.name!r} has direction={direction!r}, expected left or right"
        )
    return direction


# One resolver a kind -------------------------------------------------------------------------


def _control_loss(site: Site) -> None:
    """Debris lies in three places; a prop marks the first."""
    route, blockers, debris, at = site.scenario.route, site.book.blockers, site.book.debris, site.at
    rows = [min(site.row + round(ahead), route.x.size - 1) for ahead in DEBRIS_AHEAD_M]
    debris.x[at], debris.y[at] = route.x[rows], route.y[rows]
    blockers.prop[at] = DIRT_DEBRIS
    blockers.x[at], blockers.y[at] = route.x[rows[0]], route.y[rows[0]]
    blockers.yaw_rad[at] = route.yaw_rad[rows[0]]


def _hard_break(site: Site) -> None:
    """Where a vehicle appears if none drives ahead."""
    route = site.scenario.route
    ahead = min(site.row + round(HARD_BREAK_AHEAD_M), route.x.size - 1)
    lane = int(route.lane[ahead])
    if lane < 0 or route.in_junction[ahead]:
        ahead, lane = site.row, int(route.lane[site.row])
    if lane < 0:
        raise NoRoomError("the route's lane is not known there")
    site.book.streams.path[(*site.at, 0)] = lane
    site.book.streams.source_m[site.at] = along_lane_m(
        site.maps, lane, route.x[ahead], route.y[ahead]
    )


def _object_crossing(site: Site) -> None:
    """A pedestrian behind a prop at the road's edge, `distance` ahead of the trigger."""
    route = site.scenario.route
    place = min(
        site.row + round(_number(site.trigger, "distance", CROSSING_DISTANCE_M)), route.x.size - 1
    )
    side = 1.0 if _direction(site.trigger, "right") == "left" else -1.0
    angle_deg = _number(site.trigger, "crossing_angle", 0.0)
    reaction = PEDESTRIAN_REACTION_S + REACTION_PER_ANGLE_S * math.floor(angle_deg / ANGLE_STEP_DEG)
    speed = _number(site.trigger, "speed", PEDESTRIAN_SPEED_MPS)
    edge = _write_crosser(
        site, place, side, math.radians(angle_deg), ActorKind.PEDESTRIAN, speed, reaction
    )
    site.book.crossers.body[site.at] = 0
    model = site.trigger.parameters.get("blocker_model", "static.prop.vendingmachine").split(".")[
        -1
    ]
    if model not in _PROP_OF_MODEL:
        raise ValueError(
            f"trigger {site.trigger.name!r} has blocker_model={model!r}, "
            f"expected one of {', '.join(sorted(_PROP_OF_MODEL))}"
        )
    prop = PROP_NAMES.index(_PROP_OF_MODEL[model])
    yaw = float(route.yaw_rad[place])
    before = PROP_HALF_LENGTH_M[prop] + 0.5
    left = side * (edge + 0.2 + PROP_HALF_WIDTH_M[prop])
    site.book.blockers.prop[site.at] = prop
    site.book.blockers.x[site.at] = route.x[place] - before * math.cos(yaw) - left * math.sin(yaw)
    site.book.blockers.y[site.at] = route.y[place] - before * math.sin(yaw) + left * math.cos(yaw)
    site.book.blockers.yaw_rad[site.at] = yaw


def _vehicle_turning(site: Site) -> None:
    """A cyclist crosses the road right after the junction."""
    _, last = junctions_ahead(site.scenario.route, site.row)[0]
    place = min(last + round(CYCLIST_AFTER_JUNCTION_M), site.scenario.route.x.size - 1)
    speed = _number(site.trigger, "bicycle_speed", CYCLIST_SPEED_MPS)
    _write_crosser(site, place, -1.0, 0.0, ActorKind.BICYCLE, speed, CYCLIST_REACTION_S)
    site.book.crossers.body[site.at] = _CYCLIST
    site.book.blockers.prop[site.at] = -1


def _stream_from(turn_rad: float, source_s: float, exit_s: float) -> Callable[[Site], None]:
    """Resolver of a stream whose heading is the ego's plus `turn_rad`.

    Args:
        turn_rad: Left is positive.
        source_s: The faster the stream, the further away it begins: so long before the junction.
        exit_s: And so long it drives on after it.
    """

    def resolve(site: Site) -> None:
        speed = _number(site.trigger, "flow_speed", STREAM_SPEED_MPS)
        reach = source_s * speed, exit_s * speed
        _write_stream(site, [turn_rad], speed, reach, meets=False)
        smallest = _number(site.trigger, "source_dist_interval.from", STREAM_GAPS_M[0])
        largest = _number(site.trigger, "source_dist_interval.to", STREAM_GAPS_M[1])
        site.book.streams.smallest_gap_m[site.at] = smallest
        site.book.streams.largest_gap_m[site.at] = max(largest, smallest)

    return resolve


def _red_light_runner(site: Site) -> None:
    """One vehicle from the left or the right; from either if the file does not say."""
    turns = {"left": [-0.5 * math.pi], "right": [0.5 * math.pi]}
    direction = _direction(site.trigger, None)
    chosen = turns[direction] if direction else [0.5 * math.pi, -0.5 * math.pi]
    speed = _number(site.trigger, "flow_speed", RUNNER_SPEED_MPS)
    _write_stream(site, chosen, speed, (RUNNER_SOURCE_M, RUNNER_EXIT_M), meets=True)


def _write_crosser(
    site: Site,
    place: int,
    side: float,
    angle_rad: float,
    kind: ActorKind,
    speed_mps: float,
    reaction_s: float,
) -> float:
    """Somebody crosses the whole road at a route point; returns the near edge's distance [m]."""
    route, crossers, at = site.scenario.route, site.book.crossers, site.at
    x, y, yaw = (float(part[place]) for part in (route.x, route.y, route.yaw_rad))
    index = site.maps.map_index(site.scenario.town)
    near, far = (road_edge_m(site.maps.layers, index, x, y, yaw, s) for s in (side, -side))
    across = yaw - side * (0.5 * math.pi + angle_rad)  # the way it goes
    start, end = near + KERB_CLEARANCE_M, far + KERB_CLEARANCE_M
    crossers.kind[at] = kind
    crossers.start_x[at] = x - start * math.cos(across)
    crossers.start_y[at] = y - start * math.sin(across)
    crossers.end_x[at] = x + end * math.cos(across)
    crossers.end_y[at] = y + end * math.sin(across)
    crossers.z[at] = route.z[place]
    crossers.speed_mps[at] = speed_mps
    # Who has other lanes to cross first starts earlier, so that the two still meet
    crossers.reaction_s[at] = reaction_s + max(start - OWN_LANE_M, 0.0) / speed_mps
    site.book.triggers.meeting_x[at], site.book.triggers.meeting_y[at] = x, y
    return near


def _find_meeting(site: Site, turns_rad: list[float], find: LaneFinder) -> tuple[int, int, int]:
    """Junction of the route (first and last row) and the lane through it that `find` gives, or -1.

    The next junction with a light is preferred, then the next of any kind.
    """
    maps, route = site.maps, site.scenario.route
    signal = maps.rules.signal[route.lane]
    junctions = junctions_ahead(route, site.row)
    junctions.sort(key=lambda rows: bool(np.all(signal[rows[0] : rows[1] + 1] < 0)))
    for first, last in junctions:
        own_lanes = np.unique(route.lane[first : last + 1]).tolist()
        for turn_rad in turns_rad:
            found = find(maps, float(route.yaw_rad[first]) + turn_rad, own_lanes)
            if found >= 0:
                return first, last, found
    return -1, -1, -1


def _write_stream(
    site: Site,
    turns_rad: list[float],
    speed_mps: float,
    reach_m: tuple[float, float],
    *,
    meets: bool,
) -> None:
    """Vehicles cross a junction ahead with one of the headings `turns_rad` relative to ours.

    Args:
        site: Of the trigger.
        turns_rad: Tried in this order.
        speed_mps: Of the vehicles.
        reach_m: Of their way before and after the junction.
        meets: They have to cross our way; else they may also pass beside it.
    """
    maps, route, streams, at = site.maps, site.scenario.route, site.book.streams, site.at
    first, last, crossing = _find_meeting(site, turns_rad, crossing_lane)
    if crossing < 0 and not meets:
        first, last, crossing = _find_meeting(site, turns_rad, passing_lane)
    if crossing < 0:
        raise NoRoomError("no lane of another arm meets the route's in any junction ahead")
    path, before_m = path_through(maps, crossing, *reach_m)
    streams.path[at] = -1
    streams.path[at][: len(path)] = path
    total_m = before_m + maps.lanes.length_m[crossing]
    streams.source_m[at] = max(before_m - reach_m[0], 0.0)
    own = np.arange(first, last + 1)
    rows = np.arange(maps.lanes.first_point[crossing], maps.lanes.first_point[crossing + 1])
    dx = route.x[own][:, None] - maps.points.x[rows][None, :]
    dy = route.y[own][:, None] - maps.points.y[rows][None, :]
    ours, theirs = np.unravel_index(int(np.argmin(dx**2 + dy**2)), dx.shape)
    site.book.triggers.meeting_x[at] = route.x[own[ours]]
    site.book.triggers.meeting_y[at] = route.y[own[ours]]
    meeting_m = before_m + float(maps.points.s_m[rows[theirs]])
    streams.meeting_m[at] = min(meeting_m, total_m) - streams.source_m[at]
    streams.speed_mps[at] = speed_mps
    first_signal = maps.ranges.signal[maps.map_index(site.scenario.town)]
    own_signal = int(maps.rules.signal[route.lane[own]].max())
    their_signal = int(maps.rules.signal[crossing])
    streams.own_light[at] = own_signal - first_signal if own_signal >= 0 else -1
    streams.stream_light[at] = their_signal - first_signal if their_signal >= 0 else -1
    known = max(own_signal, their_signal)
    streams.group[at] = maps.signals.group[known] if known >= 0 else -1


_RESOLVERS: dict[ScenarioKind, Callable[..., None]] = {
    ScenarioKind.CONTROL_LOSS: _control_loss,
    ScenarioKind.HARD_BREAK: _hard_break,
    ScenarioKind.OBJECT_CROSSING: _object_crossing,
    ScenarioKind.VEHICLE_TURNING: _vehicle_turning,
    ScenarioKind.LEFT_TURN: _stream_from(math.pi, LEFT_TURN_SOURCE_S, LEFT_TURN_EXIT_S),
    ScenarioKind.RIGHT_TURN: _stream_from(-0.5 * math.pi, RIGHT_TURN_SOURCE_S, RIGHT_TURN_EXIT_S),
    ScenarioKind.RED_LIGHT_RUNNER: _red_light_runner,
}
