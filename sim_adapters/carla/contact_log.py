"""ContactLog: what the ego's collision sensor reports, as Contacts of the scene."""

from __future__ import annotations

import threading
from typing import NamedTuple

import carla
import numpy as np

from sim_adapters.carla.actor_slots import EGO_SLOT, LiveSlots
from sim_adapters.scene.state import ActorKind, SceneBatch
from sim_adapters.world.contacts import penetration

MAP_GEOMETRY = -2  # `Contacts.other_slot` of everything that is no actor in a slot
# The sensor's message may come a little after the tick's: wait for it while something touches
TOUCHING_M = 0.02
LATE_S = 0.02


class _Report(NamedTuple):
    frame: int
    other_id: int


class ContactLog:
    """Collects collision events of one ego; the client calls back on threads of its own.

    Args:
        sensor: A collision sensor on the ego.
    """

    def __init__(self, sensor: carla.Sensor) -> None:
        self._sensor = sensor
        self._reports: list[_Report] = []
        self._changed = threading.Condition()
        reports, changed = self._reports, self._changed

        def note(event: carla.CollisionEvent) -> None:
            # Holds no reference to this object or the sensor: the sensor keeps this function
            other_id = event.other_actor.id if event.other_actor is not None else 0
            with changed:
                reports.append(_Report(event.frame, other_id))
                changed.notify()

        sensor.listen(note)

    def stop(self) -> None:
        """Close the sensor's stream; must come before the sensor is destroyed."""
        self._sensor.stop()

    def write(self, frame: int, scene: SceneBatch, slots: LiveSlots) -> None:
        """Fill world 0's contacts with what came since the last call, one row an actor touched.

        A row is written at the ego's present place; an event later than `LATE_S` counts in the
        next step.
        """
        contacts, motion = scene.contacts, scene.motion
        contacts.other_slot[0] = -1
        contacts.x[0] = contacts.y[0] = 0.0
        others = dict.fromkeys(self._take(frame, is_expected=touches_something(scene)))
        for row, other_id in zip(range(contacts.other_slot.shape[1]), others, strict=False):
            slot = slots.slot(other_id)
            contacts.other_slot[0, row] = slot if slot >= 0 else MAP_GEOMETRY
            contacts.x[0, row] = motion.x[0, EGO_SLOT]
            contacts.y[0, row] = motion.y[0, EGO_SLOT]

    def _take(self, frame: int, *, is_expected: bool) -> list[int]:
        with self._changed:
            if is_expected:
                self._changed.wait_for(
                    lambda: any(report.frame >= frame for report in self._reports), LATE_S
                )
            taken = [report.other_id for report in self._reports]
            self._reports.clear()
        return taken


def touches_something(scene: SceneBatch) -> bool:
    """Whether some box comes as near to the ego's as a collision would."""
    motion, traits = scene.motion, scene.traits
    solid = traits.valid[0] & (traits.kind[0] != ActorKind.DEBRIS)
    dx = motion.x[0] - motion.x[0, EGO_SLOT]
    dy = motion.y[0] - motion.y[0, EGO_SLOT]
    reach = np.hypot(traits.half_length_m[0], traits.half_width_m[0])
    near = solid & (np.hypot(dx, dy) < reach + reach[EGO_SLOT] + TOUCHING_M)
    near[EGO_SLOT] = False
    for slot in np.flatnonzero(near):
        depth, _, _ = penetration(
            float(dx[slot]),
            float(dy[slot]),
            float(motion.yaw_rad[0, EGO_SLOT]),
            float(traits.half_length_m[0, EGO_SLOT]),
            float(traits.half_width_m[0, EGO_SLOT]),
            float(motion.yaw_rad[0, slot]),
            float(traits.half_length_m[0, slot]),
            float(traits.half_width_m[0, slot]),
        )
        if depth > -TOUCHING_M:
            return True
    return False
