"""Blueprints of sensors: those that work, and those that refuse to be spawned."""

from __future__ import annotations

from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.blueprints.form import (
    BOOL,
    FLOAT,
    INT,
    STRING,
    Attribute,
    Blueprint,
)
from sim_adapters.carla.headless.blueprints.refused_sensors import (
    REFUSED_SENSORS,
    refused_attributes,
)

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
