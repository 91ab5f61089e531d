"""VectorObserver: the scene as one row of numbers in the ego frame, for a network that learns fast.

Its blocks are written by `vector_road` (the ego, its route, the road and its rules) and by
`vector_actors` (everybody else; `actor_choice` says who, `conflicts` who is where first).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.observation import actor_choice, vector_actors, vector_road
from sim_adapters.observation.actor_choice import ActorSlots
from sim_adapters.observation.conflicts import MARGIN_FEATURES, write_light_margins
from sim_adapters.observation.device_painter import CopyPainter
from sim_adapters.observation.measurements import (
    NUM_MEASUREMENTS,
    NUM_VALUE_MEASUREMENTS,
    write_measurements_range,
)
from sim_adapters.observation.observer import Arrays
from sim_adapters.observation.route_window import (
    NUM_INSTANTS,
    WINDOW_POINTS,
    EgoRoute,
    Timetable,
    fill_route_window,
    fill_timetable,
    predict_ego,
    project_on_window,
)
from sim_adapters.observation.vector_actors import LEAD_FEATURES
from sim_adapters.scene.kernel_launch import launch_range
from sim_adapters.scene.map_bank import MapBank, Roads
from sim_adapters.scene.memory import (
    EpisodeMemory,
    HoldCounters,
    LaneTracker,
    RouteTracker,
    SignTracker,
)
from sim_adapters.scene.state import SceneArrays, SceneBatch

Order = Literal["nearest", "approach"]
_MOST_SLOTS = 64


class Tracked(NamedTuple):
    """What the detector remembers."""

    route: RouteTracker
    lane: LaneTracker
    signs: SignTracker
    counters: HoldCounters


class Layout(NamedTuple):
    """Which features a row has."""

    route_distances_m: NDArray[np.float64]
    edge_distances_m: NDArray[np.float64]
    actors: ActorSlots


class Scratch(NamedTuple):
    """Room for one driver's work, a row a driver."""

    window: NDArray[np.float64]  # (E, WINDOW_POINTS, 4) route around the ego
    times: NDArray[np.float64]  # (E, 5, WINDOW_POINTS) a Timetable's
    places: NDArray[np.float64]  # (E, 3, K, 2) predictions of the ego
    slots: NDArray[np.int32]  # (E, N) actors found, -1 is none
    ranks: NDArray[np.float64]  # (E, N) by which they were sorted


@device_function
def write_vector(
    driver: int,
    scene: SceneArrays,
    tracked: Tracked,
    roads: Roads,
    layout: Layout,
    scratch: Scratch,
    row: NDArray,
) -> None:
    """Fill `row` with the features of one driver in the order of `feature_names`."""
    motion, traits, ego = scene.motion, scene.traits, scene.ego
    world = int(ego.world[driver])
    town = int(scene.clocks.map_index[world])
    window, places = scratch.window[driver], scratch.places[driver]
    slots, ranks = scratch.slots[driver], scratch.ranks[driver]
    passed = tracked.route.index[driver]
    count = fill_route_window(driver, passed, motion, ego, scene.routes, window)
    times = scratch.times[driver]
    table = Timetable(times[0], times[1], times[2], times[3], times[4])
    path = EgoRoute(window, count, table, *project_on_window(window, count, 0.0, 0.0))
    k = vector_road.write_ego(driver, motion, ego, row, 0)
    k = vector_road.write_lane(
        driver, town, motion, ego, tracked.lane, roads.grid, roads.points, roads.lanes, row, k
    )
    k = vector_road.write_route(path, layout.route_distances_m, row, k)
    k = vector_road.write_edges(
        driver, town, motion, ego, roads.layers, path, layout.edge_distances_m, row, k
    )
    line, distance = vector_road.next_stop_line(
        driver, town, motion, ego, roads.ranges, roads.signals, roads.stop_lines, path
    )
    k = vector_road.write_light(
        world, town, line, distance, roads.ranges, roads.stop_lines, scene.lights, row, k
    )
    k = vector_road.write_stop_sign(driver, motion, ego, tracked.signs, roads.signs, path, row, k)
    wanted = layout.actors
    if wanted.by_approach:
        k = vector_road.write_standing(driver, tracked.counters, row, k)
        speed = row[0] * vector_road.SPEED_SCALE_MPS
        predict_ego(path, speed, places)
        if wanted.conflicts:
            fill_timetable(path, speed)
            light = -1
            if line >= 0:
                light = roads.stop_lines.signal[line] - roads.ranges.signal[town]
            length = traits.half_length_m[world, ego.slot[driver]]
            write_light_margins(
                world, light, distance, scene.lights, speed, length, row, k + len(LEAD_FEATURES)
            )
        actor_choice.find_approaching_actors(
            driver, motion, traits, ego, path, wanted, places, slots, ranks
        )
    else:
        actor_choice.find_nearest_actors(driver, motion, traits, ego, slots, ranks)
    vector_actors.write_traffic(driver, motion, traits, ego, path, wanted, slots, places, row, k)


@range_kernel
def write_vector_range(
    first: int,
    last: int,
    scene: SceneArrays,
    tracked: Tracked,
    roads: Roads,
    layout: Layout,
    scratch: Scratch,
    out: NDArray,
) -> None:
    """`write_vector` of the drivers `first` to `last - 1`."""
    for driver in range(first, last):
        write_vector(driver, scene, tracked, roads, layout, scratch, out[driver])


class VectorObserver:
    """Observation `vector`: float32 (F,), about [-1, 1], documented by `feature_names`.

    The row is as compact as the scene it comes from, so the stored form is the observation itself.

    Args:
        order: Which actors are described. "approach": vehicles and pedestrians who come near the
            ego in the next three seconds first, and things that narrow the route, each kind in
            slots of its own. "nearest": those nearest now, of any kind, within 80 m.
        num_actors: Slots for vehicles; with order "nearest" for all.
        num_pedestrians: Slots for pedestrians; 0 with order "nearest".
        num_statics: Slots for things on the route; 0 with order "nearest".
        sight_m: Vehicles and pedestrians within this distance are seen; 80 with order "nearest".
        conflicts: Say of each actor, too, where its way meets the ego's and who is there first
            (`conflicts.py`); with order "approach".
        route_distances_m: Distances ahead, along the route, of the route's points; ascending.
        edge_distances_m: Distances ahead where the road's edges are measured; 0 is the ego itself.
        num_threads: That share the drivers; pays from about 32 of them.

    Raises:
        ValueError: distances that don't ascend, or slots that the order doesn't have.
    """

    required_pixels_per_meter: float | None = None  # any bank will do
    history_steps: tuple[int, ...] = ()

    def __init__(
        self,
        *,
        num_actors: int,
        route_distances_m: Sequence[float],
        edge_distances_m: Sequence[float],
        order: Order = "nearest",
        num_pedestrians: int = 0,
        num_statics: int = 0,
        sight_m: float = actor_choice.NEAREST_SIGHT_M,
        conflicts: bool = False,
        num_threads: int = 1,
    ) -> None:
        wanted = ActorSlots(
            num_actors,
            num_pedestrians,
            num_statics,
            order == "approach",
            float(sight_m),
            conflicts,
        )
        _check_slots(order, wanted)
        self.layout = Layout(
            _ascending("route_distances_m", route_distances_m),
            _ascending("edge_distances_m", edge_distances_m),
            wanted,
        )
        if self.layout.route_distances_m[0] <= 0.0:
            raise ValueError("observation.route_distances_m must be positive: 0 is the ego itself")
        self._num_threads = num_threads
        self._num_sorted = sum(wanted[:3]) if wanted.by_approach else actor_choice.MOST_NEAREST
        self.feature_names = _feature_names(self.layout)
        bound, width = vector_road.CLIP, len(self.feature_names)
        self.space = spaces.Dict(
            {
                "vector": spaces.Box(-bound, bound, (width,), np.float32),
                "measurements": spaces.Box(-np.inf, np.inf, (NUM_MEASUREMENTS,), np.float32),
                "value_measurements": spaces.Box(
                    -np.inf, np.inf, (NUM_VALUE_MEASUREMENTS,), np.float32
                ),
            }
        )
        self.stored_space = self.space
        self._scratch = self._make_scratch(0)

    def _make_scratch(self, num_agents: int) -> Scratch:
        return Scratch(
            np.zeros((num_agents, WINDOW_POINTS, 4)),
            np.zeros((num_agents, len(Timetable._fields), WINDOW_POINTS)),
            np.zeros((num_agents, 3, NUM_INSTANTS, 2)),
            np.full((num_agents, self._num_sorted), -1, np.int32),
            np.zeros((num_agents, self._num_sorted)),
        )

    def described_slots(self, agent: int) -> NDArray[np.int32]:
        """Actor slots that the driver's last row describes, in the order of its features."""
        slots = self._scratch.slots[agent, : sum(self.layout.actors[:3])]
        return slots[slots >= 0]

    def gather(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Write the rows of all drivers; for this observer they are the observations."""
        self.observe(scene, memory, maps, out)

    def paint(self, rows: Arrays, maps: MapBank, out: Arrays) -> None:
        """Copy stored rows: they are observations already."""
        for name, row in rows.items():
            np.copyto(out[name], row)

    def device_painter(self, maps: MapBank, device: torch.device) -> CopyPainter:
        """What copies stored rows on any device."""
        return CopyPainter()

    def observe(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Write one observation of each driver into `out`."""
        vector, measured = self._arguments(scene, memory, maps, out)
        launch_range(write_vector_range, scene.num_agents, *vector, num_threads=self._num_threads)
        write_measurements_range(0, scene.num_agents, *measured)

    def gather_some(
        self,
        drivers: NDArray[np.int64],
        scene: SceneBatch,
        memory: EpisodeMemory,
        maps: MapBank,
        out: Arrays,
    ) -> None:
        """Write the rows of these drivers alone; the others' stay as they are."""
        vector, measured = self._arguments(scene, memory, maps, out)
        for driver in drivers.tolist():
            write_vector_range(driver, driver + 1, *vector)
            write_measurements_range(driver, driver + 1, *measured)

    def _arguments(
        self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Arguments of the two kernels behind the range of drivers."""
        if len(self._scratch.window) != scene.num_agents:
            self._scratch = self._make_scratch(scene.num_agents)
        motion, ego, clocks = scene.motion, scene.ego, scene.clocks
        tracked = Tracked(memory.route, memory.lane, memory.signs, memory.counters)
        measured = (motion, ego, clocks, memory.counters, memory.route, scene.routes)
        return (
            (scene.arrays, tracked, maps.roads, self.layout, self._scratch, out["vector"]),
            (*measured, out["measurements"], out["value_measurements"]),
        )


def _check_slots(order: str, wanted: ActorSlots) -> None:
    if order not in ("nearest", "approach"):
        raise ValueError(f"observation.order is {order!r}, expected 'nearest' or 'approach'")
    most = _MOST_SLOTS if wanted.by_approach else actor_choice.MOST_NEAREST
    for name, number in zip(("num_actors", "num_pedestrians", "num_statics"), wanted, strict=False):
        if not 0 <= number <= most:
            raise ValueError(f"observation.{name} is {number}, expected 0 to {most}")
    own = wanted.num_pedestrians or wanted.num_statics or wanted.conflicts
    if not wanted.by_approach and (own or wanted.sight_m != actor_choice.NEAREST_SIGHT_M):
        raise ValueError(
            "observation.order=nearest has num_actors slots for all kinds within 80 m: leave "
            "num_pedestrians and num_statics 0, sight_m 80 and conflicts false, or take "
            "order=approach"
        )


def _ascending(name: str, values: Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(list(values), np.float64)
    if array.size == 0 or np.any(np.diff(array) <= 0.0):
        raise ValueError(f"observation.{name} must be ascending and not empty, found {values}")
    return array


def _feature_names(layout: Layout) -> tuple[str, ...]:
    """Names in the order of `write_vector`."""
    road, wanted = vector_road, layout.actors
    names = [*road.EGO_FEATURES, *road.LANE_FEATURES, *road.ROUTE_FEATURES]
    for distance in layout.route_distances_m:
        names += [f"route_{distance:g}m_{name}" for name in road.ROUTE_POINT_FEATURES]
    for distance in layout.edge_distances_m:
        names += [f"edge_{distance:g}m_{name}" for name in road.EDGE_FEATURES]
    names += [*road.LIGHT_FEATURES, *road.STOP_FEATURES]
    if wanted.by_approach:
        names += road.STANDING_FEATURES
    names += LEAD_FEATURES
    if wanted.conflicts:
        names += MARGIN_FEATURES
    groups = {"vehicle": wanted[0], "pedestrian": wanted[1], "static": wanted[2]}
    for kind, number in groups.items() if wanted.by_approach else [("actor", wanted[0])]:
        features = vector_actors.actor_features(wanted)
        names += [f"{kind}_{actor}_{name}" for actor in range(number) for name in features]
    return tuple(names)
