"""TickRecording: every tick of a drive as the agent saw it, for judging it once more offline.

One .npz file: arrays named `group.field` with a row a tick, the official route, the town, and what
the official criteria have besides: the lights' stop lines, and what scenarios said to them.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.atomic_file import write_atomically
from sim_adapters.carla.frames import from_carla_location, from_carla_transform
from sim_adapters.scene.scenario import Route, RouteCommand
from sim_adapters.scene.state import SceneBatch, empty_scene

# What changes from tick to tick and referees look at; row 0 of each array is world 0
_GROUPS = ("motion", "traits", "ego", "contacts", "lights")


class TickRecorder:
    """Keeps the ticks of world 0 of a scene.

    Args:
        town: Of the drive.
        plan: The route as the evaluator judges it, (P, 4) x, y, z [m] and yaw [rad], our frame.
    """

    def __init__(self, town: str, plan: FloatArray) -> None:
        self._town, self._plan = town, plan
        self._columns: dict[str, list[np.ndarray]] = {}

    def add(
        self,
        scene: SceneBatch,
        background_mps: float,
        *,
        ego_place: Sequence[float] | None = None,
        light_states: Sequence[int] = (),
    ) -> None:
        """Keep the present.

        Args:
            scene: Read from the world; `clocks.elapsed_s` is that of this tick.
            background_mps: Mean speed of the background vehicles, NaN without any.
            ego_place: x, y, z [m] and yaw [rad] of the ego's origin, by which criteria judge; its
                box's centre if left out.
            light_states: Of all light actors, those that the map does not know included.
        """
        row = {f"{group}.{name}": array for group, name, array in _arrays(scene)}
        row["elapsed_s"] = scene.clocks.elapsed_s
        row["background_mps"] = np.array([background_mps])
        motion = scene.motion
        centre = motion.x[0, 0], motion.y[0, 0], motion.z[0, 0], motion.yaw_rad[0, 0]
        row["ego_place"] = np.array([ego_place or centre])
        row["light_states"] = np.array([light_states], np.uint8)
        for name, array in row.items():
            self._columns.setdefault(name, []).append(array[0].copy())

    def save(
        self,
        path: Path,
        *,
        stop_lines: FloatArray | None = None,
        criteria_events: NDArray[np.int64] | None = None,
    ) -> None:
        """Write the file, without the slots that nobody ever used.

        Args:
            path: Where.
            stop_lines: Rows of `stop_lines.StopLineRow`, (K, 11); none if left out.
            criteria_events: Rows of `CriteriaLog`, (N, 3); none if left out.
        """
        arrays = {name: np.stack(rows) for name, rows in self._columns.items()}
        if not arrays:
            return
        num_slots = 1 + int(np.flatnonzero(arrays["traits.valid"].any(axis=0)).max(initial=0))
        for name, array in arrays.items():
            if name.startswith(("motion.", "traits.")):
                arrays[name] = array[:, :num_slots]
        memory = io.BytesIO()
        np.savez_compressed(
            memory,
            allow_pickle=False,
            town=np.array(self._town),
            plan=self._plan,
            stop_lines=np.zeros((0, 11)) if stop_lines is None else stop_lines,
            criteria_events=(
                np.zeros((0, 3), np.int64) if criteria_events is None else criteria_events
            ),
            **arrays,
        )
        write_atomically(path, memory.getbuffer())


@dataclass(frozen=True)
class TickRecording:
    """A recorded drive."""

    town: str
    plan: FloatArray  # (P, 4)
    stop_lines: FloatArray  # (K, 11), rows of StopLineRow
    criteria_events: NDArray[np.int64]  # (N, 3), rows of CriteriaLog
    arrays: dict[str, np.ndarray]  # (T, ...)

    @property
    def num_ticks(self) -> int:
        """T."""
        return len(self.arrays["elapsed_s"])

    @property
    def ego_place(self) -> FloatArray:
        """x, y, z [m] and yaw [rad] of the ego's origin, (T, 4)."""
        return self.arrays["ego_place"]

    @property
    def route(self) -> Route:
        """The plan, point for point: no other route has the evaluator's percentages."""
        num_points = len(self.plan)
        return Route(
            *(column.copy() for column in self.plan.T),
            lane=np.full(num_points, -1, np.int32),
            in_junction=np.zeros(num_points, np.bool_),
            command=np.full(num_points, RouteCommand.LANE_FOLLOW, np.uint8),
        )

    def empty_scene(self, step_s: float) -> SceneBatch:
        """A scene into which the ticks fit."""
        return empty_scene(
            1,
            self.arrays["traits.valid"].shape[1],
            num_lights=self.arrays["lights.state"].shape[1],
            num_route_points=len(self.plan),
            num_contacts=self.arrays["contacts.other_slot"].shape[1],
            step_s=step_s,
        )

    def write(self, tick: int, scene: SceneBatch) -> None:
        """Put a tick into world 0."""
        for group, name, array in _arrays(scene):
            array[0] = self.arrays[f"{group}.{name}"][tick]
        scene.clocks.elapsed_s[0] = self.arrays["elapsed_s"][tick]
        # Criteria judge the ego's origin, which need not be the centre of its box
        scene.motion.x[0, 0], scene.motion.y[0, 0] = self.ego_place[tick, :2]


def read_recording(path: Path) -> TickRecording:
    """What `TickRecorder.save` wrote.

    Raises:
        ValueError: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Any] = dict(file)
        own = [arrays.pop(name) for name in ("plan", "stop_lines", "criteria_events")]
        town = str(arrays.pop("town"))
        return TickRecording(town, *own, arrays=arrays)
    except KeyError as error:
        raise ValueError(
            f"{path} is no recording of this version of the leaderboard agent: it lacks {error}; "
            "drive the route again with record=true"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path} is no recording of the leaderboard agent: {error}") from error


def _arrays(scene: SceneBatch) -> Iterator[tuple[str, str, np.ndarray]]:
    for group in _GROUPS:
        for name, array in getattr(scene, group)._asdict().items():
            if (group, name) not in (("ego", "world"), ("ego", "slot")):
                yield group, name, array


# What the official criteria go by and no tick of a drive shows.
#
# CriteriaLog: what running scenarios say to the official criteria. A scenario with a time limit
# switches the blocked test off and on again, one that sends the ego into the oncoming lane the
# wrong-direction test, and some bring a collision test of their own. All of it is said inside the
# evaluator's process: scenario_runner's blackboard and its `CollisionTest` are listened to. Nothing
# of what they do is changed.


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
