"""A straight two-lane road made by hand, and a driver to place on it.

Traffic keeps right; the eastbound lane's centre is y = -1.75 and runs

    x = 0 .. 100   road 1, with a parking lane beside it (x = 20 .. 60), a light at its end
    x = 100 .. 120 road 2, a junction
    x = 120 .. 220 road 3, with a stop sign at x = 180

and the westbound lane the other way at y = +1.75. `mirror=True` flips y: traffic keeps left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain

import numpy as np

from rewards.driving_events import DrivingEvents
from sim_adapters.maps.lane_grid import build_lane_grid
from sim_adapters.scene.events.detection import (
    DetectorSettings,
    EventArrays,
    detect_driving_events,
    make_memory,
    reset_memory,
)
from sim_adapters.scene.map_bank import (
    Crosswalks,
    LaneKind,
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
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch, empty_scene

EAST_Y, WEST_Y, PARKING_Y = -1.75, 1.75, -4.75
EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M, EGO_HALF_HEIGHT_M = 2.44619, 0.91836, 0.74514
STOP_LINE_X, STOP_SIGN_X = 100.0, 180.0
ROUTE_START_X, ROUTE_LENGTH_M = 10.0, 200
# start x, end x, y, road, lane id, junction, kind, width
LANES = (
    (0, 100, EAST_Y, 1, -1, -1, LaneKind.DRIVING, 3.5),
    (100, 120, EAST_Y, 2, -1, 0, LaneKind.DRIVING, 3.5),
    (120, 220, EAST_Y, 3, -1, -1, LaneKind.DRIVING, 3.5),
    (220, 120, WEST_Y, 3, 1, -1, LaneKind.DRIVING, 3.5),
    (120, 100, WEST_Y, 2, 1, 0, LaneKind.DRIVING, 3.5),
    (100, 0, WEST_Y, 1, 1, -1, LaneKind.DRIVING, 3.5),
    (20, 60, PARKING_Y, 1, -2, -1, LaneKind.PARKING, 2.5),
)
SUCCESSORS = {0: 1, 1: 2, 3: 4, 4: 5}


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def floats(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def make_points(side: float) -> tuple[LanePoints, np.ndarray]:
    rows, first = [], [0]
    for lane, (start, end, y, *_, width) in enumerate(LANES):
        yaw = 0.0 if end > start else side * math.pi
        for s in range(abs(end - start) + 1):
            x = start + s if end > start else start - s
            rows.append((x, side * y, 0.0, yaw, s, width, 13.0, lane))
        first.append(len(rows))
    columns = [np.array(column, np.float64) for column in zip(*rows, strict=True)]
    return LanePoints(*columns[:-1], lane=columns[-1].astype(np.int32)), ints(*first)


def make_layers(side: float) -> MapLayers:
    columns, rows = np.arange(-20, 240, 0.5), np.arange(-20, 20.5, 0.5)
    x, y = np.meshgrid(columns, side * rows)
    plane = np.zeros(x.shape, np.uint8)
    road = (x >= 0) & (x <= 220)
    plane[road & (abs(y) <= 3.5)] |= np.uint8(LayerBit.DRIVING)
    plane[(x >= 20) & (x <= 60) & (y >= -6) & (y < -3.5)] |= np.uint8(LayerBit.PARKING)
    plane[road & (y > 3.5) & (y <= 5.0)] |= np.uint8(LayerBit.SHOULDER)
    tiles, num_x, num_y = tile_plane(plane)
    return MapLayers(
        floats(-20),
        floats(-20),
        floats(2),
        ints(num_x),
        ints(num_y),
        np.zeros(1, np.int64),
        tiles,
    )


def make_links() -> LaneLinks:
    successors = [[SUCCESSORS[i]] if i in SUCCESSORS else [] for i in range(len(LANES))]
    predecessors = [[k for k, v in SUCCESSORS.items() if v == i] for i in range(len(LANES))]

    def csr(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        return ints(0, *np.cumsum([len(row) for row in lists])), ints(*chain.from_iterable(lists))

    none = np.zeros(len(LANES) + 1, np.int32), ints()
    first_ahead = ints(*(row[0] if row else -1 for row in successors))
    return LaneLinks(*csr(successors), *csr(predecessors), *none, floats(), floats(), first_ahead)


def make_map_bank(*, mirror: bool = False) -> MapBank:
    side, n = (-1.0 if mirror else 1.0), len(LANES)
    points, first_point = make_points(side)
    lanes = Lanes(
        first_point=first_point,
        length_m=floats(*(abs(row[1] - row[0]) for row in LANES)),
        kind=np.array([row[6] for row in LANES], np.uint8),
        road_id=ints(*(row[3] for row in LANES)),
        section_id=ints(*[0] * n),
        lane_id=ints(*(int(side) * row[4] for row in LANES)),
        junction=ints(*(row[5] for row in LANES)),
        left=ints(*[-1] * n),
        right=ints(*[-1] * n),
        opposite=ints(5, 4, 3, 2, 1, 0, -1),
    )
    none = np.zeros(n, np.uint8), ints(*[-1] * n), ints(*[-1] * n), ints(*[0] * n)
    ranges = MapRanges(
        ints(0, n),
        ints(0, len(points.x)),
        ints(0, 1),
        ints(0, 1),
        ints(0, 1),
        ints(0, 0),
        ints(0, 1),
    )
    y = side * EAST_Y
    return MapBank(
        towns=("HandMade",),
        ranges=ranges,
        points=points,
        lanes=lanes,
        links=make_links(),
        rules=LaneRules(*none, turn=np.full(n, 4, np.uint8)),
        grid=build_lane_grid(points, lanes),
        signals=Signals(floats(97), floats(y), floats(0), ints(0), ints(0), ints(7), ints(0, 1)),
        stop_lines=StopLines(
            floats(STOP_LINE_X), floats(y), floats(0), floats(0), floats(3.5), ints(0), ints(0)
        ),
        groups=SignalGroups(ints(1), floats(10), floats(3), floats(2)),
        signs=Signs(
            np.array([SignKind.STOP], np.uint8),
            floats(STOP_SIGN_X),
            floats(y),
            floats(0),
            floats(0),
            floats(1.5),
            floats(0.875),
            floats(0),
            ints(2),
        ),
        limit_posts=LimitPosts(ints(0, 0), *(floats() for _ in range(5))),
        crosswalks=Crosswalks(ints(0), floats(), floats(), floats()),
        layers=make_layers(side),
    )


def make_scene(num_worlds: int = 1, num_slots: int = 4, *, mirror: bool = False) -> SceneBatch:
    """Worlds whose drivers have the eastbound lane from x = 10 to 210 as route."""
    scene = empty_scene(num_worlds, num_slots, num_lights=1, num_route_points=ROUTE_LENGTH_M + 1)
    routes = scene.routes
    routes.num_points[:] = ROUTE_LENGTH_M + 1
    routes.x[:] = ROUTE_START_X + np.arange(ROUTE_LENGTH_M + 1)
    routes.y[:] = EAST_Y * (-1.0 if mirror else 1.0)
    routes.percent[:] = np.arange(ROUTE_LENGTH_M + 1) * (100.0 / ROUTE_LENGTH_M)
    scene.lights.state[:] = LightState.GREEN
    scene.ego.speed_limit_mps[:] = 13.0
    return scene


@dataclass
class HandDrive:
    """One world with a driver that tests move by hand; `mirror` flips everything it is told."""

    mirror: bool
    maps: MapBank
    scene: SceneBatch
    memory: EpisodeMemory
    settings: DetectorSettings
    arrays: EventArrays

    @property
    def side(self) -> float:
        return -1.0 if self.mirror else 1.0

    def place(
        self,
        slot: int,
        kind: ActorKind,
        x: float,
        y: float,
        yaw: float = 0.0,
        speed: float = 0.0,
        size: tuple[float, float, float] = (EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M, EGO_HALF_HEIGHT_M),
        z: float = 0.0,
    ) -> None:
        motion, traits, here = self.scene.motion, self.scene.traits, (0, slot)
        yaw *= self.side
        motion.x[here], motion.y[here], motion.z[here] = x, self.side * y, z
        motion.yaw_rad[here] = yaw
        motion.vx_mps[here], motion.vy_mps[here] = speed * math.cos(yaw), speed * math.sin(yaw)
        traits.valid[here], traits.kind[here], traits.actor_id[here] = True, kind, 100 + slot
        traits.half_length_m[here], traits.half_width_m[here], traits.half_height_m[here] = size

    def ego(self, x: float, y: float = EAST_Y, yaw: float = 0.0, speed: float = 5.0) -> None:
        self.place(0, ActorKind.CAR, x, y, yaw, speed)

    def detect(self) -> DrivingEvents:
        """Events of one step of 0.1 s."""
        self.scene.clocks.elapsed_s[:] += self.scene.step_s
        return detect_driving_events(self.scene, self.memory, self.maps, self.settings, self.arrays)

    def step(
        self, x: float, y: float = EAST_Y, yaw: float = 0.0, speed: float = 5.0
    ) -> DrivingEvents:
        self.ego(x, y, yaw, speed)
        return self.detect()

    def restart(self, x: float = 10.0, y: float = EAST_Y, yaw: float = 0.0) -> None:
        self.scene.clocks.elapsed_s[:] = 0.0
        self.ego(x, y, yaw, 0.0)
        reset_memory(np.arange(1), self.scene, self.memory, self.maps)


def start_drive(
    x: float = 10.0,
    y: float = EAST_Y,
    yaw: float = 0.0,
    *,
    settings: DetectorSettings | None = None,
    mirror: bool = False,
) -> HandDrive:
    """A driver that has just started at a place."""
    settings = settings or DetectorSettings()
    scene = make_scene(mirror=mirror)
    maps = make_map_bank(mirror=mirror)
    memory = make_memory(scene, settings)
    drive = HandDrive(mirror, maps, scene, memory, settings, EventArrays.allocate(1))
    drive.restart(x, y, yaw)
    return drive
