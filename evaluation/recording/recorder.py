"""DriveRecorder: records every drive of a rollout, cheaply; hand it to `run_episodes`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.drivers.driver import Driver, EstimatesValues
from evaluation.drivers.policy_driver import PolicyDriver
from evaluation.recording.about import about_result, about_triggers
from evaluation.recording.episode import (
    NOTHING_SEEN,
    RecordedEpisode,
    Seen,
    Tracks,
    find_presences,
    kept_features,
)
from evaluation.recording.packing import (
    PERIOD_S,
    RasterFrames,
    deflate_frame,
    raster_view,
)
from evaluation.recording.tape import DRIVER_NUMBERS, Strip, Tape
from evaluation.rollout.benchmark import EvaluationTask
from evaluation.scoring.episode_result import EpisodeRecords, EpisodeResult
from rewards.driving_events import DrivingEvents
from rewards.reward_terms import RewardBreakdown
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.observation.bev import BevObserver
from sim_adapters.observation.vector import VectorObserver
from sim_adapters.observation.vector_actors import FORWARD_SCALE_M, LEFT_SCALE_M
from sim_adapters.observation.vector_road import CLIP
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import SceneBatch
from sim_adapters.simulator import TellsPhases

VECTOR, RASTER = "vector", "bev"  # keys of the observations
# What 1.0 is in the features that the viewer draws, and what they never exceed
VECTOR_SCALES = {
    "actor_forward_m": FORWARD_SCALE_M,
    "actor_left_m": LEFT_SCALE_M,
    "clip": CLIP,
}
_TRAITS = ("actor_id", "kind", "half_length_m", "half_width_m")


class _Arrivals(NamedTuple):
    """Actors that took a slot in one step."""

    step: int
    world: NDArray[np.int64]  # (N,)
    traits: NDArray[np.float64]  # (N, _TRAITS)


@dataclass(frozen=True)
class _Drive:
    task: EvaluationTask
    first_step: int  # on the tape


class DriveRecorder:
    """Records the drives of all drivers of a batch of worlds.

    Args:
        scene: Of the simulator.
        maps: Of its towns.
        keep: Takes every finished drive.
        about: JSON values that go into every drive: planner, benchmark.
        feature_names: Of the vector observation; empty for policies that see something else.
        phases: Phases of the scripted triggers in each world, (B, K); none by default.
        raster: `raster_view` of a raster observation; empty for others.
    """

    def __init__(
        self,
        scene: SceneBatch,
        maps: MapBank,
        keep: Callable[[RecordedEpisode], None],
        about: Mapping[str, Any],
        *,
        feature_names: Sequence[str] = (),
        phases: Callable[[], NDArray[np.uint8]] | None = None,
        raster: Mapping[str, Any] | None = None,
    ) -> None:
        self._raster_view = dict(raster or {})
        self._rasters: dict[int, list[tuple[int, bytes]]] = {}  # by driver: step on the tape, frame
        self._scene, self._maps, self._keep, self._about = scene, maps, keep, dict(about)
        self._features = np.array(kept_features(feature_names), np.int64)
        self._feature_names = tuple(feature_names)
        self._phases = phases
        self._tape: Tape | None = None
        self._drives: dict[int, _Drive] = {}  # by driver
        self._ends: dict[int, int] = {}  # step behind the last of a drive, by driver
        self._arrivals: list[_Arrivals] = []
        self._known_ids = np.zeros(scene.traits.actor_id.shape, np.int64)
        self._value: NDArray[np.float32] | None = None
        self._seen: NDArray[np.float32] | None = None

    # Told by the rollout ---------------------------------------------------------------------

    def begin(
        self, agent: int, task: EvaluationTask | None, scene: SceneBatch, maps: MapBank
    ) -> None:
        """Driver `agent` starts a task, or drives on unrecorded."""
        del scene, maps
        self._drives.pop(agent, None)
        self._ends.pop(agent, None)
        self._rasters.pop(agent, None)
        self._known_ids[self._scene.ego.world[agent]] = 0
        if task is not None:
            self._drives[agent] = _Drive(task, self._tape.num_steps if self._tape else 0)
        if self._tape and self._drives:
            first = min(drive.first_step for drive in self._drives.values())
            self._tape.forget(first)
            self._arrivals = [arrival for arrival in self._arrivals if arrival.step >= first]

    def extend(self, agent: int, task: EvaluationTask) -> None:
        """The task of `agent` has got more triggers while it is driven."""
        self._drives[agent] = replace(self._drives[agent], task=task)

    def decided(self, driver: Driver, worlds: DrivingWorlds) -> None:
        """`driver` has chosen its actions on what it has seen."""
        self._value = driver.values if isinstance(driver, EstimatesValues) else None
        if not isinstance(driver, PolicyDriver):
            self._features = self._features[:0]  # rules read the scene itself
        elif self._features.size:
            self._seen = worlds.seen[VECTOR][:, self._features]
        elif self._raster_view:
            self._note_rasters(worlds.seen[RASTER])

    def watch(
        self, events: DrivingEvents, outcome: RewardBreakdown, records: EpisodeRecords
    ) -> None:
        """Keep this step of all worlds."""
        if not self._drives:
            return
        phases = self._phases() if self._phases else None
        if self._tape is None:
            num_triggers = 0 if phases is None else phases.shape[1]
            self._tape = Tape(self._scene, [*outcome.terms], self._features.size, num_triggers)
        self._note_arrivals(self._tape.num_steps)
        self._tape.add(outcome, records.route_percent, self._value, self._seen, phases)
        for agent in self._drives:
            if agent not in self._ends and records.ends[agent] is not None:
                self._ends[agent] = self._tape.num_steps  # a held action may go on beyond it

    def end(self, agent: int, result: EpisodeResult) -> None:
        """The drive of `agent` is over and judged: hand it over."""
        drive = self._drives[agent]
        assert self._tape is not None
        first, last = drive.first_step, self._ends.get(agent, self._tape.num_steps)
        self._keep(self._episode(agent, drive, result, self._tape.cut(agent, first, last)))

    # Making an episode -----------------------------------------------------------------------

    def _note_rasters(self, rasters: NDArray[np.uint8]) -> None:
        step = self._tape.num_steps if self._tape else 0
        every = max(round(PERIOD_S / self._scene.step_s), 1)
        for agent in self._drives:
            kept = self._rasters.setdefault(agent, [])
            if agent not in self._ends and (not kept or step - kept[-1][0] >= every):
                kept.append((step, deflate_frame(rasters[agent])))

    def _raster_of(self, agent: int, first: int, num_steps: int) -> RasterFrames:
        kept = [(step - first, frame) for step, frame in self._rasters.get(agent, [])]
        kept = [(step, frame) for step, frame in kept if step < num_steps]
        steps, frames = zip(*kept, strict=True) if kept else ((), ())
        return RasterFrames(self._raster_view, steps, frames)

    def _note_arrivals(self, step: int) -> None:
        traits = self._scene.traits
        present = np.where(traits.valid, traits.actor_id, 0)
        world, slot = np.nonzero((present != self._known_ids) & traits.valid)
        if world.size:
            rows = [getattr(traits, name)[world, slot].astype(np.float64) for name in _TRAITS]
            self._arrivals.append(_Arrivals(step, world, np.stack(rows, axis=1)))
        self._known_ids = present

    def _episode(
        self, agent: int, drive: _Drive, result: EpisodeResult, strip: Strip
    ) -> RecordedEpisode:
        assert self._tape is not None
        scenario, step_s = drive.task.scenario, self._scene.step_s
        signals = self._maps.ranges.signal
        town = self._maps.map_index(scenario.town)
        num_signals = int(signals[town + 1] - signals[town])
        phases = strip.phases[:, : len(scenario.triggers)].T.astype(np.int64)
        numbers = strip.numbers.T.astype(np.float64)
        known = [name for name in DRIVER_NUMBERS if name != "value" or self._value is not None]
        driver = {name: numbers[DRIVER_NUMBERS.index(name)] for name in known}
        terms = numbers[len(DRIVER_NUMBERS) :]
        names = tuple(self._feature_names[index] for index in self._features)
        triggers = about_triggers(scenario.triggers, phases, step_s)
        return RecordedEpisode(
            about={**self._about, **about_result(result), "triggers": triggers},
            step_s=step_s,
            route=np.stack([scenario.route.x, scenario.route.y], axis=1),
            tracks=self._tracks(agent, drive, strip),
            driver=driver,
            terms=dict(zip(self._tape.term_names, terms, strict=True)),
            signals=strip.signals[:, :num_signals].T.astype(np.int64),
            phases=phases,
            seen=Seen(names, strip.seen.T.astype(np.float64)) if names else NOTHING_SEEN,
            raster=self._raster_of(agent, drive.first_step, len(strip.x)),
        )

    def _tracks(self, agent: int, drive: _Drive, strip: Strip) -> Tracks:
        world, own = int(self._scene.ego.world[agent]), int(self._scene.ego.slot[agent])
        found = find_presences(strip.actor_id.astype(np.int64), own)
        place = found.place
        ids = strip.actor_id[found.start].astype(np.int64)
        traits = self._traits_of(world, drive.first_step, ids)
        return Tracks(
            actor_id=ids,
            kind=traits[:, 1].astype(np.int64),
            half_length_m=traits[:, 2],
            half_width_m=traits[:, 3],
            first_step=found.first_step,
            num_steps=found.num_steps,
            x=strip.x[place].astype(np.float64),
            y=strip.y[place].astype(np.float64),
            yaw_rad=strip.yaw_rad[place].astype(np.float64),
            speed_mps=strip.speed_mps[place].astype(np.float64),
            lights=strip.lights[place].astype(np.int64),
        )

    def _traits_of(
        self, world: int, first_step: int, ids: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        rows = [a.traits[a.world == world] for a in self._arrivals if a.step >= first_step]
        arrived = np.concatenate(rows)
        _, unique = np.unique(arrived[:, 0], return_index=True)
        arrived = arrived[unique]
        return arrived[np.searchsorted(arrived[:, 0], ids)]


def recorder_of(
    worlds: DrivingWorlds, keep: Callable[[RecordedEpisode], None], about: Mapping[str, Any]
) -> DriveRecorder:
    """A recorder of all that the worlds tell.

    Args:
        worlds: Driven.
        keep: Takes every finished drive.
        about: JSON values that go into every drive: planner, benchmark.
    """
    simulator, observer = worlds.simulator, worlds.observer
    names: Sequence[str] = ()
    if isinstance(observer, VectorObserver):
        names = observer.feature_names
        about = {**about, "scales": VECTOR_SCALES}
    phases = simulator.trigger_phases if isinstance(simulator, TellsPhases) else None
    raster = raster_view(observer) if isinstance(observer, BevObserver) else None
    return DriveRecorder(
        worlds.scene, worlds.maps, keep, about, feature_names=names, phases=phases, raster=raster
    )
