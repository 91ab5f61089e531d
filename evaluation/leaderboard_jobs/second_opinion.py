"""Judges a recorded official drive once more, by this project's own referee on the same ticks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evaluation.leaderboard_agent.tick_recording import TickRecording
from evaluation.leaderboard_jobs.official_tests import (
    OutsideLanesTest,
    RedLightTest,
    ScenarioSwitches,
    tail_places,
)
from evaluation.scoring.episode_result import EpisodeEnd, EpisodeRecord, InfractionKind
from evaluation.scoring.referee import COLLISION_INFRACTIONS, LeaderboardReferee, ScriptFacts
from rewards.driving_events import DrivingEvents
from sim_adapters.driving.worlds import DrivingWorlds, GivenScene
from sim_adapters.maps.opendrive import nearest_lanes
from sim_adapters.maps.town_files import town_name
from sim_adapters.observation.observer import Unseen
from sim_adapters.scene.events.collisions import detect_collisions_range
from sim_adapters.scene.events.detection import DetectorSettings, EventArrays
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import ContactTracker, HoldCounters, empty_memory
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch

# Of the leaderboard's simulator. CARLA keeps it as a float of four bytes, a little above 0.05 s:
# 3,600 ticks are more than 180 s, and an ego that stands for so many is blocked.
TICK_S = float(np.float32(0.05))
_WORLD = np.zeros(1, np.int64)


class EvaluatorsReferee(LeaderboardReferee):
    """Our referee with the habits of the official evaluator that no rule of it mentions.

    A route ends one tick after arrival, and its criteria are terminated twice, so that a last
    quarter that was too slow costs its points twice. For one driver.

    Attributes:
        more: Infractions of this step beside those of the events, each noted once.
        outside_percent: Of the driven route, as the official criterion has it.
    """

    _arrived_before = False
    more: Sequence[InfractionKind] = ()
    outside_percent = 0.0

    def _has_arrived(self, events: DrivingEvents) -> NDArray[np.bool_]:
        del events  # `route_finished` is one way to arrive: the last point of the route is passed
        arrived = self._is_at_destination()
        before, self._arrived_before = self._arrived_before, bool(arrived[0])
        return arrived & before

    def _record_infractions(self, events: DrivingEvents, running: NDArray[np.bool_]) -> None:
        super()._record_infractions(events, running)
        for kind in self.more:
            self._note(0, kind)

    def _outside_percent(self, agent: int) -> float:
        del agent
        return self.outside_percent

    def _close(self, agent: int, end: EpisodeEnd) -> None:
        infractions = self.records.infractions[agent]
        num_before = len(infractions)
        super()._close(agent, end)
        kind = InfractionKind.MINIMUM_SPEED
        infractions += [late for late in infractions[num_before:] if late.kind is kind]


def date_contacts_back(
    scene: SceneBatch, standing_mps: float, next_tick: Callable[[], None]
) -> None:
    """Bring the next tick into the scene, its contacts judged by the tick before.

    The evaluator's collision callback comes while the server ticks: it asks for the ego's speed and
    place and gets those of the last tick. A car that is rammed while it stands is not to blame.
    """
    motion, contacts = scene.motion, scene.contacts
    x, y = motion.x[0, 0], motion.y[0, 0]
    speed_mps = np.hypot(motion.vx_mps[0, 0], motion.vy_mps[0, 0])
    next_tick()
    contacts.x[0], contacts.y[0] = x, y
    if speed_mps < standing_mps:
        contacts.other_slot[0] = -1


class OfficialTests:
    """Brings the facts of a tick in line with CARLA's lanes and with what scenarios switch.

    Args:
        recording: The drive.
        scene: Its present.
        detector: Thresholds of the leaderboard.
    """

    def __init__(
        self, recording: TickRecording, scene: SceneBatch, detector: DetectorSettings
    ) -> None:
        places = np.concatenate([recording.ego_place[:, :3], tail_places(recording)])
        here, tails = nearest_lanes(recording.town, places).split(recording.num_ticks)
        self.lanes = OutsideLanesTest(recording, here)
        self.lights = RedLightTest(recording, tails)
        self.switches = ScenarioSwitches(recording.criteria_events)
        self._scene, self._settings = scene, detector.collision
        self._contacts: dict[int, ContactTracker] = {}  # of the scenarios' own collision tests
        self._arrays = EventArrays.allocate(1)

    def apply(self, tick: int, facts: EventArrays, counters: HoldCounters) -> list[InfractionKind]:
        """Correct the facts of a tick in place.

        Returns:
            Infractions that the facts of one step have no room for.
        """
        more = self._scenario_collisions(tick)
        self.switches.step(tick)
        if self.switches.restarts_clock or not self.switches.judges_blocking:
            counters.standing_s[0], facts.infractions.blocked[0] = 0.0, False
        facts.lanes.outside_route_lanes[0] = self.lanes.step(
            tick, judges_direction=self.switches.judges_direction
        )
        num_red = self.lights.step(tick)
        facts.infractions.ran_red_light[0] = num_red > 0
        return more + [InfractionKind.RED_LIGHT] * (num_red - 1)

    def _scenario_collisions(self, tick: int) -> list[InfractionKind]:
        """What the collision tests of running scenarios find; each has a memory of its own."""
        self.switches.before_contacts(tick)
        scene, found = self._scene, self._arrays.infractions
        kinds = []
        for number in self.switches.running_tests:
            tracker = self._contacts.setdefault(number, empty_memory(scene).contacts)
            detect_collisions_range(
                *(0, 1, scene.motion, scene.traits, scene.ego, scene.contacts, scene.clocks),
                *(tracker, self._settings, found),
            )
            if found.collision[0]:
                kinds.append(COLLISION_INFRACTIONS[int(found.collision_kind[0])])
        return kinds


class Playback(GivenScene):
    """A recorded drive, tick by tick, its contacts judged by the tick before.

    Args:
        recording: Of the agent, a tick of 20 Hz a row.
        maps: Holds its town.
        standing_mps: An ego slower than this is not to blame for a contact.
    """

    def __init__(self, recording: TickRecording, maps: MapBank, standing_mps: float) -> None:
        super().__init__(recording.empty_scene(TICK_S), maps)
        self.recording, self.standing_mps = recording, standing_mps
        self.tick = 0  # that the next step shows

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Show the first tick, which is the first step's as well."""
        super().reset(worlds, scenarios)
        self.tick = 0
        self._show()

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        """Show the next tick, whatever the actions."""
        if self.tick > 0:
            self._show()
        self.tick += 1

    def _show(self) -> None:
        show = partial(self.recording.write, self.tick, self.scene)
        date_contacts_back(self.scene, self.standing_mps, show)


def judge_recording(
    recording: TickRecording, maps: MapBank, detector: DetectorSettings
) -> EpisodeRecord:
    """Our record of the drive; `end` is None if it was not over at the last tick.

    Args:
        recording: Of the agent, a tick of 20 Hz a row.
        maps: Holds its town.
        detector: Thresholds of the leaderboard.
    """
    route, name = recording.route, town_name(recording.town)
    playback = Playback(recording, maps, detector.collision.min_speed_mps)
    detector = replace(detector, collision=detector.collision._replace(min_speed_mps=0.0))
    worlds = DrivingWorlds(playback, Unseen(), detector)
    worlds.reset(_WORLD, [Scenario(name, name, route, 0, time_limit_s=np.inf)])
    traffic_mps = np.full(1, np.nan)
    scripts = ScriptFacts(traffic_speed=lambda _: traffic_mps)
    referee = EvaluatorsReferee(worlds.scene, worlds.memory.route, scripts)
    referee.begin(0, route.length_m)
    tests = OfficialTests(recording, worlds.scene, detector)
    for tick in range(recording.num_ticks):
        traffic_mps[0] = recording.arrays["background_mps"][tick]
        events = worlds.advance()
        referee.more = tests.apply(tick, worlds.event_arrays, worlds.memory.counters)
        referee.outside_percent = tests.lanes.percent
        if referee.judge(events)[0]:
            break
    return referee.records.read(0)
