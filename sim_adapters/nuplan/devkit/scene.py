"""Writes what nuplan-devkit's simulation holds into a SceneBatch: ego, tracks, lights."""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from nuplan.common.actor_state.ego_state import EgoState
from nuplan.common.actor_state.tracked_objects import TrackedObject
from nuplan.common.maps.maps_datatypes import TrafficLightStatusData

from sim_adapters.nuplan.replay import KIND_OF_TYPE, LIGHT_STATE
from sim_adapters.nuplan.scenario_log import LoggedLight, TrackType
from sim_adapters.nuplan.simulator_start import EGO_ACTOR_ID
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.nuplan_events.area_index import vector_map
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch


def write_devkit_ego(scene: SceneBatch, agent: int, state: EgoState) -> None:
    """Write one driver's car, rear axle and centre."""
    world, slot = int(scene.ego.world[agent]), int(scene.ego.slot[agent])
    motion, traits, body = scene.motion, scene.traits, scene.body
    car = state.dynamic_car_state
    body.rear_axle_x[agent], body.rear_axle_y[agent] = state.rear_axle.x, state.rear_axle.y
    velocity, acceleration = car.rear_axle_velocity_2d, car.rear_axle_acceleration_2d
    body.vx_mps[agent], body.vy_mps[agent] = velocity.x, velocity.y
    body.ax_mps2[agent], body.ay_mps2[agent] = acceleration.x, acceleration.y
    body.yaw_rate_radps[agent] = car.angular_velocity
    body.yaw_acceleration_radps2[agent] = car.angular_acceleration
    body.tyre_angle_rad[agent] = state.tire_steering_angle
    body.tyre_rate_radps[agent] = car.tire_steering_rate
    motion.x[world, slot], motion.y[world, slot] = state.center.x, state.center.y
    motion.yaw_rad[world, slot] = yaw = state.rear_axle.heading
    shifted = car.center_velocity_2d
    motion.vx_mps[world, slot] = np.cos(yaw) * shifted.x - np.sin(yaw) * shifted.y
    motion.vy_mps[world, slot] = np.sin(yaw) * shifted.x + np.cos(yaw) * shifted.y
    motion.yaw_rate_radps[world, slot] = car.angular_velocity
    traits.valid[world, slot], traits.kind[world, slot] = True, ActorKind.CAR
    traits.half_length_m[world, slot] = 0.5 * state.car_footprint.length
    traits.half_width_m[world, slot] = 0.5 * state.car_footprint.width
    traits.actor_id[world, slot] = EGO_ACTOR_ID


def write_devkit_tracks(
    scene: SceneBatch, world: int, tracks: Sequence[TrackedObject], actor_ids: dict[str, int]
) -> None:
    """Write all tracks into slots 1 and following, in the devkit's order.

    Args:
        scene: Where.
        world: Of the scene.
        tracks: The devkit's boxes.
        actor_ids: Ids by track token; new tokens are added.

    Raises:
        ValueError: more tracks than slots.
    """
    motion, traits = scene.motion, scene.traits
    if len(tracks) >= scene.num_slots:
        raise ValueError(
            f"{len(tracks)} tracks, the scene holds {scene.num_slots - 1}: set "
            f"simulator.max_actors={len(tracks)} or more"
        )
    for array in (*motion, *traits):
        array[world, 1:] = 0
    for slot, track in enumerate(tracks, 1):
        box = track.box
        motion.x[world, slot], motion.y[world, slot] = box.center.x, box.center.y
        motion.yaw_rad[world, slot] = box.center.heading
        velocity = getattr(track, "velocity", None)  # static objects have none
        if velocity is not None:
            motion.vx_mps[world, slot], motion.vy_mps[world, slot] = velocity.x, velocity.y
        traits.valid[world, slot] = True
        traits.kind[world, slot] = KIND_OF_TYPE[TrackType[track.tracked_object_type.name]]
        traits.half_length_m[world, slot] = 0.5 * box.length
        traits.half_width_m[world, slot] = 0.5 * box.width
        traits.half_height_m[world, slot] = 0.5 * box.height
        traits.actor_id[world, slot] = actor_ids.setdefault(track.track_token, len(actor_ids) + 1)


def lights_of_map(maps: MapBank, map_index: int) -> dict[int, int]:
    """Index of the light, within its map, of every connector that has one, by the map's id."""
    vector = vector_map(maps)
    edges = np.arange(*vector.first_edge[map_index : map_index + 2])
    signals = maps.rules.signal[edges]
    lit = signals >= 0
    lights = signals[lit] - maps.ranges.signal[map_index]
    return dict(zip(vector.edges.fid[edges[lit]].tolist(), lights.tolist(), strict=True))


def write_devkit_lights(
    states: NDArray[np.uint8],
    statuses: Iterable[TrafficLightStatusData],
    light_of_connector: Mapping[int, int],
) -> None:
    """Write the lights of one world; connectors without a status, or an UNKNOWN one, are OFF."""
    states[:] = LightState.OFF
    for status in statuses:
        light = light_of_connector.get(int(status.lane_connector_id))
        if light is not None:
            states[light] = LIGHT_STATE[LoggedLight[status.status.name]]
