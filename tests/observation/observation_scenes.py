"""A town made by hand: one straight road to the east with a light, a stop and a limit sign."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sim_adapters.maps.lane_grid import build_lane_grid
from sim_adapters.observation.vector import VectorObserver
from sim_adapters.scene.map_bank import (
    Crosswalks,
    LaneLinks,
    LanePoints,
    LaneRules,
    Lanes,
    LimitPosts,
    MapBank,
    MapRanges,
    SignalGroups,
    Signals,
    SignKind,
    Signs,
    StopLines,
)
from sim_adapters.scene.map_layers import LayerBit, MapLayers, tile_plane
from sim_adapters.scene.memory import EpisodeMemory, empty_memory
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch, empty_scene
from tests.scene.hand_made_map import floats, ints

ROAD_START_X, ROAD_END_X = -100.0, 300.0
LANE_Y = 1.75  # the eastbound lane's centre is at -LANE_Y, the westbound one's at +LANE_Y
LANE_WIDTH_M = 3.5
STOP_LINE_X = 98.0
JUNCTION_X = (100.0, 120.0)
STOP_SIGN_X, LIMIT_SIGN_X = 40.0, 20.0
_ORIGIN = (-120.0, -60.0)
_SIZE_M = (440.0, 120.0)


def road_plane(pixels_per_meter: float) -> np.ndarray:
    """Layer bytes of the road: lanes |y| < 3.5, shoulders to 5, middle broken, edges solid."""
    columns = np.arange(int(_SIZE_M[0] * pixels_per_meter))
    rows = np.arange(int(_SIZE_M[1] * pixels_per_meter))
    x = _ORIGIN[0] + columns[None, :] / pixels_per_meter
    y = _ORIGIN[1] + rows[:, None] / pixels_per_meter
    along = (x >= ROAD_START_X) & (x <= ROAD_END_X)
    inside = (x >= JUNCTION_X[0]) & (x <= JUNCTION_X[1])
    plane = np.zeros((rows.size, columns.size), np.uint8)
    half_px = 0.5 / pixels_per_meter
    plane[along & (np.abs(y) <= 3.5)] |= np.uint8(LayerBit.DRIVING)
    plane[along & (np.abs(y) > 3.5) & (np.abs(y) <= 5.0)] |= np.uint8(LayerBit.SHOULDER)
    plane[along & ~inside & (np.abs(np.abs(y) - 3.5) <= half_px)] |= np.uint8(LayerBit.MARKING)
    middle = along & ~inside & (np.abs(y) <= half_px) & (np.floor(x / 3.0) % 2 == 0)
    plane[middle] |= np.uint8(LayerBit.MARKING | LayerBit.MARKING_BROKEN)
    return plane


def layers_of(plane: np.ndarray, pixels_per_meter: float, origin: tuple[float, float]) -> MapLayers:
    tiles, tiles_x, tiles_y = tile_plane(plane)
    return MapLayers(
        floats(origin[0]),
        floats(origin[1]),
        floats(pixels_per_meter),
        ints(tiles_x),
        ints(tiles_y),
        np.zeros(1, np.int64),
        tiles,
    )


def _lane_points() -> LanePoints:
    east = np.arange(ROAD_START_X, ROAD_END_X + 0.5)
    count = east.size
    return LanePoints(
        x=np.concatenate([east, east[::-1]]),
        y=np.repeat([-LANE_Y, LANE_Y], count),
        z=np.zeros(2 * count),
        yaw_rad=np.repeat([0.0, math.pi], count),
        s_m=np.tile(np.arange(count, dtype=np.float64), 2),
        width_m=np.full(2 * count, LANE_WIDTH_M),
        speed_limit_mps=np.full(2 * count, 10.0),
        lane=np.repeat(ints(0, 1), count),
    )


def _lane_tables() -> dict[str, Any]:
    """Two opposite lanes on one road, no links between lanes."""
    points = _lane_points()
    half, none = points.x.size // 2, ints(-1, -1)
    unlinked = ints(0, 0, 0), ints()
    lanes = Lanes(
        first_point=ints(0, half, 2 * half),
        length_m=floats(half - 1.0, half - 1.0),
        kind=np.zeros(2, np.uint8),
        road_id=ints(1, 1),
        section_id=ints(0, 0),
        lane_id=ints(-1, 1),
        junction=none,
        left=none,
        right=none,
        opposite=ints(1, 0),
    )
    return {
        "points": points,
        "lanes": lanes,
        "links": LaneLinks(*unlinked, *unlinked, *unlinked, floats(), floats(), none),
        "rules": LaneRules(np.zeros(2, np.uint8), none, none, ints(0, 0), np.zeros(2, np.uint8)),
        "grid": build_lane_grid(points, lanes),
    }


def _furniture() -> dict[str, Any]:
    """One light at x = 98, a stop sign and a 36 km/h sign."""
    at_light = floats(STOP_LINE_X), floats(-LANE_Y), floats(0.0), floats(0.0)
    return {
        "signals": Signals(
            floats(96.0), floats(-LANE_Y), floats(0.0), ints(0), ints(0), ints(7), ints(0, 1)
        ),
        "stop_lines": StopLines(*at_light, floats(LANE_WIDTH_M), ints(0), ints(0)),
        "groups": SignalGroups(ints(1), floats(10.0), floats(3.0), floats(2.0)),
        "signs": Signs(
            kind=np.array([SignKind.STOP, SignKind.SPEED_LIMIT], np.uint8),
            x=floats(STOP_SIGN_X, LIMIT_SIGN_X),
            y=floats(-LANE_Y, -LANE_Y),
            z=floats(0.0, 0.0),
            yaw_rad=floats(0.0, 0.0),
            half_length_m=floats(1.5, 1.0),
            half_width_m=floats(0.875, 1.0),
            value=floats(0.0, 10.0),
            lane=ints(0, 0),
        ),
        "limit_posts": LimitPosts(
            ints(0, 1),
            floats(LIMIT_SIGN_X),
            floats(-LANE_Y),
            floats(0.0),
            floats(0.0),
            floats(10.0),
        ),
        "crosswalks": Crosswalks(ints(0), floats(), floats(), floats()),
    }


def straight_road_bank(pixels_per_meter: float = 2.0) -> MapBank:
    """One map, two opposite lanes, one light at x = 98, a stop sign and a 36 km/h sign."""
    tables = _lane_tables() | _furniture()
    return MapBank(
        towns=("Straight",),
        ranges=MapRanges(
            lane=ints(0, 2),
            point=ints(0, tables["points"].x.size),
            signal=ints(0, 1),
            group=ints(0, 1),
            sign=ints(0, 2),
            crosswalk=ints(0, 0),
            junction=ints(0, 1),
        ),
        layers=layers_of(road_plane(pixels_per_meter), pixels_per_meter, _ORIGIN),
        **tables,
    )


def set_actor(
    scene: SceneBatch,
    world: int,
    slot: int,
    kind: ActorKind,
    x: float,
    y: float,
    yaw_rad: float = 0.0,
    speed_mps: float = 0.0,
    half_extents_m: tuple[float, float, float] = (2.4, 1.0, 0.75),
    lights: int = 0,
) -> None:
    """Put an actor into a slot, driving along its heading."""
    motion, traits = scene.motion, scene.traits
    at = (world, slot)
    motion.x[at], motion.y[at], motion.z[at], motion.yaw_rad[at] = x, y, 0.0, yaw_rad
    motion.vx_mps[at] = speed_mps * math.cos(yaw_rad)
    motion.vy_mps[at] = speed_mps * math.sin(yaw_rad)
    traits.valid[at], traits.kind[at], traits.lights[at] = True, kind, lights
    (traits.half_length_m[at], traits.half_width_m[at], traits.half_height_m[at]) = half_extents_m
    traits.actor_id[at] = 1 + slot + 1000 * world


def straight_scene(
    num_worlds: int = 1, num_slots: int = 8, num_points: int = 250
) -> tuple[SceneBatch, EpisodeMemory]:
    """Egos at the origin of the eastbound lane, 5 m/s, on a route along it; light green."""
    scene = empty_scene(num_worlds, num_slots, num_lights=1, num_route_points=num_points)
    for world in range(num_worlds):
        set_actor(scene, world, 0, ActorKind.CAR, 0.0, -LANE_Y, 0.0, 5.0, (2.446, 0.918, 0.745))
        x = np.arange(num_points) - 20.0
        scene.routes.num_points[world] = num_points
        scene.routes.x[world], scene.routes.y[world] = x, -LANE_Y
        scene.routes.percent[world] = np.linspace(0.0, 100.0, num_points)
        scene.routes.lane[world] = 0
        scene.routes.in_junction[world] = (x >= JUNCTION_X[0]) & (x <= JUNCTION_X[1])
        scene.ego.speed_limit_mps[world] = 10.0
        scene.lights.state[world] = LightState.GREEN
    memory = empty_memory(scene)
    memory.route.index[:] = 20
    return scene, memory


def arrays_of(observer: VectorObserver, num_rows: int) -> dict[str, np.ndarray]:
    """Rows of an observer, not written yet."""
    boxes = observer.space.spaces.items()
    return {
        name: np.full((num_rows, *(box.shape or ())), np.nan, np.float32) for name, box in boxes
    }
