"""The unmodified client library drives vehicles and walkers on the headless server."""

from __future__ import annotations

import math

import carla
import numpy as np
import pytest

from sim_adapters.carla.servers import free_port
from sim_adapters.carla.tick_watch import TickWatch
from sim_adapters.world.dynamics import ego_step

STEP_S = 0.05
FIRST_TM_PORT = 9_000
HERO = "vehicle.lincoln.mkz_2020"


def spawn_hero(world: carla.World, place: int = 0, name: str = HERO) -> carla.Vehicle:
    blueprint = world.get_blueprint_library().find(name)
    blueprint.set_attribute("role_name", "hero")
    vehicle = world.spawn_actor(blueprint, world.get_map().get_spawn_points()[place])
    for _ in range(8):  # it falls half a metre
        world.tick()
    return vehicle


def test_hero_drives_exactly_as_the_embedded_dynamics(world: carla.World) -> None:
    hero = spawn_hero(world)
    start = hero.get_transform()
    # Our frame is right-handed: y, yaw and steering change sign
    state = (start.location.x, -start.location.y, -math.radians(start.rotation.yaw), 0.0)
    hero.apply_control(carla.VehicleControl(throttle=0.7, steer=0.1))
    for _ in range(60):
        state = ego_step(*state, -0.1, 0.7, 0.0, STEP_S)
        world.tick()
    pose, velocity = hero.get_transform(), hero.get_velocity()
    assert pose.location.x == pytest.approx(state[0], abs=1e-3)
    assert pose.location.y == pytest.approx(-state[1], abs=1e-3)
    turned = math.radians(pose.rotation.yaw) + state[2]
    assert math.remainder(turned, 2.0 * math.pi) == pytest.approx(0.0, abs=1e-3)
    assert math.hypot(velocity.x, velocity.y) == pytest.approx(state[3], abs=1e-3)


def test_positive_steering_turns_right_which_is_clockwise_in_carla(world: carla.World) -> None:
    hero = spawn_hero(world)
    before = hero.get_transform()
    hero.apply_control(carla.VehicleControl(throttle=0.7, steer=0.3))
    for _ in range(40):
        world.tick()
    offset = hero.get_location() - before.location
    right = before.get_right_vector()
    assert offset.x * right.x + offset.y * right.y > 0.5
    assert hero.get_angular_velocity().z > 1.0
    assert hero.get_control().gear >= 1


def test_reverse_drives_backwards_and_the_brake_ends_it(world: carla.World) -> None:
    hero = spawn_hero(world)
    before = hero.get_transform()
    hero.apply_control(carla.VehicleControl(throttle=0.5, reverse=True))
    for _ in range(60):
        world.tick()
    offset = hero.get_location() - before.location
    forward = before.get_forward_vector()
    assert offset.x * forward.x + offset.y * forward.y < -1.0
    assert hero.get_control().gear == -1
    hero.apply_control(carla.VehicleControl(hand_brake=True))
    for _ in range(60):
        world.tick()
    assert hero.get_velocity().length() == pytest.approx(0.0, abs=1e-6)


def test_spawned_car_falls_onto_its_lane_and_stands_there(world: carla.World) -> None:
    hero = spawn_hero(world)
    waypoint = world.get_map().get_waypoint(hero.get_location())
    assert hero.get_location().z == pytest.approx(waypoint.transform.location.z, abs=0.02)
    assert hero.bounding_box.extent.x == pytest.approx(2.44619, abs=1e-4)
    assert hero.get_speed_limit() == pytest.approx(30.0)


def test_walker_kept_deep_below_a_car_stays_there_and_is_not_hit(world: carla.World) -> None:
    hero = spawn_hero(world)
    sensor = world.spawn_actor(
        world.get_blueprint_library().find("sensor.other.collision"), carla.Transform(), hero
    )
    hits: list[str] = []
    sensor.listen(lambda event: hits.append(event.other_actor.type_id))
    place = hero.get_transform()
    place.location.z -= 50.0  # where scenario_runner 0.9.16 spawns the walkers of crossings
    walker = world.spawn_actor(world.get_blueprint_library().find("walker.pedestrian.0050"), place)
    hero.apply_control(carla.VehicleControl(throttle=0.7))
    for _ in range(20):
        world.tick()
    assert walker.get_location().z == pytest.approx(place.location.z, abs=0.01)
    assert hero.get_velocity().length() > 2.0
    assert hits == []
    sensor.destroy()


def test_second_car_at_the_same_place_is_refused(world: carla.World) -> None:
    hero = spawn_hero(world)
    blueprint = world.get_blueprint_library().find(HERO)
    assert world.try_spawn_actor(blueprint, hero.get_transform()) is None
    with pytest.raises(RuntimeError, match="Spawn failed because of collision"):
        world.spawn_actor(blueprint, hero.get_transform())


SENSOR_ATTRIBUTES = {
    "camera.rgb": "lens_circle_multiplier lens_circle_falloff chromatic_aberration_intensity gamma",
    "camera.depth": "lens_k lens_x_size fov",
    "camera.dvs": "positive_threshold log_eps",
    "camera.cosmos_visualization": "image_size_x fov",
    "lidar.ray_cast": "upper_fov lower_fov atmosphere_attenuation_rate dropoff_general_rate "
    "dropoff_zero_intensity noise_stddev noise_seed",
    "lidar.ray_cast_semantic": "upper_fov horizontal_fov",
    "other.radar": "horizontal_fov vertical_fov points_per_second range",
    "other.v2x": "transmit_power path_loss_exponent gen_cam_min noise_vel_stddev_x",
    "other.v2x_custom": "filter_distance",
}


@pytest.mark.parametrize(("sensor", "attributes"), SENSOR_ATTRIBUTES.items())
def test_sensors_without_a_counterpart_take_attributes_then_refuse_and_say_why(
    world: carla.World, sensor: str, attributes: str
) -> None:
    blueprint = world.get_blueprint_library().find(f"sensor.{sensor}")
    for name in attributes.split():
        blueprint.set_attribute(name, "1")
    needed = "a model of radio messages" if "v2x" in sensor else "rendering"
    with pytest.raises(RuntimeError, match=f"{sensor} needs {needed}"):
        world.spawn_actor(blueprint, carla.Transform())


@pytest.mark.parametrize("height_m", [1.0, 2.5, 5.0])
def test_nothing_drives_in_mid_air(world: carla.World, height_m: float) -> None:
    place = world.get_map().get_spawn_points()[2]
    place.location.z += height_m - 0.5  # spawn points are half a metre up
    hero = world.spawn_actor(world.get_blueprint_library().find(HERO), place)
    hero.apply_control(carla.VehicleControl(throttle=1.0, steer=0.5))
    for _ in range(int(math.sqrt(2.0 * (height_m - 0.3) / 9.81) / STEP_S)):
        world.tick()
        assert hero.get_location().z > 0.0
    in_the_air = hero.get_transform()
    assert math.dist(*((p.x, p.y) for p in (in_the_air.location, place.location))) < 1e-3
    assert in_the_air.rotation.yaw == pytest.approx(place.rotation.yaw, abs=1e-3)
    for _ in range(40):
        world.tick()
    assert hero.get_location().z == pytest.approx(0.0, abs=0.02)
    assert hero.get_location().distance(place.location) > 3.0


@pytest.mark.parametrize("has_physics", [True, False])
def test_a_prop_falls_once_it_has_physics(world: carla.World, has_physics: bool) -> None:
    place = world.get_map().get_spawn_points()[3]
    place.location.z = 4.0
    cone = world.spawn_actor(world.get_blueprint_library().find("static.prop.trafficcone01"), place)
    cone.set_simulate_physics(has_physics)  # without, as all props begin, it stays where it is put
    for _ in range(40):
        world.tick()
    assert cone.get_location().z == pytest.approx(0.0 if has_physics else 4.0, abs=0.02)
    cone.destroy()


def test_a_car_beside_the_road_falls_and_drives_on_the_ground(world: carla.World) -> None:
    place = carla.Transform(carla.Location(200.0, 150.0, 5.0))  # in a meadow of Town01
    car = world.spawn_actor(world.get_blueprint_library().find(HERO), place)
    car.apply_control(carla.VehicleControl(throttle=1.0))
    for _ in range(20):
        world.tick()
    assert car.get_location().x == pytest.approx(200.0, abs=1e-3)
    for _ in range(60):
        world.tick()
    assert car.get_location().z == pytest.approx(0.0, abs=0.02)
    assert car.get_location().x > 205.0
    car.destroy()


def test_a_car_that_flies_keeps_its_velocity_and_heading(world: carla.World) -> None:
    place = world.get_map().get_spawn_points()[2]
    place.location.z += 5.0
    hero = world.spawn_actor(world.get_blueprint_library().find(HERO), place)
    forward = place.get_forward_vector()
    hero.set_target_velocity(forward * 8.0)
    hero.apply_control(carla.VehicleControl(brake=1.0, steer=1.0))
    for _ in range(10):
        world.tick()
    flown = hero.get_location() - place.location
    assert flown.x * forward.x + flown.y * forward.y == pytest.approx(4.0, abs=0.01)
    assert abs(flown.x * forward.y - flown.y * forward.x) < 0.01


def test_walker_walks_as_fast_as_told_and_faces_its_way(world: carla.World) -> None:
    blueprint = world.get_blueprint_library().find("walker.pedestrian.0001")
    place = world.get_map().get_spawn_points()[3]
    walker = world.spawn_actor(blueprint, carla.Transform(place.location))
    world.tick()
    start = walker.get_location()
    walker.apply_control(carla.WalkerControl(carla.Vector3D(0.0, 1.0, 0.0), 1.5))
    for _ in range(20):
        world.tick()
    moved = walker.get_location() - start
    assert (moved.x, moved.y) == pytest.approx((0.0, 1.5), abs=1e-3)
    assert walker.get_transform().rotation.yaw == pytest.approx(90.0, abs=1e-3)
    assert walker.get_velocity().y == pytest.approx(1.5, abs=1e-4)
    told = walker.get_control()
    assert (told.direction.y, told.speed) == pytest.approx((1.0, 1.5))  # experts forecast by it


def test_batch_spawns_drives_and_reports_each_command(
    client: carla.Client, world: carla.World
) -> None:
    blueprint = world.get_blueprint_library().find("vehicle.audi.tt")
    places = world.get_map().get_spawn_points()
    spawn, control = carla.command.SpawnActor, carla.command.ApplyVehicleControl
    batch = [
        spawn(blueprint, place).then(
            control(carla.command.FutureActor, carla.VehicleControl(throttle=1.0))
        )
        for place in (places[0], places[1], places[1])
    ]
    responses = client.apply_batch_sync(batch, True)
    assert [bool(response.error) for response in responses] == [False, False, True]
    assert "collision" in responses[2].error
    first = world.get_actor(responses[0].actor_id)
    assert first.get_control().throttle == pytest.approx(1.0)
    destroyed = client.apply_batch_sync([carla.command.DestroyActor(first.id)], True)
    assert not destroyed[0].has_error()
    assert first.id not in {actor.id for actor in world.get_actors()}


def tick_with(manager: carla.TrafficManager, world: carla.World, count: int) -> None:
    """Tick beside a TrafficManager, which may sleep through one."""
    watch = TickWatch(manager)
    for _ in range(count):
        with watch.ticking():
            world.tick()
    watch.end()


def test_traffic_manager_drives_ten_cars_in_their_lanes(
    client: carla.Client, world: carla.World
) -> None:
    blueprint = world.get_blueprint_library().find("vehicle.audi.tt")
    places = world.get_map().get_spawn_points()[::3][:10]
    manager = client.get_trafficmanager(free_port(FIRST_TM_PORT))
    manager.set_synchronous_mode(True)
    manager.set_random_device_seed(1)
    cars = [world.spawn_actor(blueprint, place) for place in places]
    for car in cars:
        car.set_autopilot(True, manager.get_port())
    tick_with(manager, world, 1)
    before = {car.id: car.get_location() for car in cars}
    tick_with(manager, world, 300)
    moved = [before[car.id].distance(car.get_location()) for car in cars]
    town = world.get_map()
    offsets = []
    for car in cars:
        lane = town.get_waypoint(car.get_location()).transform.location
        offsets.append(math.hypot(lane.x - car.get_location().x, lane.y - car.get_location().y))
    assert np.median(moved) > 20.0  # some wait at red lights
    assert max(offsets) < 1.0
    for car in cars:
        car.set_autopilot(False, manager.get_port())
    tick_with(manager, world, 1)
    manager.shut_down()  # its thread would end this process when the server has gone


def test_hybrid_traffic_manager_moves_cars_far_from_the_hero_without_physics(
    client: carla.Client, world: carla.World
) -> None:
    near, far = 15.0, 150.0
    town = world.get_map()
    lanes = [town.get_waypoint(place.location) for place in town.get_spawn_points()]
    # Far from junctions, whose lights and right of way would decide when the near car goes
    place = next(
        index
        for index, lane in enumerate(lanes)
        if not any(lane.next(metres)[0].is_junction for metres in range(5, 70, 5))
    )
    spawn_hero(world, place)
    lane = lanes[place]
    blueprint = world.get_blueprint_library().find("vehicle.audi.tt")
    manager = client.get_trafficmanager(free_port(FIRST_TM_PORT))
    manager.set_synchronous_mode(True)
    manager.set_random_device_seed(1)
    manager.set_hybrid_physics_mode(True)
    manager.set_hybrid_physics_radius(50.0)
    cars = []
    for distance in (near, far):
        place = lane.next(distance)[0].transform
        place.location.z += 0.5
        cars.append(world.spawn_actor(blueprint, place))
        cars[-1].set_autopilot(True, manager.get_port())
        manager.ignore_lights_percentage(cars[-1], 100.0)
    tick_with(manager, world, 1)
    starts = [car.get_location() for car in cars]
    tick_with(manager, world, 60)
    moved = [start.distance(car.get_location()) for start, car in zip(starts, cars, strict=True)]
    assert min(moved) > 3.0, (moved, [car.get_control() for car in cars])
    # Pedals are for cars with physics; the others are put where they would be
    assert cars[0].get_control().throttle > 0.0
    assert cars[1].get_control().throttle == 0.0
    offset = world.get_map().get_waypoint(cars[1].get_location()).transform.location
    assert offset.distance(cars[1].get_location()) < 1.0
    for car in cars:
        car.set_autopilot(False, manager.get_port())
    tick_with(manager, world, 1)
    manager.shut_down()


def test_every_batch_command_is_carried_out(client: carla.Client, world: carla.World) -> None:
    command, vector = carla.command, carla.Vector3D
    hero = spawn_hero(world)
    library, places = world.get_blueprint_library(), world.get_map().get_spawn_points()
    walker = world.spawn_actor(library.find("walker.pedestrian.0004"), places[5])
    world.tick()
    physics = hero.get_physics_control()
    physics.mass = 1234.0
    beam = carla.VehicleLightState.Position  # all that the binding of this command can send
    target = carla.Transform(places[9].location, places[9].rotation)
    batch = [
        command.ApplyVehicleControl(hero, carla.VehicleControl(throttle=0.4)),
        command.ApplyVehicleAckermannControl(hero, carla.VehicleAckermannControl(speed=3.0)),
        command.ApplyWalkerControl(walker, carla.WalkerControl(vector(1, 0, 0), 1.0)),
        command.ApplyVehiclePhysicsControl(hero, physics),
        command.ApplyTransform(hero, places[7]),
        command.ApplyWalkerState(walker, target, 0.0),
        command.ApplyTargetVelocity(hero, vector(1, 0, 0)),
        command.ApplyTargetAngularVelocity(hero, vector(0, 0, 1)),
        command.ApplyImpulse(hero, vector(10, 0, 0)),
        command.ApplyForce(hero, vector(10, 0, 0)),
        command.ApplyAngularImpulse(hero, vector(0, 0, 1)),
        command.ApplyTorque(hero, vector(0, 0, 1)),
        command.SetSimulatePhysics(hero, True),
        command.SetEnableGravity(hero, True),
        command.SetVehicleLightState(hero, beam),
        command.DestroyActor(walker),
    ]
    responses = client.apply_batch_sync(batch, False)
    assert [response.error for response in responses] == [""] * len(batch)
    world.tick()
    assert hero.get_location().distance(places[7].location) < 1.0
    assert hero.get_physics_control().mass == pytest.approx(1234.0)
    assert hero.get_light_state() == beam
    assert walker.id not in {actor.id for actor in world.get_actors()}


def test_walker_state_places_a_walker_and_gives_it_a_speed(
    client: carla.Client, world: carla.World
) -> None:
    library, places = world.get_blueprint_library(), world.get_map().get_spawn_points()
    walker = world.spawn_actor(library.find("walker.pedestrian.0004"), places[5])
    world.tick()
    target = carla.Transform(places[9].location, carla.Rotation(yaw=90.0))
    client.apply_batch_sync([carla.command.ApplyWalkerState(walker, target, 2.0)], False)
    for _ in range(10):
        world.tick()
    moved = walker.get_location() - places[9].location
    assert (moved.x, moved.y) == pytest.approx((0.0, 1.0), abs=1e-3)  # 2 m/s for 0.5 s


def test_telemetry_tells_pedals_gear_and_rolling_wheels(world: carla.World) -> None:
    hero = spawn_hero(world)
    hero.apply_control(carla.VehicleControl(throttle=0.5, steer=0.25))
    for _ in range(30):
        world.tick()
    seen, speed_mps = hero.get_telemetry_data(), hero.get_velocity().length()
    assert speed_mps > 1.5
    assert (seen.throttle, seen.steer, seen.brake) == (0.5, 0.25, 0.0)
    assert seen.speed == pytest.approx(speed_mps, abs=1e-3)
    assert seen.gear == hero.get_control().gear
    assert [wheel.omega for wheel in seen.wheels] == pytest.approx([speed_mps / 0.35] * 4, rel=1e-3)
    # First gear 4.25, final ratio 4
    rpm = speed_mps / 0.35 * 4.25 * 4.0 * 30.0 / math.pi
    assert seen.gear == 1
    assert seen.engine_rpm == pytest.approx(rpm, rel=1e-3)


def test_vehicles_have_no_bones_and_say_so(world: carla.World) -> None:
    hero = spawn_hero(world)
    assert list(hero.get_vehicle_bone_world_transforms()) == []
    world.set_annotations_traverse_translucency(True)
    assert world.tick() > 0
