"""One loaded world: town, actors, lights, and how all of them advance by a tick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.headless import wire_values as values
from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.actors import (
    GREEN,
    AckermannTarget,
    Actor,
    ActorRegistry,
    drive_to_target,
)
from sim_adapters.carla.headless.blueprints.vehicles import Blueprint
from sim_adapters.carla.headless.contacts import (
    empty_contact_pairs,
    empty_touched,
    first_body_in_the_way,
)
from sim_adapters.carla.headless.frame import KINEMATICS_TO_WIRE, PoseTuple
from sim_adapters.carla.headless.motion import Ground, tick_actors
from sim_adapters.carla.headless.road_furniture import RoadThing, SignalCycles, furnish
from sim_adapters.carla.headless.town import ServerTown
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import MapBank

# Episode settings: how long a tick is and who starts it.

FREE_RUNNING_TICK_S = 0.05  # without a fixed step, in wall time
SHORTEST_TICK_S, LONGEST_TICK_S = 1e-4, 10.0


@dataclass(frozen=True)
class EpisodeSettings:
    """What `World.apply_settings` changes; fields without effect are kept for reading back.

    Args:
        is_synchronous: Ticks come from clients only.
        fixed_delta_s: Length of a tick; None: 0.05 s.
        is_without_rendering: Of no effect: nothing is ever rendered.
        others: All fields after the fixed step, as the client sent them.
    """

    is_synchronous: bool = False
    fixed_delta_s: float | None = None
    is_without_rendering: bool = True
    others: tuple[Any, ...] = (True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True)

    @property
    def tick_s(self) -> float:
        """Length of a tick."""
        return self.fixed_delta_s or FREE_RUNNING_TICK_S

    @classmethod
    def from_wire(cls, fields: Any) -> EpisodeSettings:
        """Settings as the client sends them."""
        synchronous, no_rendering, delta, *others = values.items(fields, 3)
        step = values.optional(delta)
        step_s = None if step is None else values.number(step)
        if step_s and not SHORTEST_TICK_S <= step_s <= LONGEST_TICK_S:
            raise values.BadValueError(
                f"fixed_delta_seconds must be {SHORTEST_TICK_S:g} to {LONGEST_TICK_S:g} s, or 0 "
                f"for {FREE_RUNNING_TICK_S:g} s; got {step_s:g}"
            )
        checked = [
            value if isinstance(value, bool) else values.number(value) for value in others[:8]
        ]
        kept = (*checked, *cls.others[len(checked) :])
        return cls(values.flag(synchronous), step_s or None, values.flag(no_rendering), kept)

    def to_wire(self) -> list[Any]:
        """The same, outwards."""
        step = [False] if self.fixed_delta_s is None else [True, self.fixed_delta_s]
        substeps = self.others[2]
        others = [*self.others[:2], int(substeps), *self.others[3:]]
        return [self.is_synchronous, self.is_without_rendering, step, *others]


# Stop and yield signs as CARLA's level handles them: they turn a vehicle's light state red.
#
# A vehicle that enters the box of a stop sign sees red for at least two seconds, one at a yield
# sign only while others are on the ways that cross or join its own; both look again at intervals.
# It is this red that makes a TrafficManager stop where no light stands.

_RED = 0
_LEAST_STOP_S = 2.0
_LOOK_AGAIN_S = {"traffic.stop": 1.0, "traffic.yield": 0.5}
_CHECKED_SHARE = 0.45  # of the lane's width to each side of its centre line


@dataclass
class _Wait:
    """One vehicle in the box of one sign."""

    sign: int
    next_look_s: float
    is_red: bool = True


class PrioritySigns:
    """Who waits at which sign.

    Args:
        bank: The town.
        signs: All signs, by index.
    """

    def __init__(self, bank: MapBank, signs: list[RoadThing]) -> None:
        self._bank = bank
        self._signs = signs
        self._waits: dict[int, _Wait] = {}
        self._checked_points: dict[int, NDArray[np.float64]] = {}

    def update(self, now_s: float, registry: ActorRegistry, touched: NDArray[np.int32]) -> None:
        """Set the light states of all vehicles in boxes of signs.

        Args:
            now_s: Time of the episode.
            registry: All actors.
            touched: Sign whose box each row overlaps, -1 none.
        """
        rows = registry.rows_of(Kind.VEHICLE)
        records = registry.arrays.records
        waits: dict[int, _Wait] = {}
        for row in rows[touched[rows] >= 0]:
            actor_id, sign = registry.by_row[row].actor_id, int(touched[row])
            wait = self._waits.get(actor_id)
            if wait is None or wait.sign != sign:
                is_stop = self._signs[sign].type_id == "traffic.stop"
                wait = _Wait(sign, now_s + (_LEAST_STOP_S if is_stop else 0.0))
            if wait.is_red and now_s >= wait.next_look_s:
                wait.is_red = self._is_taken(sign, int(row), registry)
                wait.next_look_s = now_s + _LOOK_AGAIN_S[self._signs[sign].type_id]
            waits[actor_id] = wait
            if not records["has_light"][row]:
                records["light_state"][row] = _RED if wait.is_red else GREEN
        self._waits = waits

    def _is_taken(self, sign: int, own_row: int, registry: ActorRegistry) -> bool:
        """Whether another vehicle is on a way that crosses or joins one behind the sign."""
        points = self._points_to_check(sign)
        rows = registry.rows_of(Kind.VEHICLE)
        rows = rows[rows != own_row]
        pose, body = registry.arrays.pose, registry.arrays.body
        x, y, z, margin = points[:, :, None]
        dx, dy = x - pose.x[rows], y - pose.y[rows]
        cos, sin = np.cos(pose.yaw[rows]), np.sin(pose.yaw[rows])
        inside = np.abs(cos * dx + sin * dy - body.center_x[rows]) < body.half_length[rows] + margin
        inside &= np.abs(cos * dy - sin * dx - body.center_y[rows]) < body.half_width[rows] + margin
        inside &= np.abs(z - pose.z[rows]) < SAME_LEVEL_M
        return bool(inside.any())

    def _points_to_check(self, sign: int) -> NDArray[np.float64]:
        """x, y, z and margin of the points of conflicting lanes, (4, K)."""
        if sign not in self._checked_points:
            lanes, links, points = self._bank.lanes, self._bank.links, self._bank.points
            approach = self._signs[sign].lane
            ways = _row(links.successor_first, links.successor, approach)
            conflicts = {
                int(other)
                for way in ways
                if lanes.junction[way] >= 0
                for other in _row(links.conflict_first, links.conflict, int(way))
            }
            chosen = [
                point
                for lane in sorted(conflicts)
                for point in range(lanes.first_point[lane], lanes.first_point[lane + 1])
            ]
            margin = _CHECKED_SHARE * points.width_m[chosen]
            columns = [points.x[chosen], points.y[chosen], points.z[chosen], margin]
            self._checked_points[sign] = np.array(columns).reshape(4, -1)
        return self._checked_points[sign]


def _row(first: NDArray[np.int32], values: NDArray[np.int32], index: int) -> NDArray[np.int32]:
    return values[first[index] : first[index + 1]]


_SPECTATOR_POSE: PoseTuple = (0.0, 0.0, 10.0, 0.0, 0.0, 0.0)
SPAWN_OVERLAP_M = 0.05  # bodies that touch no deeper may be spawned side by side


class Episode:
    """What exists between two loads of a world.

    Args:
        episode_id: Tells clients that the world is another one.
        town: Its map.
        first_actor_id: Actors of different episodes never share an id.
    """

    def __init__(self, episode_id: int, town: ServerTown, first_actor_id: int = 1) -> None:
        self.episode_id = episode_id
        self.town = town
        self.registry = ActorRegistry(first_actor_id)
        self.furniture = furnish(town)
        self.signals = SignalCycles(self.furniture)
        self.trigger_boxes = self.furniture.trigger_boxes()
        self._ground = Ground(town.bank.grid, town.bank.points, town.bank.lanes)
        self.pairs = empty_contact_pairs()
        self.num_pairs = 0
        self.ackermann_targets: dict[int, AckermannTarget] = {}
        self._touched = empty_touched(self.registry.arrays.capacity)
        self._priority_signs = PrioritySigns(town.bank, self.furniture.signs)
        self._at_signs = False  # whether any vehicle is in the box of a stop or yield sign
        self._elapsed_s = 0.0
        self._shown_signals = -1  # revisions that the records show
        self._shown_surroundings = (-1, -1)
        self._build_permanent_actors()

    def _build_permanent_actors(self) -> None:
        """Spectator, lights and signs: rows 0, 1 to L, and those after them, for good."""
        self.spectator = self.registry.add(Kind.OTHER, [0, "spectator", []], _SPECTATOR_POSE)
        self.spectator.is_permanent = True
        self.lights = [
            self._add_thing(light, Kind.LIGHT, index)
            for index, light in enumerate(self.furniture.lights)
        ]
        self.signs = [
            self._add_thing(sign, Kind.SIGN, index)
            for index, sign in enumerate(self.furniture.signs)
        ]
        self._light_rows = slice(1, 1 + len(self.lights))
        self._light_ids = np.array([light.actor_id for light in self.lights], np.uint32)
        self.write_records()

    def _add_thing(self, thing: RoadThing, kind: Kind, index: int) -> Actor:
        actor = self.registry.add(kind, [0, thing.type_id, []], thing.pose)
        (x, y, z), extent = thing.trigger_volume()
        actor.bounding_box = [[x, -y, z], extent, [0.0, 0.0, 0.0]]
        actor.index, actor.is_permanent = index, True
        actor.tag = 7 if kind == Kind.LIGHT else 8
        self.registry.arrays.records["sign_id"][actor.row] = thing.sign_id.encode()
        return actor

    def spawn(
        self,
        blueprint: Blueprint,
        description: list[Any],
        pose: PoseTuple,
        parent: Actor | None = None,
    ) -> Actor | None:
        """A new actor, or None where another body is in the way."""
        actor = self.registry.add(
            blueprint.kind, description, pose, blueprint=blueprint, parent=parent
        )
        if parent is None and blueprint.kind in (Kind.VEHICLE, Kind.WALKER):
            order, _ = self.registry.solid_rows()
            arrays = self.registry.arrays
            blocker = first_body_in_the_way(
                actor.row, order, arrays.pose, arrays.body, SPAWN_OVERLAP_M
            )
            if blocker >= 0:
                self.registry.remove(actor)
                return None
        return actor

    def remove(self, actor: Actor) -> None:
        """Take an actor out."""
        self.ackermann_targets.pop(actor.actor_id, None)
        self.registry.remove(actor)

    def advance(self, dt: float) -> None:
        """Move everything by one tick and bring the records up to date."""
        arrays = self.registry.arrays
        for actor_id, target in self.ackermann_targets.items():
            drive_to_target(arrays, self.registry.by_id[actor_id].row, target, dt)
        if len(self._touched.light) < arrays.capacity:
            self._touched = empty_touched(arrays.capacity)
        self.num_pairs, has_changed = tick_actors(
            arrays.count,
            arrays.structs,
            self._ground,
            *self.registry.solid_rows(),
            self.pairs,
            self.trigger_boxes,
            self._touched,
            dt,
        )
        self.signals.advance(dt)
        self._elapsed_s += dt
        self._write_surroundings(has_changed)
        if self._at_signs:
            self._priority_signs.update(self._elapsed_s, self.registry, self._touched.sign)
        self.write_records()

    def compile_kernels(self) -> None:
        """Call every kernel once, so that no client waits while they compile (or load)."""
        self.advance(0.05)
        arrays = self.registry.arrays
        order, _ = self.registry.solid_rows()
        first_body_in_the_way(0, order, arrays.pose, arrays.body, SPAWN_OVERLAP_M)

    def write_records(self) -> None:
        """Poses and rates of all actors, flipped into CARLA's frame, and clocks of the lights."""
        arrays, signals = self.registry.arrays, self.signals
        count, records = arrays.count, arrays.records
        records["kinematics"][:count] = arrays.kinematics[:, :count].T * KINEMATICS_TO_WIRE
        lights = records[self._light_rows]
        lights["elapsed_s"] = signals.elapsed_s[signals.controller]
        if signals.revision != self._shown_signals:
            self._shown_signals = signals.revision
            lights["signal_state"] = signals.state
            lights["frozen"] = signals.is_frozen
            stage_s = signals.stage_s[:, signals.controller]
            lights["green_s"], lights["yellow_s"], lights["red_s"] = stage_s

    def _write_surroundings(self, has_changed: bool) -> None:
        """Gear, speed limit and the light that each vehicle stands at."""
        arrays, records = self.registry.arrays, self.registry.arrays.records
        rows = self.registry.rows_of(Kind.VEHICLE)
        if not rows.size:
            return
        records["gear"][rows] = arrays.driving.reported_gear[rows]
        state = (self.signals.revision, self.registry.revision)
        if not has_changed and state == self._shown_surroundings:
            return
        self._shown_surroundings = state
        touched = self._touched
        self._at_signs = bool((touched.sign[rows] >= 0).any())
        limits = touched.limit_kmh[rows]
        entered = limits > 0.0
        records["speed_limit"][rows[entered]] = limits[entered]
        records["light_state"][rows] = GREEN
        if self.lights:
            light = touched.light[rows]
            at_light = light >= 0
            records["has_light"][rows] = at_light
            records["light_state"][rows] = np.where(at_light, self.signals.state[light], GREEN)
            records["light_id"][rows] = np.where(at_light, self._light_ids[light], 0)

    def snapshot_body(self) -> bytes:
        """The packed records of all actors."""
        arrays = self.registry.arrays
        return arrays.records[: arrays.count].tobytes()
