"""Recording: what a logged world held, frame by frame, before it is written in nuPlan's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan.export.logged_world import LoggedWorld
from sim_adapters.nuplan.export.roadworks import FIRST_ACTOR_ID
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.traffic.state import CURRENT

FloatArray = NDArray[np.float64]

_TYPE_OF_KIND = np.full(len(ActorKind), TrackType.GENERIC_OBJECT, np.uint8)
for _kind in (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK, ActorKind.MOTORCYCLE):
    _TYPE_OF_KIND[_kind] = TrackType.VEHICLE
_TYPE_OF_KIND[ActorKind.BICYCLE] = TrackType.BICYCLE
_TYPE_OF_KIND[ActorKind.PEDESTRIAN] = TrackType.PEDESTRIAN


@dataclass(frozen=True)
class Recording:
    """T frames 0.05 s apart of a world with A slots; slot 0 is the ego. Town frame."""

    actor_id: NDArray[np.int64]  # (T, A), 0 empty
    type: NDArray[np.uint8]  # (T, A) TrackType
    x: FloatArray  # (T, A) box centre
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray
    vx_mps: FloatArray  # world frame
    vy_mps: FloatArray
    half_length_m: FloatArray  # (T, A)
    half_width_m: FloatArray
    half_height_m: FloatArray
    ego_ax_mps2: FloatArray  # (T,) world frame
    ego_ay_mps2: FloatArray
    ego_yaw_rate_radps: FloatArray
    ego_lane: NDArray[np.int32]  # (T,) lane of the MapBank under the ego
    ego_lane_change: NDArray[np.bool_]  # (T,) between two lanes
    lights: NDArray[np.uint8]  # (T, L) LightState by index within the town
    lanes_ahead: tuple[int, ...]  # that the ego means to drive after the last frame

    @property
    def num_frames(self) -> int:
        """T."""
        return self.x.shape[0]

    def distance_m(self) -> float:
        """Length of the ego's way."""
        return float(np.hypot(np.diff(self.x[:, 0]), np.diff(self.y[:, 0])).sum())


def record(world: LoggedWorld, num_frames: int) -> Recording | None:
    """Let the world run and keep every frame; None if the ego's road ends on the way."""
    frames: list[dict[str, Any]] = []
    for _ in range(num_frames):
        world.step()
        if world.is_lost:
            return None
        frames.append(_frame(world))
    columns = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
    path = world.traffic.places.path[0, 0, CURRENT + 1 :]
    return Recording(**columns, lanes_ahead=tuple(path[path >= 0].tolist()))


def _frame(world: LoggedWorld) -> dict[str, Any]:
    """The fields of Recording for the world as it stands."""
    motion, traits, places = world.scene.motion, world.scene.traits, world.traffic.places
    return {
        "actor_id": traits.actor_id[0].copy(),
        "type": _track_types(world),
        "x": motion.x[0].copy(),
        "y": motion.y[0].copy(),
        "z": motion.z[0].copy(),
        "yaw_rad": motion.yaw_rad[0].copy(),
        "vx_mps": motion.vx_mps[0].copy(),
        "vy_mps": motion.vy_mps[0].copy(),
        "half_length_m": traits.half_length_m[0].copy(),
        "half_width_m": traits.half_width_m[0].copy(),
        "half_height_m": traits.half_height_m[0].copy(),
        "ego_ax_mps2": motion.ax_mps2[0, 0],
        "ego_ay_mps2": motion.ay_mps2[0, 0],
        "ego_yaw_rate_radps": motion.yaw_rate_radps[0, 0],
        "ego_lane": places.path[0, 0, CURRENT],
        "ego_lane_change": places.change_from[0, 0] >= 0,
        "lights": world.scene.lights.state[0].copy(),
    }


def _track_types(world: LoggedWorld) -> NDArray[np.uint8]:
    """Type in nuPlan's terms of what is in each slot, (A,)."""
    traits, actor_id = world.scene.traits, world.scene.traits.actor_id[0]
    types = _TYPE_OF_KIND[traits.kind[0]]
    is_parked = np.append(world.places.is_parking, False)[world.things.place[0]]  # place -1: none
    types[is_parked & traits.valid[0]] = TrackType.VEHICLE
    is_work = actor_id >= FIRST_ACTOR_ID
    types[is_work] = world.roadworks.type[actor_id[is_work] - FIRST_ACTOR_ID]
    return types
