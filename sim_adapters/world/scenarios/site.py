"""A trigger on its way into the script book: what its resolver needs, and what it may ask for."""

from __future__ import annotations

from typing import NamedTuple

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario, ScenarioTrigger
from sim_adapters.world.scenarios.geometry import LanePlace, NoRoomError, nearest_on_lane
from sim_adapters.world.scenarios.state import ScriptBook


class Site(NamedTuple):
    """One trigger on its way into the book."""

    trigger: ScenarioTrigger
    scenario: Scenario
    row: int  # route point of the trigger
    maps: MapBank
    book: ScriptBook
    at: tuple[int, int]  # (world, trigger) of the book
    is_strict: bool


def number(trigger: ScenarioTrigger, key: str, default: float) -> float:
    """A parameter of a trigger.

    Raises:
        ValueError: it is no number.
    """
    text = trigger.parameters.get(key)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(
            f"trigger {trigger.name!r} has {key}={text!r}, expected a number"
        ) from error


def direction(trigger: ScenarioTrigger) -> str:
    """Side from which somebody comes."""
    side = trigger.parameters.get("direction", "right")
    if side not in ("left", "right"):
        raise ValueError(f"trigger {trigger.name!r} has direction={side!r}, expected left or right")
    return side


def place_of(site: Site, row: int) -> LanePlace:
    """A route point's place on its lane."""
    route = site.scenario.route
    lane = int(route.lane[row])
    if lane < 0:
        raise NoRoomError("the route's lane is not known there")
    return nearest_on_lane(site.maps, lane, float(route.x[row]), float(route.y[row]))
