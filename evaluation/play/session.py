"""DrivingSession: one world in which a person and a planner share the wheel.

It knows nothing of browsers: `step` moves the world on, `moment` of `drive_page.py` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from enum import StrEnum
from typing import Any

import numpy as np

from evaluation.drivers.driver import Command, Driver
from evaluation.drivers.rule_drivers import ego_speed_mps
from evaluation.drivers.vehicle_control import steer_for_curvature
from evaluation.play.scripts import SCRIPTS, trigger_ahead
from evaluation.recording.episode import RecordedEpisode
from evaluation.recording.recorder import recorder_of
from evaluation.rollout.benchmark import make_tasks
from evaluation.rollout.episode_rollout import advance_judged, episode_result, script_facts
from evaluation.scoring.episode_result import EpisodeResult
from evaluation.scoring.referee import LeaderboardReferee
from rewards.reward_terms import Reward, RewardBreakdown
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.embedded.simulator import EmbeddedSimulator
from sim_adapters.scene.scenario import Scenario

# A person's keys as steering and pedals, as smooth as hands and feet are

LEFT, RIGHT, THROTTLE, BRAKE = "left", "right", "throttle", "brake"
KEYS = frozenset({LEFT, RIGHT, THROTTLE, BRAKE})
# A key held means the tightest bend that is still comfortable to look at, at any speed
MOST_LATERAL_MPS2 = 4.5
SLOWEST_MPS = 3.0  # below it the wheel turns no further
TURN_S, RETURN_S = 0.45, 0.25  # from straight on to that bend, and back
PRESS_S, BRAKE_S, RELEASE_S = 0.35, 0.2, 0.15  # of a pedal


class Hands:
    """Turns the keys that are held into controls, step by step."""

    def __init__(self) -> None:
        self._turn, self._pedal = 0.0, 0.0  # [-1, 1], left and throttle positive

    def rest(self) -> None:
        """Let go of wheel and pedals."""
        self._turn = self._pedal = 0.0

    def controls(self, held: Set[str], speed_mps: float, step_s: float) -> tuple[float, float]:
        """Steer and acceleration, [-1, 1] each, left and throttle positive.

        Args:
            held: Of KEYS.
            speed_mps: Of the car.
            step_s: Since the last call.
        """
        wanted = float(LEFT in held) - float(RIGHT in held)
        turns = abs(wanted) > 0.0 and wanted * self._turn >= 0.0
        self._turn = _toward(self._turn, wanted, step_s / (TURN_S if turns else RETURN_S))
        if BRAKE in held:
            self._pedal = _toward(min(self._pedal, 0.0), -1.0, step_s / BRAKE_S)
        elif THROTTLE in held:
            self._pedal = _toward(max(self._pedal, 0.0), 1.0, step_s / PRESS_S)
        else:
            self._pedal = _toward(self._pedal, 0.0, step_s / RELEASE_S)
        curvature_per_m = MOST_LATERAL_MPS2 / max(speed_mps, SLOWEST_MPS) ** 2
        return self._turn * float(steer_for_curvature(curvature_per_m)), self._pedal


def _toward(value: float, wanted: float, most: float) -> float:
    """`value` moved towards `wanted` by `most` at most."""
    return value + min(max(wanted - value, -most), most)


LEAST_RECORDED_S = 2.0  # shorter drives are not worth a file
_AGENT = 0


class Wheel(StrEnum):
    """Who has the wheel."""

    PERSON = "person"
    PLANNER = "planner"


class DrivingSession:
    """Drives after drives in one world.

    Args:
        worlds: A single world of the embedded simulator, a step an action.
        scenarios: Routes of its town.
        planner: Shares the wheel.
        reward: Pays what the page shows.
        hold_steps: Steps between two of its decisions, as in its training.
        seed: Of all that happens on the routes.
        keep: Takes every finished drive.
        about: JSON values that go into every drive.
    """

    def __init__(
        self,
        worlds: DrivingWorlds,
        scenarios: Sequence[Scenario],
        planner: Driver,
        reward: Reward,
        *,
        hold_steps: int,
        seed: int,
        keep: Callable[[RecordedEpisode], None],
        about: Mapping[str, Any],
    ) -> None:
        assert isinstance(worlds.simulator, EmbeddedSimulator)
        self.worlds, self.simulator, self.planner = worlds, worlds.simulator, planner
        self.tasks = {task.scenario.scenario_id: task for task in make_tasks(scenarios, [seed])}
        self.hold_steps = hold_steps
        self.driver = Wheel.PERSON
        self.held: Set[str] = frozenset()
        self.number = 0  # of the drive
        self.num_steps = 0
        self._keep, self._about = keep, dict(about)
        self.outcome: RewardBreakdown | None = None  # of the last step
        self._hands, self._reward = Hands(), reward
        self._planned: Command = np.zeros((1, 2), np.float32)
        self._person_steps = 0
        worlds.action_repeat = 1
        self.begin(next(iter(self.tasks)))

    # The drive -------------------------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Whether the drive has ended."""
        return self.referee.records.ends[_AGENT] is not None

    @property
    def scenario(self) -> Scenario:
        """What is driven, with all scripts that were started."""
        return self.task.scenario

    @property
    def route_row(self) -> int:
        """The route point that the ego has passed last."""
        return int(self.worlds.memory.route.index[_AGENT])

    @property
    def speed_mps(self) -> float:
        """Of the ego."""
        return float(ego_speed_mps(self.worlds)[_AGENT])

    def begin(self, route_id: str) -> None:
        """Start a route from its beginning; the drive before is kept, if it was one.

        Raises:
            ValueError: there is no such route.
        """
        if route_id not in self.tasks:
            raise ValueError(f"route {route_id!r}: expected one of {', '.join(self.tasks)}")
        if self.number:
            self.finish()
        worlds, world = self.worlds, np.array([_AGENT])
        self.task = self.tasks[route_id]
        self.number += 1
        self.num_steps = self._person_steps = 0
        self.outcome = None
        self._hands.rest()
        self.recorder = recorder_of(worlds, self._keep_told, self._about)
        self.referee = LeaderboardReferee(worlds.scene, worlds.memory.route, script_facts(worlds))
        worlds.reset(world, [self.scenario])
        self.referee.begin(_AGENT, self.scenario.route.length_m)
        self.recorder.begin(_AGENT, self.task, worlds.scene, worlds.maps)
        self.planner.begin_episodes(world, worlds)

    def step(self) -> None:
        """Drive on for a step of the world, unless the drive is over."""
        if self.is_over:
            return
        if self.num_steps % self.hold_steps == 0:
            self._planned = self.planner.act(self.worlds)
            self.recorder.decided(self.planner, self.worlds)
        self.worlds.act(self._actions())
        self.outcome = advance_judged(self.worlds, self.referee, self._reward, self.recorder)
        self.num_steps += 1
        self._person_steps += self.driver is Wheel.PERSON
        if self.is_over:
            self._end()

    def finish(self) -> None:
        """End the drive here, unless it is over; it is kept like any other."""
        if not self.is_over and self.num_steps:
            self.referee.stop(_AGENT)
            self._end()

    def result(self) -> EpisodeResult:
        """How a drive that is over has gone."""
        record = self.referee.records.read(_AGENT)
        return episode_result(self.task, record, self.worlds.scene.step_s, wall_s=0.0)

    # What a person does ----------------------------------------------------------------------

    def hold(self, keys: Set[str]) -> None:
        """These keys are held from now on; whoever holds one has the wheel."""
        self.held = frozenset(keys) & KEYS
        if self.held:
            self.give_wheel(Wheel.PERSON)

    def give_wheel(self, driver: Wheel) -> None:
        """Let somebody else drive."""
        if driver is not self.driver:
            self._hands.rest()
        self.driver = driver

    def start_script(self, scenario_type: str) -> None:
        """Let something happen ahead of the ego, as soon as the route has a place for it.

        Raises:
            ValueError: an unknown type, or no place: a `NoRoomError` that says why.
        """
        if scenario_type not in SCRIPTS:
            raise ValueError(f"script {scenario_type!r}: expected one of {', '.join(SCRIPTS)}")
        scenario = self.scenario
        trigger = trigger_ahead(
            scenario_type,
            scenario.route,
            self.route_row,
            self.speed_mps,
            self.worlds.maps,
            scenario.triggers,
        )
        longer = replace(scenario, triggers=(*scenario.triggers, trigger))
        self.simulator.add_trigger(0, longer)
        self.task = replace(self.task, scenario=longer)
        self.recorder.extend(_AGENT, self.task)

    # -----------------------------------------------------------------------------------------

    def _actions(self) -> Command:
        step_s = self.worlds.scene.step_s
        steer, pedal = self._hands.controls(self.held, self.speed_mps, step_s)
        if self.driver is Wheel.PLANNER:
            return self._planned
        return self.worlds.action_layout.encode(np.array([steer]), np.array([pedal]))

    def _end(self) -> None:
        if self.num_steps * self.worlds.scene.step_s >= LEAST_RECORDED_S:
            self.recorder.end(_AGENT, self.result())

    def _keep_told(self, episode: RecordedEpisode) -> None:
        """Keep a drive that says who drove it."""
        share = self._person_steps / self.num_steps
        names = {0.0: self.planner.name, 1.0: "person"}
        name = names.get(share, f"person and {self.planner.name}")
        facts = {"driven by hand": f"{100.0 * share:.0f} %"}
        self._keep(replace(episode, about={**episode.about, "planner": name, "facts": facts}))
