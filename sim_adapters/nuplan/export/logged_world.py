"""LoggedWorld: the embedded world with one of its own drivers in the place of the learning one.

The ego of a log is a vehicle of the background traffic: it sits in slot 0, around which traffic
and people are kept up, and the traffic kernels drive it like all others. It has the body of
nuPlan's car and its rear axle follows the lanes' centre lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.nuplan.bicycle import (
    HEIGHT_M,
    LENGTH_M,
    REAR_AXLE_TO_CENTRE_M,
    WIDTH_M,
)
from sim_adapters.nuplan.export.road_network import RoadNetwork
from sim_adapters.nuplan.export.roadworks import (
    FIRST_ACTOR_ID,
    LOOK_EVERY_TICKS,
    places_beside,
    plan_roadworks,
    show_roadworks,
)
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorKind, empty_scene
from sim_adapters.world.handles import lane_graph, world_scene
from sim_adapters.world.pedestrian_state import PedestrianSettings, empty_walkers
from sim_adapters.world.pedestrians import reset_pedestrians_range, step_pedestrians_range
from sim_adapters.world.sidewalks import build_sidewalks
from sim_adapters.world.signals import empty_signal_plan, reset_signals_range, update_lights_range
from sim_adapters.world.slots import SlotLayout, SlotRange
from sim_adapters.world.statics import (
    StaticSettings,
    build_standing_places,
    empty_standing_things,
    reset_statics_range,
    step_statics_range,
)
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.spawn import Cast, draw_town_point, spawn_vehicle
from sim_adapters.world.traffic.state import CURRENT, empty_traffic
from sim_adapters.world.traffic.step import (
    reset_traffic_range,
    step_traffic_range,
    traffic_arguments,
)
from sim_adapters.world.vehicle_catalogue import EGO_VEHICLE

STEP_S = 0.05  # nuPlan's lidar turns at 20 Hz
WARM_UP_S = 8.0
MIN_ROAD_AHEAD_M = 15.0  # of the ego at the start
_MAX_START_DRAWS = 200
_SLOTS = {"vehicles": 60, "pedestrians": 24, "statics": 32, "roadworks": 28}


class LoggedWorld:
    """One embedded world whose slot 0 is driven by the traffic kernels.

    Args:
        maps: A bank of one town.
        network: Its roads, for building sites.
        seed: Of everything in the world.
        traffic: Of the background.
        pedestrians: How many people.
        statics: What stands beside the road.
        roadworks_share: Of the roads that have a building site.

    Raises:
        ValueError: the town has no road to start on.
    """

    def __init__(
        self,
        maps: MapBank,
        network: RoadNetwork,
        *,
        seed: int,
        traffic: TrafficSettings,
        pedestrians: PedestrianSettings,
        statics: StaticSettings,
        roadworks_share: float,
    ) -> None:
        self.maps = maps
        self.traffic_settings, self.pedestrian_settings = traffic, pedestrians
        self.static_settings = statics
        first_pedestrian = 1 + _SLOTS["vehicles"]
        first_static = first_pedestrian + _SLOTS["pedestrians"]
        self.first_roadwork = first_static + _SLOTS["statics"]
        num_slots = self.first_roadwork + _SLOTS["roadworks"]
        # Slot 0 belongs to the vehicles that traffic drives, once the ego sits in it
        self.layout = SlotLayout(0, first_pedestrian, first_static, num_slots)
        self.scene = empty_scene(
            1, num_slots, num_lights=maps.max_lights, num_route_points=1, step_s=STEP_S
        )
        self.traffic = empty_traffic(1, self.layout, maps)
        self.signal_plan = empty_signal_plan(1, maps)
        self.footways = build_sidewalks(maps)
        self.walkers = empty_walkers(1, num_slots)
        self.things = empty_standing_things(1, num_slots)
        self.roadworks = plan_roadworks(maps, 0, network, share=roadworks_share, seed=seed)
        self.places = places_beside(build_standing_places(maps), self.roadworks)
        self.scene.clocks.seed[0] = np.uint64(seed)
        self._start()

    @property
    def is_lost(self) -> bool:
        """Whether the ego came to a road's end and is gone."""
        return not bool(self.scene.traits.valid[0, 0])

    def step(self) -> None:
        """Advance by `STEP_S`."""
        scene = self.scene
        standing: tuple[Any, ...] = (*self._static_arguments(), STEP_S)
        step_statics_range(0, 1, *standing)
        if round(float(scene.clocks.elapsed_s[0]) / STEP_S) % LOOK_EVERY_TICKS == 0:
            self._show_roadworks()
        step_traffic_range(0, 1, *self._traffic_arguments(self.layout))
        walking: tuple[Any, ...] = (*self._pedestrian_arguments(), STEP_S)
        step_pedestrians_range(0, 1, *walking)
        scene.clocks.elapsed_s[0] += STEP_S
        update_lights_range(0, 1, *self._light_arguments())

    def _start(self) -> None:
        maps, scene = self.maps, self.scene
        reset_signals_range(0, 1, self.signal_plan, maps.groups, maps.ranges, scene.clocks, True)
        update_lights_range(0, 1, *self._light_arguments())
        self._place_ego()
        reset_statics_range(0, 1, *self._static_arguments())
        self._show_roadworks()
        reset_traffic_range(0, 1, *self._traffic_arguments(self.layout._replace(first_vehicle=1)))
        reset_pedestrians_range(0, 1, *self._pedestrian_arguments())
        for _ in range(round(WARM_UP_S / STEP_S)):
            self.step()

    def _place_ego(self) -> None:
        """Put a vehicle of the traffic into slot 0 and give it the Pacifica's body."""
        maps, scene, traffic = self.maps, self.scene, self.traffic
        point, seed = self._draw_start(), scene.clocks.seed[0]
        lane, s_m = int(maps.points.lane[point]), float(maps.points.s_m[point])
        cast = Cast(
            *(scene.motion, scene.traits, traffic.places, traffic.drivers, traffic.progress),
            *(traffic.overrides, maps.points, maps.lanes, maps.links, traffic.map),
        )
        spawn_vehicle(cast, 0, 0, seed, EGO_VEHICLE, lane, s_m, 0.0)
        scene.traits.half_length_m[0, 0] = 0.5 * LENGTH_M
        scene.traits.half_width_m[0, 0] = 0.5 * WIDTH_M
        scene.traits.half_height_m[0, 0] = 0.5 * HEIGHT_M
        # The traffic's rear axle lies half a wheel base behind the centre
        traffic.places.half_wheelbase_m[0, 0] = REAR_AXLE_TO_CENTRE_M

    def _draw_start(self) -> int:
        maps, table = self.maps, self.traffic.map
        for attempt in range(_MAX_START_DRAWS):
            point = draw_town_point(table, 0, self.scene.clocks.seed[0], attempt)
            lane = int(maps.points.lane[point])
            ahead_m = float(maps.lanes.length_m[lane] - maps.points.s_m[point])
            if point >= 0 and table.leads_on[lane] and ahead_m > MIN_ROAD_AHEAD_M:
                return point
        raise ValueError(f"{maps.towns[0]} has no road on which a drive could start")

    def _show_roadworks(self) -> None:
        radius_m = self.static_settings.radius_m
        show_roadworks(self.scene, self.roadworks, 0, self.first_roadwork, radius_m)

    def _traffic_arguments(self, layout: SlotLayout) -> tuple[Any, ...]:
        return traffic_arguments(self.scene, self.maps, self.traffic, self.traffic_settings, layout)

    def _pedestrian_arguments(self) -> tuple[Any, ...]:
        layout = self.layout
        return (
            *(lane_graph(self.maps), world_scene(self.scene), self.walkers, self.footways),
            *(self.pedestrian_settings, SlotRange(layout.first_pedestrian, layout.first_static)),
        )

    def _static_arguments(self) -> tuple[Any, ...]:
        slots = SlotRange(self.layout.first_static, self.first_roadwork)
        return world_scene(self.scene), self.things, self.places, self.static_settings, slots

    def _light_arguments(self) -> tuple[Any, ...]:
        maps, scene = self.maps, self.scene
        return (
            *(scene.lights, self.signal_plan, maps.signals, maps.groups, maps.ranges),
            scene.clocks,
        )


# Recording: what a logged world held, frame by frame, before it is written in nuPlan's terms


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
