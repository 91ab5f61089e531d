"""Sensors that the server measures: collision, obstacle, GNSS and IMU.

Lane-invasion sensors live in the client library, which finds crossings on the map by itself.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from sim_adapters.array_types import FloatArray
from sim_adapters.carla.headless.actor_arrays import Kind
from sim_adapters.carla.headless.actors import Actor, ActorRegistry
from sim_adapters.carla.headless.frame import axes_of, vector_to_wire
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M, nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.world.ego_place import lane_height_m

# Where a ray, or a ball that moves along it, meets bodies and roads.

LONGEST_RAY_M = 2000.0
_STEP_M = 1.0
_ALMOST_ZERO = 1e-12


def body_hits(
    registry: ActorRegistry, start: FloatArray, ray: FloatArray, *, radius_m: float = 0.0
) -> list[tuple[float, int]]:
    """Shares of the ray at which it enters solid boxes, nearest first, with their rows.

    Args:
        registry: Whose bodies.
        start: (3,) right-handed.
        ray: (3,) from the start to the end.
        radius_m: Boxes are this much larger all round, as if a ball moved along the ray.
    """
    rows, _ = registry.solid_rows()
    if not rows.size:
        return []
    pose, body = registry.arrays.pose, registry.arrays.body
    cos, sin = np.cos(pose.yaw[rows]), np.sin(pose.yaw[rows])
    dx, dy = start[0] - pose.x[rows], start[1] - pose.y[rows]
    origin = np.stack(
        [
            cos * dx + sin * dy - body.center_x[rows],
            -sin * dx + cos * dy - body.center_y[rows],
            start[2] - pose.z[rows] - body.center_z[rows],
        ]
    )
    along = np.stack(
        [
            cos * ray[0] + sin * ray[1],
            -sin * ray[0] + cos * ray[1],
            np.full(len(rows), ray[2]),
        ]
    )
    along = np.where(np.abs(along) < _ALMOST_ZERO, _ALMOST_ZERO, along)
    half = np.stack([body.half_length[rows], body.half_width[rows], body.half_height[rows]])
    half = half + radius_m
    near, far = (-half - origin) / along, (half - origin) / along
    enter = np.minimum(near, far).max(axis=0)
    leave = np.maximum(near, far).min(axis=0)
    hit = (enter <= leave) & (leave >= 0.0) & (enter <= 1.0)
    return sorted((max(float(enter[i]), 0.0), int(rows[i])) for i in np.flatnonzero(hit))


def road_hits(bank: MapBank, start: FloatArray, ray: FloatArray) -> list[float]:
    """Shares of the ray at which it passes from above a lane to below it."""
    length = min(float(np.linalg.norm(ray)), LONGEST_RAY_M)
    steps = max(1, math.ceil(length / _STEP_M))
    above: float | None = None
    hits: list[float] = []
    for step in range(steps + 1):
        gap = _height_above_road(bank, start + ray * (step / steps))
        if above is not None and gap is not None and above > 0.0 >= gap:
            hits.append((step - 1 + above / (above - gap)) / steps)
        above = gap
    return hits


def _height_above_road(bank: MapBank, point: FloatArray) -> float | None:
    """Height above the lane on this level; None far from any."""
    x, y, z = (float(value) for value in point)
    kind = int(LaneKind.DRIVING)
    lane_point = nearest_lane_point(bank.grid, bank.points, bank.lanes, 0, x, y, z, kind)
    if lane_point < 0:
        return None
    height = z - lane_height_m(bank.points, bank.lanes, lane_point, x, y)
    return height if abs(height) <= 2.0 * SAME_LEVEL_M else None


# Latitude and longitude of places on a town, by CARLA's own Mercator formula.

_EARTH_RADIUS_M = 6378137.0  # WGS-84 equator
_DEFAULT_DEG = (42.0, 2.0)  # what CARLA assumes of a map that does not say
_NUMBER = r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
_LATITUDE, _LONGITUDE = re.compile(r"\+lat_0=" + _NUMBER), re.compile(r"\+lon_0=" + _NUMBER)
_HEADER_CHARACTERS = 20_000


@dataclass(frozen=True)
class GeoReference:
    """Where on Earth the origin of a map lies."""

    latitude_deg: float
    longitude_deg: float

    def locate(self, east_m: float, north_m: float) -> tuple[float, float]:
        """Latitude and longitude of a place in degrees."""
        scale = _EARTH_RADIUS_M * math.cos(math.radians(self.latitude_deg))
        x = scale * math.radians(self.longitude_deg) + east_m
        y = scale * math.log(math.tan(math.radians(90.0 + self.latitude_deg) / 2.0)) + north_m
        latitude = 2.0 * math.degrees(math.atan(math.exp(y / scale))) - 90.0
        return latitude, math.degrees(x / scale)


def read_geo_reference(document: str) -> GeoReference:
    """The reference in an OpenDRIVE header, or CARLA's default."""
    header = document[:_HEADER_CHARACTERS]
    latitude, longitude = _LATITUDE.search(header), _LONGITUDE.search(header)
    if latitude is None or longitude is None:
        return GeoReference(*_DEFAULT_DEG)
    return GeoReference(float(latitude.group(1)), float(longitude.group(1)))


if TYPE_CHECKING:
    from sim_adapters.carla.headless.world import World

COLLISION, GNSS, IMU, OBSTACLE = 0, 4, 5, 7  # places in CARLA's registry of sensors
IMU_GRAVITY_MPS2 = 9.81
_FELT_IMPULSE_NS = 1.0  # a lasting contact that presses less than this is not reported again
_MOVING_KINDS = (Kind.VEHICLE, Kind.WALKER)
_EARLY_S = 1e-6


@dataclass
class Measuring:
    """A sensor with a rhythm, and its noise."""

    actor: Actor
    interval_s: float
    next_s: float = 0.0
    random: np.random.Generator = field(default_factory=np.random.default_rng)

    def is_due(self, now_s: float) -> bool:
        """Whether `sensor_tick` seconds have passed; without one the sensor measures each tick."""
        if now_s < self.next_s - _EARLY_S:
            return False
        self.next_s = now_s + self.interval_s
        return True

    def noise(self, name: str) -> float:
        """A draw with the standard deviation and bias that the sensor was spawned with.

        Args:
            name: An attribute's with {} for "stddev" or "bias", e.g. "noise_gyro_{}_x".
        """
        deviation = float_attribute(self.actor, name.format("stddev"), 0.0)
        drawn = self.random.normal(0.0, deviation) if deviation > 0.0 else 0.0
        return drawn + float_attribute(self.actor, name.format("bias"), 0.0)


class Sensors:
    """All sensors of an episode.

    Args:
        world: Whose actors they watch and whose streams they write to.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._geo_reference = read_geo_reference(world.episode.town.document)
        self._collision_sensors: dict[int, Actor] = {}
        self._measuring: dict[int, Measuring] = {}
        self._touching: set[tuple[int, int]] = set()

    def add(self, actor: Actor) -> None:
        """A sensor has been spawned."""
        if actor.type_id == "sensor.other.collision":
            self._collision_sensors[actor.actor_id] = actor
        elif actor.type_id in ("sensor.other.gnss", "sensor.other.imu", "sensor.other.obstacle"):
            interval_s = max(float_attribute(actor, "sensor_tick", 0.0), 0.0)
            seed = int(float_attribute(actor, "noise_seed", 0.0))
            measuring = Measuring(actor, interval_s, random=np.random.default_rng(abs(seed)))
            self._measuring[actor.actor_id] = measuring

    def remove(self, actor: Actor) -> None:
        """A sensor has been destroyed."""
        self._collision_sensors.pop(actor.actor_id, None)
        self._measuring.pop(actor.actor_id, None)

    def measure(self) -> None:
        """Send what every sensor with listeners sees in this tick."""
        self._report_collisions()
        for measuring in self._measuring.values():
            stream_id = measuring.actor.stream_id
            if not self._world.streams.has_listeners(stream_id):
                continue
            if measuring.is_due(self._world.elapsed_s):
                self._measure_one(measuring)

    def _measure_one(self, measuring: Measuring) -> None:
        actor = measuring.actor
        if actor.type_id == "sensor.other.gnss":
            self._world.event(GNSS, actor, self._geo_location(measuring))
        elif actor.type_id == "sensor.other.imu":
            self._world.event(IMU, actor, self._inertia(measuring))
        else:
            detection = self._obstacle(actor)
            if detection is not None:
                self._world.event(OBSTACLE, actor, detection)

    def _report_collisions(self) -> None:
        """One event a frame and pair, to the sensors of both, as CARLA's registry keeps them.

        A pair is reported when it begins to touch and in every frame in which it presses.
        """
        episode = self._world.episode
        by_row, pairs = episode.registry.by_row, episode.pairs
        touching: set[tuple[int, int]] = set()
        for index in range(episode.num_pairs):
            one, other = by_row[pairs.row[index]], by_row[pairs.other_row[index]]
            x, y = float(pairs.impulse_x[index]), float(pairs.impulse_y[index])
            names = (one.actor_id, other.actor_id)
            pair = (min(names), max(names))
            touching.add(pair)
            if pair in self._touching and math.hypot(x, y) < _FELT_IMPULSE_NS:
                continue
            self._send_collision(one, other, x, y)
            self._send_collision(other, one, -x, -y)
        self._touching = touching

    def _send_collision(self, one: Actor, other: Actor, x: float, y: float) -> None:
        for sensor in self._collision_sensors.values():
            if sensor.parent_id != one.actor_id:
                continue
            if self._world.streams.has_listeners(sensor.stream_id):
                impulse = vector_to_wire(x, y, 0.0)
                actors = [self._world.to_wire(one), self._world.to_wire(other)]
                self._world.event(COLLISION, sensor, [*actors, impulse])

    def _geo_location(self, measuring: Measuring) -> list[float]:
        """[latitude, longitude, altitude]."""
        x, y, z = self._world.episode.registry.arrays.pose_block[:3, measuring.actor.row]
        latitude, longitude = self._geo_reference.locate(float(x), float(y))
        return [
            latitude + measuring.noise("noise_lat_{}"),
            longitude + measuring.noise("noise_lon_{}"),
            float(z) + measuring.noise("noise_alt_{}"),
        ]

    def _inertia(self, measuring: Measuring) -> list[Any]:
        """[accelerometer, gyroscope, compass] in the sensor's left-handed axes.

        The accelerometer feels gravity; the compass is zero at north and grows clockwise.
        """
        registry = self._world.episode.registry
        actor = measuring.actor
        parent = registry.by_id.get(actor.parent_id, actor)
        arrays = registry.arrays
        pitch, yaw, roll = (float(value) for value in arrays.pose_block[3:, actor.row])
        axes = np.array(axes_of(pitch, yaw, roll)).reshape(3, 3)  # forward, left, up
        rates, acceleration = arrays.motion_block[3:6, parent.row], arrays.motion_block[6:]
        felt = axes @ (acceleration[:, parent.row] + [0.0, 0.0, self._world.imu_gravity_mps2])
        turning = axes @ rates
        accelerometer = [float(felt[0]), -float(felt[1]), float(felt[2])]
        gyroscope = [-float(turning[0]), float(turning[1]), -float(turning[2])]
        for index, axis in enumerate("xyz"):
            accelerometer[index] += measuring.noise(f"noise_accel_{{}}_{axis}")
            gyroscope[index] += measuring.noise(f"noise_gyro_{{}}_{axis}")
        compass = math.atan2(float(axes[0, 0]), float(axes[0, 1])) % (2.0 * math.pi)
        return [accelerometer, gyroscope, compass]

    def _obstacle(self, actor: Actor) -> list[Any] | None:
        """[self, other, distance] of the first body ahead, if there is one."""
        registry = self._world.episode.registry
        parent = registry.by_id.get(actor.parent_id, actor)
        pose = registry.arrays.pose_block[:, actor.row]
        forward = np.array(axes_of(float(pose[3]), float(pose[4]), float(pose[5]))[:3])
        reach_m = min(max(float_attribute(actor, "distance", 5.0), 0.0), 1000.0)
        radius_m = max(float_attribute(actor, "hit_radius", 0.5), 0.0)
        only_moving = actor.attribute("only_dynamics", "false").lower() in ("true", "1")
        hits = body_hits(registry, pose[:3].copy(), forward * reach_m, radius_m=radius_m)
        for share, row in hits:
            other = registry.by_row[row]
            if other is parent or (only_moving and other.kind not in _MOVING_KINDS):
                continue
            names = [self._world.to_wire(parent), self._world.to_wire(other)]
            return [*names, share * reach_m]
        return None


def float_attribute(actor: Actor, name: str, default: float) -> float:
    """A numeric attribute, or the default where the text is no finite number."""
    try:
        value = float(actor.attribute(name, str(default)))
    except ValueError:
        return default
    return value if math.isfinite(value) and abs(value) < 1e9 else default
