"""Parts of the headless server on their own: frames, wire, cycles, contacts, registry."""

from __future__ import annotations

import math
import socket
import struct
from pathlib import Path
from types import ModuleType

import carla
import msgpack
import numpy as np
import pytest

from sim_adapters.carla.headless import contacts, frame, motion
from sim_adapters.carla.headless.__main__ import parse_options
from sim_adapters.carla.headless.actor_arrays import ActorArrays, Kind
from sim_adapters.carla.headless.actors import ActorRegistry
from sim_adapters.carla.headless.blueprints.library import build_library
from sim_adapters.carla.headless.episode import EpisodeSettings
from sim_adapters.carla.headless.frame import compose, pose_from_wire, pose_to_wire
from sim_adapters.carla.headless.motion import stand_on_ground
from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.carla.headless.road_furniture import (
    GroupPlan,
    RoadFurniture,
    RoadThing,
    SignalCycles,
)
from sim_adapters.carla.headless.sensors import read_geo_reference
from sim_adapters.carla.headless.wire_values import BadValueError
from sim_adapters.maps.opendrive import load_map_bank

RED, YELLOW, GREEN = 0, 1, 2
NOWHERE = (0.0,) * 6


def test_pose_comes_back_from_the_wire_as_it_went() -> None:
    transform = [[1.5, -2.0, 3.0], [10.0, -120.0, 5.0]]
    there_and_back = pose_to_wire(pose_from_wire(transform))
    assert np.ravel(there_and_back) == pytest.approx(np.ravel(transform))


@pytest.mark.parametrize("angles", [(0, 0, 0), (10, 30, 0), (-20, 200, 15), (5, -90, -40)])
def test_mounted_actor_sits_where_carla_puts_it(angles: tuple[float, float, float]) -> None:
    pitch, yaw, roll = angles
    parent = carla.Transform(carla.Location(1, 2, 3), carla.Rotation(pitch, yaw, roll))
    place = parent.transform(carla.Location(2.0, -1.0, 0.5))
    own = pose_from_wire([[1, 2, 3], [pitch, yaw, roll]])
    child = pose_from_wire([[2.0, -1.0, 0.5], [0.0, 25.0, 0.0]])
    wire = pose_to_wire(compose(own, child))
    assert wire[0] == pytest.approx([place.x, place.y, place.z], abs=1e-5)
    # The child's forward axis, as seen from the parent, points 25 degrees to the right
    ahead = carla.Location(math.cos(math.radians(25.0)), math.sin(math.radians(25.0)), 0.0)
    direction = parent.transform(ahead) - parent.location
    forward = carla.Rotation(*wire[1]).get_forward_vector()
    assert (forward.x, forward.y, forward.z) == pytest.approx(
        (direction.x, direction.y, direction.z), abs=1e-5
    )
    up = carla.Rotation(*wire[1]).get_up_vector()
    parents_up = parent.rotation.get_up_vector()  # turning about it leaves it alone
    assert (up.x, up.y, up.z) == pytest.approx((parents_up.x, parents_up.y, parents_up.z), abs=1e-5)


def test_groups_run_their_controllers_one_after_the_other() -> None:
    lights = [
        RoadThing("traffic.traffic_light", str(i), NOWHERE, [], group=0, phase=p)
        for i, p in enumerate((0, 0, 1))
    ]
    cycles = SignalCycles(RoadFurniture(lights, [GroupPlan(2, 10.0, 3.0, 2.0)]))
    assert cycles.state.tolist() == [GREEN, GREEN, RED]
    seen = [tuple(cycles.state)]
    for _ in range(30):
        cycles.advance(1.0)
        seen.append(tuple(cycles.state))
    # A stage ends on the first tick after its time: 11 s, 4 s and 3 s at ticks of one second
    expected = [(2, 2, 0)] * 11 + [(1, 1, 0)] * 4 + [(0, 0, 0)] * 3 + [(0, 0, 2)] * 11
    assert seen[: len(expected)] == expected
    cycles.set_stage_time(0, GREEN, 1.0)
    assert cycles.stage_s[0].tolist() == [1.0, 10.0]  # of its own controller only
    assert cycles.lights_of_group(2) == [0, 1, 2]


def bodies(*places: tuple[str, float, float, float]) -> ActorRegistry:
    """Actors at (blueprint, x, y, yaw)."""
    registry, library = ActorRegistry(), build_library()
    for name, x, y, yaw in places:
        blueprint = library[name]
        pose = (x, y, 0.0, 0.0, yaw, 0.0)
        registry.add(blueprint.kind, [0, name, []], pose, blueprint=blueprint)
    return registry


def touch(registry: ActorRegistry) -> list[tuple[int, int, float]]:
    arrays, pairs = registry.arrays, contacts.empty_contact_pairs()
    order, west = registry.solid_rows()
    count = contacts.touch_bodies(
        order, west, arrays.pose, arrays.motion, arrays.body, arrays.driving, pairs
    )
    return [
        (int(pairs.row[i]), int(pairs.other_row[i]), float(pairs.impulse_x[i]))
        for i in range(count)
    ]


def test_car_against_a_prop_loses_all_its_speed_and_is_pushed_out() -> None:
    registry = bodies(("vehicle.audi.tt", 0.0, 0.0, 0.0), ("static.prop.container", 3.0, 0.0, 0.0))
    arrays = registry.arrays
    arrays.motion.vx[0] = arrays.driving.speed[0] = 8.0
    ((row, other, impulse),) = touch(registry)
    assert (row, other) == (0, 1)
    assert impulse == pytest.approx(-8.0 * arrays.body.mass[0])
    assert arrays.driving.speed[0] == pytest.approx(0.0)
    overlap = 2.091 + 0.965 - 3.0
    assert arrays.pose.x[0] == pytest.approx(-(overlap - 0.01))  # 1 cm rests
    assert arrays.pose.x[1] == 3.0


def test_bodies_on_different_levels_or_without_physics_do_not_touch() -> None:
    registry = bodies(("vehicle.audi.tt", 0.0, 0.0, 0.0), ("vehicle.audi.tt", 1.0, 0.0, 0.5))
    registry.arrays.pose.z[1] = 6.0  # a bridge
    assert touch(registry) == []
    registry.arrays.pose.z[1] = 0.0
    registry.arrays.body.is_simulated[:2] = False
    assert touch(registry) == []


def test_last_row_takes_the_place_of_a_destroyed_actor_and_keeps_its_mounts() -> None:
    registry = bodies(*[("vehicle.audi.tt", 10.0 * i, 0.0, 0.0) for i in range(4)])
    actors = list(registry.by_row)
    sensor = build_library()["sensor.other.imu"]
    mounted = registry.add(Kind.SENSOR, [0, "s", []], NOWHERE, blueprint=sensor, parent=actors[3])
    registry.remove(actors[0])
    registry.remove(actors[1])
    assert [actor.row for actor in registry.by_row] == list(range(3))
    for actor in registry.by_row:
        assert registry.by_id[actor.actor_id] is actor
        assert registry.arrays.records["id"][actor.row] == actor.actor_id
    assert registry.arrays.mount.parent_row[mounted.row] == actors[3].row
    assert registry.arrays.pose.x[actors[3].row] == 30.0
    registry.remove(actors[3])
    assert registry.arrays.mount.parent_row[mounted.row] == -1
    assert mounted.parent_id == 0


def use_plain_python(monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
    for module in modules:
        for name, function in list(vars(module).items()):
            if hasattr(function, "py_func"):
                monkeypatch.setattr(module, name, function.py_func)


@pytest.mark.kernel
def test_kernels_do_what_their_plain_python_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def run() -> list[np.ndarray]:
        registry = bodies(
            ("vehicle.audi.tt", 0.0, 0.0, 0.3),
            ("vehicle.tesla.model3", 3.0, 1.0, -0.5),
            ("walker.pedestrian.0001", 1.0, 1.5, 0.0),
            ("static.prop.bin", -2.0, 0.2, 0.1),
        )
        arrays = registry.arrays
        arrays.driving.throttle[:2], arrays.driving.steer[:2] = 0.6, 0.2
        arrays.driving.speed[:2] = 5.0, -2.0
        arrays.driving.is_reverse[1] = True
        arrays.walking.vx[2] = 1.2
        for _ in range(5):
            for row in (0, 1):
                motion.drive_vehicle(row, arrays.pose, arrays.motion, arrays.driving, 0.1)
            motion.walk(2, arrays.pose, arrays.motion, arrays.walking, 0.1)
            touch(registry)
        return [arrays.kinematics[:, :4].copy(), arrays.driving.speed[:4].copy()]

    jitted = run()
    use_plain_python(monkeypatch, contacts, frame, motion)
    for one, other in zip(jitted, run(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


def test_geo_reference_is_read_or_carlas_default() -> None:
    text = "<geoReference><![CDATA[+proj=tmerc +lat_0=4.9e+1 +lon_0=-8.5 +k=1]]></geoReference>"
    reference = read_geo_reference(text)
    assert (reference.latitude_deg, reference.longitude_deg) == (49.0, -8.5)
    latitude, longitude = reference.locate(0.0, 0.0)
    assert (latitude, longitude) == pytest.approx((49.0, -8.5))
    assert read_geo_reference("<OpenDRIVE/>").latitude_deg == 42.0


def test_settings_refuse_steps_that_no_world_can_take() -> None:
    assert EpisodeSettings.from_wire([True, True, [True, 0.05]]).tick_s == 0.05
    assert EpisodeSettings.from_wire([False, True, [False]]).tick_s == 0.05
    for step in (-0.1, 1e-9, 100.0, math.nan):
        with pytest.raises(BadValueError):
            EpisodeSettings.from_wire([True, True, [True, step]])


def test_command_line_says_what_it_does_not_understand() -> None:
    options = parse_options(["town=Town03", "port=0", "version=0.9.15"])
    assert (options.town, options.port, options.version) == ("Town03", 0, "0.9.15")
    assert options.host == "127.0.0.1"
    for words in (["twon=Town03"], ["port=x"], ["port=70000"], ["Town03"]):
        with pytest.raises(SystemExit, match="not understood"):
            parse_options(words)


def test_server_of_the_older_release_speaks_its_numbers() -> None:
    with HeadlessServer("Town01", version="0.9.15") as server:
        with socket.create_connection(("127.0.0.1", server.port), 20.0) as rpc:
            unpacker = msgpack.Unpacker(raw=False)
            for number, name in enumerate(("version", "get_actor_definitions")):
                rpc.sendall(msgpack.packb([0, number, name, [[False]]]) or b"")
            answers: list[list] = []
            while len(answers) < 2:
                unpacker.feed(rpc.recv(1 << 20))
                answers += list(unpacker)
        assert answers[0][3] == [[1, "0.9.15"]]
        attributes = {name: code for name, code, *_ in answers[1][3][0][1][0][3]}
        assert attributes["has_lights"] == 0  # Booleans; 1 from 0.9.16 on
        with socket.create_connection(("127.0.0.1", server.port + 1), 20.0) as stream:
            stream.sendall(struct.pack("<I", 1))
            head = b""
            while len(head) < 12:
                head += stream.recv(4096)
        assert struct.unpack_from("<Q", head, 4)[0] == 16  # the world observer; 17 from 0.9.16 on


@pytest.mark.parametrize("place", [(-40.0, -1.75), (-40.0, 60.0), (5000.0, 5000.0)])
@pytest.mark.parametrize("height_m", [0.5, 1.5, 2.5, 5.5, 30.0, -2.6, -9.0])
def test_body_above_or_a_little_below_the_ground_comes_to_stand_on_it(
    place: tuple[float, float], height_m: float
) -> None:
    # On a road, beside it, and off the map: the ground is as high as the nearest road, 0 m
    bank = load_map_bank([str(Path(__file__).parents[1] / "data" / "crossing.xodr")])
    arrays = ActorArrays()
    row = arrays.add()
    arrays.body.kind[row] = Kind.VEHICLE
    arrays.pose_block[:3, row] = *place, height_m
    for _ in range(100):  # 5 s; the way from 30 m takes 2.5 s
        args = (arrays.pose, arrays.motion, arrays.body, arrays.mount)
        stand_on_ground(row, *args, bank.grid, bank.points, bank.lanes, 0.05)
    assert arrays.pose.z[row] == pytest.approx(0.0, abs=1e-6)
    assert arrays.motion.vz[row] == pytest.approx(0.0, abs=1e-6)


def test_body_that_leaves_the_road_goes_on_at_its_height() -> None:
    # The western road climbs from -1 m at x = -160 m to 0 m at x = -60 m, where the others lie
    bank = load_map_bank([str(Path(__file__).parents[1] / "data" / "crossing.xodr")])
    arrays = ActorArrays()
    row = arrays.add()
    arrays.body.kind[row] = Kind.VEHICLE
    arrays.pose.z[row] = -0.9
    for y in (-1.75, -20.0, 500.0):
        arrays.pose_block[:2, row] = -150.0, y
        args = (arrays.pose, arrays.motion, arrays.body, arrays.mount)
        stand_on_ground(row, *args, bank.grid, bank.points, bank.lanes, 0.05)
        assert arrays.pose.z[row] == pytest.approx(-0.9, abs=0.01)
