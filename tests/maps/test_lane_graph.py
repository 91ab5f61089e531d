"""The hand-written crossing (tests/data/crossing.xodr) has lengths and places one can work out."""

import math

import carla
import numpy as np
import pytest

from sim_adapters.maps.lane_grid import fill_cells
from sim_adapters.maps.opendrive_document import parse_document
from sim_adapters.maps.town_files import find_town_file, read_town_document
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import RouteCommand


def lane_row(bank: MapBank, road: int, lane: int) -> int:
    rows = np.flatnonzero((bank.lanes.road_id == road) & (bank.lanes.lane_id == lane))
    assert len(rows) == 1
    return int(rows[0])


def point_rows(bank: MapBank, lane: int) -> slice:
    return slice(int(bank.lanes.first_point[lane]), int(bank.lanes.first_point[lane + 1]))


def listed(first: np.ndarray, values: np.ndarray, row: int) -> list[int]:
    return values[first[row] : first[row + 1]].tolist()


def test_centre_line_runs_in_driving_direction_in_the_right_handed_frame(crossing: MapBank) -> None:
    inward = point_rows(crossing, lane_row(crossing, road=1, lane=-1))
    assert crossing.points.x[inward][[0, -1]] == pytest.approx([-60.0, -10.0], abs=0.01)
    assert crossing.points.y[inward] == pytest.approx(-1.75, abs=1e-3)  # right of the reference
    assert crossing.points.yaw_rad[inward] == pytest.approx(0.0, abs=1e-3)
    outward = point_rows(crossing, lane_row(crossing, road=1, lane=1))
    assert crossing.points.x[outward][[0, -1]] == pytest.approx([-10.0, -60.0], abs=0.01)
    assert crossing.points.y[outward] == pytest.approx(1.75, abs=1e-3)
    assert np.abs(crossing.points.yaw_rad[outward]) == pytest.approx(math.pi, abs=1e-3)
    northward = point_rows(crossing, lane_row(crossing, road=3, lane=-1))
    assert crossing.points.x[northward] == pytest.approx(1.75, abs=1e-3)
    assert crossing.points.yaw_rad[northward] == pytest.approx(math.pi / 2, abs=1e-3)


def test_points_stand_one_metre_apart_and_end_at_the_lane_end(crossing: MapBank) -> None:
    for lane in range(len(crossing.lanes.length_m)):
        steps = np.diff(crossing.points.s_m[point_rows(crossing, lane)])
        assert steps[:-1] == pytest.approx(1.0)
        assert 0.1 <= steps[-1] <= 1.1
    right_turn = lane_row(crossing, road=103, lane=-1)
    left_turn = lane_row(crossing, road=104, lane=-1)
    straight = lane_row(crossing, road=102, lane=-1)
    assert crossing.lanes.length_m[straight] == pytest.approx(20.0, abs=0.01)
    # Arcs of 10 m radius, the lane's centre 1.75 m inside or outside of them
    assert crossing.lanes.length_m[right_turn] == pytest.approx(8.25 * math.pi / 2, abs=0.01)
    assert crossing.lanes.length_m[left_turn] == pytest.approx(11.75 * math.pi / 2, abs=0.01)


def test_elevation_and_width_follow_the_file(crossing: MapBank) -> None:
    lane = lane_row(crossing, road=5, lane=-1)
    rows = point_rows(crossing, lane)
    expected_z = -1.0 + 0.01 * (crossing.points.x[rows] + 160.0)
    assert crossing.points.z[rows] == pytest.approx(expected_z, abs=1e-3)
    assert crossing.lanes.length_m[lane] == pytest.approx(100.0 * math.hypot(1.0, 0.01), abs=0.01)
    assert crossing.points.width_m[rows] == pytest.approx(3.5)
    parking = lane_row(crossing, road=5, lane=-3)
    assert crossing.lanes.kind[parking] == LaneKind.PARKING
    assert crossing.points.width_m[point_rows(crossing, parking)] == pytest.approx(2.5)


def test_links_join_the_arms_through_the_crossing(crossing: MapBank) -> None:
    links = crossing.links
    approach = lane_row(crossing, road=1, lane=-1)
    ways = [lane_row(crossing, road=road, lane=-1) for road in (102, 103, 104)]
    assert sorted(listed(links.successor_first, links.successor, approach)) == sorted(ways)
    exit_lane = lane_row(crossing, road=2, lane=1)
    into_exit = [lane_row(crossing, road=road, lane=-1) for road in (102, 302, 402)]
    assert sorted(listed(links.predecessor_first, links.predecessor, exit_lane)) == sorted(
        into_exit
    )
    assert listed(links.successor_first, links.successor, into_exit[0]) == [exit_lane]
    before = lane_row(crossing, road=5, lane=-1)
    assert listed(links.successor_first, links.successor, before) == [approach]


def test_lane_changes_are_offered_where_the_marking_is_broken(crossing: MapBank) -> None:
    lanes = crossing.lanes
    inner, outer = lane_row(crossing, road=5, lane=-1), lane_row(crossing, road=5, lane=-2)
    oncoming = lane_row(crossing, road=5, lane=1)
    assert (lanes.right[inner], lanes.left[outer]) == (outer, inner)
    # The centre line is broken too, but beyond it traffic comes the other way
    assert lanes.left[inner] == lanes.left[oncoming] == -1
    assert lanes.right[outer] == -1  # a parking lane is no lane to change to
    assert lanes.opposite[inner] == lanes.opposite[outer] == oncoming
    assert lanes.opposite[oncoming] == inner
    assert lanes.left[lane_row(crossing, road=1, lane=-1)] == -1


def test_turns_are_named_by_their_heading_change(crossing: MapBank) -> None:
    turn = crossing.rules.turn
    assert turn[lane_row(crossing, road=102, lane=-1)] == RouteCommand.STRAIGHT
    assert turn[lane_row(crossing, road=103, lane=-1)] == RouteCommand.RIGHT
    assert turn[lane_row(crossing, road=104, lane=-1)] == RouteCommand.LEFT
    assert turn[lane_row(crossing, road=1, lane=-1)] == RouteCommand.LANE_FOLLOW


def test_conflicts_are_crossing_and_merging_ways_with_other_entries(crossing: MapBank) -> None:
    links = crossing.links
    eastward = lane_row(crossing, road=102, lane=-1)
    others = listed(links.conflict_first, links.conflict, eastward)
    roads = sorted(crossing.lanes.road_id[others].tolist())
    # Crossed by 304 and 403 (straight), 204 is the oncoming right turn and far, 203 the oncoming
    # left turn; 301 and 401 turn across; 302 and 402 merge into the same exit
    assert roads == [203, 301, 302, 304, 402, 403]
    row = links.conflict_first[eastward] + others.index(lane_row(crossing, road=304, lane=-1))
    # The northward way at x = 1.75 m crosses 11.75 m after the entry at x = -10 m
    assert links.conflict_start_m[row] == pytest.approx(11.75 - 2.25, abs=1.0)
    assert links.conflict_end_m[row] == pytest.approx(11.75 + 2.25, abs=1.0)
    merge = links.conflict_first[eastward] + others.index(lane_row(crossing, road=302, lane=-1))
    assert links.conflict_end_m[merge] == pytest.approx(20.0, abs=0.01)


def test_conflicts_are_mutual_and_lie_on_their_own_lane(towns: MapBank) -> None:
    links = towns.links
    owner = np.repeat(np.arange(len(towns.lanes.kind)), np.diff(links.conflict_first))
    pairs = set(zip(owner.tolist(), links.conflict.tolist(), strict=True))
    assert len(pairs) == len(owner)
    assert {(b, a) for a, b in pairs} == pairs
    assert np.all(links.conflict_start_m >= 0.0)
    assert np.all(links.conflict_start_m < links.conflict_end_m)
    assert np.all(links.conflict_end_m <= towns.lanes.length_m[owner])
    assert np.all(towns.lanes.junction[owner] == towns.lanes.junction[links.conflict])
    assert np.all(towns.lanes.junction[owner] >= 0)


def test_successors_start_where_their_lane_ends(towns: MapBank) -> None:
    lanes, points, links = towns.lanes, towns.points, towns.links
    before = np.repeat(np.arange(len(lanes.kind)), np.diff(links.successor_first))
    end, start = lanes.first_point[before + 1] - 1, lanes.first_point[links.successor]
    gap = np.hypot(points.x[end] - points.x[start], points.y[end] - points.y[start])
    assert gap.max() < 0.5
    assert np.abs(points.z[end] - points.z[start]).max() < 0.1
    turn = points.yaw_rad[end] - points.yaw_rad[start]
    assert np.abs(np.arctan2(np.sin(turn), np.cos(turn))).max() < math.radians(10.0)


def test_the_way_ahead_at_a_fork_is_carlas_first(towns: MapBank) -> None:
    # CaRL and the leaderboard look ahead by `next(d)[0]`; 62 of Town07's 67 forks begin elsewhere
    # than the lowest-numbered of our successors
    town = towns.towns.index("Town07")
    document = read_town_document(find_town_file("Town07"))
    roads = {road.road_id: road for road in parse_document(document).roads}
    carla_map = carla.Map("Town07", document.decode())
    lanes, links = towns.lanes, towns.links
    rows = range(towns.ranges.lane[town], towns.ranges.lane[town + 1])
    forks = [row for row in rows if links.successor_first[row + 1] - links.successor_first[row] > 1]
    others = 0
    for row in forks:
        road_id, lane_id = int(lanes.road_id[row]), int(lanes.lane_id[row])
        section = roads[road_id].sections[int(lanes.section_id[row])]
        along_s = roads[road_id].drives_along_s(lane_id)
        end_m = section.end_m - 0.25 if along_s else section.start_m + 0.25
        end = carla_map.get_waypoint_xodr(road_id, lane_id, end_m)
        assert end is not None
        ahead = end.next(0.5)[0]
        after = links.first_ahead[row]
        assert (lanes.road_id[after], lanes.lane_id[after]) == (ahead.road_id, ahead.lane_id)
        others += after != links.successor[links.successor_first[row]]
    assert (len(forks), others) == (67, 62)


def test_a_lane_without_a_fork_goes_on_to_its_successor(towns: MapBank) -> None:
    links = towns.links
    only = np.flatnonzero(np.diff(links.successor_first) == 1)
    same = links.first_ahead[only] == links.successor[links.successor_first[only]]
    # Town03's road 1608 is no successor of ours, for it leads nowhere, but CARLA goes there
    assert towns.lanes.road_id[links.first_ahead[only[~same]]].tolist() == [1608]


def test_only_lanes_that_narrow_to_nothing_are_dead_ends(towns: MapBank) -> None:
    lanes, links = towns.lanes, towns.links
    is_driving = lanes.kind == LaneKind.DRIVING
    dead_ends = np.flatnonzero(is_driving & (np.diff(links.successor_first) == 0))
    end_width = towns.points.width_m[lanes.first_point[dead_ends + 1] - 1]
    wide = dead_ends[end_width > 0.5]
    # Town03's road 1608 holds the one lane that ends a lane's width beside its exit; it must
    # not be entered either
    assert lanes.road_id[wide].tolist() == [1608]
    assert np.diff(links.predecessor_first)[wide].tolist() == [0]


def test_lane_changes_stay_in_the_section_and_direction(towns: MapBank) -> None:
    lanes = towns.lanes
    assert (lanes.left >= 0).sum() == (lanes.right >= 0).sum() > 300
    for row, other in enumerate(lanes.left):
        if other >= 0:
            assert lanes.road_id[row] == lanes.road_id[other]
            assert lanes.section_id[row] == lanes.section_id[other]
            assert lanes.lane_id[row] * lanes.lane_id[other] > 0
            assert lanes.junction[row] == lanes.junction[other] == -1


def test_grid_finds_the_nearest_lane_point(towns: MapBank) -> None:
    rng = np.random.default_rng(3)
    for map_index in (0, 3, 8):
        rows = slice(*towns.ranges.point[map_index : map_index + 2])
        is_driving = towns.lanes.kind[towns.points.lane[rows]] == LaneKind.DRIVING
        x, y, z = (column[rows][is_driving] for column in towns.points[:3])
        for _ in range(50):
            near = rng.integers(len(x))
            px, py = x[near] + rng.uniform(-5, 5), y[near] + rng.uniform(-5, 5)
            found = nearest_lane_point(
                towns.grid, towns.points, towns.lanes, map_index, px, py, z[near], 0
            )
            distance = np.hypot(x - px, y - py)[np.abs(z - z[near]) < 2.5].min()
            assert np.hypot(towns.points.x[found] - px, towns.points.y[found] - py) == distance


@pytest.mark.kernel
def test_grid_kernel_matches_plain_python(crossing: MapBank) -> None:
    x, y = crossing.points.x[::40], crossing.points.y[::40]
    origin = np.array([x.min() - 8.0, y.min() - 8.0])
    jitted, plain = np.zeros((2, 70 * 40), np.int32)
    fill_cells(x, y, origin, 70, 40, jitted, np.empty(0, np.int32))
    fill_cells.py_func(x, y, origin, 70, 40, plain, np.empty(0, np.int32))
    assert np.array_equal(jitted, plain)
    assert jitted.sum() > 20 * len(x)  # a point is near about 25 cells of 4 m


def test_headings_follow_the_centre_lines(towns: MapBank) -> None:
    points = towns.points
    along = (np.diff(points.lane) == 0) & (towns.lanes.kind[points.lane[:-1]] == LaneKind.DRIVING)
    chord = np.arctan2(np.diff(points.y), np.diff(points.x))
    middle = points.yaw_rad[:-1] + 0.5 * _wrap(np.diff(points.yaw_rad))
    error = np.abs(_wrap(chord - middle))[along]
    assert np.quantile(error, 0.999) < math.radians(2.0)
    # Town06's road 400 and Town15's road 1555 have a kink of their own
    assert np.count_nonzero(error > math.radians(5.0)) <= 2


def _wrap(angle: np.ndarray) -> np.ndarray:
    return np.arctan2(np.sin(angle), np.cos(angle))


def test_ring_of_a_roundabout_outranks_its_entries(towns: MapBank) -> None:
    priority = {
        (road, lane): int(towns.rules.priority[row])
        for row in range(*towns.ranges.lane[2:4])  # Town03, whose roundabout is round the origin
        for road, lane in [(int(towns.lanes.road_id[row]), int(towns.lanes.lane_id[row]))]
    }
    # East of the centre two lanes go round, two come in from the east and two leave to the north
    ring = {priority[1100, lane] for lane in (-4, -5)}
    entering = {priority[1089, lane] for lane in (3, 4)}
    leaving = {priority[1122, lane] for lane in (-2, -3)}
    assert min(ring) > max(leaving)
    assert min(leaving) > max(entering)
    # Two-way streets round a block are no roundabout
    assert towns.rules.priority[slice(*towns.ranges.lane[3:5])].max() <= 8
