"""What an actor is and how large: asked from the server once an actor, then remembered."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from typing import NamedTuple

import carla

from sim_adapters.carla.frames import from_carla_location
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.vehicle_catalogue import (
    VEHICLE_HALF_HEIGHT_M,
    VEHICLE_HALF_LENGTH_M,
    VEHICLE_HALF_WIDTH_M,
    VEHICLE_KIND,
    VEHICLE_NAMES,
)

_SMALLEST_HALF_M = 0.02
_KIND_OF_BASE_TYPE = {
    "car": ActorKind.CAR,
    "van": ActorKind.VAN,
    "truck": ActorKind.TRUCK,
    "bus": ActorKind.TRUCK,
    "motorcycle": ActorKind.MOTORCYCLE,
    "bicycle": ActorKind.BICYCLE,
}
_CATALOGUE = {f"vehicle.{name}": row for row, name in enumerate(VEHICLE_NAMES)}

_logger = logging.getLogger(__name__)


class Body(NamedTuple):
    """What does not change while an actor lives; kind NONE is nothing that a scene shows."""

    kind: int  # ActorKind
    half_length_m: float
    half_width_m: float
    half_height_m: float
    offset_x: float  # [m] from the actor's origin to its box centre, actor frame, left-handedness
    offset_y: float  # already undone
    offset_z: float
    is_emergency: bool  # its special lights mean something


NO_BODY = Body(ActorKind.NONE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False)


class ActorBodies:
    """Bodies by actor id; costs one call a tick with newcomers, none without.

    Args:
        world: The live world.
    """

    def __init__(self, world: carla.World) -> None:
        self._world = world
        self._bodies: dict[int, Body] = {}
        self._complained: set[str] = set()

    def of(self, ids: Iterable[int]) -> list[Body]:
        """Bodies of these actors, in order; what has already gone again has `NO_BODY`."""
        ids = list(ids)
        newcomers = [actor_id for actor_id in ids if actor_id not in self._bodies]
        if newcomers:
            self._bodies.update(dict.fromkeys(newcomers, NO_BODY))
            for actor in self._world.get_actors(newcomers):
                self._bodies[actor.id] = self._describe(actor)
        return [self._bodies[actor_id] for actor_id in ids]

    def keep_only(self, ids: set[int]) -> None:
        """Forget all others; a server never uses an id twice."""
        self._bodies = {
            actor_id: body for actor_id, body in self._bodies.items() if actor_id in ids
        }

    def _describe(self, actor: carla.Actor) -> Body:
        kind = actor_kind(actor)
        if kind == ActorKind.NONE:
            return NO_BODY
        box = actor.bounding_box
        half = (box.extent.x, box.extent.y, box.extent.z)
        offset = from_carla_location(box.location)
        if not all(math.isfinite(side) and side > _SMALLEST_HALF_M for side in half):
            half = self._catalogue_size(actor.type_id)
        special = actor.attributes.get("special_type", "")
        return Body(int(kind), *half, *offset, special == "emergency")

    def _catalogue_size(self, type_id: str) -> tuple[float, float, float]:
        """Half extents for an actor whose server gives it no size (some two-wheelers, props)."""
        row = _CATALOGUE.get(type_id)
        if type_id not in self._complained:
            self._complained.add(type_id)
            _logger.warning("the server gives %s no size: using the catalogue's", type_id)
        if row is None:
            return (0.5, 0.5, 0.5)
        return (
            float(VEHICLE_HALF_LENGTH_M[row]),
            float(VEHICLE_HALF_WIDTH_M[row]),
            float(VEHICLE_HALF_HEIGHT_M[row]),
        )


def actor_kind(actor: carla.Actor) -> ActorKind:
    """Kind of a live actor; NONE for sensors, lights, signs and the spectator."""
    type_id = actor.type_id
    if type_id.startswith("vehicle."):
        named = _KIND_OF_BASE_TYPE.get(actor.attributes.get("base_type", "").lower())
        if named is not None:
            return named
        row = _CATALOGUE.get(type_id)
        return ActorKind.CAR if row is None else ActorKind(int(VEHICLE_KIND[row]))
    if type_id.startswith("walker."):
        return ActorKind.PEDESTRIAN
    if type_id.startswith("static."):
        # CaRL's raster leaves dirt out, and so do collisions: it lies flat
        return ActorKind.DEBRIS if "dirtdebris" in type_id else ActorKind.STATIC
    return ActorKind.NONE
