"""Bounding boxes of actors, asked for once: for agents that read them many times a tick."""

from __future__ import annotations

from typing import Any

import carla


def remember_bounding_boxes() -> None:
    """Let `carla.Actor.bounding_box` ask the server once an actor, in this process.

    CARLA's client asks whenever the attribute is read. PDM-Lite reads it for every forecast frame
    of every actor, hundreds of round trips a tick. The boxes of actors do not change.
    """
    actor_class: Any = carla.Actor
    ask = actor_class.bounding_box.fget
    boxes: dict[int, carla.BoundingBox] = {}

    def bounding_box(actor: carla.Actor) -> carla.BoundingBox:
        if actor.id not in boxes:
            boxes[actor.id] = ask(actor)
        known = boxes[actor.id]
        fresh: Any = carla.BoundingBox(known.location, known.extent)  # callers scale what they get
        fresh.rotation = known.rotation
        return fresh

    actor_class.bounding_box = property(bounding_box)
