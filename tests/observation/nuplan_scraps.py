"""A vector map of random scraps and scenes on it: concave roadblocks, wiggly lanes, many boxes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.maps.nuplan_gpkg_layers import build_area_grid
from sim_adapters.scene.map_areas import AreaKind, MapAreas, Polylines, RoadEdges, VectorMap
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory, empty_memory
from sim_adapters.scene.nuplan_events.memory import empty_nuplan_memory
from sim_adapters.scene.state import ActorKind, SceneBatch, empty_scene
from tests.scene.hand_made_map import make_map_bank

EAST, NORTH = 664_000.0, 3_997_000.0  # UTM, as nuPlan's maps are
NUM_BLOCKS, EDGES_A_BLOCK, NUM_INTERSECTIONS = 40, 3, 6
Ring = NDArray[np.float64]


def scrap_ring(rng: np.random.Generator, size_m: float) -> Ring:
    """A closed star-shaped ring with concave corners, somewhere on the map."""
    angles = np.sort(rng.uniform(0.0, 2.0 * np.pi, rng.integers(4, 40)))
    radii = rng.uniform(0.2, 1.0, angles.size) * size_m
    centre = rng.uniform(0.0, 400.0, 2) + np.array([EAST, NORTH])
    corners = centre + radii[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    return np.concatenate([corners, corners[:1]])


def scrap_lines(rng: np.random.Generator, starts: Ring) -> Polylines:
    """Random walks, one from each start."""
    x, y, first = [], [], [0]
    for start in starts:
        steps = rng.normal(0.0, 1.0, (rng.integers(2, 60), 2)).cumsum(0) + start
        x.append(steps[:, 0])
        y.append(steps[:, 1])
        first.append(first[-1] + len(steps))
    flat_x, flat_y = np.concatenate(x), np.concatenate(y)
    unused = np.zeros(flat_x.size)
    return Polylines(np.array(first, np.int32), flat_x, flat_y, unused, unused)


def scrap_maps(seed: int) -> MapBank:
    """Roadblocks and connectors with three edges each, intersections, stop polygons, car parks."""
    rng = np.random.default_rng(seed)
    edge_kinds = [AreaKind.LANE, AreaKind.LANE_CONNECTOR]
    num_edges = NUM_BLOCKS * EDGES_A_BLOCK
    is_connector = np.repeat(np.arange(NUM_BLOCKS) % 2 == 1, EDGES_A_BLOCK)
    kinds = [edge_kinds[int(connector)] for connector in is_connector]
    kinds += [AreaKind.ROADBLOCK, AreaKind.ROADBLOCK_CONNECTOR] * (NUM_BLOCKS // 2)
    kinds += [AreaKind.INTERSECTION] * NUM_INTERSECTIONS
    kinds += [AreaKind.STOP_POLYGON] * 10 + [AreaKind.CARPARK] * 6 + [AreaKind.CROSSWALK] * 4
    rings = [scrap_ring(rng, 20.0 if kind <= 1 else 60.0) for kind in kinds]
    scraps = [shapely.Polygon(ring) for ring in rings]
    for row in range(num_edges, len(kinds), 5):  # some in two parts, the second of them with a hole
        hole = shapely.Point(*rings[row][0]).buffer(9.0, quad_segs=3)
        second = shapely.Polygon(hole.exterior.coords, [hole.buffer(-3.0).exterior.coords])
        scraps[row] = shapely.MultiPolygon([scraps[row], second])
    areas = areas_of(kinds, scraps)
    first_intersection = num_edges + NUM_BLOCKS
    of_edge = first_intersection + rng.integers(0, NUM_INTERSECTIONS, num_edges)
    starts = np.array([ring[0] for ring in rings[:num_edges]])
    has_lights = is_connector & (rng.random(num_edges) < 0.7)
    signal = np.full(num_edges, -1, np.int32)
    signal[has_lights] = np.arange(np.count_nonzero(has_lights))
    vector = VectorMap(
        areas,
        build_area_grid(areas),
        RoadEdges(
            area=np.arange(num_edges, dtype=np.int32),
            roadblock=np.repeat(num_edges + np.arange(NUM_BLOCKS), EDGES_A_BLOCK).astype(np.int32),
            intersection=np.where(is_connector, of_edge, -1).astype(np.int32),
            is_connector=is_connector,
            fid=np.arange(num_edges, dtype=np.int64),
            speed_limit_mps=rng.choice([np.nan, 4.0, 11.0, 35.0], num_edges),
            has_lights=has_lights,
            first_stop=np.zeros(num_edges + 1, np.int32),
            stop=np.zeros(0, np.int32),
        ),
        *(scrap_lines(rng, starts) for _ in range(3)),
        first_area=np.array([0, len(kinds)], np.int32),
        first_edge=np.array([0, num_edges], np.int32),
    )
    return _with_signals(make_map_bank(), vector, signal)


def _with_signals(bank: MapBank, vector: VectorMap, signal: NDArray[np.int32]) -> MapBank:
    num_signals = int(signal.max()) + 1
    return replace(
        bank,
        vector=vector,
        rules=bank.rules._replace(signal=signal),
        signals=bank.signals._replace(x=np.zeros(num_signals)),
        ranges=bank.ranges._replace(signal=np.array([0, num_signals], np.int32)),
    )


def areas_of(
    kinds: list[AreaKind], scraps: list[shapely.Polygon | shapely.MultiPolygon]
) -> MapAreas:
    """Areas with all rings of their shapes."""
    parts = [shapely.get_parts(scrap) for scrap in scraps]
    rings = [[ring for part in own for ring in (part.exterior, *part.interiors)] for own in parts]
    flat = [np.asarray(ring.coords) for own in rings for ring in own]
    points = np.concatenate(flat)
    is_exterior = [i == 0 for own in parts for part in own for i in range(1 + len(part.interiors))]
    return MapAreas(
        kind=np.array(kinds, np.uint8),
        fid=np.arange(len(kinds), dtype=np.int64),
        first_ring=np.cumsum([0, *map(len, rings)]).astype(np.int32),
        first_corner=np.cumsum([0, *map(len, flat)]).astype(np.int32),
        is_exterior=np.array(is_exterior),
        x=points[:, 0].copy(),
        y=points[:, 1].copy(),
        bounds=shapely.bounds(np.array(scraps, object)),
    )


def scrap_scene(maps: MapBank, seed: int, *, num_worlds: int = 6) -> SceneBatch:
    """Egos all over the map among actors of all kinds, with lights in all colours."""
    rng = np.random.default_rng(seed)
    assert maps.vector is not None
    num_slots = 120
    scene = empty_scene(
        num_worlds,
        num_slots,
        num_lights=len(maps.signals.x),
        num_route_points=20,
        num_route_areas=24,
    )
    actors = (num_worlds, num_slots)
    centre = rng.uniform(50.0, 350.0, (2, num_worlds, 1)) + np.array([EAST, NORTH])[:, None, None]
    scene.motion.x[:], scene.motion.y[:] = centre + rng.uniform(-90.0, 90.0, (2, *actors))
    scene.motion.yaw_rad[:] = rng.uniform(-np.pi, np.pi, actors)
    scene.motion.vx_mps[:], scene.motion.vy_mps[:] = rng.normal(0.0, 8.0, (2, *actors))
    kinds = [ActorKind.CAR, ActorKind.BICYCLE, ActorKind.PEDESTRIAN, ActorKind.STATIC]
    scene.traits.kind[:] = rng.choice(kinds, actors)
    scene.traits.valid[:] = rng.random(actors) < 0.9
    scene.traits.half_length_m[:] = rng.uniform(0.1, 6.0, actors)
    scene.traits.half_width_m[:] = rng.uniform(0.1, 1.5, actors)
    scene.traits.valid[:, 0] = True
    scene.traits.kind[:, 0] = ActorKind.CAR
    scene.traits.half_length_m[:, 0], scene.traits.half_width_m[:, 0] = 2.588, 1.1485
    for values in scene.body:
        values[:] = rng.normal(0.0, 1.0, num_worlds)
    scene.lights.state[:] = rng.integers(0, 4, scene.lights.state.shape)
    blocks = np.unique(maps.vector.edges.roadblock)
    scene.route_areas.area[:, :20] = rng.choice(blocks, (num_worlds, 20))
    return scene


def nuplan_memory(scene: SceneBatch) -> EpisodeMemory:
    """Memory of drivers at the start of an episode."""
    return replace(empty_memory(scene), nuplan=empty_nuplan_memory(scene))
