"""Blueprints of vehicles: sizes from the embedded world's catalogue of measured CARLA bodies.

Masses are estimates from the box's volume.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from sim_adapters.carla.headless.actor_arrays import ActorArrays, Kind
from sim_adapters.scene.state import ActorKind
from sim_adapters.world import vehicle_catalogue as catalogue
from sim_adapters.world.dynamics import MAX_WHEEL_ANGLE_RAD

BOOL, INT, FLOAT, STRING, COLOR = range(5)
Attribute = tuple[str, int, str, tuple[str, ...], bool]  # id, type, value, recommended, modifiable


@dataclass(frozen=True)
class Blueprint:
    """One kind of actor that clients can spawn.

    Args:
        type_id: Its name, e.g. "vehicle.lincoln.mkz_2020".
        kind: Which columns of the actor arrays it uses.
        attributes: Names, types and defaults.
        half_extents_m: Of the bounding box; None without a body.
        box_center_m: In the actor's frame.
        mass_kg: Zero where nothing moves it.
        tag: Semantic tag.
        is_solid: Whether it collides.
    """

    type_id: str
    kind: Kind
    attributes: tuple[Attribute, ...]
    half_extents_m: tuple[float, float, float] | None = None
    box_center_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mass_kg: float = 0.0
    tag: int = 0
    is_solid: bool = False


_CAR_KG_PER_M3 = 135.0  # gives a mid-size car its 1.8 t
_SECOND_GENERATION = frozenset(
    (
        "dodge.charger_2020",
        "dodge.charger_police_2020",
        "ford.crown",
        "lincoln.mkz_2020",
        "mercedes.coupe_2020",
        "mini.cooper_s_2021",
        "nissan.patrol_2021",
        "ford.ambulance",
        "mercedes.sprinter",
        "volkswagen.t2_2021",
        "carlamotors.firetruck",
        "tesla.cybertruck",
        "mitsubishi.fusorosa",
    )
)
_SPECIAL = {
    "ford.ambulance": "emergency",
    "carlamotors.firetruck": "emergency",
    "dodge.charger_police": "emergency",
    "dodge.charger_police_2020": "emergency",
    "ford.crown": "taxi",
    "tesla.model3": "electric",
    "tesla.cybertruck": "electric",
    "audi.etron": "electric",
    "micro.microlino": "electric",
}
# Those whose lamps can be switched, as far as CARLA's vehicle catalogue tells
_WITH_LIGHTS = frozenset(
    (
        "audi.tt",
        "chevrolet.impala",
        "dodge.charger_2020",
        "dodge.charger_police",
        "dodge.charger_police_2020",
        "ford.crown",
        "ford.mustang",
        "lincoln.mkz_2017",
        "lincoln.mkz_2020",
        "mercedes.coupe",
        "mercedes.coupe_2020",
        "mini.cooper_s_2021",
        "nissan.patrol_2021",
        "tesla.model3",
        "audi.etron",
        "volkswagen.t2_2021",
        "ford.ambulance",
        "mercedes.sprinter",
        "carlamotors.firetruck",
        "tesla.cybertruck",
        "volkswagen.t2",
        "harley-davidson.low_rider",
        "kawasaki.ninja",
        "vespa.zx125",
        "yamaha.yzf",
        "mitsubishi.fusorosa",
        "carlamotors.european_hgv",
    )
)
_BUSES = frozenset({"mitsubishi.fusorosa"})
_KIND_NAMES = {
    ActorKind.CAR: "car",
    ActorKind.VAN: "van",
    ActorKind.TRUCK: "truck",
    ActorKind.MOTORCYCLE: "motorcycle",
    ActorKind.BICYCLE: "bicycle",
}
_TAG_OF_BASE = {"car": 14, "van": 14, "truck": 15, "bus": 16, "motorcycle": 18, "bicycle": 19}
_COLORS = ("255,255,255", "0,0,0", "134,134,134", "137,0,0", "38,63,110", "193,193,193")


def vehicle_blueprints() -> list[Blueprint]:
    """CARLA's 41 vehicles."""
    blueprints: list[Blueprint] = []
    for row, name in enumerate(catalogue.VEHICLE_NAMES):
        base = _KIND_NAMES[ActorKind(int(catalogue.VEHICLE_KIND[row]))]
        base = "bus" if name in _BUSES else base
        half = (
            float(catalogue.VEHICLE_HALF_LENGTH_M[row]),
            float(catalogue.VEHICLE_HALF_WIDTH_M[row]),
            float(catalogue.VEHICLE_HALF_HEIGHT_M[row]),
        )
        if row == catalogue.EGO_VEHICLE:
            half = (
                catalogue.EGO_HALF_LENGTH_M,
                catalogue.EGO_HALF_WIDTH_M,
                catalogue.EGO_HALF_HEIGHT_M,
            )
        blueprints.append(
            Blueprint(
                f"vehicle.{name}",
                Kind.VEHICLE,
                _vehicle_attributes(name, base),
                half,
                (0.0, 0.0, half[2]),
                _CAR_KG_PER_M3 * 8.0 * half[0] * half[1] * half[2],
                _TAG_OF_BASE[base],
                is_solid=True,
            )
        )
    return blueprints


def _vehicle_attributes(name: str, base: str) -> tuple[Attribute, ...]:
    two_wheeled = base in ("motorcycle", "bicycle")
    return (
        ("number_of_wheels", INT, "2" if two_wheeled else "4", (), False),
        ("object_type", STRING, "", (), False),
        ("base_type", STRING, base, (), False),
        ("special_type", STRING, _SPECIAL.get(name, ""), (), False),
        ("generation", INT, "2" if name in _SECOND_GENERATION else "1", (), False),
        ("has_lights", BOOL, "true" if name in _WITH_LIGHTS else "false", (), False),
        ("has_dynamic_doors", BOOL, "false", (), False),
        ("sticky_control", BOOL, "true", (), True),
        ("terramechanics", BOOL, "false", (), True),
        ("color", COLOR, _COLORS[0], _COLORS, True),
        ("role_name", STRING, "autopilot", ("autopilot", "scenario", "ego_vehicle"), True),
    )


# `carla.VehiclePhysicsControl` and `VehicleTelemetryData` of our vehicles.

_TORQUE_CURVE = [[0.0, 400.0], [1890.0, 500.0], [5730.0, 400.0]]  # CARLA's default engine
_FINAL_RATIO = 4.0
_TIRE_FRICTION = 3.5
_FORWARD_GEARS = [
    [4.25, 0.5, 0.65],
    [2.52, 0.35, 0.65],
    [1.66, 0.35, 0.65],
    [1.22, 0.35, 0.65],
    [1.0, 0.35, 0.65],
]
_WHEEL_RADIUS_CM = 35.0
STANDARD_GRAVITY_MPS2 = 9.81
_STEERING_CURVE = [[0.0, 1.0], [20.0, 0.9], [60.0, 0.8], [120.0, 0.7]]


def describe_physics(arrays: ActorArrays, row: int) -> list[Any]:
    """Field by field as on the wire of 0.9.16; wheel positions are in centimetres, as CARLA's."""
    body, pose = arrays.body, arrays.pose
    cos, sin = math.cos(pose.yaw[row]), math.sin(pose.yaw[row])
    length, width = 0.6 * float(body.half_length[row]), 0.8 * float(body.half_width[row])
    wheels: list[list[Any]] = []
    for along, left in ((length, width), (length, -width), (-length, width), (-length, -width)):
        x = float(pose.x[row]) + cos * along - sin * left
        y = float(pose.y[row]) + sin * along + cos * left
        angle_deg = math.degrees(MAX_WHEEL_ANGLE_RAD) if along > 0.0 else 0.0
        position = [100.0 * x, -100.0 * y, 100.0 * float(pose.z[row]) + _WHEEL_RADIUS_CM]
        hand_brake = 0.0 if along > 0.0 else 3000.0
        wheel = [
            _TIRE_FRICTION,
            0.25,
            angle_deg,
            _WHEEL_RADIUS_CM,
            1500.0,
            hand_brake,
            2.0,
            17.0,
            1000.0,
        ]
        wheels.append([*wheel, position])
    return [
        _TORQUE_CURVE,
        5800.0,  # maximum rpm
        1.0,  # moment of inertia
        0.15,  # damping at full throttle
        2.0,  # ... at zero throttle, clutch engaged
        0.35,  # ... and disengaged
        True,  # automatic gearbox
        0.5,  # time to change gear
        10.0,  # clutch strength
        _FINAL_RATIO,
        _FORWARD_GEARS,
        float(body.mass[row]),
        0.3,  # drag coefficient
        [0.0, 0.0, 0.0],  # centre of mass
        _STEERING_CURVE,
        wheels,
        True,  # sweep wheel collision
    ]


def describe_telemetry(arrays: ActorArrays, row: int) -> list[Any]:
    """Field by field as on the wire of 0.9.16: four wheels that roll without slipping.

    The engine turns as its wheels demand; nothing brakes a car but its brakes, so drag is zero.
    """
    driving = arrays.driving
    speed_mps, gear = float(driving.speed[row]), int(driving.reported_gear[row])
    wheel_rad_s = speed_mps / (_WHEEL_RADIUS_CM / 100.0)
    ratio = _FORWARD_GEARS[min(abs(gear), len(_FORWARD_GEARS)) - 1][0] if gear else 0.0
    rpm = abs(wheel_rad_s) * ratio * _FINAL_RATIO * 30.0 / math.pi
    load_n = float(arrays.body.mass[row]) * STANDARD_GRAVITY_MPS2 / 4.0
    # Friction, slip across and along, turning rate, load, its share of the load at rest; then
    # torque and forces, which the fitted car does not have
    wheel = [_TIRE_FRICTION, 0.0, 0.0, wheel_rad_s, load_n, 1.0, *[0.0] * 5]
    pedals = [-float(driving.steer[row]), float(driving.throttle[row]), float(driving.brake[row])]
    return [speed_mps, *pedals, rpm, gear, 0.0, [list(wheel) for _ in range(4)]]
