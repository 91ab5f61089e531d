"""Lights and signs of a town as actors: where they stand, their trigger volumes, and cycles.

Every light of the map bank governs lanes and has one trigger box a lane, by CARLA's rule for
generated lights. The volume a client sees is the box around them in the actor's own frame, whose x
axis runs across the road as CARLA's does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from sim_adapters.array_types import FloatArray
from sim_adapters.carla.headless.contacts import (
    LIGHT,
    PRIORITY_SIGN,
    SPEED_LIMIT,
    TriggerBoxes,
)
from sim_adapters.carla.headless.frame import PoseTuple
from sim_adapters.carla.headless.town import Landmark, ServerTown
from sim_adapters.maps.opendrive_document import LIGHT_TYPES, parse_document
from sim_adapters.maps.traffic_lights import (
    LONE_RED_S,
    TRIGGER_HALF_LENGTH_M,
    TRIGGER_HALF_WIDTH_SHARE,
    light_names,
    trigger_pose,
)
from sim_adapters.scene.map_bank import SignKind
from sim_adapters.scene.state import LightState

TRIGGER_HALF_HEIGHT_M = 1.0
_SIGN_TYPES = {SignKind.STOP: "206", SignKind.YIELD: "205", SignKind.SPEED_LIMIT: "274"}
_NEAR_SIGN_M = 25.0  # a sign's actor is the nearest landmark of its type within this


@dataclass(frozen=True)
class LaneBox:
    """A trigger box on one lane, right-handed."""

    x: float
    y: float
    z: float
    yaw_rad: float
    half_length_m: float
    half_width_m: float
    half_height_m: float = TRIGGER_HALF_HEIGHT_M


@dataclass(frozen=True)
class RoadThing:
    """A light or a sign that becomes an actor."""

    type_id: str
    sign_id: str
    pose: PoseTuple
    boxes: list[LaneBox]
    group: int = -1  # lights only
    phase: int = 0
    limit_kmh: float = 0.0  # limit signs only
    lane: int = -1  # signs only: the lane of the map bank that it acts on

    def trigger_volume(self) -> tuple[list[float], list[float]]:
        """Centre and half extents of the box around all lane boxes, in the actor's frame."""
        if not self.boxes:
            return [0.0, 0.0, 0.0], [0.01, 0.01, 0.01]
        corners = np.array([corner for box in self.boxes for corner in _corners(box)])
        x, y, z, _, yaw, _ = self.pose
        dx, dy = corners[:, 0] - x, corners[:, 1] - y
        cos, sin = math.cos(yaw), math.sin(yaw)
        local = np.stack([cos * dx + sin * dy, -sin * dx + cos * dy, corners[:, 2] - z])
        low, high = local.min(axis=1), local.max(axis=1)
        return ((low + high) / 2.0).tolist(), ((high - low) / 2.0).tolist()


@dataclass(frozen=True)
class GroupPlan:
    """Stage times of one junction's cycle and how many phases it has."""

    num_phases: int
    green_s: float
    yellow_s: float
    red_s: float


@dataclass(frozen=True)
class RoadFurniture:
    """Everything beside the road that directs traffic."""

    lights: list[RoadThing]
    groups: list[GroupPlan]
    signs: list[RoadThing] = field(default_factory=list)

    def trigger_boxes(self) -> TriggerBoxes:
        """All boxes; values are indices of lights and signs, or limits in km/h."""
        rows: list[tuple[LaneBox, int, float]] = []
        for index, light in enumerate(self.lights):
            rows += [(box, LIGHT, float(index)) for box in light.boxes]
        for index, sign in enumerate(self.signs):
            effect = SPEED_LIMIT if sign.limit_kmh > 0.0 else PRIORITY_SIGN
            rows += [(box, effect, sign.limit_kmh or float(index)) for box in sign.boxes]

        def column(name: str) -> FloatArray:
            return np.array([getattr(box, name) for box, _, _ in rows], np.float64)

        yaw = column("yaw_rad")
        return TriggerBoxes(
            x=column("x"),
            y=column("y"),
            z=column("z"),
            cos_yaw=np.cos(yaw),
            sin_yaw=np.sin(yaw),
            half_length=column("half_length_m"),
            half_width=column("half_width_m"),
            half_height=column("half_height_m"),
            effect=np.array([effect for _, effect, _ in rows], np.uint8),
            value=np.array([value for _, _, value in rows], np.float64),
        )


def furnish(town: ServerTown) -> RoadFurniture:
    """Lights and signs of a town."""
    lights, groups = _lights(town)
    return RoadFurniture(lights, groups, _signs(town))


def _lights(town: ServerTown) -> tuple[list[RoadThing], list[GroupPlan]]:
    """Lights of the bank, then those that govern no lane, each of these on its own."""
    bank = town.bank
    table = bank.groups
    groups = [
        GroupPlan(*(column[row].item() for column in table)) for row in range(len(table.num_phases))
    ]
    lights: list[RoadThing] = []
    names = _light_names(town)
    for row in range(len(bank.signals.x)):
        first, last = bank.signals.first_stop_line[row : row + 2]
        lanes = [int(lane) for lane in bank.stop_lines.lane[first:last]]
        boxes = [_approach_box(town, lane) for lane in lanes]
        sign_id = names[row]
        pose = _across_the_road(town.landmarks.get(sign_id), boxes[0])
        group, phase = int(bank.signals.group[row]), int(bank.signals.phase[row])
        lights.append(
            RoadThing("traffic.traffic_light", sign_id, pose, boxes, group=group, phase=phase)
        )
    governing = {light.sign_id for light in lights}
    for landmark in town.landmarks.values():
        if landmark.sign_type in LIGHT_TYPES and landmark.sign_id not in governing:
            pose = (landmark.x, landmark.y, landmark.z, 0.0, landmark.yaw_rad - math.pi / 2, 0.0)
            groups.append(GroupPlan(1, 10.0, 3.0, LONE_RED_S))
            group = len(groups) - 1
            lights.append(
                RoadThing("traffic.traffic_light", landmark.sign_id, pose, [], group=group)
            )
    return lights, groups


def _light_names(town: ServerTown) -> list[str]:
    """OpenDRIVE ids of the bank's lights as the file spells them."""
    codes = town.bank.signals.opendrive_id
    if (codes >= 0).all():
        return [str(code) for code in codes]
    return light_names(parse_document(town.document.encode()), codes)


def _approach_box(town: ServerTown, lane: int) -> LaneBox:
    pose = trigger_pose(town.bank.points, town.bank.lanes, lane)
    half_width_m = TRIGGER_HALF_WIDTH_SHARE * pose.width_m
    return LaneBox(*pose[:4], TRIGGER_HALF_LENGTH_M, half_width_m)


def _across_the_road(landmark: Landmark | None, box: LaneBox) -> PoseTuple:
    """Where the landmark stands, with the actor's x axis across the approach."""
    x, y, z = (box.x, box.y, box.z) if landmark is None else (landmark.x, landmark.y, landmark.z)
    return x, y, z, 0.0, box.yaw_rad - math.pi / 2, 0.0


def _signs(town: ServerTown) -> list[RoadThing]:
    """One actor a row of the bank's sign table, at the nearest landmark of its type."""
    table = town.bank.signs
    by_type: dict[str, list[Landmark]] = {}
    for landmark in town.landmarks.values():
        by_type.setdefault(landmark.sign_type, []).append(landmark)
    signs: list[RoadThing] = []
    for row in range(len(table.kind)):
        kind = SignKind(int(table.kind[row]))
        numbers = (table.x, table.y, table.z, table.yaw_rad, table.half_length_m)
        half_width_m = float(table.half_width_m[row])
        is_limit = kind == SignKind.SPEED_LIMIT
        height_m = half_width_m if is_limit else TRIGGER_HALF_HEIGHT_M
        x, y, z, yaw_rad, half_length_m = (float(column[row]) for column in numbers)
        box = LaneBox(x, y, z, yaw_rad, half_length_m, half_width_m, height_m)
        limit_kmh = round(float(table.value[row]) * 3.6)
        landmark = _nearest(by_type.get(_SIGN_TYPES[kind], []), box, limit_kmh)
        type_id = f"traffic.speed_limit.{limit_kmh}" if is_limit else f"traffic.{kind.name.lower()}"
        sign_id = landmark.sign_id if landmark else ""
        pose = _across_the_road(landmark, box)
        lane = int(table.lane[row])
        signs.append(
            RoadThing(type_id, sign_id, pose, [box], limit_kmh=float(limit_kmh), lane=lane)
        )
    return signs


def _nearest(landmarks: list[Landmark], box: LaneBox, value: float) -> Landmark | None:
    near = [
        (math.hypot(landmark.x - box.x, landmark.y - box.y), landmark.sign_id, landmark)
        for landmark in landmarks
        if value <= 0.0 or abs(landmark.value - value) < 0.5
    ]
    distance_m, _, landmark = min(near, default=(math.inf, "", None))
    return landmark if distance_m < _NEAR_SIGN_M else None


def _corners(box: LaneBox) -> list[tuple[float, float, float]]:
    cos, sin = math.cos(box.yaw_rad), math.sin(box.yaw_rad)
    return [
        (
            box.x + along * cos - across * sin,
            box.y + along * sin + across * cos,
            box.z + up,
        )
        for along in (-box.half_length_m, box.half_length_m)
        for across in (-box.half_width_m, box.half_width_m)
        for up in (-box.half_height_m, box.half_height_m)
    ]


# Traffic-light cycles as CARLA's controllers run them, with states that clients may change.
#
# The controllers of a junction's group run one after the other: green, yellow, then red for all,
# then the next one. A stage ends on the first tick after its time. Only the running one counts
# time.

_STAGE_STATES = (int(LightState.GREEN), int(LightState.YELLOW), int(LightState.RED))
_TOLERANCE_S = 1e-4  # ticks add up to a stage's time only nearly
STAGE_OF_STATE = {state: stage for stage, state in enumerate(_STAGE_STATES)}


class SignalCycles:
    """States and clocks of all lights of a town, by index of the light.

    Args:
        furniture: Lights and groups of the town.
    """

    def __init__(self, furniture: RoadFurniture) -> None:
        groups, lights = furniture.groups, furniture.lights
        phases = np.array([max(group.num_phases, 1) for group in groups], np.int64)
        self.first_controller = np.concatenate([[0], np.cumsum(phases)]).astype(np.int64)
        self.group = np.array([light.group for light in lights], np.int64)
        phase = np.array([light.phase for light in lights], np.int64)
        self.controller = (
            self.first_controller[self.group] + phase if lights else np.zeros(0, np.int64)
        )
        stage_times = np.array(
            [(group.green_s, group.yellow_s, group.red_s) for group in groups]
        ).reshape(-1, 3)
        self.stage_s = np.repeat(stage_times, phases, axis=0).T.copy()  # (3, controllers)
        self.elapsed_s = np.zeros(int(phases.sum()))
        self.state = np.zeros(len(lights), np.uint8)
        self.running = self.first_controller[:-1].copy()  # controller of each group
        self.stage = np.zeros(len(groups), np.int64)
        self.revision = 0  # grows whenever anything but the clocks changes
        self._is_frozen = False
        self.reset_all()

    @property
    def is_frozen(self) -> bool:
        """Whether all clocks stand still."""
        return self._is_frozen

    @is_frozen.setter
    def is_frozen(self, value: bool) -> None:
        self._is_frozen = value
        self.revision += 1

    def reset_all(self) -> None:
        """Every group starts anew with its first controller green."""
        for group in range(len(self.running)):
            self.reset_group(group)

    def reset_group(self, group: int) -> None:
        """All lights of the group red, then its first controller green."""
        first, last = self.first_controller[group : group + 2]
        self.elapsed_s[first:last] = 0.0
        self.state[self.group == group] = int(LightState.RED)
        self.running[group] = first
        self._start_stage(group, 0)

    def advance(self, dt: float) -> None:
        """Let the running controllers count `dt` and change stage."""
        if self._is_frozen:
            return
        self.elapsed_s[self.running] += dt
        over = self.elapsed_s[self.running] > self.stage_s[self.stage, self.running] + _TOLERANCE_S
        for group in np.flatnonzero(over):
            self._next_stage(int(group))

    def set_state(self, light: int, state: int) -> None:
        """Show `state` until the light's controller changes stage."""
        self.state[light] = state
        self.revision += 1

    def set_stage_time(self, light: int, state: int, seconds: float) -> None:
        """How long the light's whole controller shows `state`."""
        self.stage_s[STAGE_OF_STATE[state], self.controller[light]] = seconds
        self.revision += 1

    def lights_of_group(self, light: int) -> list[int]:
        """Indices of all lights of the group that `light` belongs to."""
        return [int(index) for index in np.flatnonzero(self.group == self.group[light])]

    def _next_stage(self, group: int) -> None:
        stage = int(self.stage[group]) + 1
        if stage == len(_STAGE_STATES):
            self.elapsed_s[self.running[group]] = 0.0
            first, last = self.first_controller[group : group + 2]
            following = self.running[group] + 1
            self.running[group] = first if following == last else following
            stage = 0
        self._start_stage(group, stage)

    def _start_stage(self, group: int, stage: int) -> None:
        running = self.running[group]
        self.elapsed_s[running] = 0.0
        self.stage[group] = stage
        self.revision += 1
        self.state[self.controller == running] = _STAGE_STATES[stage]
