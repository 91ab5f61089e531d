"""Resolves the triggers of a route against the map: who stands where, who drives through where.

Parameters come from the trigger, as in leaderboard XML files; missing ones take the defaults below.
They and the places are those of scenario_runner's classes, version 0.9.16 (docs/embedded_world.md
names them all).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.scenarios.geometry import (
    BESIDE_SIDEWALK_M,
    LanePlace,
    NoRoomError,
    ahead_on_lane,
    junction_ahead,
    nearest_on_lane,
    pose_on,
    row_on_route,
    sidewalk_beside,
)
from sim_adapters.world.scenarios.junctions import left_turn, red_light_runner, right_turn
from sim_adapters.world.scenarios.site import Site, direction, number, place_of
from sim_adapters.world.scenarios.state import (
    ScenarioKind,
    ScriptBook,
    clear_scripts,
)
from sim_adapters.world.vehicle_catalogue import PROP_HALF_LENGTH_M, PROP_NAMES, VEHICLE_NAMES

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
OVERSHOOT_M = 0.5  # on average: scenario_runner goes on metre by metre until it is that far
PEDESTRIAN_SPEED_MPS, PEDESTRIAN_REACTION_S = 2.0, 2.1
REACTION_PER_ANGLE_S, ANGLE_STEP_DEG = 0.1, 5.0  # whole steps of a slanting crossing
BEHIND_BLOCKER_M = 0.5  # from the blocker's end to the pedestrian
SPACE_AHEAD_M = 10.0  # beyond the pedestrian, free of traffic in the ego's lane
CYCLIST_SPEED_MPS, CYCLIST_REACTION_S = 1.8, 1.8  # VehicleTurningRoute
CYCLIST_AFTER_JUNCTION_M = 11.0
WALKER_HEIGHT_M, CYCLIST_HEIGHT_M = 1.2, 0.2  # above the ground; part of how far they go
HARD_BREAK_AHEAD_M = 30.0
_CYCLIST = VEHICLE_NAMES.index("diamondback.century")
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
_logger = logging.getLogger(__name__)


def resolve_triggers(
    scenario: Scenario, maps: MapBank, book: ScriptBook, world: int, *, strict: bool = True
) -> list[tuple[str, str]]:
    """Write all triggers of a scenario into a world's row of the book.

    Args:
        scenario: Route and triggers.
        maps: Of the scenario's town.
        book: Written to.
        world: Its row.
        strict: Leave out what scenario_runner leaves out; else a junction without an arm on the
            wanted side sends its traffic from another one.

    Returns:
        (trigger name, reason) of those that are not played.

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
    refuse_unknown_types(scenario)
    for index, trigger in enumerate(scenario.triggers):
        try:
            resolve_trigger(scenario, maps, book, (world, index), strict=strict)
        except NoRoomError as reason:
            failed.append((trigger.name, str(reason)))
            _logger.debug("%s: %s: %s", scenario.scenario_id, trigger.name, reason)
    return failed


def resolve_trigger(
    scenario: Scenario, maps: MapBank, book: ScriptBook, at: tuple[int, int], *, strict: bool = True
) -> None:
    """Write one trigger of a scenario into the book.

    Args:
        scenario: Route and triggers.
        maps: Of the scenario's town.
        book: Written to.
        at: Its world and the trigger's index in the scenario; the same place in the book.
        strict: As in `resolve_triggers`.

    Raises:
        NoRoomError: it is not played, and why.
    """
    for struct in book:
        for array in struct:
            array[at] = -1 if array.dtype == np.int32 else 0
    trigger = scenario.triggers[at[1]]
    row = row_on_route(scenario.route, trigger)
    _resolve(Site(trigger, scenario, row, maps, book, at, strict))


def refuse_unknown_types(scenario: Scenario) -> None:
    """Check a scenario before anything is driven.

    Raises:
        ValueError: a trigger of a type that no resolver plays.
    """
    for trigger in scenario.triggers:
        if trigger.scenario_type not in KINDS:
            raise ValueError(
                f"scenario {scenario.scenario_id!r} has a trigger of type "
                f"{trigger.scenario_type!r}, expected one of {', '.join(KINDS)}: delete it from "
                f"the route file, or drive the file with evaluation.longest6_official"
            )


def _resolve(site: Site) -> None:
    kind, route, at, row = KINDS[site.trigger.scenario_type], site.scenario.route, site.at, site.row
    _RESOLVERS[kind](site)
    triggers = site.book.triggers
    triggers.kind[at] = kind
    triggers.x[at], triggers.y[at], triggers.z[at] = route.x[row], route.y[row], route.z[row]
    triggers.yaw_rad[at] = route.yaw_rad[row]


# One resolver a kind -------------------------------------------------------------------------


def _control_loss(site: Site) -> None:
    """Debris lies in three places of the trigger's lane."""
    debris, at, start = site.book.debris, site.at, place_of(site, site.row)
    for index, ahead_m in enumerate(DEBRIS_AHEAD_M):
        place = ahead_on_lane(site.maps, start, ahead_m, site.scenario.route.lane)
        x, y, z, yaw = pose_on(site.maps, place)
        debris.x[(*at, index)], debris.y[(*at, index)] = x, y
        debris.z[(*at, index)], debris.yaw_rad[(*at, index)] = z, yaw


def _hard_break(site: Site) -> None:
    """Where a vehicle appears if none drives ahead."""
    route = site.scenario.route
    ahead = min(site.row + round(HARD_BREAK_AHEAD_M), route.x.size - 1)
    place = place_of(site, site.row if route.in_junction[ahead] else ahead)
    site.book.streams.path[(*site.at, 0)] = place.lane
    site.book.streams.source_m[site.at] = place.s_m


def _object_crossing(site: Site) -> None:
    """A pedestrian behind a prop on the sidewalk, `distance` ahead of the trigger."""
    trigger, blockers, crossers, at = site.trigger, site.book.blockers, site.book.crossers, site.at
    model = trigger.parameters.get("blocker_model", "static.prop.vendingmachine").split(".")[-1]
    if model not in _PROP_OF_MODEL:
        raise ValueError(
            f"trigger {trigger.name!r} has blocker_model={model!r}, "
            f"expected one of {', '.join(sorted(_PROP_OF_MODEL))}"
        )
    distance_m = number(trigger, "distance", CROSSING_DISTANCE_M)
    angle_deg = number(trigger, "crossing_angle", 0.0)
    steps = math.floor(angle_deg / ANGLE_STEP_DEG)
    at_trigger = place_of(site, site.row)
    place = ahead_on_lane(site.maps, at_trigger, distance_m + OVERSHOOT_M, site.scenario.route.lane)
    walk = _Walk(
        kind=ActorKind.PEDESTRIAN,
        body=0,
        speed_mps=number(trigger, "speed", PEDESTRIAN_SPEED_MPS),
        reaction_s=PEDESTRIAN_REACTION_S + REACTION_PER_ANGLE_S * steps,
        angle_rad=math.radians(angle_deg),
        height_m=WALKER_HEIGHT_M,
        off_m=BESIDE_SIDEWALK_M["crosser"],
    )
    prop = PROP_NAMES.index(_PROP_OF_MODEL[model])
    is_right = direction(trigger) == "right"
    beside, is_sidewalk = sidewalk_beside(site.maps, place.lane, is_right=is_right)
    foot = nearest_on_lane(site.maps, beside, *pose_on(site.maps, place)[:2])
    x, y, _, yaw = pose_on(site.maps, foot)
    off_m = 0.0 if is_sidewalk else BESIDE_SIDEWALK_M["blocker"]
    blockers.prop[at] = prop
    blockers.x[at], blockers.y[at] = x + off_m * math.sin(yaw), y - off_m * math.cos(yaw)
    blockers.yaw_rad[at] = yaw - 0.5 * math.pi
    hidden_m = float(PROP_HALF_LENGTH_M[prop]) + BEHIND_BLOCKER_M
    start = ahead_on_lane(site.maps, foot, hidden_m, site.scenario.route.lane)
    _write_crosser(site, place, (start, is_sidewalk), walk)
    crossers.space_m[at] = distance_m + SPACE_AHEAD_M


def _vehicle_turning(site: Site) -> None:
    """A cyclist crosses the road after the junction."""
    route = site.scenario.route
    _, last = junction_ahead(route, site.row)
    if last + 1 >= route.x.size:
        raise NoRoomError("the route ends in the junction")
    place = ahead_on_lane(site.maps, place_of(site, last + 1), CYCLIST_AFTER_JUNCTION_M, route.lane)
    walk = _Walk(
        kind=ActorKind.BICYCLE,
        body=_CYCLIST,
        speed_mps=number(site.trigger, "bicycle_speed", CYCLIST_SPEED_MPS),
        reaction_s=CYCLIST_REACTION_S,
        angle_rad=0.0,
        height_m=CYCLIST_HEIGHT_M,
        off_m=BESIDE_SIDEWALK_M["blocker"],
    )
    beside, is_sidewalk = sidewalk_beside(site.maps, place.lane, is_right=True)
    start = nearest_on_lane(site.maps, beside, *pose_on(site.maps, place)[:2])
    _write_crosser(site, place, (start, is_sidewalk), walk)


class _Walk(NamedTuple):
    """How somebody crosses."""

    kind: ActorKind
    body: int  # row of the walker or vehicle catalogue
    speed_mps: float
    reaction_s: float
    angle_rad: float  # slanting, from straight across
    height_m: float  # of the actor's origin above the ground
    off_m: float  # right of the outermost lane where there is no sidewalk


def _write_crosser(
    site: Site, place: LanePlace, start: tuple[LanePlace, bool], walk: _Walk
) -> None:
    """Somebody goes from beside the road across `place`, twice as far as that is away."""
    crossers, triggers, at = site.book.crossers, site.book.triggers, site.at
    on_lane, is_sidewalk = start
    x, y, z, yaw = pose_on(site.maps, on_lane)
    off_m = 0.0 if is_sidewalk else walk.off_m
    x, y = x + off_m * math.sin(yaw), y - off_m * math.cos(yaw)
    to_x, to_y, to_z, _ = pose_on(site.maps, place)
    heading = yaw + 0.5 * math.pi + walk.angle_rad
    if math.cos(heading) * (to_x - x) + math.sin(heading) * (to_y - y) < 0.0:
        heading = yaw - 0.5 * math.pi - walk.angle_rad  # the lane on that side leads the other way
    # The way is measured from the actor's origin, which is above the ground
    way_m = 2.0 * math.dist((x, y, z + walk.height_m), (to_x, to_y, to_z))
    crossers.kind[at], crossers.body[at] = walk.kind, walk.body
    crossers.start_x[at], crossers.start_y[at], crossers.z[at] = x, y, z
    crossers.end_x[at] = x + way_m * math.cos(heading)
    crossers.end_y[at] = y + way_m * math.sin(heading)
    crossers.speed_mps[at], crossers.reaction_s[at] = walk.speed_mps, walk.reaction_s
    triggers.meeting_x[at], triggers.meeting_y[at] = to_x, to_y


_RESOLVERS: dict[ScenarioKind, Callable[[Site], None]] = {
    ScenarioKind.CONTROL_LOSS: _control_loss,
    ScenarioKind.HARD_BREAK: _hard_break,
    ScenarioKind.OBJECT_CROSSING: _object_crossing,
    ScenarioKind.VEHICLE_TURNING: _vehicle_turning,
    ScenarioKind.LEFT_TURN: left_turn,
    ScenarioKind.RIGHT_TURN: right_turn,
    ScenarioKind.RED_LIGHT_RUNNER: red_light_runner,
}
