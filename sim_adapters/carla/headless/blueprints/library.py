"""The blueprint library: everything that can be spawned, as clients list it."""

from __future__ import annotations

from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.blueprints.refused_sensors import (
    REFUSED_SENSORS,
    refused_attributes,
)
from sim_adapters.carla.headless.blueprints.vehicles import (
    BOOL,
    FLOAT,
    INT,
    STRING,
    Attribute,
    Blueprint,
    vehicle_blueprints,
)
from sim_adapters.carla.headless.process import WireVersion
from sim_adapters.world import vehicle_catalogue as catalogue

# Blueprints of props: those that the leaderboard's scenarios and CARLA's examples name.

_DYNAMIC_TAG = 21
_FLAT_PROPS = ("dirtdebris", "ironplank")  # wheels roll over them
# Props without measured size: about (half length, half width, half height)
_OTHER_PROPS = {
    "barrel": (0.3, 0.3, 0.45),
    "bench01": (0.75, 0.3, 0.4),
    "bikeparking": (0.9, 0.3, 0.4),
    "box01": (0.3, 0.3, 0.25),
    "briefcase": (0.25, 0.1, 0.2),
    "chainbarrier": (0.65, 0.05, 0.35),
    "chainbarrierend": (0.1, 0.05, 0.35),
    "creasedbox01": (0.35, 0.3, 0.05),
    "dirtdebris02": (0.93, 0.755, 0.075),
    "dirtdebris03": (0.93, 0.755, 0.075),
    "foodcart": (1.3, 0.8, 1.2),
    "gardenlamp": (0.1, 0.1, 0.3),
    "ironplank": (0.8, 0.4, 0.03),
    "kiosk_01": (1.3, 1.1, 1.5),
    "mailbox": (0.25, 0.25, 0.6),
    "plasticbag": (0.2, 0.2, 0.2),
    "streetsign": (0.3, 0.05, 1.2),
    "streetsign01": (0.3, 0.05, 1.2),
    "streetsign04": (0.3, 0.05, 1.2),
    "swingcouch": (1.0, 0.6, 0.9),
    "trafficcone02": (0.17, 0.17, 0.3),
    "trafficwarning": (1.185, 1.435, 1.785),
    "trampoline": (1.5, 1.5, 0.5),
    "trashcan01": (0.3, 0.3, 0.5),
    "travelcase": (0.3, 0.15, 0.35),
    "warningaccident": (0.4, 0.3, 0.45),
    "wateringcan": (0.15, 0.1, 0.15),
    "mesh": (1.0, 1.0, 0.5),
}


def prop_blueprints() -> list[Blueprint]:
    """Props with measured sizes where the catalogue has them."""
    sizes = {
        name: (float(length), float(width), float(height))
        for name, length, width, height in zip(
            catalogue.PROP_NAMES,
            catalogue.PROP_HALF_LENGTH_M,
            catalogue.PROP_HALF_WIDTH_M,
            catalogue.PROP_HALF_HEIGHT_M,
            strict=True,
        )
    }
    attributes: tuple[Attribute, ...] = (
        ("role_name", STRING, "prop", ("prop",), True),
        ("size", STRING, "medium", (), False),
        ("mesh_path", STRING, "", (), True),
        ("scale", FLOAT, "1.0", (), True),
        ("mass", FLOAT, "0.0", (), True),
    )
    return [
        Blueprint(
            f"static.prop.{name}",
            Kind.PROP,
            attributes,
            half,
            (0.0, 0.0, half[2]),
            tag=_DYNAMIC_TAG,
            is_solid=not name.startswith(_FLAT_PROPS),
        )
        for name, half in sorted({**_OTHER_PROPS, **sizes}.items())
    ]


# Blueprints of sensors: those that work, and those that refuse to be spawned.

_GNSS_AXES, _BOTH = ("lat", "lon", "alt"), ("stddev", "bias")


def sensor_blueprints() -> list[Blueprint]:
    """All of them: programs set a camera's attributes before its refusal at the spawn."""
    role: Attribute = ("role_name", STRING, "front", ("front", "back", "left", "right"), True)
    tick: Attribute = ("sensor_tick", FLOAT, "0.0", (), True)
    extra: dict[str, tuple[Attribute, ...]] = {
        "other.collision": (),
        "other.lane_invasion": (),
        "other.obstacle": (
            ("distance", FLOAT, "5.0", (), True),
            ("hit_radius", FLOAT, "0.5", (), True),
            ("only_dynamics", BOOL, "false", (), True),
            ("debug_linetrace", BOOL, "false", (), True),
            tick,
        ),
        "other.gnss": (*_noise(*(f"{axis}_{what}" for axis in _GNSS_AXES for what in _BOTH)), tick),
        "other.imu": (
            *_noise(
                *(f"accel_stddev_{axis}" for axis in "xyz"),
                *(f"gyro_{what}_{axis}" for what in _BOTH for axis in "xyz"),
            ),
            tick,
        ),
    }
    for name in REFUSED_SENSORS:
        extra[name] = (*refused_attributes(name), tick)
    return [
        Blueprint(
            f"sensor.{name}",
            Kind.SENSOR,
            (role, ("ros_name", STRING, f"sensor.{name}", (), True), *attributes),
        )
        for name, attributes in extra.items()
    ]


def _noise(*names: str) -> tuple[Attribute, ...]:
    floats = tuple((f"noise_{name}", FLOAT, "0.0", (), True) for name in names)
    return (*floats, ("noise_seed", INT, "0", (), True))


# Blueprints of walkers.

_WALKER_KG = 75.0
_CHILDREN = frozenset({9, 10, 11, 48, 49})
_SHORT = frozenset({12, 13, 14})
_NUM_WALKERS = 52
_PEDESTRIAN_TAG = 12


def walker_blueprints() -> list[Blueprint]:
    """CARLA's 52 walkers: adults, children and short adults."""
    blueprints: list[Blueprint] = []
    for number in range(1, _NUM_WALKERS + 1):
        size = 1 if number in _CHILDREN else 2 if number in _SHORT else 0
        half = (
            float(catalogue.WALKER_HALF_LENGTH_M[size]),
            float(catalogue.WALKER_HALF_WIDTH_M[size]),
            float(catalogue.WALKER_HALF_HEIGHT_M[size]),
        )
        attributes: tuple[Attribute, ...] = (
            ("gender", STRING, "female" if number % 2 else "male", (), False),
            ("age", STRING, "child" if size else "adult", (), False),
            ("generation", INT, "2" if number > 14 else "1", (), False),
            ("speed", FLOAT, "0.000000", ("0.0", "1.4", "2.9"), True),
            ("is_invincible", BOOL, "true", (), True),
            ("can_use_wheelchair", BOOL, "false", (), False),
            ("role_name", STRING, "pedestrian", ("pedestrian",), True),
        )
        blueprints.append(
            Blueprint(
                f"walker.pedestrian.{number:04d}",
                Kind.WALKER,
                attributes,
                half,
                mass_kg=_WALKER_KG,
                tag=_PEDESTRIAN_TAG,
                is_solid=True,
            )
        )
    return blueprints


def build_library() -> dict[str, Blueprint]:
    """Every blueprint by name."""
    blueprints = [
        *vehicle_blueprints(),
        *walker_blueprints(),
        *prop_blueprints(),
        *sensor_blueprints(),
        *_others(),
    ]
    return {blueprint.type_id: blueprint for blueprint in blueprints}


def definitions(library: dict[str, Blueprint], version: WireVersion) -> list[list[object]]:
    """The library as `get_actor_definitions` answers it."""
    return [
        [
            uid,
            blueprint.type_id,
            ",".join(blueprint.type_id.split(".")),
            [
                [name, code + version.first_attribute_type, value, list(values), modifiable, False]
                for name, code, value, values, modifiable in blueprint.attributes
            ],
        ]
        for uid, blueprint in enumerate(library.values(), start=1)
    ]


def _others() -> list[Blueprint]:
    return [
        Blueprint(
            "controller.ai.walker",
            Kind.OTHER,
            (("role_name", STRING, "pedestrian_ai", (), True),),
        ),
        Blueprint("static.trigger.friction", Kind.OTHER, _friction_attributes()),
    ]


def _friction_attributes() -> tuple[Attribute, ...]:
    names = ("friction", "extent_x", "extent_y", "extent_z")
    values = ("3.5", "1.0", "1.0", "1.0")
    return tuple((name, FLOAT, value, (), True) for name, value in zip(names, values, strict=True))
