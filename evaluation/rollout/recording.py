"""EpisodeRecorder: keeps what a video of one episode needs, step by step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from evaluation.drivers.driver import Driver
from evaluation.rollout.benchmark import EvaluationTask
from evaluation.scoring.episode_result import EpisodeRecords, EpisodeResult, Infraction
from rewards.driving_events import DrivingEvents
from rewards.reward_terms import RewardBreakdown
from sim_adapters.array_types import FloatArray
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import SceneBatch
from sim_adapters.scene_picture.scene_picture import Moment, surroundings


@dataclass(frozen=True, kw_only=True)
class Frame(Moment):
    """One step as it ended."""

    time_s: float
    steer: float
    throttle: float
    brake: float
    speed_limit_mps: float
    terms: dict[str, float]  # reward terms of the step
    reward: float
    infractions: tuple[Infraction, ...]  # so far


@dataclass
class Recording:
    """All frames of one episode."""

    route_id: str
    town: str
    seed: int
    map_index: int
    step_s: float
    route_x: FloatArray  # [m] dense route
    route_y: FloatArray
    frames: list[Frame] = field(default_factory=list)


class EpisodeRecorder:
    """Records drives of chosen routes; hand it to `run_episodes`.

    Args:
        wanted: Pairs of route id and seed.
    """

    def __init__(self, wanted: Iterable[tuple[str, int]]) -> None:
        self.wanted = set(wanted)
        self.recordings: dict[tuple[str, int], Recording] = {}
        self._running: dict[int, Recording] = {}  # by driver
        self._scene: SceneBatch | None = None

    def begin(
        self, agent: int, task: EvaluationTask | None, scene: SceneBatch, maps: MapBank
    ) -> None:
        """Driver `agent` starts a task, or none: record it if it is a wanted one."""
        self._scene = scene
        self._running.pop(agent, None)
        if task is None or (task.scenario.scenario_id, task.seed) not in self.wanted:
            return
        scenario = task.scenario
        recording = Recording(
            route_id=scenario.scenario_id,
            town=scenario.town,
            seed=task.seed,
            map_index=maps.map_index(scenario.town),
            step_s=scene.step_s,
            route_x=scenario.route.x,
            route_y=scenario.route.y,
        )
        self._running[agent] = self.recordings[scenario.scenario_id, task.seed] = recording

    def decided(self, driver: Driver, worlds: DrivingWorlds) -> None:
        """A video shows no more than the step itself."""

    def end(self, agent: int, result: EpisodeResult) -> None:
        """The frames are there already."""

    def watch(
        self, events: DrivingEvents, outcome: RewardBreakdown, records: EpisodeRecords
    ) -> None:
        """Keep this step of the drivers that are recorded."""
        for agent, recording in list(self._running.items()):
            recording.frames.append(self._frame(agent, outcome, records))
            if records.ends[agent] is not None:
                del self._running[agent]

    def _frame(self, agent: int, outcome: RewardBreakdown, records: EpisodeRecords) -> Frame:
        scene = self._scene
        assert scene is not None
        return Frame(
            time_s=float(records.num_steps[agent]) * scene.step_s,
            **surroundings(scene, agent),
            steer=float(scene.ego.steer[agent]),
            throttle=float(scene.ego.throttle[agent]),
            brake=float(scene.ego.brake[agent]),
            speed_limit_mps=float(scene.ego.speed_limit_mps[agent]),
            route_percent=float(records.route_percent[agent]),
            terms={name: float(term[agent]) for name, term in outcome.terms.items()},
            reward=float(outcome.reward[agent]),
            infractions=tuple(records.infractions[agent]),
        )
