"""NuplanDetector: the facts of a step on nuPlan, found in polygons and the human's log."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.driving_events import DrivingEvents
from sim_adapters.array_types import FloatArray
from sim_adapters.kernels import device_function, inlined_function, range_kernel
from sim_adapters.scene.area_lookup import area_cell
from sim_adapters.scene.events.arrays import (
    EventArrays,
    InfractionFacts,
    LaneFacts,
    MotionFacts,
    ProgressFacts,
)
from sim_adapters.scene.geometry import closest_fraction
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory, empty_memory
from sim_adapters.scene.nuplan_events.area_index import NuplanMaps, nuplan_maps
from sim_adapters.scene.nuplan_events.collisions import judge_collisions
from sim_adapters.scene.nuplan_events.memory import (
    ComfortBounds,
    ComfortFilters,
    NuplanMemory,
    NuplanSettings,
    NuplanTracker,
    comfort_filters,
    empty_nuplan_memory,
    judge_comfort,
    rear_axle_speed_mps,
    start_records,
)
from sim_adapters.scene.nuplan_events.places import current_edge, polyline_distance_m
from sim_adapters.scene.nuplan_events.road import judge_red_lights, judge_road
from sim_adapters.scene.state import Routes, SceneArrays, SceneBatch

# The lane under the ego: how far off its centre, how near its edge, how much above its limit.


@inlined_function
def judge_lane(
    agent: int,
    scene: SceneArrays,
    maps: NuplanMaps,
    tracker: NuplanTracker,
    facts: LaneFacts,
    speeds: MotionFacts,
) -> None:
    """Write a driver's lane and speed facts.

    `lane_width_m` is twice the way from the baseline over the ego to the nearer boundary. Without a
    lane the ego counts as in a junction, where the lane's edge costs nothing; a missing limit is
    never exceeded.
    """
    areas, grid, index, edges = maps.tables
    world, slot = int(scene.ego.world[agent]), int(scene.ego.slot[agent])
    x, y = scene.motion.x[world, slot], scene.motion.y[world, slot]
    edge = current_edge(
        *(x, y, scene.motion.yaw_rad[world, slot]),
        area_cell(x, y, scene.clocks.map_index[world], grid),
        *(scene.route_areas.area[agent], areas, grid, index, edges.roadblock, maps.baselines),
    )
    tracker.edge[agent] = edge
    facts.lane_offset_m[agent], facts.lane_width_m[agent] = 0.0, 0.0
    facts.in_junction[agent] = edge < 0 or edges.is_connector[edge]
    speeds.overspeed_mps[agent] = 0.0
    if edge < 0:
        return
    excess = rear_axle_speed_mps(agent, scene.body) - edges.speed_limit_mps[edge]
    if excess > 0.0:  # not where the limit is NaN
        speeds.overspeed_mps[agent] = excess
    if not edges.is_connector[edge]:
        offset = polyline_distance_m(edge, x, y, maps.baselines)
        to_left = polyline_distance_m(edge, x, y, maps.left_boundaries)
        to_right = polyline_distance_m(edge, x, y, maps.right_boundaries)
        facts.lane_offset_m[agent] = offset
        facts.lane_width_m[agent] = 2.0 * (offset + min(to_left, to_right))


# Progress along the human's path, and the clock: nuPlan's episode is a walk through a log.

_PERCENT = 100.0
_END_BEFORE_LAST = 2  # CaRL ends an episode at frame N - 2


@device_function
def path_share(agent: int, x: float, y: float, routes: Routes) -> float:
    """Where on the human's path the nearest point lies, as a share of its length in [0, 1].

    The first of equally near points counts. A human who stood still has no path: the share is 0
    then, and nothing can be gained.
    """
    length, nearest, station = 0.0, math.inf, 0.0
    for i in range(routes.num_points[agent] - 1):
        ax, ay = routes.x[agent, i], routes.y[agent, i]
        bx, by = routes.x[agent, i + 1], routes.y[agent, i + 1]
        fraction = closest_fraction(x, y, ax, ay, bx, by)
        dx, dy = ax + fraction * (bx - ax) - x, ay + fraction * (by - ay) - y
        step = math.hypot(bx - ax, by - ay)
        squared = dx * dx + dy * dy
        if squared < nearest:
            nearest, station = squared, length + fraction * step
        length += step
    return min(station / length, 1.0) if length > 0.0 else 0.0


@inlined_function
def advance_on_path(
    agent: int,
    scene: SceneArrays,
    tracker: NuplanTracker,
    progress: ProgressFacts,
    infractions: InfractionFacts,
) -> None:
    """Move a driver on by a frame and write what it has gained.

    Only new progress counts: going back and forth pays once. Source: CaRL's route completion
    "human".
    """
    world, slot = int(scene.ego.world[agent]), int(scene.ego.slot[agent])
    tracker.frame[agent] += 1
    x, y = scene.motion.x[world, slot], scene.motion.y[world, slot]
    share = path_share(agent, x, y, scene.routes)
    gained = max(share - tracker.completion[agent], 0.0)
    tracker.completion[agent] = max(share, tracker.completion[agent])
    progress.route_percent_gained[agent] = _PERCENT * gained
    progress.route_percent[agent] = _PERCENT * tracker.completion[agent]
    last_frame = tracker.num_frames[agent] - _END_BEFORE_LAST
    infractions.timed_out[agent] = tracker.frame[agent] >= last_frame
    infractions.simulator_failed[agent] = scene.clocks.failed[world]


class _Rules(NamedTuple):
    """What counts as what."""

    settings: NuplanSettings
    bounds: ComfortBounds
    filters: ComfortFilters


class _Scratch(NamedTuple):
    """Room for one driver's work."""

    corners: FloatArray  # (4, 2) of the car in hand [m]
    smoothed: FloatArray  # (T,) filtered series in hand


class _Facts(NamedTuple):
    """Where the facts of E drivers go."""

    progress: ProgressFacts
    infractions: InfractionFacts
    lanes: LaneFacts
    motion: MotionFacts


@range_kernel
def detect_nuplan_events_range(
    first: int,
    last: int,
    scene: SceneArrays,
    maps: NuplanMaps,
    memory: NuplanMemory,
    rules: _Rules,
    scratch: _Scratch,
    facts: _Facts,
) -> None:
    """Find all facts of drivers first to last - 1, who have made one step."""
    tracker, settings = memory.tracker, rules.settings
    for agent in range(first, last):
        advance_on_path(agent, scene, tracker, facts.progress, facts.infractions)
        judge_lane(agent, scene, maps, tracker, facts.lanes, facts.motion)
        between_lanes = judge_road(
            agent, scene, maps.tables, tracker, settings, scratch.corners, facts.lanes
        )
        judge_red_lights(agent, scene, maps, tracker, settings, facts.infractions)
        judge_collisions(
            agent, scene, between_lanes, tracker, settings, facts.infractions, facts.motion
        )
        judge_comfort(
            agent, scene, memory, rules.filters, rules.bounds, scratch.smoothed, facts.motion
        )


_FRAMES_AFTER_END = 2  # an episode ends at frame N - 2


class NuplanDetector:
    """CaRL's reward facts on nuPlan, as DrivingEvents (an `EventDetector`).

    Fields that mean something else here than on CARLA:
        route_percent: furthest place on the human's path, however far off it.
        outside_route_lanes: off the route's areas where the human was on them.
        off_road_fraction: share of the box's corners off roadblocks, intersections and car parks.
        ttc_active: a test has failed in this episode.
        num_comfort_active: of the six comfort checks over the whole episode, how many fail.

    Args:
        comfort: Bounds of the comfort checks.
        collision_min_speed_mps: Contacts of a slower ego are no collisions ("non_stationary"); 0
            counts all of them. Red lights ignore slower egos too.
        off_road_tolerance_m: How far a corner may be off the road's polygons.
        route_areas: "blocks" (roadblocks, CaRL's v1) or "lanes" (v2).
        ttc_relevant_only: False tests all tracks as CaRL does, those behind too; True those that
            nuPlan's metric looks at.

    Source: CaRL's default reward builder for nuPlan.
    """

    def __init__(
        self,
        *,
        comfort: ComfortBounds | None = None,
        collision_min_speed_mps: float = 0.05,
        off_road_tolerance_m: float = 0.0,
        route_areas: Literal["blocks", "lanes"] = "blocks",
        ttc_relevant_only: bool = False,
    ) -> None:
        if route_areas not in ("blocks", "lanes"):
            raise ValueError(
                f"detector.route_areas is {route_areas!r}, expected 'blocks' or 'lanes'"
            )
        self.bounds = comfort or ComfortBounds()
        self.settings = NuplanSettings(
            stopped_mps=collision_min_speed_mps,
            off_road_tolerance_m=off_road_tolerance_m,
            route_by_lanes=int(route_areas == "lanes"),
            ttc_relevant_only=int(ttc_relevant_only),
        )
        self._maps: MapBank | None = None
        self._tables: NuplanMaps | None = None
        self._rules = _Rules(self.settings, self.bounds, comfort_filters())
        self._scratch = _make_scratch(0)

    def make_memory(self, scene: SceneBatch) -> EpisodeMemory:
        """Memory for the scene's drivers; `reset_memory` must run before the first step."""
        return replace(empty_memory(scene), nuplan=empty_nuplan_memory(scene))

    def reset_memory(
        self, agents: NDArray[np.int64], scene: SceneBatch, memory: EpisodeMemory, maps: MapBank
    ) -> None:
        """Forget the last episode of `agents`, whose worlds stand at their log's first frame."""
        del maps
        nuplan = _nuplan_memory(memory)
        tracker = nuplan.tracker
        for values in (tracker.frame, tracker.completion, tracker.num_uncomfortable):
            values[agents] = 0
        for values in (tracker.num_hit, tracker.hit_id, tracker.num_human_reds):
            values[agents] = 0
        tracker.ttc_failed[agents] = False
        tracker.edge[agents] = -1
        tracker.human_red[agents] = -1
        limits = scene.clocks.time_limit_s[scene.ego.world[agents]]
        tracker.num_frames[agents] = np.rint(limits / scene.step_s) + _FRAMES_AFTER_END
        memory.counters.previous_steer[agents] = scene.ego.steer[agents]
        start_records(
            np.asarray(agents, np.int64), scene.motion, scene.ego, scene.body, nuplan.record
        )

    def detect(
        self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: EventArrays
    ) -> DrivingEvents:
        """Find the facts of the step that led to the scene; call exactly once a step.

        Returns:
            `out.events`, whose tensors share the arrays' memory: valid until the next call.
        """
        num_samples = scene.routes.x.shape[1]
        if len(self._scratch.smoothed) != num_samples:
            self._scratch = _make_scratch(num_samples)
        detect_nuplan_events_range(
            0,
            scene.num_agents,
            scene.arrays,
            self._tables_of(maps),
            _nuplan_memory(memory),
            self._rules,
            self._scratch,
            _Facts(out.progress, out.infractions, out.lanes, out.motion),
        )
        ego = scene.ego
        previous = memory.counters.previous_steer
        np.abs(ego.steer - previous, out=out.motion.steer_change)
        previous[:] = ego.steer
        failed = out.infractions.simulator_failed
        if failed.any():
            out.clear_failed(failed.copy())
        return out.events

    def _tables_of(self, maps: MapBank) -> NuplanMaps:
        if self._maps is not maps or self._tables is None:
            self._maps, self._tables = maps, nuplan_maps(maps)
        return self._tables


def _make_scratch(num_samples: int) -> _Scratch:
    return _Scratch(np.zeros((4, 2)), np.zeros(num_samples))


def _nuplan_memory(memory: EpisodeMemory) -> NuplanMemory:
    if memory.nuplan is None:
        raise ValueError("this memory was made by another detector, use detector=nuplan")
    return memory.nuplan
