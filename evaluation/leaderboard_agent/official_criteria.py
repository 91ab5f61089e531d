"""What the official criteria go by and no tick of a drive shows: messages and stop lines.

A scenario with a time limit switches the blocked test off and on again, one that sends the ego into
the oncoming lane the wrong-direction test, and some bring a collision test of their own. All of it
is said inside the evaluator's process: scenario_runner's blackboard and its `CollisionTest` are
listened to. Nothing of what they do is changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.frames import from_carla_location, from_carla_transform


class CriteriaEvent(IntEnum):
    """What was said; the number beside it is 0 or 1 for the switches, else that of the test."""

    BLOCKED_TEST = 0  # switched off (0) or on (1)
    WRONG_WAY_TEST = 1
    COLLISION_TEST_BEGAN = 2  # number 0 is the route's own
    COLLISION_TEST_ENDED = 3


# Of scenario_runner's blackboard; a criterion takes a message off by writing None
_MESSAGES = {
    "AC_SwitchActorBlockedTest": CriteriaEvent.BLOCKED_TEST,
    "AC_SwitchWrongDirectionTest": CriteriaEvent.WRONG_WAY_TEST,
}


class CriteriaLog:
    """Listens from its making until `stop`.

    Args:
        blackboard: `py_trees.blackboard.Blackboard`.
        collision_test: `CollisionTest` of scenario_runner's criteria.
    """

    def __init__(self, blackboard: Any, collision_test: Any) -> None:
        self.tick = 0  # of the agent: what is said now is said after its step
        self._rows: list[tuple[int, int, int]] = []
        self._numbers: dict[int, int] = {}  # of running collision tests by identity
        self._num_tests = 0
        self._originals: list[tuple[Any, str, Callable[..., Any]]] = []
        self._listen(blackboard, "set", self._message)
        self._listen(collision_test, "initialise", self._began)
        self._listen(collision_test, "terminate", self._ended)

    def rows(self) -> NDArray[np.int64]:
        """All that was said, (K, 3): tick of the agent, CriteriaEvent, number."""
        return np.array(self._rows, np.int64).reshape(-1, 3)

    def stop(self) -> None:
        """Leave scenario_runner's classes as they were."""
        for owner, name, original in self._originals:
            setattr(owner, name, original)
        self._originals.clear()

    def _listen(self, owner: Any, name: str, note: Callable[..., None]) -> None:
        original = getattr(owner, name)

        def noted(instance: Any, *args: Any, **kwargs: Any) -> Any:
            note(instance, *args, **kwargs)
            return original(instance, *args, **kwargs)

        self._originals.append((owner, name, original))
        setattr(owner, name, noted)

    def _message(self, board: Any, name: str, value: Any, overwrite: bool = True) -> None:
        del board, overwrite
        if name in _MESSAGES and value is not None:
            self._rows.append((self.tick, _MESSAGES[name], int(value)))

    def _began(self, test: Any) -> None:
        self._numbers[id(test)] = self._num_tests
        self._rows.append((self.tick, CriteriaEvent.COLLISION_TEST_BEGAN, self._num_tests))
        self._num_tests += 1

    def _ended(self, test: Any, new_status: Any) -> None:
        del new_status
        number = self._numbers.pop(id(test), None)  # criteria are terminated more than once
        if number is not None:
            self._rows.append((self.tick, CriteriaEvent.COLLISION_TEST_ENDED, number))


# Stop lines as the official red-light criterion draws them, from a live world's light actors.
#
# Each light's trigger box is sampled along its own x axis, a metre apart. Every lane that is met
# this way is walked down in steps of half a metre to the last point before a junction: there is the
# line. It lies anywhere within half a metre of the junction, as the box lies on the lane.
#
# Source: behaviour of scenario_runner's RunningRedLightTest (0.9.16).

_BOX_SHARE = 0.9  # of the trigger box that is looked at
_SAMPLE_M = 1.0
_STEP_M = 0.5


class StopLineRow(NamedTuple):
    """One stop line, in our frame; a column of the recording's array each."""

    light: float  # number of the light actor
    center_x: float  # [m] of the light's trigger box
    center_y: float
    center_z: float
    x: float  # [m] middle of the line
    y: float
    z: float
    yaw_rad: float  # driving direction
    width_m: float  # of the lane
    road_id: float
    lane_id: float


def official_stop_lines(
    lights: Sequence[carla.TrafficLight], carla_map: carla.Map
) -> NDArray[np.float64]:
    """All lines of a world as rows of StopLineRow, (K, 11); lights are numbered in their order."""
    rows = []
    for number, actor in enumerate(lights):
        center = actor.get_transform().transform(actor.trigger_volume.location)
        for waypoint in _line_waypoints(actor, carla_map):
            pose = from_carla_transform(waypoint.transform)
            ids = (float(waypoint.road_id), float(waypoint.lane_id))
            place = from_carla_location(center)
            rows.append(StopLineRow(number, *place, *pose, waypoint.lane_width, *ids))
    return np.array(rows, np.float64).reshape(-1, len(StopLineRow._fields))


def _line_waypoints(actor: carla.TrafficLight, carla_map: carla.Map) -> Iterator[carla.Waypoint]:
    """Where each lane of a light's box meets its junction."""
    previous: tuple[int, int] | None = None
    for place in _box_places(actor):
        waypoint = carla_map.get_waypoint(place)
        lane = waypoint.road_id, waypoint.lane_id
        if lane == previous:
            continue
        previous = lane
        while not waypoint.is_junction:
            following = waypoint.next(_STEP_M)
            if not following or following[0].is_junction:
                break
            waypoint = following[0]
        yield waypoint


def _box_places(actor: carla.TrafficLight) -> Iterator[carla.Location]:
    """Places along the middle of the trigger box, in CARLA's frame."""
    transform, volume = actor.get_transform(), actor.trigger_volume
    center = transform.transform(volume.location)
    yaw = math.radians(transform.rotation.yaw)
    reach = _BOX_SHARE * volume.extent.x
    for offset in np.arange(-reach, reach, _SAMPLE_M):
        yield carla.Location(
            center.x + math.cos(yaw) * offset, center.y + math.sin(yaw) * offset, center.z
        )
