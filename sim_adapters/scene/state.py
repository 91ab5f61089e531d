"""SceneBatch: the one description of the present that every simulator fills and everyone reads.

Frames: world is right-handed, metres, x east, y north, yaw counter-clockwise. CARLA data is flipped
where it enters. Shapes: B worlds, A actor slots, E learning drivers, P route points, L lights.
Structs are flat NamedTuples of at most ten arrays; kernels take them singly or as `SceneArrays`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import BoolArray, FloatArray, IntArray

ByteArray = NDArray[np.uint8]


class ActorKind(IntEnum):
    """What fills an actor slot. Everything from CAR up to BICYCLE counts as a vehicle."""

    NONE = 0
    CAR = 1
    VAN = 2
    TRUCK = 3
    MOTORCYCLE = 4
    BICYCLE = 5
    PEDESTRIAN = 6
    STATIC = 7  # props: cones, barriers, vending machines
    DEBRIS = 8  # lies flat: drawn nowhere, collides with nothing, counts for time to collision


LAST_VEHICLE_KIND = int(ActorKind.BICYCLE)  # kinds 1 to this one are vehicles


class LightState(IntEnum):
    """CARLA's numbering of `traffic light state`."""

    RED = 0
    YELLOW = 1
    GREEN = 2
    OFF = 3


class LightBit(IntEnum):
    """Bits of `ActorTraits.lights`."""

    BRAKE = 1
    LEFT_BLINKER = 2
    RIGHT_BLINKER = 4
    EMERGENCY = 8
    DOOR_OPEN = 16


class ActorMotion(NamedTuple):
    """Kinematics of every slot, (B, A) float64; a slot that is not valid holds zeros."""

    x: FloatArray  # [m] box centre
    y: FloatArray
    z: FloatArray  # [m] ground height under the actor
    yaw_rad: FloatArray  # counter-clockwise from world x
    vx_mps: FloatArray  # world frame
    vy_mps: FloatArray
    ax_mps2: FloatArray  # world frame
    ay_mps2: FloatArray
    yaw_rate_radps: FloatArray


class ActorTraits(NamedTuple):
    """Identity and size of every slot, (B, A)."""

    valid: BoolArray
    kind: ByteArray  # ActorKind
    half_length_m: FloatArray
    half_width_m: FloatArray
    half_height_m: FloatArray
    lights: ByteArray  # LightBit flags
    actor_id: NDArray[np.int64]  # new for each actor that takes a slot, > 0


class EgoState(NamedTuple):
    """What only learning drivers have, (E,). Signs are the right-handed ones: left is positive."""

    world: IntArray  # which world
    slot: IntArray  # which actor slot of it
    steer: FloatArray  # [-1, 1] applied, left positive
    throttle: FloatArray  # [0, 1] applied
    brake: FloatArray  # [0, 1] applied
    gear: FloatArray  # as CARLA reports it
    speed_limit_mps: FloatArray


class EgoBody(NamedTuple):
    """The driver's car as its motion model has it, (E,): rear axle and body frame.

    `ActorMotion` holds the same car at its centre. A simulator that has no such model (CARLA's
    physics) leaves zeros; its detectors and observers read ActorMotion.
    """

    rear_axle_x: FloatArray  # [m] world frame
    rear_axle_y: FloatArray
    vx_mps: FloatArray  # at the rear axle, body frame: x forward, y left
    vy_mps: FloatArray
    ax_mps2: FloatArray
    ay_mps2: FloatArray
    yaw_rate_radps: FloatArray
    yaw_acceleration_radps2: FloatArray
    tyre_angle_rad: FloatArray  # of the front wheels, left is positive
    tyre_rate_radps: FloatArray


class Contacts(NamedTuple):
    """New physical contacts of each driver in this step, (E, K); -1 in `other_slot` means none.

    The embedded world finds them by box overlap, CARLA's adapter copies its collision sensor.
    """

    other_slot: IntArray  # actor slot, -1 none, -2 map geometry (CollisionKind.STATIC)
    x: FloatArray  # [m] ego position at the contact
    y: FloatArray


class Lights(NamedTuple):
    """Traffic lights by their index within the world's map, (B, L); padding is OFF."""

    state: ByteArray  # LightState
    remaining_s: FloatArray  # until the state changes; +inf if frozen, 10,000 if held


class Routes(NamedTuple):
    """The dense route of each driver, about one point a metre, (E, P); `num_points` is (E,)."""

    num_points: IntArray
    x: FloatArray  # [m]
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray  # direction of travel
    percent: FloatArray  # cumulative 3-D arc length in percent of the whole
    lane: IntArray  # index into MapBank.lanes, -1 unknown
    in_junction: BoolArray
    command: ByteArray  # RouteCommand


class RouteAreas(NamedTuple):
    """The route of each driver as areas of a vector map, (E, K); others leave K = 0."""

    area: IntArray  # roadblocks and their connectors, rows of MapAreas, -1 unused


class Clocks(NamedTuple):
    """Time of each world, (B,)."""

    elapsed_s: FloatArray  # since the episode began
    time_limit_s: FloatArray
    failed: BoolArray  # the world was lost (dead server)
    map_index: IntArray  # which map of the MapBank
    seed: NDArray[np.uint64]  # of the scenario: all randomness of the world derives from it


class SceneArrays(NamedTuple):
    """A scene as kernels take it: all its arrays in one argument."""

    motion: ActorMotion
    traits: ActorTraits
    ego: EgoState
    contacts: Contacts
    lights: Lights
    routes: Routes
    clocks: Clocks
    body: EgoBody
    route_areas: RouteAreas


@dataclass(frozen=True)
class SceneBatch:
    """The present of B worlds. Simulators write it in place; nobody else writes."""

    motion: ActorMotion
    traits: ActorTraits
    ego: EgoState
    contacts: Contacts
    lights: Lights
    routes: Routes
    clocks: Clocks
    body: EgoBody
    route_areas: RouteAreas
    step_s: float = 0.1  # length of one environment step

    @property
    def arrays(self) -> SceneArrays:
        """The arrays themselves, not copies of them."""
        return SceneArrays(*(getattr(self, name) for name in SceneArrays._fields))

    @property
    def num_worlds(self) -> int:
        """B."""
        return self.motion.x.shape[0]

    @property
    def num_slots(self) -> int:
        """A."""
        return self.motion.x.shape[1]

    @property
    def num_agents(self) -> int:
        """E."""
        return self.ego.world.shape[0]


def empty_scene(
    num_worlds: int,
    num_slots: int,
    *,
    num_lights: int,
    num_route_points: int,
    num_contacts: int = 4,
    num_route_areas: int = 0,
    step_s: float = 0.1,
) -> SceneBatch:
    """A scene of empty worlds with one driver each, in slot 0 (E = B)."""
    actors = (num_worlds, num_slots)
    points = (num_worlds, num_route_points)
    contacts = (num_worlds, num_contacts)
    return SceneBatch(
        motion=ActorMotion(*(np.zeros(actors) for _ in ActorMotion._fields)),
        traits=ActorTraits(
            valid=np.zeros(actors, np.bool_),
            kind=np.zeros(actors, np.uint8),
            half_length_m=np.zeros(actors),
            half_width_m=np.zeros(actors),
            half_height_m=np.zeros(actors),
            lights=np.zeros(actors, np.uint8),
            actor_id=np.zeros(actors, np.int64),
        ),
        ego=EgoState(
            np.arange(num_worlds, dtype=np.int32),
            np.zeros(num_worlds, np.int32),
            *(np.zeros(num_worlds) for _ in range(5)),
        ),
        contacts=Contacts(np.full(contacts, -1, np.int32), np.zeros(contacts), np.zeros(contacts)),
        lights=Lights(
            np.full((num_worlds, num_lights), LightState.OFF, np.uint8),
            np.full((num_worlds, num_lights), np.inf),
        ),
        routes=Routes(
            np.zeros(num_worlds, np.int32),
            *(np.zeros(points) for _ in range(5)),
            lane=np.full(points, -1, np.int32),
            in_junction=np.zeros(points, np.bool_),
            command=np.zeros(points, np.uint8),
        ),
        clocks=Clocks(
            elapsed_s=np.zeros(num_worlds),
            time_limit_s=np.full(num_worlds, np.inf),
            failed=np.zeros(num_worlds, np.bool_),
            map_index=np.zeros(num_worlds, np.int32),
            seed=np.zeros(num_worlds, np.uint64),
        ),
        body=EgoBody(*(np.zeros(num_worlds) for _ in EgoBody._fields)),
        route_areas=RouteAreas(np.full((num_worlds, num_route_areas), -1, np.int32)),
        step_s=step_s,
    )
