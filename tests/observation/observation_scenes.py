"""A town made by hand: one straight road to the east with a light, a stop and a limit sign."""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.observation.vector import VectorObserver
from sim_adapters.scene.map_bank import (
    LANE_GRID_CELL_M,
    LANE_GRID_REACH_M,
    Crosswalks,
    LaneGrid,
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

ROAD_START_X, ROAD_END_X = -100.0, 300.0
LANE_Y = 1.75  # the eastbound lane's centre is at -LANE_Y, the westbound one's at +LANE_Y
LANE_WIDTH_M = 3.5
STOP_LINE_X = 98.0
JUNCTION_X = (100.0, 120.0)
STOP_SIGN_X, LIMIT_SIGN_X = 40.0, 20.0
_ORIGIN = (-120.0, -60.0)
_SIZE_M = (440.0, 120.0)


def _ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def _floats(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


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
        _floats(origin[0]),
        _floats(origin[1]),
        _floats(pixels_per_meter),
        _ints(tiles_x),
        _ints(tiles_y),
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
        lane=np.repeat(_ints(0, 1), count),
    )


def lane_grid_of(points: LanePoints) -> LaneGrid:
    num_x, num_y = int(_SIZE_M[0] / LANE_GRID_CELL_M), int(_SIZE_M[1] / LANE_GRID_CELL_M)
    first, entries = [0], []
    for row in range(num_y):
        for column in range(num_x):
            left = _ORIGIN[0] + column * LANE_GRID_CELL_M
            low = _ORIGIN[1] + row * LANE_GRID_CELL_M
            dx = np.maximum(np.maximum(left - points.x, points.x - left - LANE_GRID_CELL_M), 0.0)
            dy = np.maximum(np.maximum(low - points.y, points.y - low - LANE_GRID_CELL_M), 0.0)
            near = np.flatnonzero(dx * dx + dy * dy <= LANE_GRID_REACH_M**2)
            entries.append(near)
            first.append(first[-1] + near.size)
    return LaneGrid(
        _floats(_ORIGIN[0]),
        _floats(_ORIGIN[1]),
        _ints(num_x),
        _ints(num_y),
        _ints(0),
        np.array(first, np.int32),
        np.concatenate(entries).astype(np.int32),
    )


def straight_road_bank(pixels_per_meter: float = 2.0) -> MapBank:
    """One map, two opposite lanes, one light at x = 98, a stop sign and a 36 km/h sign."""
    points = _lane_points()
    half = points.x.size // 2
    empty, none = np.zeros(0, np.int32), _ints(-1, -1)
    pair = _ints(0, 2)
    return MapBank(
        towns=("Straight",),
        ranges=MapRanges(
            lane=pair,
            point=_ints(0, points.x.size),
            signal=_ints(0, 1),
            group=_ints(0, 1),
            sign=_ints(0, 2),
            crosswalk=_ints(0, 0),
            junction=_ints(0, 1),
        ),
        points=points,
        lanes=Lanes(
            first_point=_ints(0, half, 2 * half),
            length_m=_floats(half - 1.0, half - 1.0),
            kind=np.zeros(2, np.uint8),
            road_id=_ints(1, 1),
            section_id=_ints(0, 0),
            lane_id=_ints(-1, 1),
            junction=none,
            left=none,
            right=none,
            opposite=_ints(1, 0),
        ),
        links=LaneLinks(
            _ints(0, 0, 0),
            empty,
            _ints(0, 0, 0),
            empty,
            _ints(0, 0, 0),
            empty,
            _floats(),
            _floats(),
            none,
        ),
        rules=LaneRules(np.zeros(2, np.uint8), none, none, _ints(0, 0), np.zeros(2, np.uint8)),
        grid=lane_grid_of(points),
        signals=Signals(
            _floats(96.0), _floats(-LANE_Y), _floats(0.0), _ints(0), _ints(0), _ints(7), _ints(0, 1)
        ),
        stop_lines=StopLines(
            _floats(STOP_LINE_X),
            _floats(-LANE_Y),
            _floats(0.0),
            _floats(0.0),
            _floats(LANE_WIDTH_M),
            _ints(0),
            _ints(0),
        ),
        groups=SignalGroups(_ints(1), _floats(10.0), _floats(3.0), _floats(2.0)),
        signs=Signs(
            kind=np.array([SignKind.STOP, SignKind.SPEED_LIMIT], np.uint8),
            x=_floats(STOP_SIGN_X, LIMIT_SIGN_X),
            y=_floats(-LANE_Y, -LANE_Y),
            z=_floats(0.0, 0.0),
            yaw_rad=_floats(0.0, 0.0),
            half_length_m=_floats(1.5, 1.0),
            half_width_m=_floats(0.875, 1.0),
            value=_floats(0.0, 10.0),
            lane=_ints(0, 0),
        ),
        limit_posts=LimitPosts(
            _ints(0, 1),
            _floats(LIMIT_SIGN_X),
            _floats(-LANE_Y),
            _floats(0.0),
            _floats(0.0),
            _floats(10.0),
        ),
        crosswalks=Crosswalks(_ints(0), _floats(), _floats(), _floats()),
        layers=layers_of(road_plane(pixels_per_meter), pixels_per_meter, _ORIGIN),
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
