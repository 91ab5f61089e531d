"""Makes messages that no client should send: mutated calls, and bytes that are no messages."""

from __future__ import annotations

import random
from typing import Any

import msgpack

_PLACE = [[100.0, 50.0, 0.5], [0.0, 90.0, 0.0]]
_CAR = [1, "vehicle.audi.tt", [["role_name", 4, "x"]]]
_CONTROL = [0.5, 0.1, 0.0, False, False, False, 0, 0.0]
_SETTINGS = [True, True, [True, 0.05], True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True]

# A call and arguments that it takes; ids up to 60 are lights, signs and the spectator of Town01
VALID_CALLS: list[tuple[str, list[Any]]] = [
    ("version", []),
    ("tick_cue", []),
    ("get_episode_info", []),
    ("get_sensor_token", [1]),
    ("get_episode_settings", []),
    ("set_episode_settings", [_SETTINGS]),
    ("get_map_info", []),
    ("load_new_episode", ["Town98", True, 0]),
    ("copy_opendrive_to_file", ["<OpenDRIVE/>", []]),
    ("get_weather_parameters", []),
    ("set_weather_parameters", [[0.0] * 14]),
    ("get_spectator", []),
    ("get_actors_by_id", [[1, 2, 3, 70]]),
    ("spawn_actor", [_CAR, _PLACE]),
    ("spawn_actor_with_parent", [[1, "sensor.other.imu", []], _PLACE, 61, 0, ""]),
    ("spawn_actor", [[1, "walker.pedestrian.0001", []], _PLACE]),
    ("spawn_actor", [[1, "static.prop.bin", []], _PLACE]),
    ("destroy_actor", [70]),
    ("get_actor_bounding_box", [61]),
    ("set_actor_transform", [61, _PLACE]),
    ("set_actor_location", [61, [1.0, 2.0, 3.0]]),
    ("set_actor_target_velocity", [61, [1.0, 2.0, 3.0]]),
    ("set_actor_target_angular_velocity", [61, [1.0, 2.0, 3.0]]),
    ("enable_actor_constant_velocity", [61, [1.0, 2.0, 3.0]]),
    ("disable_actor_constant_velocity", [61]),
    ("add_actor_impulse", [61, [1.0, 2.0, 3.0]]),
    ("add_actor_force", [61, [1.0, 2.0, 3.0]]),
    ("set_actor_simulate_physics", [61, True]),
    ("set_actor_collisions", [61, False]),
    ("set_actor_enable_gravity", [61, False]),
    ("apply_control_to_vehicle", [61, _CONTROL]),
    ("apply_ackermann_control_to_vehicle", [61, [0.1, 0.0, 5.0, 1.0, 0.0]]),
    ("apply_control_to_walker", [62, [[1.0, 0.0, 0.0], 1.0, False]]),
    ("get_physics_control", [61]),
    ("apply_physics_control", [61, [[]] * 17]),
    ("get_vehicle_light_state", [61]),
    ("set_vehicle_light_state", [61, [3]]),
    ("get_vehicle_light_states", []),
    ("set_actor_autopilot", [61, True]),
    ("set_traffic_light_state", [2, 1]),
    ("set_traffic_light_green_time", [2, 3.0]),
    ("freeze_traffic_light", [2, True]),
    ("freeze_all_traffic_lights", [False]),
    ("reset_traffic_light_group", [2]),
    ("reset_all_traffic_lights", []),
    ("get_group_traffic_lights", [2]),
    ("project_point", [[0.0, 0.0, 5.0], [0.0, 0.0, -1.0], 10.0]),
    ("cast_ray", [[0.0, 0.0, 5.0], [0.0, 0.0, -5.0]]),
    ("add_traffic_manager_running", [["127.0.0.1", 8000]]),
    ("is_traffic_manager_running", [8000]),
    ("destroy_traffic_manager", [8000]),
    ("get_telemetry_data", [61]),
    ("get_actor_component_world_transform", [61, "x"]),
    ("apply_batch", [[[[2, [61, _CONTROL]]], [[0, [_CAR, _PLACE, [False], 0, "", []]]]], True]),
    ("apply_batch", [[[[0, [_CAR, _PLACE, [False], 0, "", [[[14, [0, True]]]]]]]], False]),
    ("no_such_call", [1, 2]),
]
_HOSTILE_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    -(2**63),
    2**64 - 1,
    float("nan"),
    float("inf"),
    -1e308,
    1e-320,
    "",
    "\0\uffff",
    "x" * 10_000,
    b"\xff" * 100,
    [],
    {},
    {"a": 1},
    [[[[[[]]]]]],
    [float("nan")] * 3,
    [0] * 5_000,
)


def mutated_call(random_source: random.Random, message_id: int) -> bytes:
    """A well-formed request whose arguments have been tampered with."""
    name, arguments = random_source.choice(VALID_CALLS)
    tampered = tamper(random_source, arguments)
    arguments = tampered if isinstance(tampered, list) else [tampered]
    if random_source.random() < 0.02:
        name = name[: random_source.randrange(len(name) + 1)]
    return msgpack.packb([0, message_id, name, [[False], *arguments]]) or b""


def tamper(random_source: random.Random, value: Any) -> Any:
    """The value, with one thing in it replaced, dropped or doubled, more or less deep inside."""
    if not isinstance(value, list) or not value or random_source.random() < 0.1:
        return random_source.choice(_HOSTILE_VALUES)
    changed = list(value)
    index = random_source.randrange(len(changed))
    choice = random_source.random()
    if choice < 0.6:
        changed[index] = tamper(random_source, changed[index])
    elif choice < 0.7:
        del changed[index]
    elif choice < 0.8:
        changed.insert(index, changed[index])
    elif choice < 0.9 and isinstance(changed[index], (int, float)):
        changed[index] = random_source.uniform(-1e6, 1e6)
    else:
        changed[index] = random_source.randrange(80)
    return changed


def broken_bytes(random_source: random.Random, message_id: int) -> bytes:
    """A request whose bytes have been flipped, cut, doubled, or that was never one."""
    name, arguments = random_source.choice(VALID_CALLS)
    data = bytearray(msgpack.packb([0, message_id, name, [[False], *arguments]]) or b"")
    choice = random_source.random()
    if choice < 0.5:
        for _ in range(random_source.randint(1, 4)):
            data[random_source.randrange(len(data))] = random_source.randrange(256)
    elif choice < 0.7:
        del data[random_source.randrange(len(data)) :]
    elif choice < 0.8:
        start = random_source.randrange(len(data))
        data[start:start] = random_source.randbytes(random_source.randint(1, 30))
    elif choice < 0.9:
        # Headers that promise far more than comes: lists, maps, texts and bytes of up to 4 GiB
        depth = random_source.randint(1, 600)
        data = bytearray(random_source.choice(_GREEDY_HEADERS) * depth)
    else:
        data = bytearray(random_source.randbytes(random_source.randint(1, 200)))
    return bytes(data)


_GREEDY_HEADERS = (
    b"\xdd\xff\xff\xff\xff",
    b"\xdc\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\x91",
    b"\x81\x01",
)
