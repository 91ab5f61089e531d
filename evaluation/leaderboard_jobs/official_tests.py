"""Tests of the official evaluator whose outcome hangs on CARLA's own map or on running scenarios.

Our detectors look for the nearest true centre line. CARLA looks among chords, so in bends and where
lanes widen it may name another lane: a second opinion on the official one asks CARLA's library.

Source: behaviour of scenario_runner's OutsideRouteLanesTest, RunningRedLightTest, CollisionTest and
ActorBlockedTest (0.9.16).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evaluation.leaderboard_agent.tick_recording import CriteriaEvent, StopLineRow, TickRecording
from sim_adapters.array_types import FloatArray
from sim_adapters.maps.lane_answers import NearestLanes
from sim_adapters.scene.geometry import segments_cross, wrap_angle
from sim_adapters.scene.state import LightState

ALLOWED_OUT_M = 0.5
MAX_EXIT_ANGLE_RAD = math.radians(120.0)  # out of a junction, ego to lane
MIN_OPPOSITE_ANGLE_RAD = math.radians(150.0)  # between the lanes of two ticks
WINDOW_POINTS = 3
LIGHT_RANGE_M = 15.0
NEAR_SHARE, FAR_MARGIN_M = 0.8, 1.0  # the judged piece of the tail, behind the ego's origin
LINE_HALF_LANES = 0.6


class OutsideLanesTest:
    """Metres of the route that are driven beside all lanes or against the traffic.

    Args:
        recording: The drive.
        answers: CARLA's lanes at the ego's place in each tick.
    """

    def __init__(self, recording: TickRecording, answers: NearestLanes) -> None:
        self._plan, self._place = recording.plan, recording.ego_place
        self._outside = beside_all_lanes(self._place[:, :3], answers)
        self._against = against_the_lane(self._place[:, 3], answers)
        self._index = 0
        self._total_m = self._wrong_m = 0.0

    @property
    def percent(self) -> float:
        """Share of the route driven so far that was wrong."""
        return 100.0 * self._wrong_m / self._total_m if self._wrong_m > 0.0 else 0.0

    def step(self, tick: int, *, judges_direction: bool) -> bool:
        """Judge one tick; whether the ego is where it should not be.

        Args:
            tick: Of the recording, each once and in order.
            judges_direction: False while a scenario asks for the oncoming lane.
        """
        is_wrong = bool(self._outside[tick] or (judges_direction and self._against[tick]))
        x, y = self._place[tick, :2]
        last = min(self._index + WINDOW_POINTS, len(self._plan) - 1)
        for point in range(self._index + 1, last + 1):
            px, py, _, yaw = self._plan[point]
            if math.cos(yaw) * (x - px) + math.sin(yaw) * (y - py) > 0.0:
                step_m = math.dist(self._plan[self._index, :3], self._plan[point, :3])
                self._total_m += step_m
                self._wrong_m += step_m * is_wrong
                self._index = point
        return is_wrong


def beside_all_lanes(place: FloatArray, answers: NearestLanes) -> NDArray[np.bool_]:
    """Whether each place, (T, 3), is off the driving or parking lane that is nearer, (T,)."""
    driving, parking = answers
    to_driving = np.linalg.norm(place - np.column_stack([driving.x, driving.y, driving.z]), axis=1)
    to_parking = np.linalg.norm(place - np.column_stack([parking.x, parking.y, parking.z]), axis=1)
    parks = to_driving >= to_parking
    distance = np.where(parks, to_parking, to_driving)
    width = np.where(parks, parking.width_m, driving.width_m)
    return distance > width / 2.0 + ALLOWED_OUT_M


def against_the_lane(yaw_rad: FloatArray, answers: NearestLanes) -> NDArray[np.bool_]:
    """Whether the ego, heading (T,), is on a lane of the other direction in each tick.

    Only a change of lane is judged: out of a junction by the ego's own heading, else by a flip of
    the lane's direction. In a junction nobody is wrong.
    """
    lanes, wrong = answers.driving, False
    found = np.zeros(len(yaw_rad), np.bool_)
    for tick in range(len(yaw_rad)):
        before = max(tick - 1, 0)
        changed = tick == 0 or any(ids[tick] != ids[before] for ids in (lanes[0], lanes[2]))
        if lanes.in_junction[tick]:
            wrong = False
        elif changed and lanes.in_junction[before]:
            wrong = abs(wrap_angle(lanes.yaw_rad[tick] - yaw_rad[tick])) >= MAX_EXIT_ANGLE_RAD
        elif changed:
            turn = abs(wrap_angle(lanes.yaw_rad[before] - lanes.yaw_rad[tick]))
            wrong = wrong != (turn > MIN_OPPOSITE_ANGLE_RAD)
        found[tick] = wrong
    return found


class RedLightTest:
    """Red lights whose stop line the ego's tail crosses in its own lane.

    Args:
        recording: The drive, with the stop lines of its world.
        tails: CARLA's lanes at the tail's far end in each tick.
    """

    def __init__(self, recording: TickRecording, tails: NearestLanes) -> None:
        self._place = recording.ego_place
        self._half_length_m = recording.arrays["traits.half_length_m"][:, 0]
        self._states = recording.arrays["light_states"]
        self._tails = tails.driving
        self._lines = [StopLineRow(*row) for row in recording.stop_lines.tolist()]
        self._last_light = -1

    def step(self, tick: int) -> int:
        """How many red lights the ego ran in this tick; each counts once in a row."""
        x, y, z, yaw = self._place[tick]
        near_m = NEAR_SHARE * self._half_length_m[tick]
        far_m = self._half_length_m[tick] + FAR_MARGIN_M
        tail = _behind(x, y, yaw, near_m), _behind(x, y, yaw, far_m)
        count = 0
        for line in self._lines:
            light = int(line.light)
            if light == self._last_light or self._states[tick, light] != LightState.RED:
                continue
            if math.dist((x, y, z), line[1:4]) > LIGHT_RANGE_M:
                continue
            if self._is_in_lane(tick, line) and _crosses(tail, line):
                self._last_light = light
                count += 1
        return count

    def _is_in_lane(self, tick: int, line: StopLineRow) -> bool:
        """Whether the tail is in the line's lane and the ego goes the lane's way."""
        tails = self._tails
        is_same = tails.road_id[tick] == line.road_id and tails.lane_id[tick] == line.lane_id
        return is_same and math.cos(line.yaw_rad - self._place[tick, 3]) > 0.0


def tail_places(recording: TickRecording) -> FloatArray:
    """Far end of the ego's judged tail in each tick, (T, 3)."""
    places = recording.ego_place
    far_m = recording.arrays["traits.half_length_m"][:, 0] + FAR_MARGIN_M
    yaw = places[:, 3]
    away = np.column_stack([np.cos(yaw), np.sin(yaw), np.zeros(len(yaw))])
    return places[:, :3] - far_m[:, None] * away


def _behind(x: float, y: float, yaw: float, distance_m: float) -> tuple[float, float]:
    return x - math.cos(yaw) * distance_m, y - math.sin(yaw) * distance_m


def _crosses(tail: tuple[tuple[float, float], tuple[float, float]], line: StopLineRow) -> bool:
    half_m = LINE_HALF_LANES * line.width_m
    left_x, left_y = -math.sin(line.yaw_rad) * half_m, math.cos(line.yaw_rad) * half_m
    ends = (line.x + left_x, line.y + left_y), (line.x - left_x, line.y - left_y)
    return bool(segments_cross(*tail[0], *tail[1], *ends[0], *ends[1]))


class ScenarioSwitches:
    """What running scenarios change about the criteria, tick by tick.

    Args:
        events: Rows of `CriteriaLog`.

    Attributes:
        judges_blocking: Whether the blocked test is on.
        judges_direction: Whether the wrong-direction test is on.
        restarts_clock: The blocked test's clock begins anew in this tick.
        running_tests: Numbers of the scenarios' own collision tests that see this tick's contacts.
    """

    def __init__(self, events: NDArray[np.int64]) -> None:
        self._events = events.tolist()
        self._next = 0
        self.judges_blocking = self.judges_direction = True
        self.restarts_clock = False
        self.running_tests: list[int] = []

    def before_contacts(self, tick: int) -> None:
        """Collision tests that began or ended after an earlier tick; call before `step`."""
        while self._next < len(self._events) and self._events[self._next][0] < tick:
            _, event, number = self._events[self._next]
            self._next += 1
            if event == CriteriaEvent.COLLISION_TEST_BEGAN and number > 0:
                self.running_tests.append(number)
            if event == CriteriaEvent.COLLISION_TEST_ENDED and number in self.running_tests:
                self.running_tests.remove(number)

    def step(self, tick: int) -> None:
        """Switches that were set after the agent's step of this tick, before its criteria."""
        self.restarts_clock = False
        for row in range(self._next, len(self._events)):
            when, event, number = self._events[row]
            if when > tick:
                break
            if event == CriteriaEvent.BLOCKED_TEST:
                self.judges_blocking, self.restarts_clock = bool(number), True
            if event == CriteriaEvent.WRONG_WAY_TEST:
                self.judges_direction = bool(number)
