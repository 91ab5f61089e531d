"""The vector observation, feature by feature, on a road made by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hydra.utils import instantiate

from sim_adapters.gymnasium_envs import compose_training_config
from sim_adapters.maps.lane_grid import build_lane_grid
from sim_adapters.observation import vector as vector_module
from sim_adapters.observation.vector import VectorObserver
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch
from tests.observation.observation_scenes import (
    LANE_Y,
    arrays_of,
    set_actor,
    straight_road_bank,
    straight_scene,
)

BANK = straight_road_bank()


def make_observer(**more: Any) -> VectorObserver:
    distances = {"route_distances_m": [2, 10, 40], "edge_distances_m": [0.0, 20.0]}
    return VectorObserver(**{"num_actors": 4, **distances, **more})


def make_driver_observer() -> VectorObserver:
    return make_observer(
        order="approach",
        num_actors=3,
        num_pedestrians=2,
        num_statics=2,
        sight_m=120.0,
        conflicts=True,
    )


def observe(
    scene: SceneBatch,
    memory: EpisodeMemory,
    bank: MapBank = BANK,
    make: Callable[[], VectorObserver] = make_observer,
) -> dict[str, float]:
    observer = make()
    out = arrays_of(observer, scene.num_agents)
    observer.observe(scene, memory, bank, out)
    assert np.isfinite(out["vector"]).all()
    return dict(zip(observer.feature_names, out["vector"][0].tolist(), strict=True))


@pytest.mark.parametrize("name", ["vector", "vector_driver"])
def test_names_match_the_space_and_the_yaml_builds_it(name: str):
    observer = instantiate(compose_training_config([f"observation={name}"]).observation)
    assert observer.space["vector"].shape == (len(observer.feature_names),)
    assert len(set(observer.feature_names)) == len(observer.feature_names)


def test_straight_ahead_reads_as_unit_forward_and_no_curvature():
    scene, memory = straight_scene()
    found = observe(scene, memory)
    for distance in (2, 10, 40):
        assert found[f"route_{distance}m_forward"] == pytest.approx(1.0)
        assert found[f"route_{distance}m_left"] == pytest.approx(0.0)
        assert found[f"route_{distance}m_curvature"] == pytest.approx(0.0)
    assert found["speed"] == pytest.approx(5.0 / 15.0)
    assert found["overspeed"] == pytest.approx(-1.0)
    assert found["lane_offset"] == pytest.approx(0.0)


def test_a_quarter_circle_has_the_curvature_of_its_radius():
    scene, memory = straight_scene()
    radius = 20.0
    angle = np.arange(250) / radius
    scene.routes.x[0] = radius * np.sin(angle)
    scene.routes.y[0] = -LANE_Y + radius * (1.0 - np.cos(angle))
    scene.routes.yaw_rad[0] = angle
    memory.route.index[:] = 0
    found = observe(scene, memory)
    # Curvature 1/20 per metre on a scale of 0.1 per metre; whole points give 8 m of turn as exact.
    assert found["route_10m_curvature"] == pytest.approx(0.5, abs=0.07)
    assert found["route_10m_left"] == pytest.approx(radius * (1 - math.cos(0.5)) / 10.0, abs=0.01)


def test_an_ego_left_of_its_route_finds_positive_offset_and_points_to_the_right():
    scene, memory = straight_scene()
    scene.motion.y[0, 0] += 1.5
    found = observe(scene, memory)
    assert found["route_offset"] == pytest.approx(0.5)
    assert found["route_10m_left"] == pytest.approx(-0.15)
    assert found["lane_offset"] == pytest.approx(1.5 / 1.75)


def test_edges_measure_to_both_sides_of_the_road():
    scene, memory = straight_scene()
    found = observe(scene, memory)
    # From y = -1.75 the road reaches to 3.5 on the left and -3.5 on the right, in half metres.
    for distance in (0, 20):
        assert found[f"edge_{distance}m_left"] == pytest.approx(0.525, abs=0.051)
        assert found[f"edge_{distance}m_right"] == pytest.approx(0.175, abs=0.051)


def test_lead_gap_is_bumper_to_bumper_and_ignores_the_other_lane():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 20.0, LANE_Y, math.pi, 8.0)
    found = observe(scene, memory)
    assert found["lead_found"] == 0.0
    set_actor(scene, 0, 2, ActorKind.CAR, 30.0, -LANE_Y, 0.0, 3.0)
    found = observe(scene, memory)
    assert found["lead_found"] == 1.0
    assert found["lead_gap"] == pytest.approx((30.0 - 2.446 - 2.4) / 50.0, abs=1e-5)
    assert found["lead_speed"] == pytest.approx(3.0 / 15.0)
    assert found["lead_closing"] == pytest.approx(2.0 / 15.0)


def test_nearest_actor_comes_first_and_one_behind_counts_as_further():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, -12.0, -LANE_Y)
    set_actor(scene, 0, 3, ActorKind.PEDESTRIAN, 20.0, -LANE_Y + 2.0, math.pi / 2, 1.5)
    found = observe(scene, memory)
    assert found["actor_0_is_pedestrian"] == 1.0
    assert found["actor_0_forward"] == pytest.approx(20.0 / 50.0)
    assert found["actor_0_left"] == pytest.approx(2.0 / 20.0)
    assert found["actor_0_path_offset"] == pytest.approx(2.0 / 5.0)
    assert found["actor_0_path_cross_speed"] == pytest.approx(1.5 / 15.0)
    assert found["actor_0_left_speed"] == pytest.approx(1.5 / 15.0)
    assert found["actor_0_forward_speed"] == pytest.approx(-5.0 / 15.0)
    assert found["actor_1_forward"] == pytest.approx(-12.0 / 50.0)
    assert found["actor_2_present"] == 0.0


def test_a_fast_car_that_will_meet_the_ego_comes_before_nearer_ones():
    # The ego drives 5 m/s to the east from x = 0. At x = 10 a car from the south, 60 m away at
    # 20 m/s, is there in 3 s; so are the three in the way for longer, who go elsewhere.
    scene, memory = straight_scene(num_slots=8)
    set_actor(scene, 0, 1, ActorKind.CAR, 10.0, -LANE_Y - 60.0, math.pi / 2, 20.0)
    for slot, x in ((2, -20.0), (3, -26.0), (4, -32.0)):  # drive away behind, 10 m/s
        set_actor(scene, 0, slot, ActorKind.CAR, x, -LANE_Y, math.pi, 10.0)
    found = observe(scene, memory, make=make_driver_observer)
    assert found["vehicle_0_left"] == pytest.approx(-2.0)  # 60 m / 20 m, clipped
    assert found["vehicle_0_forward"] == pytest.approx(10.0 / 50.0)
    # With both at present speeds it passes 5 m behind the ego after 3 s: at 2.5 s it is
    # (10 - 12.5, -10) away, at 3 s (10 - 15, 0)
    assert found["vehicle_0_approach_time"] == pytest.approx(1.0)
    assert found["vehicle_0_approach_distance"] == pytest.approx(0.5, abs=0.01)
    nearest = observe(scene, memory)
    assert nearest["actor_0_forward"] == pytest.approx(-20.0 / 50.0)


def test_every_kind_has_slots_of_its_own():
    scene, memory = straight_scene(num_slots=10)
    set_actor(scene, 0, 1, ActorKind.PEDESTRIAN, 100.0, -LANE_Y + 4.0)
    set_actor(scene, 0, 2, ActorKind.BICYCLE, -110.0, -LANE_Y, 0.0, 4.0)
    set_actor(scene, 0, 3, ActorKind.STATIC, 20.0, -LANE_Y - 1.6)  # narrows the lane
    for slot in range(4, 9):  # beside the road
        set_actor(scene, 0, slot, ActorKind.STATIC, 2.0 * slot, -LANE_Y - 6.0)
    found = observe(scene, memory, make=make_driver_observer)
    assert found["pedestrian_0_present"] == 1.0
    assert found["pedestrian_0_forward"] == pytest.approx(2.0)
    assert found["vehicle_0_present"] == 1.0
    assert found["vehicle_1_present"] == found["pedestrian_1_present"] == 0.0
    assert found["static_0_forward"] == pytest.approx(20.0 / 50.0)
    assert found["static_1_present"] == 0.0


def test_who_is_up_the_hill_is_seen_and_who_is_on_the_bridge_is_not():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 60.0, -LANE_Y)
    scene.motion.z[0, 1] = 6.0  # one metre in ten
    set_actor(scene, 0, 2, ActorKind.CAR, 10.0, -LANE_Y)
    scene.motion.z[0, 2] = 6.0
    found = observe(scene, memory, make=make_driver_observer)
    assert found["vehicle_0_forward"] == pytest.approx(60.0 / 50.0)
    assert found["vehicle_1_present"] == 0.0


def test_nobody_beyond_sight_is_seen_and_waiting_is_felt():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 121.0, -LANE_Y, 0.0, 3.0)
    memory.counters.standing_s[0] = 15.0
    found = observe(scene, memory, make=make_driver_observer)
    assert found["vehicle_0_present"] == 0.0
    assert found["lead_found"] == 0.0
    assert found["standing"] == pytest.approx(0.5)


def test_light_on_the_route_shows_distance_and_state_until_the_rear_has_passed():
    scene, memory = straight_scene()
    scene.motion.x[0, 0] = 68.0
    memory.route.index[:] = 88
    scene.lights.state[0, 0], scene.lights.remaining_s[0, 0] = LightState.YELLOW, 1.5
    found = observe(scene, memory)
    assert found["light_found"] == 1.0
    assert found["light_distance"] == pytest.approx(30.0 / 50.0)
    assert (found["light_red"], found["light_yellow"], found["light_green"]) == (0.0, 1.0, 0.0)
    assert found["light_remaining"] == pytest.approx(0.5)
    scene.motion.x[0, 0], memory.route.index[:] = 101.0, 121
    assert observe(scene, memory)["light_found"] == 1.0
    scene.motion.x[0, 0], memory.route.index[:] = 102.5, 122
    assert observe(scene, memory)["light_found"] == 0.0


def test_light_of_the_other_direction_is_not_shown():
    scene, memory = straight_scene()
    scene.motion.x[0, 0], scene.motion.yaw_rad[0, 0] = 110.0, math.pi
    scene.routes.x[0] = 130.0 - np.arange(250)
    scene.routes.yaw_rad[0] = math.pi
    assert observe(scene, memory)["light_found"] == 0.0


def test_stop_sign_shows_while_it_is_tracked():
    scene, memory = straight_scene()
    assert observe(scene, memory)["stop_found"] == 0.0
    memory.signs.vector_shown_stop[0] = 0
    found = observe(scene, memory)
    assert found["stop_found"] == 1.0
    assert found["stop_distance"] == pytest.approx(40.0 / 50.0)


ODD_FEATURES = (
    *("lateral_speed", "yaw_rate", "lateral_acceleration", "steer", "lane_offset", "lane_sin"),
    *("route_offset", "route_sin", "left", "sin", "curvature", "left_speed", "path_offset"),
    "path_cross_speed",
)


def is_odd(name: str) -> bool:
    """Whether a feature changes its sign in the mirror."""
    last = name.split("m_", 1)[1] if name.startswith("route_") and "m_" in name else name
    kinds = ("actor_", "vehicle_", "pedestrian_", "static_")
    last = last.split("_", 2)[2] if last.startswith(kinds) else last
    return last in ODD_FEATURES and not name.startswith("edge_")


@pytest.mark.parametrize("make", [make_observer, make_driver_observer])
def test_a_mirrored_scene_gives_mirrored_features(make: Callable[[], VectorObserver]):
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 30.0, -LANE_Y + 0.3, 0.2, 3.0)
    set_actor(scene, 0, 2, ActorKind.PEDESTRIAN, 9.0, 2.0, 1.2, 1.0)
    motion = scene.motion
    motion.y[0, 0], motion.yaw_rad[0, 0], motion.vy_mps[0, 0] = -1.5, 0.1, 0.4
    motion.yaw_rate_radps[0, 0], motion.ay_mps2[0, 0], scene.ego.steer[0] = 0.2, 0.7, 0.3
    scene.routes.y[0] += 0.001 * scene.routes.x[0] ** 2
    scene.routes.yaw_rad[0] = np.arctan(0.002 * scene.routes.x[0])
    seen = observe(scene, memory, make=make)
    odd = (motion.y, motion.yaw_rad, motion.vy_mps, motion.ay_mps2, motion.yaw_rate_radps)
    for array in (*odd, scene.ego.steer, scene.routes.y, scene.routes.yaw_rad):
        array *= -1.0
    points = BANK.points._replace(y=-BANK.points.y)
    lines = BANK.stop_lines._replace(y=-BANK.stop_lines.y)
    mirror = replace(
        BANK, points=points, grid=build_lane_grid(points, BANK.lanes), stop_lines=lines
    )
    mirrored = observe(scene, memory, mirror, make)
    for name, value in seen.items():
        partner = name
        if name.startswith("edge_"):
            side = "right" if name.endswith("left") else "left"
            partner = name.rsplit("_", 1)[0] + "_" + side
        expected = -value if is_odd(name) else value
        tolerance = 0.06 if name.startswith("edge_") else 1e-5  # a pixel belongs to one side
        assert mirrored[partner] == pytest.approx(expected, abs=tolerance), name
    assert sum(abs(seen[name]) > 0.01 for name in seen if is_odd(name)) > 15


def test_stored_rows_paint_the_same_observation():
    scene, memory = straight_scene(num_worlds=3)
    observer = make_observer()
    stored, painted, seen = (arrays_of(observer, 3) for _ in range(3))
    observer.gather(scene, memory, BANK, stored)
    observer.paint(stored, BANK, painted)
    observer.observe(scene, memory, BANK, seen)
    for name in seen:
        np.testing.assert_array_equal(painted[name], seen[name])


def test_rows_of_some_drivers_are_those_of_all():
    scene, memory = straight_scene(num_worlds=4)
    scene.motion.x[:, 0] = [0.0, 3.0, 6.0, 9.0]
    observer = make_observer()
    every, some = arrays_of(observer, 4), arrays_of(observer, 4)
    observer.gather(scene, memory, BANK, every)
    observer.gather_some(np.array([1, 3]), scene, memory, BANK, some)
    for name, rows in every.items():
        np.testing.assert_array_equal(some[name][[1, 3]], rows[[1, 3]])
        assert np.isnan(some[name][[0, 2]]).all()


def test_wrong_settings_say_what_was_expected():
    with pytest.raises(ValueError, match="ascending"):
        VectorObserver(num_actors=4, route_distances_m=[4, 2], edge_distances_m=[0])
    with pytest.raises(ValueError, match="order is 'random', expected 'nearest' or 'approach'"):
        make_observer(order="random")
    with pytest.raises(ValueError, match="take order=approach"):
        make_observer(num_pedestrians=2)
    with pytest.raises(ValueError, match="num_actors is 99"):
        VectorObserver(num_actors=99, route_distances_m=[4], edge_distances_m=[0])


@pytest.mark.kernel
@pytest.mark.parametrize("make", [make_observer, make_driver_observer])
def test_jitted_features_equal_their_plain_python_selves(monkeypatch, make):
    scene, memory = straight_scene(num_worlds=2)
    set_actor(scene, 0, 1, ActorKind.CAR, 30.0, -LANE_Y + 0.3, 0.2, 3.0)
    set_actor(scene, 1, 2, ActorKind.PEDESTRIAN, 9.0, 2.0, 1.2, 1.0)
    set_actor(scene, 1, 3, ActorKind.STATIC, 25.0, -LANE_Y - 1.5)
    observer = make()
    jitted, plain = arrays_of(observer, 2), arrays_of(observer, 2)
    observer.observe(scene, memory, BANK, jitted)
    monkeypatch.setattr(vector_module, "write_vector", vector_module.write_vector.py_func)
    monkeypatch.setattr(
        vector_module, "write_vector_range", vector_module.write_vector_range.py_func
    )
    observer.observe(scene, memory, BANK, plain)
    np.testing.assert_allclose(plain["vector"], jitted["vector"], atol=1e-6)
