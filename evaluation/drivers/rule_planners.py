"""Planners without a network, by the name that the option `planner` gives them."""

from __future__ import annotations

from collections.abc import Callable

from evaluation.drivers.planners import BlindFollower, ConstantSpeedPlanner, Planner
from evaluation.drivers.rule_based_driver import RuleBasedDriver

# Each is given the speed at which planners go that know but one
RULE_PLANNERS: dict[str, Callable[[float], Planner]] = {
    "idm": lambda speed_mps: RuleBasedDriver(),
    "constant_speed": ConstantSpeedPlanner,
    "blind_follower": BlindFollower,
}
