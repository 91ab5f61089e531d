"""Traffic lights and signs of the headless server match the map, and clients can change them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import carla
import pytest

from sim_adapters.maps.opendrive import load_map_bank

STEP_S = 0.05
State = carla.TrafficLightState


def lights_of(world: carla.World) -> list[Any]:
    return list(world.get_actors().filter("traffic.traffic_light"))


def test_every_light_of_the_map_is_an_actor_with_stop_lines_before_its_junction(
    world: carla.World,
) -> None:
    lights, town = lights_of(world), world.get_map()
    signals = load_map_bank(["Town01"]).signals
    by_id = {light.get_opendrive_id(): light for light in lights}
    assert len(by_id) == len(lights) == len(signals.x) == 36
    landmarks = town.get_all_landmarks_of_type("1000001")
    assert set(by_id) == {landmark.id for landmark in landmarks}
    for row, number in enumerate(signals.opendrive_id):
        light = by_id[str(number)]
        box = light.trigger_volume
        center = light.get_transform().transform(box.location)
        # The union in the actor's frame against the map's union along the axes: Town01's roads
        # run along the axes
        assert center.x == pytest.approx(signals.x[row], abs=0.05)
        assert center.y == pytest.approx(-signals.y[row], abs=0.05)
        assert box.extent.x >= 0.9  # half a lane across the road
        assert box.extent.y == pytest.approx(1.5, abs=0.05)
        for waypoint in light.get_stop_waypoints():
            assert not waypoint.is_junction
            assert waypoint.next(6.0)[0].is_junction


def test_client_finds_lights_by_landmark_by_junction_and_ahead_on_the_lane(
    world: carla.World,
) -> None:
    town = world.get_map()
    landmark = town.get_all_landmarks_of_type("1000001")[0]
    light = world.get_traffic_light(landmark)
    assert light.get_opendrive_id() == landmark.id
    stop = light.get_stop_waypoints()[0]
    ahead = {found.id for found in world.get_traffic_lights_from_waypoint(stop, 30.0)}
    assert light.id in ahead
    junction = stop.next(6.0)[0].get_junction()
    inside = {found.id for found in world.get_traffic_lights_in_junction(junction.id)}
    assert light.id in inside
    assert {member.id for member in light.get_group_traffic_lights()} == inside
    assert light.get_affected_lane_waypoints()


def test_lights_of_a_junction_are_green_one_after_the_other(world: carla.World) -> None:
    world.reset_all_traffic_lights()
    world.tick()
    group = lights_of(world)[0].get_group_traffic_lights()
    assert len(group) == 3
    seen = []
    for _ in range(round(46.0 / STEP_S)):
        states = [light.state for light in group]
        assert sum(state != State.Red for state in states) <= 1
        shown = next((i, s) for i, s in [*enumerate(states), (-1, None)] if s != State.Red)
        if not seen or seen[-1][0] != shown:
            seen.append([shown, 0])
        seen[-1][1] += 1
        world.tick()
    order = [shown for shown, _ in seen]
    assert len({index for index, state in order if state == State.Green}) == 3
    for (shown, ticks), (following, _) in pairwise(seen):
        expected = {State.Green: 10.0, State.Yellow: 3.0, None: 2.0}[shown[1]]
        assert ticks * STEP_S == pytest.approx(expected, abs=0.11)
        if shown[1] == State.Green:
            assert following == (shown[0], State.Yellow)


def test_state_times_and_freeze_do_what_clients_ask(world: carla.World) -> None:
    world.reset_all_traffic_lights()
    light = lights_of(world)[0]
    light.set_state(State.Yellow)
    light.set_green_time(4.0)
    light.set_yellow_time(1.5)
    light.set_red_time(2.5)
    light.freeze(True)
    for _ in range(100):
        world.tick()
    assert light.state == State.Yellow
    assert light.is_frozen()
    assert (light.get_green_time(), light.get_yellow_time(), light.get_red_time()) == (4, 1.5, 2.5)
    light.freeze(False)
    world.freeze_all_traffic_lights(False)
    world.reset_all_traffic_lights()
    world.tick()
    assert not light.is_frozen()


def test_vehicle_learns_of_its_light_inside_the_trigger_volume_only(world: carla.World) -> None:
    world.freeze_all_traffic_lights(True)
    light = lights_of(world)[0]
    light.set_state(State.Red)
    stop = light.get_stop_waypoints()[0]
    blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    place = stop.previous(25.0)[0].transform
    place.location.z += 0.3
    hero: Any = world.spawn_actor(blueprint, place)
    world.tick()
    assert not hero.is_at_traffic_light()
    assert hero.get_traffic_light() is None
    inside = stop.transform
    inside.location.z += 0.1
    hero.set_transform(inside)
    world.tick()
    world.tick()
    assert hero.is_at_traffic_light()
    assert hero.get_traffic_light().id == light.id
    assert hero.get_traffic_light_state() == State.Red
    hero.set_transform(place)
    world.tick()
    world.tick()
    assert hero.get_traffic_light_state() == State.Green
    world.freeze_all_traffic_lights(False)


def test_speed_limit_changes_at_signs_and_stays(world: carla.World) -> None:
    signs = list(world.get_actors().filter("traffic.speed_limit.*"))
    assert {sign.type_id for sign in signs} == {f"traffic.speed_limit.{v}" for v in (30, 60, 90)}
    sign = next(sign for sign in signs if sign.type_id.endswith("90"))
    center = sign.get_transform().transform(sign.trigger_volume.location)
    waypoint = world.get_map().get_waypoint(center)
    start = waypoint.previous(12.0)[0].transform
    start.location.z += 0.3
    hero: Any = world.spawn_actor(
        world.get_blueprint_library().find("vehicle.lincoln.mkz_2020"), start
    )
    for _ in range(8):
        world.tick()
    assert hero.get_speed_limit() == pytest.approx(30.0)
    hero.enable_constant_velocity(carla.Vector3D(10.0, 0.0, 0.0))
    for _ in range(60):
        world.tick()
    assert hero.get_speed_limit() == pytest.approx(90.0)


@pytest.fixture(scope="module")
def signed_world(client: carla.Client) -> Iterator[carla.World]:
    """Town07, which has stop and yield signs."""
    world = client.load_world("Town07")
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, STEP_S
    world.apply_settings(settings)
    yield world
    client.load_world("Town01")


@pytest.mark.parametrize(("name", "code"), [("traffic.stop", "206"), ("traffic.yield", "205")])
def test_signs_act_on_the_end_of_a_lane_and_answer_to_their_landmark(
    signed_world: carla.World, name: str, code: str
) -> None:
    town = signed_world.get_map()
    signs: list[Any] = list(signed_world.get_actors().filter(name))
    landmarks = town.get_all_landmarks_of_type(code)
    known = [signed_world.get_traffic_sign(landmark) for landmark in landmarks]
    assert {sign.id for sign in known if sign is not None} <= {sign.id for sign in signs}
    assert sum(sign is not None for sign in known) >= 0.9 * len(landmarks)
    before_junctions = []
    for sign in signs:
        center = sign.get_transform().transform(sign.trigger_volume.location)
        waypoint = town.get_waypoint(center)
        assert waypoint.transform.location.distance(center) < 0.3
        ahead = waypoint.next(6.0)
        before_junctions.append(not waypoint.is_junction and ahead[0].is_junction)
    assert sum(before_junctions) >= 0.9 * len(signs)  # junctions of Town07 overlap here and there


def test_vehicle_at_a_stop_sign_sees_red_for_two_seconds(signed_world: carla.World) -> None:
    sign: Any = signed_world.get_actors().filter("traffic.stop")[0]
    center = sign.get_transform().transform(sign.trigger_volume.location)
    inside = signed_world.get_map().get_waypoint(center).transform
    inside.location.z += 0.2
    blueprint = signed_world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    hero: Any = signed_world.spawn_actor(blueprint, inside)
    states = []
    for _ in range(60):
        signed_world.tick()
        states.append(hero.get_traffic_light_state())
    red_ticks = states.count(State.Red)
    assert states[:red_ticks] == [State.Red] * red_ticks  # red first, then green
    assert red_ticks * STEP_S == pytest.approx(2.0, abs=0.11)
    assert not hero.is_at_traffic_light()
    hero.destroy()
