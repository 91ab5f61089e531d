"""Routes on the hand-written crossing (tests/data/crossing.xodr), whose lengths are known."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from sim_adapters.maps.route_file import RouteSpec, write_routes
from sim_adapters.maps.route_scenarios import load_scenarios, missed_triggers
from sim_adapters.maps.router import Router
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, RouteCommand, ScenarioTrigger

# Traffic keeps right. The west road comes in at y = -1.75; arms begin 10 m from the centre.
WEST, NORTH_OUT, SOUTH_OUT, EAST_OUT = (-150, -1.75), (1.75, 50), (-1.75, -50), (50, -1.75)
LEFT_ARC_M, RIGHT_ARC_M = 11.75 * math.pi / 2, 8.25 * math.pi / 2


@pytest.fixture(scope="module")
def router(crossing: MapBank) -> Router:
    return Router(crossing)


def trace(router: Router, *places: Sequence[float]) -> Route:
    return router.trace("crossing", np.array([(x, y, 0.0) for x, y in places]))


@pytest.mark.parametrize(
    ("goal", "crossing_m", "command"),
    [
        (NORTH_OUT, LEFT_ARC_M, RouteCommand.LEFT),
        (SOUTH_OUT, RIGHT_ARC_M, RouteCommand.RIGHT),
        (EAST_OUT, 20.0, RouteCommand.STRAIGHT),
    ],
)
def test_route_over_a_crossing_has_the_length_and_the_command_of_its_turn(
    router: Router, goal: tuple[float, float], crossing_m: float, command: RouteCommand
) -> None:
    route = trace(router, WEST, goal)
    assert route.length_m == pytest.approx(140.0 + crossing_m + 40.0, abs=0.1)
    inside = route.command == command
    assert np.count_nonzero(inside) == pytest.approx(crossing_m, abs=1.0)
    np.testing.assert_array_equal(route.in_junction, inside)
    assert np.all(route.command[~inside] == RouteCommand.LANE_FOLLOW)
    assert (route.x[0], route.y[0]) == pytest.approx(WEST, abs=0.01)
    assert (route.x[-1], route.y[-1]) == pytest.approx(goal, abs=0.01)


def test_heading_is_that_of_the_motion_and_points_stand_a_metre_apart(router: Router) -> None:
    route = trace(router, WEST, NORTH_OUT)
    dx, dy = np.diff(route.x), np.diff(route.y)
    assert np.hypot(dx, dy) == pytest.approx(1.0, abs=0.01)
    turn = np.arctan2(dy, dx) - route.yaw_rad[:-1]
    # On an arc of 11.75 m the chord to the next point leaves the tangent by 1 / (2 * 11.75) rad
    assert np.max(np.abs(turn)) < 1.2 / (2 * 11.75)
    assert route.yaw_rad[0] == pytest.approx(0.0, abs=1e-3)
    assert route.yaw_rad[-1] == pytest.approx(math.pi / 2, abs=1e-3)


def test_height_follows_the_road(router: Router) -> None:
    route = trace(router, WEST, EAST_OUT)
    # The road rises from -1 m at x = -160 to 0 m at x = -60
    assert np.interp([-110.0, -70.0, 0.0], route.x, route.z) == pytest.approx(
        [-0.5, -0.1, 0.0], abs=0.02
    )


def test_lane_change_is_smooth_and_named_where_it_happens(router: Router) -> None:
    route = trace(router, (-150, -5.25), (-70, -1.75))
    changing = route.command == RouteCommand.CHANGE_LEFT
    assert np.count_nonzero(changing) == pytest.approx(20, abs=1)
    assert np.all(np.diff(route.y) >= -1e-9)
    assert route.y[0] == pytest.approx(-5.25, abs=1e-3)
    assert route.y[-1] == pytest.approx(-1.75, abs=1e-3)
    assert route.y[changing].mean() == pytest.approx(-3.5, abs=0.1)
    # The steepest part of 3 u^2 - 2 u^3 over 20 m for 3.5 m: atan(1.5 * 3.5 / 20)
    assert route.yaw_rad.max() == pytest.approx(math.atan(0.2625), abs=0.01)
    assert np.hypot(np.diff(route.x), np.diff(route.y)) == pytest.approx(1.0, abs=0.01)


def test_solid_marking_is_crossed_only_where_nothing_else_leads_on(crossing: MapBank) -> None:
    none = np.full_like(crossing.lanes.left, -1)
    solid = replace(crossing, lanes=crossing.lanes._replace(left=none, right=none))
    route = trace(Router(solid), (-150, -5.25), EAST_OUT)
    assert np.count_nonzero(route.command == RouteCommand.CHANGE_LEFT) > 0
    straight = trace(Router(solid), WEST, EAST_OUT)
    assert not np.any(straight.command == RouteCommand.CHANGE_LEFT)


def test_waypoint_in_a_junction_means_the_lane_that_the_route_can_drive(router: Router) -> None:
    # (-6, -2.6) is nearest to the right turn, but the route goes on to the north
    snaps = router.nearby_lanes(0, -6.0, -2.6, None)
    assert router.maps.rules.turn[snaps[0].place.lane] == RouteCommand.RIGHT
    route = trace(router, WEST, (-6.0, -2.6), NORTH_OUT)
    assert route.length_m == pytest.approx(140.0 + LEFT_ARC_M + 40.0, abs=0.1)


def test_height_of_a_waypoint_picks_the_level(router: Router) -> None:
    assert router.nearby_lanes(0, -110.0, -1.75, -0.5)
    assert not router.nearby_lanes(0, -110.0, -1.75, 6.0)


def test_leg_by_leg_equals_the_whole(router: Router) -> None:
    whole = trace(router, WEST, NORTH_OUT)
    legs = trace(router, WEST, (-100, -1.75), (-60, -1.75), (-11, -1.75), (1.75, 12), NORTH_OUT)
    np.testing.assert_allclose(legs.x, whole.x, atol=0.02)
    np.testing.assert_allclose(legs.y, whole.y, atol=0.02)
    np.testing.assert_array_equal(legs.command, whole.command)


def test_goal_behind_the_start_is_reached_by_driving_round_or_not_at_all(router: Router) -> None:
    with pytest.raises(ValueError, match="no drivable way from waypoint 0 to waypoint 1"):
        trace(router, (-100, -1.75), (-120, -1.75))


def spec(*places: Sequence[float], town: str = "crossing", route_id: str = "4") -> RouteSpec:
    return RouteSpec(route_id, town, np.array([(x, y, 0.0) for x, y in places], float))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (spec(WEST, NORTH_OUT, town="Town99"), "route 4: town 'Town99' is not in this MapBank"),
        (spec(WEST, (-100.0, 80.0)), r"route 4: waypoint 1 at x=-100.0 m, y=-80.0 m .* further"),
        (spec(EAST_OUT, WEST), "route 4: no drivable way from waypoint 0 to waypoint 1"),
    ],
)
def test_undrivable_route_is_refused_with_file_and_route(
    bad: RouteSpec, message: str, crossing: MapBank, tmp_path: object
) -> None:
    path = f"{tmp_path}/bad.xml"
    write_routes(path, [spec(WEST, NORTH_OUT, route_id="3"), bad])
    with pytest.raises(ValueError, match=message) as error:
        load_scenarios(path, crossing)
    assert path in str(error.value)


def test_loaded_scenario_has_the_route_and_all_triggers(
    crossing: MapBank, tmp_path: object, caplog: pytest.LogCaptureFixture
) -> None:
    on_route = ScenarioTrigger("ControlLoss_1", "ControlLoss", -100.0, -1.75, 0.0, 0.0)
    other_way = replace(on_route, name="ControlLoss_2", y=1.75, yaw_rad=math.pi)
    triggers = (on_route, other_way)
    write_routes(f"{tmp_path}/r.xml", [replace(spec(WEST, NORTH_OUT), triggers=triggers)])
    (scenario,) = load_scenarios(f"{tmp_path}/r.xml", crossing, seed=3)
    assert (scenario.scenario_id, scenario.town) == ("crossing_04", "crossing")
    assert scenario.route.y[-1] == pytest.approx(50.0, abs=0.01)  # north is up in our frame
    assert [trigger.name for trigger in scenario.triggers] == ["ControlLoss_1", "ControlLoss_2"]
    assert missed_triggers(scenario.route, scenario.triggers) == [scenario.triggers[1]]
    assert "1 of 2 scenario triggers lie off the route" in caplog.text
