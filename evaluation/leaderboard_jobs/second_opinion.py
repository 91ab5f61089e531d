"""Judges a recorded official drive once more, by this project's own referee on the same ticks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from evaluation.leaderboard_agent.tick_recording import TickRecording
from evaluation.scoring.episode_record import EpisodeRecord
from evaluation.scoring.episode_result import EpisodeEnd
from evaluation.scoring.infractions import InfractionKind
from evaluation.scoring.referee import LeaderboardReferee
from rewards.driving_events import DrivingEvents
from rewards.reward_breakdown import RewardBreakdown
from sim_adapters.embedded.world_start import start_clocks, write_route
from sim_adapters.scene.events.detection import (
    DetectorSettings,
    EventArrays,
    detect_driving_events,
    make_memory,
    reset_memory,
)
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch

# Of the leaderboard's simulator. CARLA keeps it as a float of four bytes, a little above 0.05 s:
# 3,600 ticks are more than 180 s, and an ego that stands for so many is blocked.
TICK_S = float(np.float32(0.05))
_WORLD = np.zeros(1, np.int64)


class EvaluatorsReferee(LeaderboardReferee):
    """Our referee with two habits of the official evaluator that no rule of it mentions.

    A route ends one tick after arrival, and its criteria are terminated twice, so that a last
    quarter that was too slow costs its points twice. For one driver.
    """

    _arrived_before = False

    def _has_arrived(self) -> NDArray[np.bool_]:
        arrived = super()._has_arrived()
        before, self._arrived_before = self._arrived_before, bool(arrived[0])
        return arrived & before

    def _close(self, agent: int, end: EpisodeEnd) -> None:
        infractions = self.records.infractions[agent]
        num_before = len(infractions)
        super()._close(agent, end)
        kind = InfractionKind.MINIMUM_SPEED
        infractions += [late for late in infractions[num_before:] if late.kind is kind]


class NoReward:
    """Pays nothing and ends nothing: the referee does."""

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Zeros, (E,)."""
        nothing = torch.zeros_like(events.route_percent)
        never = torch.zeros_like(events.collision)
        return RewardBreakdown(nothing, never, never, {}, {})


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


def judge_recording(
    recording: TickRecording, maps: MapBank, detector: DetectorSettings
) -> EpisodeRecord:
    """Our record of the drive; `end` is None if it was not over at the last tick.

    Args:
        recording: Of the agent, a tick of 20 Hz a row.
        maps: Holds its town.
        detector: Thresholds of the leaderboard.
    """
    route = recording.route
    scenario = Scenario(recording.town, recording.town, route, 0, time_limit_s=np.inf)
    scene = recording.empty_scene(TICK_S)
    write_route(scene, 0, scenario)
    start_clocks(scene, 0, scenario, maps.map_index(recording.town))
    standing_mps = detector.collision.min_speed_mps
    detector = replace(detector, collision=detector.collision._replace(min_speed_mps=0.0))
    memory = make_memory(scene, detector)
    arrays = EventArrays.allocate(1)
    traffic_mps = np.full(1, np.nan)
    referee = EvaluatorsReferee(
        NoReward(), scene, memory.route, traffic_speed=lambda _: traffic_mps
    )
    referee.begin(0, route.length_m)
    for tick in range(recording.num_ticks):
        traffic_mps[0] = recording.arrays["background_mps"][tick]
        date_contacts_back(scene, standing_mps, partial(recording.write, tick, scene))
        if tick == 0:
            reset_memory(_WORLD, scene, memory, maps)
        outcome = referee(detect_driving_events(scene, memory, maps, detector, arrays))
        if bool(outcome.terminated[0]) or bool(outcome.truncated[0]):
            break
    return referee.records.read(0)
