"""Blueprints of sensors: those that work, and the cameras and lidars that refuse to be spawned."""

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

_GNSS_AXES, _BOTH = ("lat", "lon", "alt"), ("stddev", "bias")
REFUSED_SENSORS = (
    "camera.rgb",
    "camera.depth",
    "camera.semantic_segmentation",
    "camera.instance_segmentation",
    "camera.optical_flow",
    "camera.normals",
    "camera.dvs",
    "lidar.ray_cast",
    "lidar.ray_cast_semantic",
    "other.radar",
    "other.rss",
)


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
        extra[name] = (*_camera_attributes(name), tick)
    return [
        Blueprint(f"sensor.{name}", Kind.SENSOR, (role, *attributes))
        for name, attributes in extra.items()
    ]


def _camera_attributes(name: str) -> tuple[Attribute, ...]:
    """The attributes that programs set before they spawn, so that the refusal comes at spawn."""
    if name.startswith("camera"):
        return (
            ("image_size_x", INT, "800", (), True),
            ("image_size_y", INT, "600", (), True),
            ("fov", FLOAT, "90.0", (), True),
        )
    if name.startswith("lidar"):
        names = ("channels", "range", "points_per_second", "rotation_frequency")
        values = ("32", "10.0", "56000", "10.0")
        fields = zip(names, values, strict=True)
        return tuple((field, FLOAT, value, (), True) for field, value in fields)
    return ()


def _noise(*names: str) -> tuple[Attribute, ...]:
    floats = tuple((f"noise_{name}", FLOAT, "0.0", (), True) for name in names)
    return (*floats, ("noise_seed", INT, "0", (), True))
