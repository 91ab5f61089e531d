"""Worlds of the headless server: loading, generating, settings, free-running, several clients."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import carla
import pytest

from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.carla.headless.town import KNOWN_TOWNS

CROSSING = Path(__file__).parents[1] / "data" / "crossing.xodr"
HERO = "vehicle.lincoln.mkz_2020"


def spawn_hero(world: carla.World, place: int = 0) -> Any:
    blueprint = world.get_blueprint_library().find(HERO)
    return world.spawn_actor(blueprint, world.get_map().get_spawn_points()[place])


def test_load_world_starts_an_empty_town_with_fresh_settings(client: carla.Client) -> None:
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.1
    world.apply_settings(settings)
    hero = spawn_hero(world)
    episode = world.id
    world = client.load_world("Town02")
    assert world.get_map().name == "Carla/Maps/Town02"
    assert world.id != episode
    assert hero.id not in {actor.id for actor in world.get_actors()}
    assert not world.get_settings().synchronous_mode
    assert client.load_world("Town01", True, carla.MapLayer.NONE).get_map().name.endswith("Town01")


def test_load_world_can_keep_the_settings(client: carla.Client) -> None:
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.1
    world.apply_settings(settings)
    world = client.load_world("Town01", reset_settings=False)
    assert world.get_settings().synchronous_mode
    assert world.get_settings().fixed_delta_seconds == pytest.approx(0.1)
    before = world.get_snapshot().elapsed_seconds
    world.tick()
    assert world.get_snapshot().elapsed_seconds - before == pytest.approx(0.1)


def test_generated_world_is_the_map_that_was_sent(client: carla.Client) -> None:
    text = CROSSING.read_text()
    world = client.generate_opendrive_world(text)
    assert world.get_map().name == "Carla/Maps/OpenDriveMap"
    assert len(world.get_map().get_topology()) == len(carla.Map("crossing", text).get_topology())
    hero = spawn_hero(world)
    world.wait_for_tick()
    assert world.get_map().get_waypoint(hero.get_location(), project_to_road=False) is not None


@pytest.mark.parametrize("text", ["no map at all", "<OpenDRIVE><road/></OpenDRIVE>"])
def test_text_that_is_no_map_is_refused_and_the_old_world_stays(
    client: carla.Client, text: str
) -> None:
    client.load_world("Town01")
    with pytest.raises(RuntimeError, match="cannot load 'OpenDriveMap'"):
        client.generate_opendrive_world(text)
    assert client.get_world().get_map().name == "Carla/Maps/Town01"


@pytest.mark.parametrize("name", ["Town99", "Town12", "../../etc/passwd", "/etc/x.xodr", "x\0y"])
def test_town_that_cannot_be_loaded_is_an_error_with_a_reason(
    client: carla.Client, name: str
) -> None:
    with pytest.raises(RuntimeError, match=r"cannot load|is no town"):
        client.load_world(name)


def test_free_running_world_keeps_pace_with_the_clock(client: carla.Client) -> None:
    world = client.load_world("Town01")
    assert not world.get_settings().synchronous_mode
    hero = spawn_hero(world)
    first = world.wait_for_tick()
    start = time.monotonic()
    hero.apply_control(carla.VehicleControl(throttle=0.8))
    time.sleep(1.5)
    last = world.wait_for_tick()
    game_s = last.elapsed_seconds - first.elapsed_seconds
    assert game_s == pytest.approx(time.monotonic() - start, abs=0.3)
    assert hero.get_velocity().length() > 1.0
    assert hero.destroy()


def test_weather_and_settings_read_back_as_set(client: carla.Client) -> None:
    world = client.get_world()
    weather = carla.WeatherParameters(cloudiness=80.0, precipitation=30.0, sun_altitude_angle=10.0)
    world.set_weather(weather)
    assert world.get_weather() == weather
    settings = world.get_settings()
    settings.fixed_delta_seconds, settings.max_substeps = 0.02, 12
    world.apply_settings(settings)
    assert world.get_settings().fixed_delta_seconds == pytest.approx(0.02)
    assert world.get_settings().max_substeps == 12


def test_ground_below_and_bodies_on_the_way_stop_rays(world: carla.World) -> None:
    hero = spawn_hero(world)
    for _ in range(8):
        world.tick()
    place = hero.get_location()
    below = world.ground_projection(carla.Location(place.x, place.y, place.z + 10.0), 20.0)
    roof = place.z + 2.0 * hero.bounding_box.extent.z
    assert below.location.z == pytest.approx(roof, abs=0.05)
    hero.destroy()
    world.tick()
    road = world.ground_projection(carla.Location(place.x, place.y, place.z + 10.0), 20.0)
    assert road.location.z == pytest.approx(place.z, abs=0.05)
    hits = world.cast_ray(
        carla.Location(place.x, place.y, place.z + 5.0),
        carla.Location(place.x, place.y, place.z - 5.0),
    )
    assert [hit.label for hit in hits] == [carla.CityObjectLabel.Roads]


def test_second_client_sees_what_the_first_does(server: HeadlessServer, world: carla.World) -> None:
    hero = spawn_hero(world)
    world.tick()
    other = carla.Client("127.0.0.1", server.port)
    other.set_timeout(20.0)
    others = other.get_world()
    while others.get_snapshot().frame < world.get_snapshot().frame:
        time.sleep(0.01)  # until the first snapshot has arrived
    seen = others.get_actor(hero.id)
    assert seen.type_id == HERO
    assert seen.get_location().distance(hero.get_location()) < 1e-3


def test_towns_are_named_as_carla_names_them() -> None:
    numbered = ["Town01", "Town02", "Town03", "Town04", "Town05", "Town06", "Town07"]
    assert list(KNOWN_TOWNS) == [*numbered, "Town10HD", "Town15"]


@pytest.mark.slow
@pytest.mark.parametrize("town", KNOWN_TOWNS)
def test_every_town_loads_and_its_spawn_points_lie_on_lanes(
    client: carla.Client, town: str
) -> None:
    world = client.load_world(town)
    points = world.get_map().get_spawn_points()
    assert len(points) > 20
    for point in points[::7]:
        lane = world.get_map().get_waypoint(point.location, project_to_road=False)
        assert lane is not None
        assert lane.lane_type == carla.LaneType.Driving
    lights = world.get_actors().filter("traffic.traffic_light")
    landmarks = {mark.id for mark in world.get_map().get_all_landmarks_of_type("1000001")}
    assert {light.get_opendrive_id() for light in lights} == landmarks
    library = world.get_blueprint_library()
    for point in points[:5]:
        vehicle = world.try_spawn_actor(library.find(HERO), point)
        assert vehicle is not None
        vehicle.apply_control(carla.VehicleControl(throttle=0.7))
    world.wait_for_tick()
