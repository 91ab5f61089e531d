"""VectorObserver: the scene as one row of numbers in the ego frame, for an MLP that learns fast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.observation import vector_ego, vector_signals, vector_traffic
from sim_adapters.observation.measurements import (
    NUM_MEASUREMENTS,
    NUM_VALUE_MEASUREMENTS,
    write_measurements_range,
)
from sim_adapters.observation.observer import Arrays
from sim_adapters.observation.route_window import (
    WINDOW_POINTS,
    fill_route_window,
    project_on_window,
)
from sim_adapters.scene.kernel_launch import launch_range
from sim_adapters.scene.map_bank import (
    LaneGrid,
    LanePoints,
    Lanes,
    MapBank,
    MapRanges,
    Signals,
    Signs,
    StopLines,
)
from sim_adapters.scene.map_layers import MapLayers
from sim_adapters.scene.memory import EpisodeMemory, LaneTracker, RouteTracker, SignTracker
from sim_adapters.scene.state import (
    ActorMotion,
    ActorTraits,
    Clocks,
    EgoState,
    Lights,
    Routes,
    SceneBatch,
)

_MOST_NEAR_ACTORS = 32  # considered for the lead, nearest first


@device_function
def write_vector(
    driver: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    lights: Lights,
    routes: Routes,
    clocks: Clocks,
    route_tracker: RouteTracker,
    lane_tracker: LaneTracker,
    sign_tracker: SignTracker,
    ranges: MapRanges,
    points: LanePoints,
    lanes: Lanes,
    grid: LaneGrid,
    signals: Signals,
    stop_lines: StopLines,
    signs: Signs,
    layers: MapLayers,
    route_distances_m: NDArray,
    edge_distances_m: NDArray,
    num_actors: int,
    window: NDArray,
    slots: NDArray,
    ranks: NDArray,
    row: NDArray,
) -> None:
    """Fill `row` with the features of one driver in the order of `feature_names`."""
    world = int(ego.world[driver])
    town = int(clocks.map_index[world])
    count = fill_route_window(driver, route_tracker.index[driver], motion, ego, routes, window)
    ego_s, ego_offset, at = project_on_window(window, count, 0.0, 0.0)
    k = vector_ego.write_ego(driver, motion, ego, row, 0)
    k = vector_ego.write_lane(driver, town, motion, ego, lane_tracker, grid, points, lanes, row, k)
    k = vector_ego.write_route(window, count, ego_s, ego_offset, at, route_distances_m, row, k)
    k = vector_ego.write_edges(
        driver, town, motion, ego, layers, window, count, ego_s, at, edge_distances_m, row, k
    )
    line, distance = vector_signals.next_stop_line(
        driver, town, motion, ego, ranges, signals, stop_lines, window, count, ego_s
    )
    k = vector_signals.write_light(world, town, line, distance, ranges, stop_lines, lights, row, k)
    k = vector_signals.write_stop_sign(
        driver, motion, ego, sign_tracker, signs, window, count, ego_s, row, k
    )
    vector_traffic.write_traffic(
        driver, motion, traits, ego, window, count, ego_s, slots, ranks, num_actors, row, k
    )


@range_kernel
def write_vector_range(
    first: int,
    last: int,
    motion: ActorMotion,
    traits: ActorTraits,
    ego: EgoState,
    lights: Lights,
    routes: Routes,
    clocks: Clocks,
    route_tracker: RouteTracker,
    lane_tracker: LaneTracker,
    sign_tracker: SignTracker,
    ranges: MapRanges,
    points: LanePoints,
    lanes: Lanes,
    grid: LaneGrid,
    signals: Signals,
    stop_lines: StopLines,
    signs: Signs,
    layers: MapLayers,
    route_distances_m: NDArray,
    edge_distances_m: NDArray,
    num_actors: int,
    windows: NDArray,
    slots: NDArray,
    ranks: NDArray,
    out: NDArray,
) -> None:
    """`write_vector` of the drivers `first` to `last - 1`; scratches have a row a driver."""
    for driver in range(first, last):
        write_vector(
            driver,
            motion,
            traits,
            ego,
            lights,
            routes,
            clocks,
            route_tracker,
            lane_tracker,
            sign_tracker,
            ranges,
            points,
            lanes,
            grid,
            signals,
            stop_lines,
            signs,
            layers,
            route_distances_m,
            edge_distances_m,
            num_actors,
            windows[driver],
            slots[driver],
            ranks[driver],
            out[driver],
        )


class VectorObserver:
    """Observation `vector`: float32 (F,), about [-1, 1], documented by `feature_names`.

    The row is as compact as the scene it comes from, so the stored form is the observation itself.

    Args:
        num_actors: Nearest actors described one by one.
        route_distances_m: Distances ahead, along the route, of the route's points; ascending.
        edge_distances_m: Distances ahead where the road's edges are measured; 0 is the ego itself.
        num_threads: That share the drivers; pays from about 32 of them.
    """

    required_pixels_per_meter: float | None = None  # any bank will do
    history_steps: tuple[int, ...] = ()

    def __init__(
        self,
        *,
        num_actors: int,
        route_distances_m: Sequence[float],
        edge_distances_m: Sequence[float],
        num_threads: int = 1,
    ) -> None:
        self._num_actors = num_actors
        self._num_threads = num_threads
        self._route_distances_m = _ascending("route_distances_m", route_distances_m)
        self._edge_distances_m = _ascending("edge_distances_m", edge_distances_m)
        if self._route_distances_m[0] <= 0.0:
            raise ValueError("observation.route_distances_m must be positive: 0 is the ego itself")
        if not 0 <= num_actors <= _MOST_NEAR_ACTORS:
            raise ValueError(
                f"observation.num_actors is {num_actors}, expected 0 to {_MOST_NEAR_ACTORS}"
            )
        self.feature_names = _feature_names(
            num_actors, self._route_distances_m, self._edge_distances_m
        )
        self.space = spaces.Dict(
            {
                "vector": spaces.Box(
                    -vector_ego.CLIP, vector_ego.CLIP, (len(self.feature_names),), np.float32
                ),
                "measurements": spaces.Box(-np.inf, np.inf, (NUM_MEASUREMENTS,), np.float32),
                "value_measurements": spaces.Box(
                    -np.inf, np.inf, (NUM_VALUE_MEASUREMENTS,), np.float32
                ),
            }
        )
        self.stored_space = self.space
        self._resize_scratch(0)

    def _resize_scratch(self, num_agents: int) -> None:
        self._windows = np.zeros((num_agents, WINDOW_POINTS, 4))
        self._slots = np.zeros((num_agents, _MOST_NEAR_ACTORS), np.int32)
        self._ranks = np.zeros((num_agents, _MOST_NEAR_ACTORS))

    def gather(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Write the rows of all drivers; for this observer they are the observations."""
        self.observe(scene, memory, maps, out)

    def paint(self, rows: Arrays, maps: MapBank, out: Arrays) -> None:
        """Copy stored rows: they are observations already."""
        for name, row in rows.items():
            np.copyto(out[name], row)

    def observe(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Write one observation of each driver into `out`."""
        if len(self._windows) != scene.num_agents:
            self._resize_scratch(scene.num_agents)
        launch_range(
            write_vector_range,
            scene.num_agents,
            scene.motion,
            scene.traits,
            scene.ego,
            scene.lights,
            scene.routes,
            scene.clocks,
            memory.route,
            memory.lane,
            memory.signs,
            maps.ranges,
            maps.points,
            maps.lanes,
            maps.grid,
            maps.signals,
            maps.stop_lines,
            maps.signs,
            maps.layers,
            self._route_distances_m,
            self._edge_distances_m,
            self._num_actors,
            self._windows,
            self._slots,
            self._ranks,
            out["vector"],
            num_threads=self._num_threads,
        )
        write_measurements_range(
            0,
            scene.num_agents,
            scene.motion,
            scene.ego,
            scene.clocks,
            memory.counters,
            memory.route,
            scene.routes,
            out["measurements"],
            out["value_measurements"],
        )


def _ascending(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(list(values), np.float64)
    if array.size == 0 or np.any(np.diff(array) <= 0.0):
        raise ValueError(f"observation.{name} must be ascending and not empty, found {values}")
    return array


def _feature_names(
    num_actors: int, route_distances_m: NDArray, edge_distances_m: NDArray
) -> tuple[str, ...]:
    """Names in the order of `write_vector`."""
    names = [*vector_ego.EGO_FEATURES, *vector_ego.LANE_FEATURES, *vector_ego.ROUTE_FEATURES]
    for distance in route_distances_m:
        names += [f"route_{distance:g}m_{name}" for name in vector_ego.ROUTE_POINT_FEATURES]
    for distance in edge_distances_m:
        names += [f"edge_{distance:g}m_{name}" for name in vector_ego.EDGE_FEATURES]
    names += [*vector_signals.LIGHT_FEATURES, *vector_signals.STOP_FEATURES]
    names += vector_traffic.LEAD_FEATURES
    for actor in range(num_actors):
        names += [f"actor_{actor}_{name}" for name in vector_traffic.ACTOR_FEATURES]
    return tuple(names)
