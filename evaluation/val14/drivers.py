"""Who can drive Val14, by the names that the option `planner` takes."""

from __future__ import annotations

from collections.abc import Callable

from omegaconf import DictConfig

from evaluation.drivers.checkpoint_planner import (
    load_ensemble,
    refuse_ignored_groups,
    with_checkpoint_config,
)
from evaluation.nuplan_drivers.constant_speed import ConstantSpeed
from evaluation.nuplan_drivers.idm_planner import IdmPlanner
from evaluation.nuplan_drivers.log_replay import LogReplay
from evaluation.val14.policy_driver import PolicyDriver
from sim_adapters.nuplan.closed_loop import Driver

MakeDriver = Callable[[], Driver]
RULE_DRIVERS: dict[str, MakeDriver] = {
    "idm": IdmPlanner,
    "log_replay": LogReplay,
    "constant_speed": ConstantSpeed,
}
DRIVERS = ("policy", *RULE_DRIVERS)


def driver_maker(planner: str, config: DictConfig) -> MakeDriver:
    """Gives drivers of one planner.

    Args:
        planner: One of DRIVERS.
        config: Of the command: `checkpoint`, `trust` and the groups that a policy needs.

    Raises:
        ValueError: an unknown planner, or a policy without a checkpoint.
    """
    if planner not in DRIVERS:
        raise ValueError(f"planner={planner} is unknown to Val14: choose one of {DRIVERS}")
    if planner != "policy":
        return RULE_DRIVERS[planner]
    if config.checkpoint is None:
        raise ValueError(
            f"planner=policy needs checkpoint=PATH; the others do not: {', '.join(RULE_DRIVERS)}"
        )
    policies = load_ensemble(config.checkpoint, config.trust)
    refuse_ignored_groups(policies[0].config)
    trained = with_checkpoint_config(config, policies[0].config)
    return lambda: PolicyDriver(policies, trained)
