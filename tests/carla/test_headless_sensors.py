"""Sensors of the headless server through the unmodified client library."""

from __future__ import annotations

import math
import queue
import time
from typing import Any

import carla
import pytest

HERO = "vehicle.lincoln.mkz_2020"
SUBSCRIBING_S = 0.4  # the client connects to the sensor's stream in another thread
OTHER = "vehicle.tesla.model3"


def spawn(world: carla.World, name: str, place: carla.Transform) -> Any:
    return world.spawn_actor(world.get_blueprint_library().find(name), place)


def attach(
    world: carla.World, name: str, parent: Any, **attributes: str
) -> tuple[Any, queue.Queue]:
    blueprint = world.get_blueprint_library().find(name)
    for key, value in attributes.items():
        blueprint.set_attribute(key, value)
    sensor = world.spawn_actor(blueprint, carla.Transform(), attach_to=parent)
    events: queue.Queue = queue.Queue()
    sensor.listen(events.put)
    time.sleep(SUBSCRIBING_S)
    world.tick()
    return sensor, events


def ahead(place: carla.Transform, meters: float) -> carla.Transform:
    forward = place.get_forward_vector()
    location = place.location + carla.Location(forward.x * meters, forward.y * meters, 0.0)
    return carla.Transform(location, place.rotation)


def drain(events: queue.Queue) -> list[Any]:
    found = []
    while True:
        try:
            found.append(events.get(timeout=0.3))
        except queue.Empty:
            return found


def test_collision_is_reported_once_a_frame_with_the_impulse_that_stops_the_car(
    world: carla.World,
) -> None:
    place = world.get_map().get_spawn_points()[0]
    hero = spawn(world, HERO, place)
    wall = spawn(world, OTHER, ahead(place, 8.0))
    for _ in range(10):
        world.tick()
    wall.set_simulate_physics(False)  # it stands fast
    _sensor, events = attach(world, "sensor.other.collision", hero)
    hero.set_target_velocity(place.get_forward_vector() * 6.0)
    hero.apply_control(carla.VehicleControl(throttle=0.3))
    for _ in range(30):
        world.tick()
    seen = drain(events)
    assert seen
    first = seen[0]
    assert (first.actor.id, first.other_actor.id) == (hero.id, wall.id)
    frames = [event.frame for event in seen]
    assert len(frames) == len(set(frames))
    mass = hero.get_physics_control().mass
    forward = place.get_forward_vector()
    impulse = first.normal_impulse
    along = impulse.x * forward.x + impulse.y * forward.y
    assert -mass * 7.0 < along < -mass * 5.0  # mass times the 6 m/s that it loses
    gap = hero.get_location().distance(wall.get_location())
    assert gap == pytest.approx(hero.bounding_box.extent.x + wall.bounding_box.extent.x, abs=0.1)
    world.tick()
    drain(events)
    hero.apply_control(carla.VehicleControl(brake=1.0))
    for _ in range(10):
        world.tick()
    at_rest = drain(events)
    for _ in range(5):
        world.tick()
    assert len(at_rest) <= 2
    assert drain(events) == []  # standing bumper to bumper is no collision


def test_car_that_stands_in_the_way_is_seen_to_be_knocked_aside(world: carla.World) -> None:
    """The leaderboard blames nobody slower than 0.1 m/s, so CARLA's answer to a hit decides."""
    place = world.get_map().get_spawn_points()[0]
    hero = spawn(world, HERO, place)
    hero.apply_control(carla.VehicleControl(brake=1.0))
    right = place.get_right_vector()
    beside = carla.Transform(place.location - right * 9.0, place.rotation)
    beside.rotation.yaw += 90.0  # towards the hero
    other = spawn(world, OTHER, beside)
    for _ in range(10):
        world.tick()
    _sensor, events = attach(world, "sensor.other.collision", hero)
    other.enable_constant_velocity(carla.Vector3D(10.0, 0.0, 0.0))
    fastest = 0.0
    for _ in range(30):
        world.tick()
        fastest = max(fastest, hero.get_velocity().length())
    assert len(drain(events)) >= 2  # the second finds it moving
    assert 3.0 < fastest < 10.0


def test_car_hit_from_behind_takes_half_of_the_speed(world: carla.World) -> None:
    place = world.get_map().get_spawn_points()[0]
    hero, other = spawn(world, OTHER, place), spawn(world, OTHER, ahead(place, 7.0))
    for _ in range(10):
        world.tick()
    hero.set_target_velocity(place.get_forward_vector() * 8.0)
    for _ in range(40):
        world.tick()
        if other.get_velocity().length() > 1.0:
            break
    world.tick()  # who was hit shows it at once, who hit is seen at the speed of impact
    # A plastic impact of equal masses: both go on with the mean
    assert other.get_velocity().length() == pytest.approx(4.0, abs=0.6)
    assert hero.get_velocity().length() == pytest.approx(4.0, abs=0.6)


def test_debris_lies_flat_and_a_cone_does_not(world: carla.World) -> None:
    place = world.get_map().get_spawn_points()[0]
    hero = spawn(world, HERO, place)
    for _ in range(10):
        world.tick()
    spawn(world, "static.prop.dirtdebris01", ahead(hero.get_transform(), 6.0))
    spawn(world, "static.prop.constructioncone", ahead(hero.get_transform(), 12.0))
    _sensor, events = attach(world, "sensor.other.collision", hero)
    hero.apply_control(carla.VehicleControl(throttle=0.8))
    for _ in range(80):
        world.tick()
    assert {event.other_actor.type_id for event in drain(events)} == {
        "static.prop.constructioncone"
    }


def test_gnss_measures_by_the_formula_of_the_leaderboard(world: carla.World) -> None:
    hero = spawn(world, HERO, world.get_map().get_spawn_points()[7])
    _sensor, events = attach(world, "sensor.other.gnss", hero)
    world.tick()
    measured, place = drain(events)[-1], hero.get_location()
    # Town01 lies at 0 N 0 E, where a degree is the Earth's radius times pi / 180 both ways; the
    # leaderboard's _location_to_gps counts north along CARLA's -y
    degree_m = 6378137.0 * math.pi / 180.0
    assert measured.latitude * degree_m == pytest.approx(-place.y, abs=1e-3)
    assert measured.longitude * degree_m == pytest.approx(place.x, abs=1e-3)
    assert measured.altitude == pytest.approx(place.z, abs=1e-3)


def test_imu_feels_gravity_throttle_and_turning_and_knows_north(world: carla.World) -> None:
    hero = spawn(world, HERO, world.get_map().get_spawn_points()[0])
    for _ in range(10):
        world.tick()
    sensor, events = attach(world, "sensor.other.imu", hero)
    yaw = math.radians(hero.get_transform().rotation.yaw)
    world.tick()
    still = drain(events)[-1]
    assert still.accelerometer.z == pytest.approx(9.81, abs=0.01)
    assert still.compass == pytest.approx((yaw + math.pi / 2) % (2 * math.pi), abs=1e-3)
    hero.apply_control(carla.VehicleControl(throttle=0.8, steer=0.5))
    for _ in range(20):
        world.tick()
    moving = drain(events)[-1]
    sensor.stop()
    speed = hero.get_velocity().length()
    turning = math.radians(hero.get_angular_velocity().z)
    assert moving.accelerometer.x > 0.5
    assert moving.accelerometer.y == pytest.approx(speed * turning, rel=0.3)  # to the right
    assert moving.gyroscope.z == pytest.approx(turning, abs=1e-4)


def test_accelerometers_feel_the_gravity_that_the_client_sets(world: carla.World) -> None:
    hero = spawn(world, HERO, world.get_map().get_spawn_points()[0])
    for _ in range(10):
        world.tick()
    _sensor, events = attach(world, "sensor.other.imu", hero)
    assert world.get_imui_sensor_gravity() == pytest.approx(9.81)
    world.set_imui_sensor_gravity(1.62)
    world.tick()
    assert world.get_imui_sensor_gravity() == pytest.approx(1.62)
    assert drain(events)[-1].accelerometer.z == pytest.approx(1.62, abs=0.01)
    world.set_imui_sensor_gravity(9.81)


def test_obstacle_sensor_measures_the_gap_ahead(world: carla.World) -> None:
    place = world.get_map().get_spawn_points()[0]
    hero, other = spawn(world, HERO, place), spawn(world, OTHER, ahead(place, 12.0))
    for _ in range(10):
        world.tick()
    blueprint = world.get_blueprint_library().find("sensor.other.obstacle")
    blueprint.set_attribute("distance", "20")
    blueprint.set_attribute("hit_radius", "0.2")
    front = carla.Transform(carla.Location(x=2.5, z=0.7))
    sensor = world.spawn_actor(blueprint, front, attach_to=hero)
    events: queue.Queue = queue.Queue()
    sensor.listen(events.put)
    time.sleep(SUBSCRIBING_S)
    world.tick()
    seen = drain(events)[-1]
    assert (seen.actor.id, seen.other_actor.id) == (hero.id, other.id)
    assert seen.distance == pytest.approx(12.0 - 2.5 - other.bounding_box.extent.x - 0.2, abs=0.05)


def test_lane_invasion_is_noticed_by_the_client(world: carla.World) -> None:
    hero = spawn(world, HERO, world.get_map().get_spawn_points()[0])
    _sensor, events = attach(world, "sensor.other.lane_invasion", hero)
    hero.apply_control(carla.VehicleControl(throttle=0.8, steer=-0.3))
    for _ in range(60):
        world.tick()
    assert drain(events)


def test_sensor_tick_spaces_out_measurements(world: carla.World) -> None:
    hero = spawn(world, HERO, world.get_map().get_spawn_points()[0])
    _sensor, events = attach(world, "sensor.other.gnss", hero, sensor_tick="0.2")
    drain(events)
    for _ in range(20):  # 1 s
        world.tick()
    assert len(drain(events)) == 5


def test_destroyed_sensor_leaves_the_server_fit(world: carla.World) -> None:
    hero = spawn(world, HERO, world.get_map().get_spawn_points()[0])
    sensor, _ = attach(world, "sensor.other.imu", hero)
    assert sensor.destroy()
    hero.destroy()
    assert world.tick() > 0


def test_ackermann_control_reaches_and_holds_the_speed(world: carla.World) -> None:
    hero = spawn(world, HERO, world.get_map().get_spawn_points()[0])
    for _ in range(10):
        world.tick()
    hero.apply_ackermann_control(carla.VehicleAckermannControl(steer=0.0, speed=5.0))
    for _ in range(160):
        world.tick()
    assert hero.get_velocity().length() == pytest.approx(5.0, abs=0.3)
    hero.apply_ackermann_control(carla.VehicleAckermannControl(steer=0.1, speed=0.0))
    for _ in range(120):
        world.tick()
    assert hero.get_velocity().length() == pytest.approx(0.0, abs=0.05)


def test_constant_velocity_overrides_the_pedals_until_it_is_released(world: carla.World) -> None:
    hero = spawn(world, HERO, world.get_map().get_spawn_points()[0])
    for _ in range(10):
        world.tick()
    hero.enable_constant_velocity(carla.Vector3D(7.0, 0.0, 0.0))
    hero.apply_control(carla.VehicleControl(brake=1.0))
    for _ in range(20):
        world.tick()
    assert hero.get_velocity().length() == pytest.approx(7.0, abs=1e-3)
    hero.disable_constant_velocity()
    for _ in range(60):
        world.tick()
    assert hero.get_velocity().length() == pytest.approx(0.0, abs=1e-3)


def test_teleported_actor_without_physics_stays_where_it_is_put(world: carla.World) -> None:
    place = world.get_map().get_spawn_points()[0]
    hero = spawn(world, HERO, place)
    hero.set_simulate_physics(False)
    target = carla.Transform(carla.Location(10.0, 20.0, -450.0), carla.Rotation(0.0, 30.0, 0.0))
    hero.set_transform(target)
    for _ in range(5):
        world.tick()
    pose = hero.get_transform()
    assert (pose.location.x, pose.location.y, pose.location.z) == pytest.approx((10, 20, -450))
    assert pose.rotation.yaw == pytest.approx(30.0, abs=1e-4)
