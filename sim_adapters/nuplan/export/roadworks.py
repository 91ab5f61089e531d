"""Building sites at the edge of the road: a warning sign, a row of cones, a few barriers.

The embedded world has none of its own. They stand beside the outermost lane, clear of it, so that
traffic passes them, and are part of the world that is logged.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan.export.outlines import trace_course
from sim_adapters.nuplan.export.road_network import RoadNetwork
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.map_layers import LayerBit, layer_pixel
from sim_adapters.scene.state import ActorKind, SceneBatch
from sim_adapters.world.slots import clear_slot
from sim_adapters.world.statics import StandingPlaces
from sim_adapters.world.vehicle_catalogue import (
    PROP_HALF_HEIGHT_M,
    PROP_HALF_LENGTH_M,
    PROP_HALF_WIDTH_M,
    PROP_NAMES,
)


def is_on_driving_lane(maps: MapBank, map_index: int, x: float, y: float) -> bool:
    """Whether a place belongs to a driving lane, that of a junction included (any level)."""
    layers = maps.layers
    scale = float(layers.pixels_per_meter[map_index])
    column = round((x - float(layers.origin_x[map_index])) * scale)
    row = round((y - float(layers.origin_y[map_index])) * scale)
    return bool(layer_pixel(layers, map_index, column, row) & LayerBit.DRIVING)


FIRST_ACTOR_ID = 1 << 40  # thing i of the town is actor FIRST_ACTOR_ID + i, wherever it is shown
LOOK_EVERY_TICKS = 10
SITE_M = 44.0  # of road that a site takes
MARGIN_M = 6.0  # to both ends of the road
KERB_M = 0.5  # from the lane's edge to the middle of a cone
FREE_M = 4.0  # around a thing, where nobody parks
_SIGN, _CONE, _BARRIER = (
    PROP_NAMES.index(name) for name in ("warningconstruction", "constructioncone", "streetbarrier")
)
_TYPES = {
    _SIGN: TrackType.CZONE_SIGN,
    _CONE: TrackType.TRAFFIC_CONE,
    _BARRIER: TrackType.BARRIER,
}
# (prop, metres along the site, metres further out than a cone)
_SITE = (
    (_SIGN, 0.0, 0.6),
    *((_CONE, 8.0 + 3.0 * row, 0.0) for row in range(9)),
    *((_BARRIER, 36.0 + 2.0 * row, 0.2) for row in range(4)),
)
_DRAW_SHARE, _DRAW_PLACE = 7401, 7402


class Roadworks(NamedTuple):
    """All things of a town's building sites, (N,)."""

    prop: NDArray[np.int64]  # row of the catalogue's props
    type: NDArray[np.uint8]  # TrackType
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    z: NDArray[np.float64]
    yaw_rad: NDArray[np.float64]


def plan_roadworks(
    maps: MapBank, map_index: int, network: RoadNetwork, *, share: float, seed: int
) -> Roadworks:
    """Sites on that share of the town's roads, at places that follow from the seed.

    Args:
        maps: The towns.
        map_index: Which of them.
        network: Its lanes; a site stands beside the last lane of a roadblock.
        share: Of the roadblocks long enough for a site.
        seed: Of the choice.
    """
    outermost = {lane.block: lane for lane in network.lanes}
    rows = []
    for block, lane in sorted(outermost.items()):
        course = trace_course(maps, lane.pieces)
        steps = np.hypot(np.diff(course.x), np.diff(course.y))
        s = np.concatenate([[0.0], np.cumsum(steps)])
        room_m = s[-1] - SITE_M - 2.0 * MARGIN_M
        if room_m < 0.0 or uniform(seed, block, 0, _DRAW_SHARE) >= share:
            continue
        start_m = MARGIN_M + room_m * uniform(seed, block, 0, _DRAW_PLACE)
        for prop, along_m, outwards_m in _SITE:
            at = start_m + along_m
            x, y, z, yaw, width = (
                float(np.interp(at, s, column))
                for column in (course.x, course.y, course.z, course.yaw_rad, course.width_m)
            )
            right_m = 0.5 * width + KERB_M + outwards_m
            x, y = x + right_m * math.sin(yaw), y - right_m * math.cos(yaw)
            if not is_on_driving_lane(maps, map_index, x, y):
                rows.append((prop, _TYPES[prop], x, y, z, yaw))
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Roadworks(
        table[:, 0].astype(np.int64),
        table[:, 1].astype(np.uint8),
        *(np.ascontiguousarray(table[:, column]) for column in range(2, 6)),
    )


def places_beside(places: StandingPlaces, works: Roadworks) -> StandingPlaces:
    """The places of a bank of one town where something may stand beside its building sites."""
    dx, dy = places.x[:, None] - works.x, places.y[:, None] - works.y
    free = ~(np.hypot(dx, dy) < FREE_M).any(axis=1)
    return StandingPlaces(
        np.array([0, free.sum()], np.int32),
        *(places.x[free], places.y[free], places.z[free], places.yaw_rad[free]),
        width_m=places.width_m[free],
        is_parking=places.is_parking[free],
    )


def show_roadworks(
    scene: SceneBatch, works: Roadworks, world: int, first_slot: int, radius_m: float
) -> None:
    """Keep the things near the ego in the slots from `first_slot` on, nearest first."""
    motion, traits = scene.motion, scene.traits
    num_slots = scene.num_slots - first_slot
    away = np.hypot(works.x - motion.x[world, 0], works.y - motion.y[world, 0])
    nearest = np.argsort(away, kind="stable")[:num_slots]
    wanted = {FIRST_ACTOR_ID + int(row) for row in nearest if away[row] < radius_m}
    free = []
    for slot in range(first_slot, scene.num_slots):
        actor = int(traits.actor_id[world, slot])
        if actor in wanted:
            wanted.remove(actor)
            continue
        clear_slot(motion, traits, world, slot)
        free.append(slot)
    for slot, actor in zip(free, sorted(wanted), strict=False):
        _stand(scene, works, world, slot, actor - FIRST_ACTOR_ID)


def _stand(scene: SceneBatch, works: Roadworks, world: int, slot: int, row: int) -> None:
    motion, traits, prop = scene.motion, scene.traits, works.prop[row]
    traits.valid[world, slot] = True
    traits.kind[world, slot] = ActorKind.STATIC
    traits.actor_id[world, slot] = FIRST_ACTOR_ID + row
    traits.half_length_m[world, slot] = PROP_HALF_LENGTH_M[prop]
    traits.half_width_m[world, slot] = PROP_HALF_WIDTH_M[prop]
    traits.half_height_m[world, slot] = PROP_HALF_HEIGHT_M[prop]
    motion.x[world, slot], motion.y[world, slot] = works.x[row], works.y[row]
    motion.z[world, slot], motion.yaw_rad[world, slot] = works.z[row], works.yaw_rad[row]
