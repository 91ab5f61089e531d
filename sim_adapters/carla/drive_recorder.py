"""Records how a car of a live server answers its controls, for the dynamics check."""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import carla
import numpy as np

from sim_adapters.carla.servers import free_port
from sim_adapters.carla.session import LiveSession
from sim_adapters.carla.simulator import EGO_BLUEPRINTS, first_found
from sim_adapters.world.dynamics_check import CONTROLS, IS_CARLA, STATE
from sim_adapters.world.ego_speed import SUBSTEP_S

SETTLE_TICKS = 20  # the spawned car drops onto the road
_FIRST_TM_PORT = 8000

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DriveOptions:
    """What to record.

    Args:
        path: Of the CSV file.
        host: Of the server.
        port: Its RPC port.
        town: To be loaded; None keeps the present one.
        seconds: Length of the drive.
        seed: Of the place and of the TrafficManager.
        faster_percent: Above the speed limit; more than zero records higher speeds as well.
        is_carla: The server is CARLA's own, not a stand-in.
    """

    path: Path
    host: str = "127.0.0.1"
    port: int = 2000
    town: str | None = None
    seconds: float = 120.0
    seed: int = 0
    faster_percent: float = 0.0
    is_carla: bool = False


def record_drive(options: DriveOptions) -> int:
    """Have the TrafficManager drive the leaderboard's ego through a town at 20 Hz; rows written.

    Raises:
        RuntimeError: the server does not answer, or has no free place for the car.
    """
    session = LiveSession(options.host, options.port, step_s=SUBSTEP_S, timeout_s=60.0)
    town = options.town or session.world.get_map().name.rsplit("/", 1)[-1]
    session.load(town)
    manager = session.client.get_trafficmanager(free_port(_FIRST_TM_PORT))
    try:
        vehicle = _spawn(session, options.seed)
        manager.set_synchronous_mode(True)
        session.watch(manager)
        manager.set_random_device_seed(options.seed)
        manager.ignore_lights_percentage(vehicle, 100.0)  # standing at a light teaches nothing
        manager.vehicle_percentage_speed_difference(vehicle, -options.faster_percent)
        for _ in range(SETTLE_TICKS):
            session.tick()
        vehicle.set_autopilot(True, manager.get_port())
        rows = _drive(session, vehicle, round(options.seconds / SUBSTEP_S), options.is_carla)
        session.destroy([vehicle.id])
    finally:
        session.watch(None)
        manager.shut_down()
        session.release()
    write_drive(options.path, rows)
    return len(rows)


def write_drive(path: Path, rows: Sequence[tuple[float, ...]]) -> None:
    """Write the file that `sim_adapters.world.dynamics_check` reads.

    Args:
        path: Of the CSV file.
        rows: One a tick of SUBSTEP_S: steer, throttle and brake as CARLA has them, the state from
            which they were applied (`drive_state`), and 1 if the server is CARLA's own.
    """
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow((*CONTROLS, *STATE, IS_CARLA))
        writer.writerows(rows)


def drive_state(
    transform: carla.Transform, velocity: carla.Vector3D
) -> tuple[float, float, float, float]:
    """X and y [m], yaw [deg], all left-handed, and speed [km/h]."""
    speed_kmh = 3.6 * math.hypot(velocity.x, velocity.y)
    return transform.location.x, transform.location.y, transform.rotation.yaw, speed_kmh


def _drive(
    session: LiveSession, vehicle: carla.Vehicle, num_ticks: int, is_carla: bool
) -> list[tuple[float, ...]]:
    """A row a tick: the controls of the next tick's snapshot were applied from this state on."""
    rows = []
    state = _state(session.tick(), vehicle)
    for _ in range(num_ticks):
        snapshot = session.tick()
        control = vehicle.get_control()
        rows.append((control.steer, control.throttle, control.brake, *state, int(is_carla)))
        state = _state(snapshot, vehicle)
    return rows


def _state(snapshot: carla.WorldSnapshot, vehicle: carla.Vehicle) -> tuple[float, ...]:
    actor = snapshot.find(vehicle.id)
    if actor is None:
        raise RuntimeError("the recorded car has vanished from the server")
    return drive_state(actor.get_transform(), actor.get_velocity())


def _spawn(session: LiveSession, seed: int) -> carla.Vehicle:
    blueprint = first_found(session.world.get_blueprint_library(), EGO_BLUEPRINTS)
    blueprint.set_attribute("role_name", "hero")
    places = session.world.get_map().get_spawn_points()
    for row in np.random.default_rng(seed).permutation(len(places)):
        vehicle = session.world.try_spawn_actor(blueprint, places[int(row)])
        if isinstance(vehicle, carla.Vehicle):
            return vehicle
    raise RuntimeError(f"none of the town's {len(places)} spawn points is free")
