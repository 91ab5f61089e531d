"""A plan of CARLA's becomes our dense route: the same way, no jumps, no steps back."""

import numpy as np
import pytest

from sim_adapters.maps.router import Router, route_of_plan, route_of_points
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, RouteCommand

EAST_Y = -1.75  # centre of the crossing's eastbound lane


def plan_of(route: Route) -> tuple[np.ndarray, np.ndarray]:
    return np.column_stack([route.x, route.y, route.z]), route.yaw_rad


@pytest.fixture
def router(crossing: MapBank) -> Router:
    return Router(crossing)


@pytest.fixture
def straight_on(router: Router) -> Route:
    return router.trace("crossing", np.array([[-50.0, EAST_Y, 0.0], [50.0, EAST_Y, 0.0]]))


def test_a_plan_along_our_own_route_is_our_own_route(router, straight_on):
    route = route_of_plan(router, "crossing", *plan_of(straight_on))
    np.testing.assert_allclose(route.x, straight_on.x, atol=0.02)
    np.testing.assert_allclose(route.y, straight_on.y, atol=0.02)
    np.testing.assert_array_equal(route.in_junction, straight_on.in_junction)
    np.testing.assert_array_equal(route.command, straight_on.command)
    np.testing.assert_array_equal(route.lane, straight_on.lane)


def test_a_point_on_a_seam_is_the_following_lane_s(router, straight_on):
    lanes, points = router.maps.lanes, router.maps.points
    passed = list(dict.fromkeys(straight_on.lane.tolist()))
    assert len(passed) == 3  # road, junction, road
    seams = [float(points.x[lanes.first_point[lane]]) for lane in passed[1:]]
    position, _ = plan_of(straight_on)
    for seam_x in seams:
        position = np.insert(position, np.searchsorted(position[:, 0], seam_x), 0.0, axis=0)
        position[position[:, 0] == 0.0] = (seam_x, EAST_Y, 0.0)
    planned = route_of_plan(router, "crossing", position, np.zeros(len(position)))
    for route in (straight_on, planned):
        number = np.searchsorted(seams, route.x + 0.01)  # lanes are sampled a little inside
        np.testing.assert_array_equal(route.lane, np.array(passed)[number])
        np.testing.assert_array_equal(route.in_junction, number == 1)


def test_overlapping_legs_do_not_lead_back(router, straight_on):
    position, yaw = plan_of(straight_on)
    # CARLA joins legs that end a metre or two behind the next one's start
    rows = [*range(40), *range(37, len(yaw))]
    route = route_of_plan(router, "crossing", position[rows], yaw[rows])
    assert np.all(np.diff(route.x) > 0.9)
    assert route.length_m == pytest.approx(straight_on.length_m, abs=0.1)


def test_points_given_twice_do_no_harm(router, straight_on):
    position, yaw = plan_of(straight_on)
    route = route_of_plan(router, "crossing", np.repeat(position, 2, axis=0), np.repeat(yaw, 2))
    assert route.length_m == pytest.approx(straight_on.length_m, abs=0.1)


def test_a_jump_to_the_lane_beside_becomes_a_smooth_change(router):
    # West of the crossing two lanes lead east, 3.5 m apart
    x = np.arange(-150.0, -70.0)
    y = np.where(x < -110.0, -5.25, EAST_Y)
    route = route_of_plan(router, "crossing", np.column_stack([x, y, 0.0 * x]), 0.0 * x)
    assert (route.y[0], route.y[-1]) == pytest.approx((-5.25, EAST_Y))
    assert np.abs(np.diff(route.y)).max() < 0.35  # spread over some 20 m
    changing = (route.y > -5.2) & (route.y < EAST_Y - 0.05)
    assert np.all(route.command[changing] == RouteCommand.CHANGE_LEFT)
    assert set(route.command[~changing]) <= {RouteCommand.LANE_FOLLOW, RouteCommand.CHANGE_LEFT}


def test_a_plan_off_the_map_is_refused(router):
    position = np.array([[5000.0, 0.0, 0.0], [5001.0, 0.0, 0.0]])
    with pytest.raises(ValueError, match="no driving lane"):
        route_of_plan(router, "crossing", position, np.zeros(2))


def test_a_plan_of_one_place_is_refused(router):
    with pytest.raises(ValueError, match="leads nowhere"):
        route_of_plan(router, "crossing", np.array([[-50.0, EAST_Y, 0.0]] * 3), np.zeros(3))


def test_a_plan_can_be_the_route_as_it_stands(router):
    # A lane change, a point given twice and one behind the last, as CARLA joins its legs
    x = np.concatenate([np.arange(-150.0, -110.0), np.arange(-110.5, 40.0)])
    x = np.insert(x, 10, x[10])
    y = np.where(x < -110.0, -5.25, EAST_Y)
    position = np.column_stack([x, y, 0.0 * x])
    route = route_of_points(router, "crossing", position, np.zeros(len(x)))
    np.testing.assert_array_equal(np.column_stack([route.x, route.y, route.z]), position)
    np.testing.assert_array_equal(route.yaw_rad, np.zeros(len(x)))
    np.testing.assert_array_equal(route.in_junction, (x > -10.0) & (x < 10.0))
    assert np.all(route.command[route.in_junction] == RouteCommand.STRAIGHT)
    (change,) = np.flatnonzero(route.command == RouteCommand.CHANGE_LEFT)
    assert route.y[change - 1 : change + 1].tolist() == [-5.25, EAST_Y]
    assert route_of_plan(router, "crossing", position, np.zeros(len(x))).y.max() == EAST_Y
    with pytest.raises(ValueError, match="leads nowhere"):
        route_of_points(router, "crossing", position[:1], np.zeros(1))
