import math

import numpy as np
import pytest

from evaluation.drivers.route_following import (
    MAX_ACCELERATION_MPS2,
    bend_speed_mps,
    follow_actors,
    idm_towards,
    pursuit_steer,
)
from evaluation.drivers.rule_drivers import stop_at_signs, stop_for_lights
from evaluation.drivers.vehicle_control import pedal_for_acceleration
from sim_adapters.scene.map_bank import MapRanges, Signals, SignKind, Signs, StopLines
from sim_adapters.scene.scenario import Route
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch
from sim_adapters.world.dynamics import ego_step
from tests.evaluation.fake_drive import make_scene, straight_route, write_route

DESIRED_MPS = 10.0


def scene_at(x: float = 50.0, v: float = 10.0) -> SceneBatch:
    """An ego on a straight route to the east."""
    scene = make_scene(1)
    scene.motion.x[0, 0], scene.motion.vx_mps[0, 0] = x, v
    return scene


def add_actor(
    scene: SceneBatch,
    x: float,
    y: float,
    *,
    kind: ActorKind = ActorKind.CAR,
    v: tuple[float, float] = (0.0, 0.0),
    z: float = 0.0,
) -> SceneBatch:
    half_length, half_width = (0.3, 0.3) if kind == ActorKind.PEDESTRIAN else (2.3, 0.9)
    scene.traits.valid[0, 1], scene.traits.kind[0, 1] = True, kind
    scene.traits.half_length_m[0, 1], scene.traits.half_width_m[0, 1] = half_length, half_width
    scene.motion.x[0, 1], scene.motion.y[0, 1], scene.motion.z[0, 1] = x, y, z
    scene.motion.vx_mps[0, 1], scene.motion.vy_mps[0, 1] = v
    scene.motion.yaw_rad[0, 1] = math.atan2(v[1], v[0])
    return scene


def acceleration_among_actors(scene: SceneBatch, standing_s: float = 0.0) -> float:
    passed = int(scene.motion.x[0, 0])
    return follow_actors(
        0, scene.ego, scene.motion, scene.traits, scene.routes, passed, standing_s, DESIRED_MPS
    )


FREE_MPS2 = 0.0  # at the desired speed nothing changes


def test_idm_starts_with_its_largest_acceleration_and_ends_at_the_desired_speed():
    assert idm_towards(0.0, np.inf, 0.0, 10.0, 0.25, 4.0) == MAX_ACCELERATION_MPS2
    assert idm_towards(10.0, np.inf, 0.0, 10.0, 0.25, 4.0) == pytest.approx(0.0)


def test_idm_rests_at_its_minimum_gap_and_brakes_hard_inside_it():
    assert idm_towards(0.0, 4.0, 0.0, 10.0, 0.25, 4.0) == pytest.approx(0.0)
    # s* / s = 2: a (1 - 4)
    assert idm_towards(0.0, 2.0, 0.0, 10.0, 0.25, 4.0) == pytest.approx(-9.0)


def test_a_free_road_asks_for_nothing():
    assert acceleration_among_actors(scene_at()) == pytest.approx(FREE_MPS2)


def test_a_standing_car_ahead_is_braked_for():
    assert acceleration_among_actors(add_actor(scene_at(), 75.0, 0.0)) < -3.0


def test_the_gap_is_from_bumper_to_bumper():
    scene = add_actor(scene_at(50.0, 0.0), 50.0 + 2.446 + 4.0 + 2.3, 0.0)
    assert acceleration_among_actors(scene) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("x", "y", "z", "kind"),
    [
        (75.0, 3.5, 0.0, ActorKind.CAR),  # the next lane
        (40.0, 0.0, 0.0, ActorKind.CAR),  # behind
        (75.0, 0.0, 6.0, ActorKind.CAR),  # on the bridge above
        (75.0, 0.0, 0.0, ActorKind.DEBRIS),  # flat
        (75.0, 4.0, 0.0, ActorKind.PEDESTRIAN),  # standing on the sidewalk
    ],
)
def test_who_is_not_in_the_way_is_not_braked_for(x, y, z, kind):
    scene = add_actor(scene_at(), x, y, kind=kind, z=z)
    assert acceleration_among_actors(scene) == pytest.approx(FREE_MPS2)


def test_a_pedestrian_who_steps_onto_the_road_is_braked_for():
    # 2.2 s to the ego's corridor, and 2.2 s for the ego to get there
    scene = add_actor(scene_at(), 72.0, -4.5, kind=ActorKind.PEDESTRIAN, v=(0.0, 1.4))
    assert acceleration_among_actors(scene) < -2.0


def test_a_pedestrian_who_walks_away_is_not():
    scene = add_actor(scene_at(), 72.0, -4.5, kind=ActorKind.PEDESTRIAN, v=(0.0, -1.4))
    assert acceleration_among_actors(scene) == pytest.approx(FREE_MPS2)


def test_a_car_that_crosses_long_before_the_ego_comes_is_not_waited_for():
    scene = add_actor(scene_at(10.0), 85.0, -6.0, v=(0.0, 8.0))
    assert acceleration_among_actors(scene) == pytest.approx(FREE_MPS2)


def test_oncoming_traffic_in_its_own_lane_is_passed():
    scene = add_actor(scene_at(), 80.0, 3.5, v=(-10.0, 0.0))
    assert acceleration_among_actors(scene) == pytest.approx(FREE_MPS2)


def test_who_has_waited_long_goes_on_unless_the_corridor_itself_is_taken():
    crossing = add_actor(scene_at(50.0, 0.0), 54.5, -4.0, v=(0.0, 2.0))
    assert acceleration_among_actors(crossing, standing_s=0.0) < 0.0
    assert acceleration_among_actors(crossing, standing_s=30.0) > 0.0
    taken = add_actor(scene_at(50.0, 0.0), 55.0, 0.0)
    assert acceleration_among_actors(taken, standing_s=30.0) < 0.0


def test_who_touches_the_flank_is_not_followed():
    behind_the_bumper = add_actor(scene_at(50.0, 0.0), 49.5, 1.75)
    assert acceleration_among_actors(behind_the_bumper) == MAX_ACCELERATION_MPS2
    nose_ahead = add_actor(scene_at(50.0, 0.0), 51.5, 1.75)
    assert acceleration_among_actors(nose_ahead) < 0.0
    assert acceleration_among_actors(nose_ahead, standing_s=30.0) == MAX_ACCELERATION_MPS2


def test_who_stands_across_the_bumper_is_waited_for():
    scene = add_actor(scene_at(50.0, 0.0), 53.5, 0.0)
    scene.motion.yaw_rad[0, 1] = math.pi / 2
    assert acceleration_among_actors(scene, standing_s=30.0) < 0.0


# Lights and signs -------------------------------------------------------------------------------


def ranges() -> MapRanges:
    """One map with one signal and one sign."""
    one = np.array([0, 1], np.int32)
    return MapRanges(one, one, one, one, one, one, one)


def acceleration_at_light(
    state: LightState, gap: float, *, v: float = 10.0, lateral: float = 0.0, yaw: float = 0.0
) -> float:
    scene = scene_at(50.0, v)
    scene.lights.state[0, 0] = state
    zero, index = np.zeros(1), np.zeros(1, np.int32)
    signals = Signals(zero, zero, zero, index, index, index, np.array([0, 1], np.int32))
    x, y = np.array([50.0 + gap]), np.array([lateral])
    lines = StopLines(x, y, zero, np.array([yaw]), np.array([3.5]), index, index)
    return stop_for_lights(0, scene.arrays, ranges(), signals, lines, 50, DESIRED_MPS)


def test_a_red_light_is_braked_for_and_a_green_one_passed():
    assert acceleration_at_light(LightState.RED, 25.0) < -2.0
    assert acceleration_at_light(LightState.GREEN, 25.0) == np.inf
    assert acceleration_at_light(LightState.OFF, 25.0) == np.inf


def test_yellow_counts_only_if_a_comfortable_stop_is_possible():
    # At 10 m/s, 3.72 m/s^2 stop in 13.4 m
    assert acceleration_at_light(LightState.YELLOW, 14.0) < 0.0
    assert acceleration_at_light(LightState.YELLOW, 13.0) == np.inf


def test_the_light_of_another_lane_is_not_the_egos():
    assert acceleration_at_light(LightState.RED, 25.0, lateral=3.5) == np.inf
    assert acceleration_at_light(LightState.RED, 25.0, yaw=math.pi) == np.inf


def test_a_line_is_past_once_the_tail_has_crossed_it():
    # 0.8 of the half length, 2.446 m, lie 1.957 m behind the ego's centre
    assert acceleration_at_light(LightState.RED, -1.96, v=0.0) == np.inf
    assert acceleration_at_light(LightState.RED, -5.0, v=0.0) == np.inf


@pytest.mark.parametrize("state", [LightState.RED, LightState.YELLOW])
def test_who_waits_on_the_line_stays_there_when_the_light_turns(state):
    assert acceleration_at_light(state, -1.9, v=0.0) < -10.0
    assert acceleration_at_light(LightState.GREEN, -1.9, v=0.0) == np.inf


def test_who_crosses_the_line_at_speed_goes_on():
    # 8.7 m/s^2 stop from 4 m/s in 0.92 m; the tail is 0.96 m and 0.86 m before the line
    assert acceleration_at_light(LightState.RED, -1.0, v=4.0) < -10.0
    assert acceleration_at_light(LightState.RED, -1.1, v=4.0) == np.inf


def acceleration_at_sign(gap: float, v: float, served: int = -1) -> tuple[float, int]:
    scene = scene_at(50.0, v)
    kind, x = np.array([SignKind.STOP], np.uint8), np.array([50.0 + gap])
    zero, one = np.zeros(1), np.ones(1)
    signs = Signs(kind, x, zero, zero, zero, one, one, zero, np.zeros(1, np.int32))
    return stop_at_signs(0, scene.arrays, ranges(), signs, 50, served, DESIRED_MPS)


def test_a_stop_sign_is_stopped_at_once():
    acceleration, served = acceleration_at_sign(25.0, 10.0)
    assert acceleration < -1.0
    assert served == -1
    assert acceleration_at_sign(3.0, 0.05) == (np.inf, 0)
    assert acceleration_at_sign(3.0, 5.0, served=0) == (np.inf, 0)


def test_standing_far_before_a_stop_sign_is_no_stop():
    assert acceleration_at_sign(6.0, 0.0)[1] == -1


def test_the_driver_comes_to_rest_before_a_red_light():
    x, v = 0.0, 12.0
    for _ in range(300):
        acceleration = idm_towards(v, 80.0 - x, 0.0, 12.0, 0.1, 6.0)
        pedal = pedal_for_acceleration(v, acceleration)
        for _ in range(2):
            x, _, _, v = ego_step(x, 0.0, 0.0, v, 0.0, max(pedal, 0.0), max(-pedal, 0.0), 0.05)
    assert v < 0.05
    assert 72.0 < x < 77.6  # the front, 2.4 m ahead, has not reached the line


# Following the route ----------------------------------------------------------------------------


def circle_route(radius_m: float) -> Route:
    """A left circle that starts at the origin to the east, one point a metre."""
    angle = np.arange(0.0, 1.5 * math.pi, 1.0 / radius_m)
    n = len(angle)
    return Route(
        x=radius_m * np.sin(angle),
        y=radius_m * (1.0 - np.cos(angle)),
        z=np.zeros(n),
        yaw_rad=angle,
        lane=np.zeros(n, np.int32),
        in_junction=np.zeros(n, np.bool_),
        command=np.full(n, 4, np.uint8),
    )


def scene_with(route: Route) -> SceneBatch:
    scene = make_scene(1)
    write_route(scene, 0, route)
    return scene


def test_a_car_left_of_its_straight_route_steers_right():
    routes = scene_with(straight_route(100)).routes
    assert pursuit_steer(routes, 0, 20, 20.0, 0.0, 0.0, 8.0) == pytest.approx(0.0)
    assert pursuit_steer(routes, 0, 20, 20.0, 1.0, 0.0, 8.0) < -0.02
    assert pursuit_steer(routes, 0, 20, 20.0, -1.0, 0.0, 8.0) > 0.02


def test_a_route_behind_the_car_is_turned_to_as_tightly_as_possible():
    routes = scene_with(straight_route(100)).routes
    assert abs(pursuit_steer(routes, 0, 20, 20.0, 0.5, math.pi, 2.0)) == 1.0


@pytest.mark.parametrize(("radius", "v"), [(8.0, 3.0), (20.0, 6.0), (60.0, 12.0)])
def test_the_car_stays_on_a_circle(radius, v):
    routes = scene_with(circle_route(radius)).routes
    x, y, yaw, worst = 0.0, 0.0, 0.0, 0.0
    for _ in range(int(4.0 * radius / v / 0.1)):
        start = int(np.argmin(np.hypot(routes.x[0] - x, routes.y[0] - y)[: routes.num_points[0]]))
        steer = pursuit_steer(routes, 0, start, x, y, yaw, v)
        for _ in range(2):
            x, y, yaw, _ = ego_step(x, y, yaw, v, steer, 0.0, 0.0, 0.05)
        worst = max(worst, abs(math.hypot(x, y - radius) - radius))
    assert worst < 0.5


def test_bend_speed_is_that_of_the_lateral_acceleration():
    routes = scene_with(circle_route(10.0)).routes
    # v^2 / 10 m = 2.5 m/s^2 here, and one metre of braking at 2 m/s^2
    assert bend_speed_mps(routes, 0, 20, 5.0) == pytest.approx(math.sqrt(25.0 + 4.0), rel=0.03)


def test_a_straight_road_has_no_bend_speed():
    assert bend_speed_mps(scene_with(straight_route(100)).routes, 0, 10, 5.0) == np.inf
