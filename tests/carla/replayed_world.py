"""The embedded world's traffic played back on a live server, so that both worlds can be compared.

The ego drives by itself in both. Everybody else is recorded in the embedded world; on the server
each is spawned from the blueprint of the same body, without physics, and teleported with its
velocity and lamps before every tick. Lights run by themselves in both; since CARLA ends a stage on
the first tick after its time and the embedded world on time, the server's stages are set half a
tick shorter.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import carla
import numpy as np

from sim_adapters.carla.frames import from_carla_location, to_carla_transform, to_carla_vector
from sim_adapters.carla.live_lights import LIGHT_TYPE
from sim_adapters.carla.servers import LiveServer, ServerSettings
from sim_adapters.carla.session import LiveSession
from sim_adapters.carla.simulator import CarlaSimulator, LiveWorldSettings
from sim_adapters.maps.traffic_lights import ALL_RED_S, GREEN_S, YELLOW_S
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorKind, LightBit, SceneBatch
from sim_adapters.world import vehicle_catalogue as catalogue

WALKERS = ("walker.pedestrian.0001", "walker.pedestrian.0009", "walker.pedestrian.0012")
_LAMPS = carla.VehicleLightState


class Puppet(NamedTuple):
    """One recorded actor in one frame."""

    slot: int
    kind: int
    half_size: tuple[float, float, float]
    pose: tuple[float, float, float, float]  # box centre x, y, ground z, yaw
    velocity: tuple[float, float]
    yaw_rate_radps: float
    lights: int


Frame = dict[int, Puppet]  # by the embedded world's actor id


def record_frame(scene: SceneBatch) -> Frame:
    """Everybody but the ego in world 0."""
    motion, traits = scene.motion, scene.traits
    return {
        int(traits.actor_id[0, slot]): Puppet(
            int(slot),
            int(traits.kind[0, slot]),
            _sides(scene, int(slot)),
            tuple(float(p[0, slot]) for p in (motion.x, motion.y, motion.z, motion.yaw_rad)),  # pyright: ignore[reportArgumentType]
            (float(motion.vx_mps[0, slot]), float(motion.vy_mps[0, slot])),
            float(motion.yaw_rate_radps[0, slot]),
            int(traits.lights[0, slot]),
        )
        for slot in np.flatnonzero(traits.valid[0])
        if slot != 0
    }


def _sides(scene: SceneBatch, slot: int) -> tuple[float, float, float]:
    traits = scene.traits
    return (
        float(traits.half_length_m[0, slot]),
        float(traits.half_width_m[0, slot]),
        float(traits.half_height_m[0, slot]),
    )


def blueprint_of(puppet: Puppet) -> str:
    """The blueprint whose body the puppet has."""
    vehicles = np.column_stack(
        [
            catalogue.VEHICLE_HALF_LENGTH_M,
            catalogue.VEHICLE_HALF_WIDTH_M,
            catalogue.VEHICLE_HALF_HEIGHT_M,
        ]
    )
    walkers = np.column_stack(
        [
            catalogue.WALKER_HALF_LENGTH_M,
            catalogue.WALKER_HALF_WIDTH_M,
            catalogue.WALKER_HALF_HEIGHT_M,
        ]
    )
    props = np.column_stack(
        [catalogue.PROP_HALF_LENGTH_M, catalogue.PROP_HALF_WIDTH_M, catalogue.PROP_HALF_HEIGHT_M]
    )
    if puppet.kind in (ActorKind.STATIC, ActorKind.DEBRIS):
        return f"static.prop.{catalogue.PROP_NAMES[_row(props, puppet.half_size)]}"
    if puppet.kind == ActorKind.PEDESTRIAN:
        return WALKERS[_row(walkers, puppet.half_size)]
    return f"vehicle.{catalogue.VEHICLE_NAMES[_row(vehicles, puppet.half_size)]}"


def _row(table: np.ndarray, half_size: tuple[float, float, float]) -> int:
    errors = np.abs(table - np.array(half_size)).max(axis=1)
    row = int(errors.argmin())
    assert errors[row] < 1e-6, f"no body of {half_size} in the catalogue"
    return row


@dataclass
class Stage:
    """What is on the server for the puppets."""

    actor_of: dict[int, int] = field(default_factory=dict)  # embedded actor id: server's id
    offset_of: dict[int, tuple[float, float, float]] = field(default_factory=dict)


class ReplayedWorld(CarlaSimulator):
    """A live world whose other actors are played back.

    Args:
        maps: Towns.
        port: Of a running server.
        frames: Frame 0 is shown during the warm-up, frame k after step k.
        settings: Of `CarlaSimulator`.
    """

    def __init__(
        self, maps: MapBank, port: int, frames: list[Frame], settings: LiveWorldSettings
    ) -> None:
        server = LiveServer(
            ServerSettings(kind="running", first_port=port), 0, 1, town="", step_s=0.1
        )
        super().__init__(maps, server, traffic=None, settings=settings)
        self.frames = frames
        self.stage = Stage()
        self._next_frame = 0

    def _survey(self, session: LiveSession, map_index: int) -> None:
        super()._survey(session, map_index)
        for light in session.world.get_actors().filter(LIGHT_TYPE):
            assert isinstance(light, carla.TrafficLight)
            late_s = 0.5 * session.step_s
            light.set_green_time(GREEN_S - late_s)
            light.set_yellow_time(YELLOW_S - late_s)
            light.set_red_time(ALL_RED_S - late_s)

    def close(self) -> None:
        """Also undo what was set in the town: other tests use the server, too."""
        session = self.session
        super().close()
        if session is not None:
            session.client.load_world(session.town)

    def slots_of_puppets(self) -> dict[int, int]:
        """Slot of each embedded actor now, -1 for those that the scene does not show."""
        assert self.reader is not None
        slots = self.reader.slots
        return {own: slots.slot(actor) for own, actor in self.stage.actor_of.items()}

    def step(self, steer: np.ndarray, acceleration: np.ndarray) -> None:
        self._next_frame += 1
        super().step(steer, acceleration)

    def _advance(self, control: carla.VehicleControl) -> None:
        assert self.session is not None
        self._show(self.session, self.frames[self._next_frame])
        super()._advance(control)

    def _show(self, session: LiveSession, frame: Frame) -> None:
        stage = self.stage
        gone = [own for own in stage.actor_of if own not in frame]
        session.destroy([stage.actor_of.pop(own) for own in gone])
        for own, puppet in frame.items():
            if own not in stage.actor_of:
                self._bring(session, own, puppet)
        session.client.apply_batch_sync(
            [command for own, puppet in frame.items() for command in self._commands(own, puppet)],
            False,
        )

    def _bring(self, session: LiveSession, own: int, puppet: Puppet) -> None:
        library = session.world.get_blueprint_library()
        x, y, z, yaw = puppet.pose
        # High above the road, where nothing is in the way; its first frame brings it down
        pose = to_carla_transform(x, y, z + 50.0 + own % 1000, yaw)
        actor = session.world.spawn_actor(library.find(blueprint_of(puppet)), pose)
        actor.set_simulate_physics(False)
        box = actor.bounding_box
        offset = from_carla_location(box.location)
        self.stage.actor_of[own] = actor.id
        self.stage.offset_of[own] = (*offset[:2], offset[2] - box.extent.z)

    def _commands(self, own: int, puppet: Puppet) -> list:
        actor = self.stage.actor_of[own]
        along, across, up = self.stage.offset_of[own]
        x, y, z, yaw = puppet.pose
        x -= np.cos(yaw) * along - np.sin(yaw) * across
        y -= np.sin(yaw) * along + np.cos(yaw) * across
        turning = carla.Vector3D(0.0, 0.0, -np.degrees(puppet.yaw_rate_radps))
        commands = [
            carla.command.ApplyTransform(actor, to_carla_transform(x, y, z - up, yaw)),
            carla.command.ApplyTargetVelocity(actor, to_carla_vector(*puppet.velocity)),
            carla.command.ApplyTargetAngularVelocity(actor, turning),
        ]
        if puppet.kind <= ActorKind.BICYCLE:
            commands.append(carla.command.SetVehicleLightState(actor, _lamps(puppet.lights)))
        return commands


def _lamps(lights: int) -> carla.VehicleLightState:
    state = 0
    for bit, lamp in (
        (LightBit.BRAKE, _LAMPS.Brake),
        (LightBit.LEFT_BLINKER, _LAMPS.LeftBlinker),
        (LightBit.RIGHT_BLINKER, _LAMPS.RightBlinker),
    ):
        state |= int(lamp) if lights & bit else 0
    return carla.VehicleLightState(state)
