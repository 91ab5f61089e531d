"""Tables derived from the lane graph: on a hand-made road, and on Town03's roundabout."""

import math

import numpy as np
import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import LaneKind, LaneLinks, LanePoints, Lanes, MapBank
from sim_adapters.world.traffic.map import (
    LATERAL_ACCELERATION_MPS2,
    TrafficMap,
    build_traffic_map,
    curve_speeds,
    lanes_that_lead_on,
)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def make_lanes(first_point: np.ndarray, length_m: np.ndarray) -> Lanes:
    count = len(length_m)
    none = np.full(count, -1, np.int32)
    kind = np.full(count, LaneKind.DRIVING, np.uint8)
    return Lanes(first_point, length_m, kind, none, none, none, none, none, none, none)


def make_links(successor_first: np.ndarray, successor: np.ndarray) -> LaneLinks:
    empty, nothing = np.zeros(len(successor_first), np.int32), ints()
    return LaneLinks(
        *(successor_first, successor, empty, nothing, empty, nothing, np.zeros(0), np.zeros(0)),
        first_ahead=np.full(len(successor_first) - 1, -1, np.int32),
    )


def test_lanes_into_a_dead_end_do_not_lead_on() -> None:
    # 0 -> 1 -> 0 is a loop; 1 -> 2 -> 3 ends
    lanes = make_lanes(ints(0, 2, 4, 6, 8), np.ones(4))
    links = make_links(ints(0, 1, 3, 4, 4), ints(1, 0, 2, 3))
    assert lanes_that_lead_on(lanes, links).tolist() == [True, True, False, False]


def test_curve_speed_is_that_of_the_comfortable_lateral_acceleration() -> None:
    radius, s = 20.0, np.arange(31.0)
    angle = s / radius
    zeros = np.zeros(31)
    points = LanePoints(
        radius * np.sin(angle), radius * (1 - np.cos(angle)), zeros, angle, s, zeros, zeros, zeros
    )
    lanes = make_lanes(ints(0, 31), np.array([30.0]))
    expected = math.sqrt(LATERAL_ACCELERATION_MPS2 * radius)
    np.testing.assert_allclose(curve_speeds(points, lanes), expected, rtol=1e-9)


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town03"])


@pytest.fixture(scope="module")
def table(maps: MapBank) -> TrafficMap:
    return build_traffic_map(maps)


def test_conflicts_are_mutual_and_lie_on_their_lanes(maps: MapBank, table: TrafficMap) -> None:
    lane = np.repeat(np.arange(len(maps.lanes.kind)), np.diff(table.conflict_first))
    pairs = set(zip(lane.tolist(), table.conflict.tolist(), strict=True))
    assert len(pairs) > 100
    assert all((b, a) in pairs for a, b in pairs)
    start, end = table.interval_m[:, 0], table.interval_m[:, 1]
    assert np.all(start < end)
    assert np.all(end <= maps.lanes.length_m[lane] + 1.0)


def test_a_lane_and_its_successor_are_no_conflict(maps: MapBank, table: TrafficMap) -> None:
    links = maps.links
    for lane in range(len(maps.lanes.kind)):
        others = table.conflict[table.conflict_first[lane] : table.conflict_first[lane + 1]]
        after = links.successor[links.successor_first[lane] : links.successor_first[lane + 1]]
        assert not set(others.tolist()) & set(after.tolist())


def test_vehicles_appear_outside_junctions_only(maps: MapBank, table: TrafficMap) -> None:
    lane = maps.points.lane[table.spawn_point]
    assert len(lane) > 500
    assert np.all(maps.lanes.junction[lane] < 0)
    assert np.all(table.leads_on[lane])
