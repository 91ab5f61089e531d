"""Lets scenario_runner and agents run in our environment; mends a fault in Town03 and Town04.

The leaderboard imports every file of scenario_runner's `scenarios` folder. That of OpenSCENARIO 2
needs antlr 4.10, hydra needs 4.9, and no route uses it: an empty module takes its place.

`BackgroundBehavior._join_complex_junctions` (leaderboard-2.0 up to 0.9.16) asks a list of
junctions for its id as soon as a route enters the roundabout of Town03 or a petrol station of
Town03 or Town04: AttributeError, "Simulation crashed". All twelve longest6 routes of these towns
do. Reports say when this repair was in use.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import carla


def leave_out_openscenario() -> None:
    """Let `osc2_scenario` be an empty module in this process; call it before routes are loaded."""
    sys.modules.setdefault("osc2_scenario", types.ModuleType("osc2_scenario"))


def repair_scenario_runner(background_behavior: Any) -> None:
    """Replace the faulty method of scenario_runner's `BackgroundBehavior` class."""
    background_behavior._join_complex_junctions = join_complex_junctions


def join_complex_junctions(behavior: Any, passed: Sequence[Any]) -> list[Any]:
    """The junctions of a route, with those that belong together joined into one.

    Args:
        behavior: Its `_get_complex_junctions()` gives groups of CARLA junctions.
        passed: Data of the junctions along the route: `junctions` and `route_exit_index`.
    """
    groups = behavior._get_complex_junctions()
    joined: list[Any] = []
    previous = -1
    for data in passed:
        first = data.junctions[0].id
        members = ({junction.id for junction in group} for group in groups)
        group = next((number for number, ids in enumerate(members) if first in ids), -1)
        if group >= 0 and group == previous:
            joined[-1].route_exit_index = data.route_exit_index  # the way through goes on
        else:
            if group >= 0:
                known = {junction.id for junction in data.junctions}
                data.junctions.extend(other for other in groups[group] if other.id not in known)
            joined.append(data)
        previous = group
    return joined


# Bounding boxes of actors, asked for once: for agents that read them many times a tick


def remember_bounding_boxes() -> None:
    """Let `carla.Actor.bounding_box` ask the server once an actor, in this process.

    CARLA's client asks whenever the attribute is read. PDM-Lite reads it for every forecast frame
    of every actor, hundreds of round trips a tick. The boxes of actors do not change.
    """
    import carla  # the evaluator's own starter imports this module before it is asked for

    actor_class: Any = carla.Actor
    ask = actor_class.bounding_box.fget
    boxes: dict[int, carla.BoundingBox] = {}

    def bounding_box(actor: carla.Actor) -> carla.BoundingBox:
        if actor.id not in boxes:
            boxes[actor.id] = ask(actor)
        known = boxes[actor.id]
        fresh: Any = carla.BoundingBox(known.location, known.extent)  # callers scale what they get
        fresh.rotation = known.rotation
        return fresh

    actor_class.bounding_box = property(bounding_box)
