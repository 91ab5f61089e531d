"""Our own planner against figures of CARLA's, and what it does where both agree."""

import logging

import numpy as np
import pytest

from sim_adapters.maps.opendrive import nearest_driving_lanes
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.maps.route_scenarios import CarlaPlanner, trace_scenario
from sim_adapters.maps.router import Router, route_of_plan
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import ScenarioTrigger

# Four waypoints on a straight road of Town04, in our frame. The second lies where two lanes of a
# junction leave one another. CARLA takes it to be on the one that turns off, and goes back for it.
STRAIGHT_ROAD = np.array(
    [
        (140.2180, 173.3585, 0.1959),
        (116.8372, 173.4916, 0.1959),
        (72.4764, 173.7441, 0.1959),
        (49.3980, 173.8754, 0.1959),
    ]
)
STRAIGHT_M = 90.8  # from the first to the last
CARLA_M = 728.9  # by GlobalRoutePlanner(1 m) of CARLA 0.9.16, leg by leg 21.9, 42.8 and 661.2 m


@pytest.fixture(scope="module")
def router(towns: MapBank) -> Router:
    return Router(towns)


def spec(*triggers: ScenarioTrigger) -> RouteSpec:
    return RouteSpec("20", "Town04", STRAIGHT_ROAD, triggers)


def trigger_at(x: float, y: float, yaw_rad: float) -> ScenarioTrigger:
    return ScenarioTrigger("ControlLoss_1", "ControlLoss", x, y, 0.2, yaw_rad, {})


def test_plan_makes_the_detour_that_carlas_planner_makes(router: Router) -> None:
    planner = CarlaPlanner(router.maps, "Town04")
    route = route_of_plan(router, "Town04", *planner.plan(STRAIGHT_ROAD))
    assert router.trace("Town04", STRAIGHT_ROAD).length_m == pytest.approx(STRAIGHT_M, abs=0.5)
    assert route.length_m == pytest.approx(CARLA_M, rel=0.005)
    assert np.hypot(np.diff(route.x), np.diff(route.y)).max() < 1.05


def test_trigger_on_the_detour_chooses_the_detour(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    planner = CarlaPlanner(router.maps, "Town04")
    detour = route_of_plan(router, "Town04", *planner.plan(STRAIGHT_ROAD))
    middle = len(detour.x) // 2
    trigger = trigger_at(detour.x[middle], detour.y[middle], detour.yaw_rad[middle])
    with caplog.at_level(logging.INFO):
        scenario = trace_scenario(spec(trigger), router, seed=0)
    assert scenario.route.length_m == pytest.approx(CARLA_M, rel=0.005)
    assert "as CARLA plans it instead of 91 m, to pass 1 triggers" in caplog.text


def test_triggers_on_the_straight_way_keep_it(router: Router) -> None:
    here = trigger_at(72.5, 173.7, np.pi)
    scenario = trace_scenario(spec(here), router, seed=0)
    assert scenario.route.length_m == pytest.approx(STRAIGHT_M, abs=0.5)


def test_trigger_on_neither_way_is_named_and_the_straight_way_kept(
    router: Router, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = trigger_at(-400.0, -300.0, 0.0)
    scenario = trace_scenario(spec(nowhere), router, seed=0)
    assert scenario.route.length_m == pytest.approx(STRAIGHT_M, abs=0.5)
    assert "1 of 1 scenario triggers lie off the route and cannot start: ControlLoss_1" in (
        caplog.text
    )


def test_carla_names_the_lane_and_its_centre(crossing_file) -> None:
    # The crossing's west road is number 0; its eastbound lane lies at y = -1.75
    ids, points = nearest_driving_lanes(str(crossing_file), np.array([[-60.0, -2.5, 0.0]]))
    assert ids[0][2] == -1
    assert points == pytest.approx(np.array([[-60.0, -1.75, 0.0]]), abs=0.01)
