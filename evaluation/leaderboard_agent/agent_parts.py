"""What drives in the agent: driver, observer and action layout of its configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from evaluation.drivers.driver import Driver, driver_words, with_parts
from evaluation.drivers.policy_driver import PolicyDriver
from sim_adapters.action_layout import ActionLayout
from sim_adapters.driving.worlds import DEFAULT_PIXELS_PER_METER, DrivingWorlds, GivenScene
from sim_adapters.gymnasium_envs import compose_config
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.observation.observer import Observer
from sim_adapters.scene.events.settings import DetectorSettings
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import empty_scene

# The agent's configuration: the file of `--agent-config` over configs/carla_agent.yaml.

YAML_SUFFIXES = (".yaml", ".yml")
GROUPS = ("driver", "observation", "detector")
ROUTES = ("plan", "smooth")
_CONFIG_NAME = "carla_agent"


def read_agent_config(path: str) -> DictConfig:
    """The composed configuration.

    Args:
        path: A YAML file with the keys that differ from the defaults (`driver: NAME`,
            `observation: NAME` and `detector: NAME` choose a group; `driver` may also be the path
            of a YAML file), or a checkpoint on its own.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: no path, an unknown key, or no YAML mapping.
    """
    if not path:
        raise ValueError(
            "the agent needs --agent-config: a checkpoint, or a YAML file with `checkpoint: PATH` "
            "and further keys of configs/carla_agent.yaml"
        )
    file = Path(path)
    if not file.exists():
        raise FileNotFoundError(f"--agent-config {path}: no such file")
    if file.suffix not in YAML_SUFFIXES:
        return _composed({"checkpoint": str(file)}, file)
    chosen = OmegaConf.to_container(OmegaConf.load(file))
    if not isinstance(chosen, dict):
        raise ValueError(f"{path} holds no YAML mapping: expected lines such as checkpoint: PATH")
    words = driver_words([f"{key}=" for key in chosen])
    renamed = dict(zip((word[:-1] for word in words), chosen.values(), strict=True))
    return _composed(renamed, file)


def _composed(chosen: dict[str, object], file: Path) -> DictConfig:
    """The defaults with the file's keys; a whole group may be given by name or in full."""
    own_driver = _own_driver(chosen, file)
    groups = [f"{key}={chosen.pop(key)}" for key in GROUPS if isinstance(chosen.get(key), str)]
    groups += [f"{key}={chosen.pop(key)}" for key in list(chosen) if key.startswith("driver.")]
    config = compose_config(_CONFIG_NAME, groups)
    if own_driver is not None:
        config.driver = own_driver
    try:
        merged = OmegaConf.merge(config, chosen)
    except OmegaConfBaseException as error:
        known = ", ".join(map(str, config))
        raise ValueError(f"{file}: {error}\nknown keys are {known}") from error
    assert isinstance(merged, DictConfig)
    return merged


def _own_driver(chosen: dict[str, object], file: Path) -> DictConfig | None:
    """A driver that is written out, here or in a file beside this one; taken out of `chosen`."""
    driver = chosen.get("driver")
    if isinstance(driver, str) and driver.endswith(YAML_SUFFIXES):
        driver = OmegaConf.to_container(OmegaConf.load(file.parent / driver))
    if not isinstance(driver, dict):
        return None
    del chosen["driver"]
    return OmegaConf.create({str(key): value for key, value in driver.items()})


# LiveDrive: one world that somebody else fills, seen, remembered and driven as in training.

_WORLD = np.zeros(1, np.int64)


class LiveDrive:
    """One driver in one world; whoever fills it writes the scene before every call."""

    def __init__(self, worlds: DrivingWorlds, driver: Driver) -> None:
        self.worlds, self.driver = worlds, driver

    def begin(self) -> None:
        """Forget everything and take the scene for the episode's first."""
        self.worlds.remember_start(_WORLD)
        self.driver.begin_episodes(_WORLD, self.worlds)

    def decide(self) -> tuple[float, float]:
        """Take the scene for a step later; the driver's action on it, or the one that is held.

        Returns:
            Steer in [-1, 1], left positive, and acceleration in [-1, 1].
        """
        worlds = self.worlds
        worlds.advance()
        if worlds.is_due:
            worlds.act(self.driver.act(worlds))
        return float(worlds.steer[0]), float(worlds.acceleration[0])


def given_scene(maps: MapBank, scenario: Scenario, *, max_actors: int, step_s: float) -> GivenScene:
    """An empty world on the scenario's route, for others to fill.

    Args:
        maps: Holds the scenario's town.
        scenario: The route.
        max_actors: Actor slots of the scene.
        step_s: Time between two steps.
    """
    scene = empty_scene(
        1,
        max_actors,
        num_lights=maps.max_lights,
        num_route_points=scenario.route.x.size,
        step_s=step_s,
    )
    given = GivenScene(scene, maps)
    given.reset(_WORLD, [scenario])
    return given


TICK_S = 0.05  # of the leaderboard's simulator


@dataclass(frozen=True)
class AgentParts:
    """All that an episode needs but the world itself."""

    config: DictConfig  # with the driver's groups
    driver: Driver
    observer: Observer
    detector: DetectorSettings
    action_layout: ActionLayout
    action_repeat: int
    takes_plan: bool  # as its route, point by point

    def load_maps(self, town: str) -> MapBank:
        """The town in the resolution that the observation needs."""
        resolution = self.observer.required_pixels_per_meter or DEFAULT_PIXELS_PER_METER
        return load_map_bank([town], pixels_per_meter=resolution)

    def make_drive(self, maps: MapBank, scenario: Scenario) -> LiveDrive:
        """The driver in an empty world for the scenario."""
        given = given_scene(
            maps,
            scenario,
            max_actors=self.config.max_actors,
            step_s=self.config.decision_ticks * TICK_S,
        )
        worlds = DrivingWorlds(
            given,
            self.observer,
            self.detector,
            self.action_layout,
            action_repeat=self.action_repeat,
        )
        return LiveDrive(worlds, self.driver)


def build_agent_parts(config: DictConfig) -> AgentParts:
    """Build the driver and what it sees with.

    Raises:
        CheckpointError: a checkpoint is missing, damaged or of another kind.
        ValueError: options that cannot be meant.
    """
    if config.decision_ticks < 1 or config.start_ticks < 1:
        raise ValueError(
            f"decision_ticks={config.decision_ticks} and start_ticks={config.start_ticks}: "
            "expected at least 1"
        )
    torch.set_num_threads(1)  # the server and the evaluator need the other cores
    driver: Driver = instantiate(config.driver)
    config = with_parts(config, driver)
    return AgentParts(
        config=config,
        driver=driver,
        observer=instantiate(config.observation),
        detector=instantiate(config.detector),
        action_layout=instantiate(config.env.action_layout) or ActionLayout(),
        action_repeat=config.env.action_repeat,
        takes_plan=_takes_plan(config.route, driver),
    )


def _takes_plan(route: str | None, driver: Driver) -> bool:
    """Whether the evaluator's plan is the route as it stands.

    Raises:
        ValueError: another word than `plan` or `smooth`.
    """
    if route not in (None, *ROUTES):
        raise ValueError(f"route={route}: expected one of {', '.join(ROUTES)}, or null")
    if route is None:  # released weights learned on such points, ours on smooth ones
        loaded = driver.loaded if isinstance(driver, PolicyDriver) else None
        return loaded is not None and loaded.config is None
    return route == "plan"
