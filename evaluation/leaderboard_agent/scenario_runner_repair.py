"""Mends, on request, the fault of scenario_runner that stops routes of Town03 and Town04.

`BackgroundBehavior._join_complex_junctions` (leaderboard-2.0 up to 0.9.16) asks a list of
junctions for its id as soon as a route enters the roundabout of Town03 or a petrol station of
Town03 or Town04: AttributeError, "Simulation crashed". All twelve longest6 routes of these towns
do. Reports say when this repair was in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


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
