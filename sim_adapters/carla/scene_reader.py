"""SceneReader: one row of a SceneBatch from a live world's snapshot.

Poses, controls and lights come with the tick; descriptions are asked for once an actor. The only
call a step costs is one for the lamps of all vehicles together.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from typing import NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.carla.actor_slots import EGO_SLOT, LiveSlots
from sim_adapters.carla.frames import (
    ID,
    YAW,
    X,
    Y,
    Z,
    actor_row,
    from_carla_control,
    from_carla_location,
)
from sim_adapters.carla.live_lights import LiveLights
from sim_adapters.scene.geometry import wrap_angle
from sim_adapters.scene.state import LAST_VEHICLE_KIND, ActorKind, LightBit, SceneBatch
from sim_adapters.world.vehicle_catalogue import (
    VEHICLE_HALF_HEIGHT_M,
    VEHICLE_HALF_LENGTH_M,
    VEHICLE_HALF_WIDTH_M,
    VEHICLE_KIND,
    VEHICLE_NAMES,
)

# What an actor is and how large: asked from the server once an actor, then remembered.

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


class ActorBody(NamedTuple):
    """What does not change while an actor lives; kind NONE is nothing that a scene shows."""

    kind: int  # ActorKind
    half_length_m: float
    half_width_m: float
    half_height_m: float
    offset_x: float  # [m] from the actor's origin to its box centre, actor frame, left-handedness
    offset_y: float  # already undone
    offset_z: float
    is_emergency: bool  # its special lights mean something


NO_BODY = ActorBody(ActorKind.NONE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, False)


class ActorBodies:
    """Bodies by actor id; costs one call a tick with newcomers, none without.

    Args:
        world: The live world.
    """

    def __init__(self, world: carla.World) -> None:
        self._world = world
        self._bodies: dict[int, ActorBody] = {}
        self._complained: set[str] = set()

    def of(self, ids: Iterable[int]) -> list[ActorBody]:
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

    def _describe(self, actor: carla.Actor) -> ActorBody:
        kind = actor_kind(actor)
        if kind == ActorKind.NONE:
            return NO_BODY
        box = actor.bounding_box
        half = (box.extent.x, box.extent.y, box.extent.z)
        offset = from_carla_location(box.location)
        if not all(math.isfinite(side) and side > _SMALLEST_HALF_M for side in half):
            half = self._catalogue_size(actor.type_id)
        special = actor.attributes.get("special_type", "")
        return ActorBody(int(kind), *half, *offset, special == "emergency")

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


UNKNOWN_LIMIT_MPS = 6.0  # CaRL's, until the server knows a limit
KMH_PER_MPS = 3.6
# Observations reach 128 m; the margin lets a newcomer be known before it is seen
ENTER_M, LEAVE_M = 140.0, 160.0
_LAMPS = carla.VehicleLightState


class SceneReader:
    """Reads one live world into world 0 of a scene.

    Args:
        world: The live world.
        scene: One world; everything but routes, contacts and the episode's clocks is written here.
        lights: The town's lights.
        read_lamps: Ask for brake lights, blinkers and emergency lights in every step.

    Attributes:
        vehicle_ids: (N,) all vehicles of the last snapshot, those too far for a slot included.
        vehicle_places: (N, 2) their positions [m].
    """

    def __init__(
        self, world: carla.World, scene: SceneBatch, lights: LiveLights, *, read_lamps: bool = True
    ) -> None:
        self.scene, self.lights = scene, lights
        self.bodies = ActorBodies(world)
        self.slots = LiveSlots(scene.num_slots, enter_m=ENTER_M, leave_m=LEAVE_M)
        self._world = world
        self._read_lamps = read_lamps
        self._limit_is_missing = False
        self.vehicle_ids = np.zeros(0, np.int64)
        self.vehicle_places = np.zeros((0, 2))

    def restart(self) -> None:
        """Forget the actors of the last episode."""
        self.slots.clear()
        self._limit_is_missing = False

    def read(self, snapshot: carla.WorldSnapshot, ego: carla.Vehicle) -> bool:
        """Write the present.

        Returns:
            Whether the ego is still in the world; nothing is written if not.
        """
        rows = np.array([actor_row(actor) for actor in snapshot])
        ids = rows[:, ID].astype(np.int64) if len(rows) else np.zeros(0, np.int64)
        if ego.id not in ids:
            return False
        bodies = self.bodies.of(ids.tolist())
        if self.scene.traits.actor_id[0, EGO_SLOT] != ego.id:
            self.bodies.keep_only(set(ids.tolist()))
        shown = np.array([body.kind != ActorKind.NONE for body in bodies])
        rows, ids = rows[shown], ids[shown]
        traits = np.array([body for body, is_shown in zip(bodies, shown, strict=True) if is_shown])
        centres = box_centres(rows, traits)
        self._note_vehicles(ids, traits, centres)
        self._write_actors(rows, ids, traits, centres, self._slots_of(ids, centres, ego.id))
        self._write_ego(ego)
        self.lights.read(self.scene.lights)
        return True

    def _note_vehicles(
        self, ids: NDArray[np.int64], bodies: FloatArray, centres: FloatArray
    ) -> None:
        kind = bodies[:, ActorBody._fields.index("kind")]
        is_vehicle = (kind > 0) & (kind <= LAST_VEHICLE_KIND)
        self.vehicle_ids, self.vehicle_places = ids[is_vehicle], centres[is_vehicle, :2]

    def _slots_of(self, ids: NDArray[np.int64], centres: FloatArray, ego_id: int) -> NDArray:
        is_ego = ids == ego_id
        offsets = centres[:, :2] - centres[is_ego][0, :2]
        slots = np.full(len(ids), EGO_SLOT)
        slots[~is_ego] = self.slots.assign(
            ids[~is_ego], np.hypot(offsets[~is_ego, 0], offsets[~is_ego, 1])
        )
        return slots

    def _write_actors(
        self,
        rows: FloatArray,
        ids: NDArray[np.int64],
        bodies: FloatArray,
        centres: FloatArray,
        slots: NDArray[np.int64],
    ) -> None:
        motion, traits = self.scene.motion, self.scene.traits
        for array in (*motion, *traits):
            array[0] = 0
        kept = slots >= 0
        rows, bodies, slots, ids = rows[kept], bodies[kept], slots[kept], ids[kept]
        motion.x[0, slots], motion.y[0, slots], motion.z[0, slots] = centres[kept].T
        motion.yaw_rad[0, slots] = [wrap_angle(yaw) for yaw in rows[:, YAW]]
        velocities = (motion.vx_mps, motion.vy_mps, motion.ax_mps2, motion.ay_mps2)
        for column, array in enumerate((*velocities, motion.yaw_rate_radps), start=YAW + 1):
            array[0, slots] = rows[:, column]
        traits.valid[0, slots] = True
        traits.actor_id[0, slots] = ids
        sizes = (traits.kind, traits.half_length_m, traits.half_width_m, traits.half_height_m)
        for column, array in enumerate(sizes):
            array[0, slots] = bodies[:, column]
        if self._read_lamps:
            is_emergency = bodies[:, ActorBody._fields.index("is_emergency")] > 0.0
            traits.lights[0, slots] = self._lamps(ids, is_emergency)

    def _lamps(self, ids: NDArray[np.int64], is_emergency: NDArray[np.bool_]) -> list[int]:
        states = self._world.get_vehicles_light_states()
        return [
            lamp_bits(states.get(int(actor_id), _LAMPS.NONE), is_emergency=bool(special))
            for actor_id, special in zip(ids, is_emergency, strict=True)
        ]

    def _write_ego(self, vehicle: carla.Vehicle) -> None:
        ego = self.scene.ego
        steer, throttle, brake, gear = from_carla_control(vehicle.get_control())
        ego.steer[0], ego.throttle[0], ego.brake[0], ego.gear[0] = steer, throttle, brake, gear
        limit_kmh = vehicle.get_speed_limit() or 0.0  # None for a vehicle just spawned
        is_missing = not limit_kmh > 0.0  # also NaN
        if is_missing and not self._limit_is_missing:
            _logger.info(
                "the server reports no speed limit for the ego: using %g m/s until it does",
                UNKNOWN_LIMIT_MPS,
            )
        self._limit_is_missing = is_missing
        ego.speed_limit_mps[0] = UNKNOWN_LIMIT_MPS if is_missing else limit_kmh / KMH_PER_MPS


def box_centres(rows: FloatArray, bodies: FloatArray) -> FloatArray:
    """Horizontal box centre and height of the ground under each actor, (N, 3).

    A CARLA origin is on the ground for vehicles and props, in the middle for walkers; the box's
    offset and height give the ground for all.
    """
    offset = bodies[:, ActorBody._fields.index("offset_x") :]
    cos, sin = np.cos(rows[:, YAW]), np.sin(rows[:, YAW])
    return np.column_stack(
        [
            rows[:, X] + cos * offset[:, 0] - sin * offset[:, 1],
            rows[:, Y] + sin * offset[:, 0] + cos * offset[:, 1],
            rows[:, Z] + offset[:, 2] - bodies[:, ActorBody._fields.index("half_height_m")],
        ]
    )


def lamp_bits(state: carla.VehicleLightState, *, is_emergency: bool) -> int:
    """LightBit flags of a vehicle's lamps; CARLA tells nothing of doors."""
    lamps = int(state)
    bits = LightBit.BRAKE if lamps & int(_LAMPS.Brake) else 0
    bits |= LightBit.LEFT_BLINKER if lamps & int(_LAMPS.LeftBlinker) else 0
    bits |= LightBit.RIGHT_BLINKER if lamps & int(_LAMPS.RightBlinker) else 0
    if is_emergency and lamps & (int(_LAMPS.Special1) | int(_LAMPS.Special2)):
        bits |= LightBit.EMERGENCY
    return int(bits)
