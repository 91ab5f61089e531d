"""One loaded world: town, actors, lights, and how all of them advance by a tick."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim_adapters.carla.headless.ackermann import AckermannTarget, drive_to_target
from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.actors import GREEN, Actor, ActorRegistry
from sim_adapters.carla.headless.blueprints.form import Blueprint
from sim_adapters.carla.headless.contacts import (
    empty_contact_pairs,
    first_body_in_the_way,
)
from sim_adapters.carla.headless.frame import KINEMATICS_TO_WIRE, PoseTuple
from sim_adapters.carla.headless.priority_signs import PrioritySigns
from sim_adapters.carla.headless.road_furniture import RoadThing, furnish
from sim_adapters.carla.headless.signal_cycles import SignalCycles
from sim_adapters.carla.headless.tick_kernel import tick_actors
from sim_adapters.carla.headless.town import Town
from sim_adapters.carla.headless.trigger_boxes import empty_touched

_SPECTATOR_POSE: PoseTuple = (0.0, 0.0, 10.0, 0.0, 0.0, 0.0)
SPAWN_OVERLAP_M = 0.05  # bodies that touch no deeper may be spawned side by side


class Episode:
    """What exists between two loads of a world.

    Args:
        episode_id: Tells clients that the world is another one.
        town: Its map.
        first_actor_id: Actors of different episodes never share an id.
    """

    def __init__(self, episode_id: int, town: Town, first_actor_id: int = 1) -> None:
        self.episode_id = episode_id
        self.town = town
        self.registry = ActorRegistry(first_actor_id)
        self.furniture = furnish(town)
        self.signals = SignalCycles(self.furniture)
        self.trigger_boxes = self.furniture.trigger_boxes()
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
        arrays, bank = self.registry.arrays, self.town.bank
        for actor_id, target in self.ackermann_targets.items():
            drive_to_target(arrays, self.registry.by_id[actor_id].row, target, dt)
        if len(self._touched.light) < arrays.capacity:
            self._touched = empty_touched(arrays.capacity)
        self.num_pairs, has_changed = tick_actors(
            arrays.count,
            arrays.pose,
            arrays.motion,
            arrays.body,
            arrays.driving,
            arrays.walking,
            arrays.mount,
            bank.grid,
            bank.points,
            bank.lanes,
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
