"""The lane under the ego: how far off its centre, how near its edge, how much above its limit."""

from __future__ import annotations

from sim_adapters.kernels import range_kernel
from sim_adapters.scene.area_lookup import area_cell
from sim_adapters.scene.events.arrays import LaneFacts, MotionFacts
from sim_adapters.scene.map_areas import AreaGrid, MapAreas, Polylines, RoadEdges
from sim_adapters.scene.nuplan_events.area_index import AreaIndex
from sim_adapters.scene.nuplan_events.ego import rear_axle_speed_mps
from sim_adapters.scene.nuplan_events.memory import NuplanTracker
from sim_adapters.scene.nuplan_events.places import current_edge, polyline_distance_m
from sim_adapters.scene.state import ActorMotion, Clocks, EgoBody, EgoState, RouteAreas


@range_kernel
def detect_nuplan_lane_events_range(
    first: int,
    last: int,
    motion: ActorMotion,
    ego: EgoState,
    body: EgoBody,
    clocks: Clocks,
    route: RouteAreas,
    areas: MapAreas,
    grid: AreaGrid,
    index: AreaIndex,
    edges: RoadEdges,
    baselines: Polylines,
    left: Polylines,
    right: Polylines,
    tracker: NuplanTracker,
    facts: LaneFacts,
    speeds: MotionFacts,
) -> None:
    """Write lane and speed facts of drivers first to last - 1.

    `lane_width_m` is twice the way from the baseline over the ego to the nearer boundary. Without a
    lane the ego counts as in a junction, where the lane's edge costs nothing; a missing limit is
    never exceeded.
    """
    for agent in range(first, last):
        world, slot = int(ego.world[agent]), int(ego.slot[agent])
        x, y, yaw = motion.x[world, slot], motion.y[world, slot], motion.yaw_rad[world, slot]
        edge = current_edge(
            x,
            y,
            yaw,
            area_cell(x, y, clocks.map_index[world], grid),
            route.area[agent],
            areas,
            grid,
            index,
            edges.roadblock,
            baselines,
        )
        tracker.edge[agent] = edge
        facts.lane_offset_m[agent], facts.lane_width_m[agent] = 0.0, 0.0
        facts.in_junction[agent] = edge < 0 or edges.is_connector[edge]
        speeds.overspeed_mps[agent] = 0.0
        if edge < 0:
            continue
        limit = edges.speed_limit_mps[edge]
        excess = rear_axle_speed_mps(agent, body) - limit
        if excess > 0.0:  # not where the limit is NaN
            speeds.overspeed_mps[agent] = excess
        if not edges.is_connector[edge]:
            offset = polyline_distance_m(edge, x, y, baselines)
            to_left = polyline_distance_m(edge, x, y, left)
            to_right = polyline_distance_m(edge, x, y, right)
            facts.lane_offset_m[agent] = offset
            facts.lane_width_m[agent] = 2.0 * (offset + min(to_left, to_right))
