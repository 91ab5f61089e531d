"""Drives scenarios in portions and scores them; what fails is named and does not stop the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.checkpoint import CheckpointError
from evaluation.drivers.driver import Command, Driver
from evaluation.nuplan_metrics import ScenarioScores, score_scenarios
from evaluation.val14.decisions import DecisionNotes
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.nuplan.closed_loop import LoggedDrives
from sim_adapters.nuplan.scenario_cache.file import ScenarioCache
from sim_adapters.nuplan.scenario_cache.record import ScenarioName
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.nuplan.slot_demand import Traffic
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace, Trajectories
from sim_adapters.observation.observer import Observer, Unseen
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.nuplan_events.detector import NuplanDetector
from sim_adapters.scene.state import SceneBatch

log = logging.getLogger(__name__)
Keep = Callable[
    [Sequence[ScenarioLog], tuple[EgoTrace, TrackTrace], Sequence[ScenarioScores], DecisionNotes],
    None,
]
TRAFFIC: dict[str, Traffic] = {"nonreactive": "log", "reactive": "idm"}


class UnfitDriverError(RuntimeError):
    """Driver, observation and detector do not fit one another, whatever the scenario."""


class PictureRoom(NamedTuple):
    """Room in an observer's pictures, by the names of its keywords."""

    max_boxes: int  # the ego's included
    max_lights: int
    max_route_areas: int


def picture_room(scene: SceneBatch) -> PictureRoom:
    """Room for all that a scene can hold: no picture of it is too full."""
    num_lights, num_areas = scene.lights.state.shape[1], scene.route_areas.area.shape[1]
    return PictureRoom(scene.num_slots, max(1, num_lights), max(1, num_areas))


def roomy_observer(observation: DictConfig, scene: SceneBatch) -> Observer:
    """The observer of a config with room for all of a scene; what it shows stays the same.

    Training shows the nearest boxes, an evaluation all that its logs hold.
    """
    room = picture_room(scene)._asdict()
    return instantiate(observation, **{key: room[key] for key in room if key in observation})


def logged_worlds(simulator: NuplanSimulator, config: DictConfig | None) -> DrivingWorlds:
    """The simulator's worlds, seen and driven as a config says.

    Args:
        simulator: Reset to its logs.
        config: Groups `observation`, `detector` and `env`; None for drivers that read the scene.

    Raises:
        UnfitDriverError: they cannot be built, or not together.
    """
    if config is None:
        return DrivingWorlds(simulator, Unseen(), NuplanDetector())
    layout = config.env.get("action_layout")
    try:
        return DrivingWorlds(
            simulator,
            roomy_observer(config.observation, simulator.scene),
            instantiate(config.detector),
            instantiate(layout) if layout is not None else None,
            action_repeat=config.env.get("action_repeat", 1),
        )
    except (InstantiationException, ValueError) as error:
        raise UnfitDriverError(f"no scenario can be driven: {error}") from error


def simulate(
    logs: Sequence[ScenarioLog],
    maps: MapBank,
    driver: Driver,
    config: DictConfig | None = None,
    *,
    traffic: Traffic = "log",
    num_threads: int = 1,
    notes: DecisionNotes | None = None,
) -> tuple[EgoTrace, TrackTrace]:
    """What a driver does in each scenario; row i of the traces is logs[i].

    Args:
        logs: Scenarios, not empty.
        maps: Maps that they name.
        driver: Who drives.
        config: See `logged_worlds`.
        traffic: "log" or "idm", see `NuplanSimulator`.
        num_threads: Threads for the kernels.
        notes: Takes down what the driver sees and decides; new for each call.

    Raises:
        UnfitDriverError: no scenario can be driven as this driver is configured.
    """
    drives = LoggedDrives(logs, maps, traffic=traffic, num_threads=num_threads)
    everybody = np.arange(len(logs))
    worlds = logged_worlds(drives.simulator, config)
    worlds.remember_start(everybody)
    try:
        driver.begin_episodes(everybody, worlds)
    except CheckpointError as error:
        raise UnfitDriverError(f"no scenario can be driven: {error}") from error
    if notes is not None:
        notes.begin(driver, worlds)
    for sample in range(drives.num_samples):
        if sample > 0:
            command = drive_frame(worlds, driver, drives.simulator)
            if notes is not None:
                notes.driven(driver, worlds, command)
        drives.record(sample)
    return drives.traces()


def drive_frame(
    worlds: DrivingWorlds, driver: Driver, simulator: NuplanSimulator
) -> Command | None:
    """One frame: an action, new or held, or a plan, which the devkit's tracker follows.

    Returns what the driver decided, None where an action is held.

    Limit: nobody remembers what happens behind a plan; a planner that needs it keeps it itself.
    """
    command = None
    if worlds.is_due:
        command = driver.act(worlds)
        if isinstance(command, Trajectories):
            simulator.follow(command)
            return command
        worlds.act(command)
    worlds.advance()
    return command


def drive_scenarios(
    names: Sequence[ScenarioName],
    cache: ScenarioCache,
    maps: MapBank,
    driver: Driver,
    config: DictConfig | None,
    mode: str,
    *,
    num_worlds: int,
    num_threads: int = 1,
    keep: Keep | None = None,
) -> Iterator[list[ScenarioScores]]:
    """Scores of the scenarios, a portion at a time, in their order.

    Args:
        names: Scenarios of the cache.
        cache: Where they are read from.
        maps: Their maps.
        driver: Drives one portion after the other.
        config: See `logged_worlds`.
        mode: "nonreactive" or "reactive".
        num_worlds: Scenarios driven at once.
        num_threads: Threads of the simulation's kernels.
        keep: Takes the logs of each portion, what was simulated of them, their scores, and what was
            seen and decided.

    Raises:
        UnfitDriverError: the driver can drive none of them.
    """
    for first in range(0, len(names), num_worlds):
        portion = names[first : first + num_worlds]
        try:
            logs = [cache.read(name.token) for name in portion]
            notes = None if keep is None else DecisionNotes()
            traces = simulate(
                *(logs, maps, driver, config),
                traffic=TRAFFIC[mode],
                num_threads=num_threads,
                notes=notes,
            )
            scores = score_scenarios(*traces, logs, maps)
            if keep is not None and notes is not None:
                keep(logs, traces, scores, notes)
            yield scores
        except UnfitDriverError:
            raise
        except Exception as error:  # one scenario must not cost the others their result
            if len(portion) == 1:
                log.exception("scenario %s failed", portion[0].token)
                yield [failed(portion[0], f"{type(error).__name__}: {error}")]
                continue
            log.warning("a scenario of this portion fails: driving its scenarios one by one")
            yield from drive_scenarios(
                *(portion, cache, maps, driver, config, mode),
                num_worlds=1,
                num_threads=num_threads,
                keep=keep,
            )


def failed(name: ScenarioName, reason: str) -> ScenarioScores:
    """A scenario without a score."""
    return ScenarioScores(name.token, name.scenario_type, name.log_name, None, failure=reason)
