"""The ego's company: cars ahead of and behind it on every lane of its road and direction.

As the leaderboard's BackgroundActivity has it on roads: each such lane holds some cars ahead of the
ego and as many behind it, 15 m apart. Those ahead slow down the farther they are, so that the ego
never drives alone; those behind hurry, so that it never leaves them; a lane with too many ahead
loses its first. Near a junction everybody drives as elsewhere, and more come from behind.

Source: scenario_runner 0.9.16, background_activity.py (road behaviour; its numbers).
"""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind, LaneLinks, Lanes
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.slots import SlotLayout, clear_slot, last_background_vehicle
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.spawn import (
    BESIDE_GAP_M,
    SPAWN_GAP_M,
    Cast,
    Room,
    free_slot,
    try_spawn_at,
)
from sim_adapters.world.traffic.state import (
    COMPANY_COLUMNS,
    COMPANY_PIECES,
    CURRENT,
    Company,
    IntArray,
    TrafficState,
)

SPACING_M = 15.0  # between cars of one lane at the start
NEAREST_SPAWN_M = 15.0  # to the ego
HALF_CAR_M = 2.6  # a new car stands on the road with all of its length
JUNCTION_M, JUNCTION_S = 30.0, 1.5  # a junction counts from so far ahead on, at rest and by speed
NUMBER_NEAR_JUNCTION = 6  # on each lane that leads into it
REACH_AHEAD_M, REACH_BEHIND_M = 80.0, 80.0  # how far the ego's road is followed
SOURCE_M = 40.0  # cars of other arms come from so far before their junction
OPPOSITE_SPACING_M = 40.0  # between oncoming cars
FASTEST_PACE = 2.0  # of those far behind, times the limit
_DRIVING = int(LaneKind.DRIVING)


@inlined_function
def find_company_lanes(roads: LaneGraph, scene: WorldScene, company: Company, world: int) -> None:
    """List the lanes of the ego's road and direction, column by column; none in a junction."""
    motion, lanes, points = scene.motion, roads.lanes, roads.points
    map_index = scene.clocks.map_index[world]
    company.num_pieces[world] = company.num_columns[world] = 0
    point = int(
        nearest_lane_point(
            roads.grid, points, lanes, map_index, motion.x[world, 0], motion.y[world, 0],
            motion.z[world, 0], _DRIVING,
        )
    )  # fmt: skip
    if point < 0:
        return
    own = int(points.lane[point])
    if lanes.junction[own] >= 0 or math.cos(points.yaw_rad[point] - motion.yaw_rad[world, 0]) < 0.5:
        return
    speed = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
    free_m = _free_road_m(roads, own, float(points.s_m[point]))
    company.near_junction[world] = free_m < JUNCTION_M + JUNCTION_S * speed
    first, last = roads.ranges.lane[map_index], roads.ranges.lane[map_index + 1]
    share = points.s_m[point] / lanes.length_m[own]
    for lane in range(max(own - COMPANY_COLUMNS, first), min(own + COMPANY_COLUMNS + 1, last)):
        beside = (
            lanes.road_id[lane] == lanes.road_id[own]
            and lanes.section_id[lane] == lanes.section_id[own]
            and lanes.lane_id[lane] * lanes.lane_id[own] > 0
            and lanes.kind[lane] == _DRIVING
        )
        if beside and company.num_columns[world] < COMPANY_COLUMNS:
            _add_column(roads, company, world, lane, float(share * lanes.length_m[lane]))


@inlined_function
def _sole_road_lane(lanes: Lanes, first: IntArray, linked: IntArray, lane: int) -> int:
    """The one lane outside junctions that a lane is linked to; -1 at junctions, forks and ends."""
    if first[lane + 1] - first[lane] != 1:
        return -1
    other = int(linked[first[lane]])
    return other if lanes.junction[other] < 0 else -1


@inlined_function
def _free_road_m(roads: LaneGraph, lane: int, s_m: float) -> float:
    """From a place to the junction or fork ahead, or more than is asked for."""
    lanes, links = roads.lanes, roads.links
    reach = float(lanes.length_m[lane]) - s_m
    while reach < REACH_AHEAD_M:
        lane = _sole_road_lane(lanes, links.successor_first, links.successor, lane)
        if lane < 0:
            break
        reach += float(lanes.length_m[lane])
    return reach


@inlined_function
def _add_piece(company: Company, world: int, lane: int, start_m: float, column: int) -> None:
    piece = company.num_pieces[world]
    if piece < COMPANY_PIECES:
        company.lane[world, piece], company.column[world, piece] = lane, column
        company.start_m[world, piece] = start_m
        company.num_pieces[world] = piece + 1


@inlined_function
def _add_column(roads: LaneGraph, company: Company, world: int, own: int, s_m: float) -> None:
    """A lane beside the ego with what follows and precedes it, up to junctions and forks."""
    lanes, links = roads.lanes, roads.links
    column = company.num_columns[world]
    company.num_columns[world] = column + 1
    _add_piece(company, world, own, -s_m, column)
    lane, reach = own, float(lanes.length_m[own]) - s_m
    while reach < REACH_AHEAD_M:
        lane = _sole_road_lane(lanes, links.successor_first, links.successor, lane)
        if lane < 0:
            break
        _add_piece(company, world, lane, reach, column)
        reach += float(lanes.length_m[lane])
    lane, reach = own, s_m
    while reach < REACH_BEHIND_M:
        lane = _sole_road_lane(lanes, links.predecessor_first, links.predecessor, lane)
        if lane < 0:
            break
        reach += float(lanes.length_m[lane])
        _add_piece(company, world, lane, -reach, column)


@inlined_function
def company_piece(company: Company, world: int, lane: int) -> int:
    """Where a lane is listed, or -1."""
    for piece in range(company.num_pieces[world]):
        if company.lane[world, piece] == lane:
            return piece
    return -1


@inlined_function
def pace_of(ahead_m: float, number: int) -> float:
    """Speed of a car of the company, times the limit; `ahead_m` is negative behind the ego."""
    if ahead_m > 0.0:
        return min(max(((number + 1) * SPACING_M - ahead_m) / SPACING_M, 0.0), 1.0)
    return min(1.0 - ahead_m / SPACING_M, FASTEST_PACE)


@inlined_function
def count_company(
    scene: WorldScene, traffic: TrafficState, layout: SlotLayout, world: int, number: int
) -> None:
    """Set everybody's pace, and note of each column how many it has and who is first and last."""
    company = traffic.company
    for column in range(company.num_columns[world]):
        company.num_ahead[world, column] = company.num_behind[world, column] = 0
        company.first_m[world, column] = company.last_m[world, column] = 0.0
        company.first_slot[world, column] = -1
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not scene.traits.valid[world, slot] or traffic.overrides.keeps_path[world, slot]:
            continue
        piece = company_piece(company, world, traffic.places.path[world, slot, CURRENT])
        traffic.drivers.desired_factor[world, slot] = 1.0
        if piece < 0:
            continue
        column = company.column[world, piece]
        ahead = company.start_m[world, piece] + traffic.places.s_m[world, slot]
        if not company.near_junction[world]:
            traffic.drivers.desired_factor[world, slot] = pace_of(ahead, number)
        if ahead > 0.0:
            company.num_ahead[world, column] += 1
            if ahead > company.first_m[world, column]:
                company.first_m[world, column] = ahead
                company.first_slot[world, column] = slot
        else:
            company.num_behind[world, column] += 1
            company.last_m[world, column] = min(company.last_m[world, column], ahead)


@inlined_function
def company_point(
    roads: LaneGraph, company: Company, world: int, column: int, ahead_m: float
) -> int:
    """The lane point so far ahead of the ego in a column; -1 where the column does not reach."""
    for piece in range(company.num_pieces[world]):
        s = ahead_m - company.start_m[world, piece]
        lane = company.lane[world, piece]
        if company.column[world, piece] == column and 0.0 <= s < roads.lanes.length_m[lane]:
            point = int(roads.lanes.first_point[lane]) + int(s)
            return min(point, int(roads.lanes.first_point[lane + 1]) - 1)
    return -1


@inlined_function
def column_end_m(company: Company, world: int, column: int) -> float:
    """Where a column begins behind the ego, negative."""
    end = 0.0
    for piece in range(company.num_pieces[world]):
        if company.column[world, piece] == column:
            end = min(end, company.start_m[world, piece])
    return end


@inlined_function
def spawn_company_car(
    roads: LaneGraph,
    scene: WorldScene,
    cast: Cast,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    world: int,
    column: int,
    ahead_m: float,
    speed_mps: float,
) -> bool:
    """Put a car there, at this speed at most, if there is room for it."""
    last = last_background_vehicle(layout, settings.num_vehicles)
    slot = free_slot(scene.traits, world, layout.first_vehicle, last)
    point = company_point(roads, traffic.company, world, column, ahead_m)
    if slot < 0 or point < 0:
        return False
    seed = scene.clocks.seed[world]
    room = Room(SPAWN_GAP_M, -NEAREST_SPAWN_M)  # who drives beside is no hindrance
    return try_spawn_at(cast, settings, world, slot, point, seed, speed_mps, room)


@inlined_function
def start_company(
    roads: LaneGraph,
    scene: WorldScene,
    cast: Cast,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    world: int,
) -> int:
    """All of the company at once, at rest, at a reset; how many came."""
    company, came = traffic.company, 0
    find_company_lanes(roads, scene, company, world)
    for column in range(company.num_columns[world]):
        for row in range(1, settings.company + 1):
            for side in range(2):
                ahead = row * SPACING_M if side == 0 else -row * SPACING_M
                came += spawn_company_car(
                    roads, scene, cast, traffic, settings, layout, world, column, ahead, 0.0
                )  # fmt: skip
    return came


@inlined_function
def keep_company(
    roads: LaneGraph,
    scene: WorldScene,
    cast: Cast,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    world: int,
) -> int:
    """Set paces, let the first of too many go and one more come; how many more there are."""
    company, number, motion = traffic.company, settings.company, scene.motion
    find_company_lanes(roads, scene, company, world)
    count_company(scene, traffic, layout, world, number)
    speed, came = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0]), 0
    near = company.near_junction[world]
    most = NUMBER_NEAR_JUNCTION if near else 2 * number
    for column in range(company.num_columns[world]):
        ahead, behind = company.num_ahead[world, column], company.num_behind[world, column]
        first_m, last_m = company.first_m[world, column], company.last_m[world, column]
        if not near and ahead > number and first_m > settings.out_of_view_m:
            clear_slot(motion, scene.traits, world, company.first_slot[world, column])
            came -= 1
        elif not near and ahead < number and first_m < number * SPACING_M:
            came += spawn_company_car(
                roads, scene, cast, traffic, settings, layout, world, column,
                (number + 1) * SPACING_M, 0.0,
            )  # fmt: skip
        at = min(-number * SPACING_M, last_m - SPACING_M)
        at = max(at, column_end_m(company, world, column) + HALF_CAR_M)
        if ahead + behind < most and at <= min(-NEAREST_SPAWN_M, last_m - SPACING_M):
            came += spawn_company_car(
                roads, scene, cast, traffic, settings, layout, world, column, at, speed
            )
    return came


@inlined_function
def missing_company(company: Company, world: int, number: int) -> int:
    """Places that other traffic leaves to the company."""
    missing = 0
    for column in range(company.num_columns[world]):
        there = company.num_ahead[world, column] + company.num_behind[world, column]
        missing += max(2 * number - there, 0)
    return missing


@inlined_function
def room_elsewhere(lanes: Lanes, links: LaneLinks, lane: int, s_m: float) -> Room:
    """Around a new car of other roads: sources before junctions are denser."""
    first, along_m = links.successor_first[lane], OPPOSITE_SPACING_M
    leads_on = links.successor_first[lane + 1] > first
    if leads_on and lanes.junction[links.successor[first]] >= 0:
        is_source = lanes.length_m[lane] - s_m < SOURCE_M
        along_m = SPAWN_GAP_M if is_source else OPPOSITE_SPACING_M
    return Room(along_m, BESIDE_GAP_M)
