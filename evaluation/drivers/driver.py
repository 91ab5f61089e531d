"""Driver: whoever drives in an evaluation, a network or rules, in any world, on one interface.

A driver is a class or function named by `_target_` in a YAML of configs/driver, or of a folder of
your own: `driver=NAME` of evaluate, longest6_official and calibration, `driver:` of the
leaderboard's agent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import MissingConfigException
from numpy.typing import NDArray
from omegaconf import DictConfig

from carl_planner.command_errors import hydra_command
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.nuplan.trajectory import Trajectories

# Actions (E, 2) in the worlds' own layout; in nuPlan's logs also plans, for its tracker to follow
Command = NDArray[np.float32] | Trajectories
# Words that commands took before, and what they are now
OLD_WORDS = {"planner": "driver", "speed_mps": "driver.speed_mps"}
NUPLAN_NAMES = ("idm", "log_replay", "constant_speed")  # that mean nuPlan's own in its benchmark


class Driver(Protocol):
    """Drives all E drivers of some worlds."""

    name: str  # in tables and files

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Drivers `agents` stand at the start of an episode; at first all of them do.

        Raises:
            ValueError: it cannot drive in such worlds.
        """
        ...

    def act(self, worlds: DrivingWorlds) -> Command:
        """What all drivers do until the next decision.

        `worlds.observe()` draws what a policy sees; rules may read `worlds.scene`, `worlds.memory`
        and `worlds.maps`, and answer with `worlds.action_layout.encode(steer, acceleration)`.
        """
        ...


@runtime_checkable
class BringsParts(Protocol):
    """What a driver also tells if it was made for a certain observation and action layout."""

    def parts(self, config: DictConfig) -> DictConfig:
        """`config` with its groups of observation, actions and reward replaced by the driver's."""
        ...


@runtime_checkable
class EstimatesValues(Protocol):
    """What a driver with a critic also tells."""

    with_values: bool  # whether it is asked
    values: NDArray[np.float32] | None  # (E,) of the observation that it acted on last


def with_parts(config: DictConfig, driver: Driver) -> DictConfig:
    """The configuration of the worlds that a driver is to drive in."""
    return driver.parts(config) if isinstance(driver, BringsParts) else config


def driver_words(words: list[str]) -> list[str]:
    """A command's words, with those of before translated: `planner=idm` is `driver=idm`.

    In nuPlan's benchmark `idm`, `log_replay` and `constant_speed` are nuPlan's own.
    """
    is_nuplan, translated = "benchmark=val14" in words, []
    for word in words:
        key, sign, value = word.partition("=")
        key = OLD_WORDS.get(key, key)
        if key == "driver" and is_nuplan and value in NUPLAN_NAMES:
            value = f"nuplan/{value}"
        translated.append(key + sign + value)
    return translated


def driver_command(
    config_name: str,
) -> Callable[[Callable[[DictConfig], None]], Callable[[], None]]:
    """`hydra_command` for a command that takes `driver=NAME`, and the words of before."""

    def decorate(task: Callable[[DictConfig], None]) -> Callable[[], None]:
        run = hydra_command(config_name)(task)

        @wraps(task)
        def command() -> None:
            sys.argv[1:] = driver_words(sys.argv[1:])
            run()

        return command

    return decorate


def driver_config(name: str) -> DictConfig:
    """The YAML of a driver by its name, `idm` or `nuplan/idm`; in a command also one's own.

    Raises:
        ValueError: there is no such file.
    """
    outside = not GlobalHydra.instance().is_initialized()
    with initialize_config_module("configs", version_base="1.3") if outside else nullcontext():
        try:
            found: Any = compose(f"driver/{name}")
        except MissingConfigException as error:
            raise ValueError(f"driver {name} is unknown: choose one of {own_drivers()}") from error
    for group in ("driver", *name.split("/")[:-1]):
        found = found[group]
    return found


def own_drivers() -> str:
    """Names of this project's drivers."""
    folder = Path(str(files("configs") / "driver"))
    names = (path.relative_to(folder).with_suffix("") for path in folder.rglob("*.yaml"))
    return ", ".join(sorted(map(str, names)))
