"""Background traffic of a live world: cars that CARLA's TrafficManager drives around the ego.

Follows the leaderboard's BackgroundActivity in who drives and how (cars with lights only, no lane
changes, ten metres of distance, the limit's speed), and in how many there are near the ego.

Limit: BackgroundActivity also opens and closes sources at junctions and makes cars wait for a slow
ego; here cars appear on free lanes around the ego and vanish far away.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.array_types import FloatArray
from sim_adapters.carla.frames import to_carla_transform
from sim_adapters.carla.session import LiveSession
from sim_adapters.scene.map_bank import LaneKind, MapBank

SPAWN_HEIGHT_M = 0.2
MIN_LANE_WIDTH_M = 2.25  # BackgroundActivity leaves narrower lanes alone
LEADING_DISTANCE_M = 10.0
LANE_OFFSET_M = 0.1
REFILL_STEPS = 5  # between two looks at how many there are
MAX_NEW_CARS = 8  # at a time after the reset: a batch delays the tick
SAME_LEVEL_M = 8.0
KMH_PER_MPS = 3.6
SAME_LANE_M = 2.0  # across: whoever is nearer counts as in the same lane
BODY_GAP_M = 4.0  # between centres in neighbouring lanes, where a bend brings them nearer

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LiveTrafficSettings:
    """How much traffic there is, and how the TrafficManager treats it."""

    num_vehicles: int = 30  # wanted within `radius_m` of the ego
    radius_m: float = 90.0
    despawn_m: float = 130.0  # cars further away vanish
    out_of_view_m: float = 30.0  # nobody appears nearer than this after the reset
    first_gap_m: float = 12.0  # nor nearer than this at the reset
    spacing_m: float = 15.0  # between new cars of one lane, as BackgroundActivity's
    hybrid_radius_m: float = 70.0  # cars further from the ego move without physics
    obeys_lights: bool = True
    obeys_signs: bool = True


class BackgroundTraffic:
    """Keeps the wished number of cars around the ego.

    Args:
        session: With the town loaded.
        maps: Where lanes are.
        map_index: The town's.
        settings: How much, and how.
        tm_port: TCP port for the TrafficManager; one that no other client of this machine has.
    """

    def __init__(
        self,
        session: LiveSession,
        maps: MapBank,
        map_index: int,
        settings: LiveTrafficSettings,
        tm_port: int,
    ) -> None:
        self.settings = settings
        self._session = session
        self._spots = spawn_spots(maps, map_index)
        self._blueprints = traffic_blueprints(session.world)
        self._cars: dict[int, carla.Actor] = {}
        self._random = np.random.default_rng(0)
        self._steps = 0
        self.manager = session.client.get_trafficmanager(tm_port)
        self.manager.set_synchronous_mode(True)
        session.watch(self.manager)
        self.manager.set_hybrid_physics_mode(True)
        self.manager.set_hybrid_physics_radius(settings.hybrid_radius_m)
        self.manager.set_respawn_dormant_vehicles(False)
        self.manager.global_percentage_speed_difference(0.0)
        self.manager.set_global_distance_to_leading_vehicle(LEADING_DISTANCE_M)
        self.manager.global_lane_offset(LANE_OFFSET_M)

    def start(self, seed: int, ego: tuple[float, float, float], occupied: FloatArray) -> None:
        """Fill the surroundings of a new episode.

        Args:
            seed: Of who appears where, and of the TrafficManager.
            ego: Position [m].
            occupied: (N, 2) positions that must stay free.
        """
        self._random = np.random.default_rng(seed)
        self._steps = 0
        self.manager.set_random_device_seed(seed % 2**31)
        wanted = self.settings.num_vehicles
        self._spawn(wanted, ego, occupied, nearest_m=self.settings.first_gap_m)

    def step(self, ego: tuple[float, float, float], ids: NDArray, places: FloatArray) -> None:
        """Remove who is far away and refill, every few steps.

        Args:
            ego: Position [m].
            ids: (N,) all vehicles of the snapshot.
            places: (N, 2) their positions [m].
        """
        self._steps += 1
        if self._steps % REFILL_STEPS:
            return
        distances = np.hypot(places[:, 0] - ego[0], places[:, 1] - ego[1])
        present = dict(zip(ids.tolist(), distances.tolist(), strict=True))
        # The TrafficManager removes cars that are stuck
        self._cars = {car: actor for car, actor in self._cars.items() if car in present}
        far = [car for car in self._cars if present[car] > self.settings.despawn_m]
        self._session.destroy(far)
        for car in far:
            del self._cars[car]
        near = sum(present[car] <= self.settings.radius_m for car in self._cars)
        missing = min(self.settings.num_vehicles - near, MAX_NEW_CARS)
        self._spawn(missing, ego, places, nearest_m=self.settings.out_of_view_m)

    def has(self, car: int) -> bool:
        """Whether an actor is one of the traffic's cars."""
        return car in self._cars

    def hold(self, cars: list[int]) -> None:
        """Let cars brake until they stand."""
        self._slow_down(cars, 100.0)

    def release(self, cars: list[int]) -> None:
        """Let cars that were held drive on."""
        self._slow_down(cars, 0.0)

    def send(
        self,
        pose: carla.Transform,
        velocity: carla.Vector3D,
        places: list[carla.Location],
        speed_mps: float,
    ) -> bool:
        """Spawn a moving car that goes past `places` and heeds neither lights nor signs.

        Returns:
            False if something stands at `pose`.
        """
        command = carla.command.SpawnActor(self._draw_blueprint(), pose)
        (car,) = self._session.spawn([command])
        if not car:
            return False
        self._instruct([car])
        for actor in self._session.world.get_actors([car]):
            assert isinstance(actor, carla.Vehicle)
            actor.set_target_velocity(velocity)
            actor.set_autopilot(True, self.manager.get_port())
            self.manager.ignore_lights_percentage(actor, 100.0)
            self.manager.ignore_signs_percentage(actor, 100.0)
            self.manager.set_desired_speed(actor, speed_mps * KMH_PER_MPS)
            self.manager.set_path(actor, places)
        return True

    def clear(self) -> None:
        """Remove all cars."""
        self._session.destroy(sorted(self._cars))
        self._cars.clear()

    def shut_down(self) -> None:
        """Stop the TrafficManager."""
        self._session.watch(None)
        self.manager.shut_down()

    def _spawn(
        self,
        count: int,
        ego: tuple[float, float, float],
        occupied: FloatArray,
        *,
        nearest_m: float,
    ) -> None:
        if count <= 0:
            return
        spots = free_spots(
            self._spots, count, ego, occupied, nearest_m, self.settings, self._random
        )
        commands = []
        for x, y, z, yaw_rad in spots:
            pose = to_carla_transform(x, y, z + SPAWN_HEIGHT_M, yaw_rad)
            autopilot = carla.command.SetAutopilot(
                carla.command.FutureActor,  # pyright: ignore[reportArgumentType]  (stubs: an id)
                True,
                self.manager.get_port(),
            )
            commands.append(carla.command.SpawnActor(self._draw_blueprint(), pose).then(autopilot))
        self._instruct([car for car in self._session.spawn(commands) if car])

    def _instruct(self, cars: list[int]) -> None:
        if not cars:
            return
        for car in self._session.world.get_actors(cars):
            self._cars[car.id] = car
            self.manager.auto_lane_change(car, False)
            self.manager.update_vehicle_lights(car, True)
            if not self.settings.obeys_lights:
                self.manager.ignore_lights_percentage(car, 100.0)
            if not self.settings.obeys_signs:
                self.manager.ignore_signs_percentage(car, 100.0)

    def _slow_down(self, cars: list[int], percent: float) -> None:
        for car in cars:
            if car in self._cars:
                self.manager.vehicle_percentage_speed_difference(self._cars[car], percent)

    def _draw_blueprint(self) -> carla.ActorBlueprint:
        blueprint = self._blueprints[int(self._random.integers(len(self._blueprints)))]
        if blueprint.has_attribute("color"):
            colours = blueprint.get_attribute("color").recommended_values
            if colours:
                blueprint.set_attribute("color", colours[int(self._random.integers(len(colours)))])
        blueprint.set_attribute("role_name", "background")
        return blueprint


def spawn_spots(maps: MapBank, map_index: int) -> FloatArray:
    """Poses (N, 4) on driving lanes outside junctions, one a metre: x, y, z, yaw."""
    first, last = maps.ranges.point[map_index], maps.ranges.point[map_index + 1]
    points, lanes = maps.points, maps.lanes
    lane = points.lane[first:last]
    usable = (lanes.kind[lane] == LaneKind.DRIVING) & (lanes.junction[lane] < 0)
    usable &= points.width_m[first:last] >= MIN_LANE_WIDTH_M
    columns = (points.x, points.y, points.z, points.yaw_rad)
    return np.column_stack([column[first:last][usable] for column in columns])


def free_spots(
    spots: FloatArray,
    count: int,
    ego: tuple[float, float, float],
    occupied: FloatArray,
    nearest_m: float,
    settings: LiveTrafficSettings,
    random: np.random.Generator,
) -> FloatArray:
    """Up to `count` spots around the ego that are free and far enough from each other, (N, 4)."""
    distances = np.hypot(spots[:, 0] - ego[0], spots[:, 1] - ego[1])
    around = (distances >= nearest_m) & (distances <= settings.radius_m)
    around &= np.abs(spots[:, 2] - ego[2]) < SAME_LEVEL_M
    candidates = random.permutation(spots[around])
    for place in occupied.reshape(-1, 2):
        candidates = candidates[~is_taken(candidates, place, settings.spacing_m)]
    chosen = []
    while len(candidates) and len(chosen) < count:
        chosen.append(candidates[0])
        candidates = candidates[~is_taken(candidates, chosen[-1][:2], settings.spacing_m)]
    return np.array(chosen).reshape(-1, 4)


def is_taken(spots: FloatArray, place: FloatArray, spacing_m: float) -> NDArray[np.bool_]:
    """Whether somebody at `place` is too near in a spot's lane, or very near in any, (N,)."""
    dx, dy = place[0] - spots[:, 0], place[1] - spots[:, 1]
    across = np.abs(np.cos(spots[:, 3]) * dy - np.sin(spots[:, 3]) * dx)
    distance = np.hypot(dx, dy)
    return ((across < SAME_LANE_M) & (distance < spacing_m)) | (distance < BODY_GAP_M)


def traffic_blueprints(world: carla.World) -> list[carla.ActorBlueprint]:
    """Cars with lights and without a special purpose; any car where a server does not tell."""
    vehicles = world.get_blueprint_library().filter("vehicle.*")
    plain = [blueprint for blueprint in vehicles if _is_plain_car(blueprint)]
    if plain:
        return plain
    cars = [b for b in vehicles if int(b.get_attribute("number_of_wheels")) == 4]
    _logger.warning(
        "no blueprint says that it is a plain car with lights: traffic takes all %d four-wheelers",
        len(cars),
    )
    return cars


def _is_plain_car(blueprint: carla.ActorBlueprint) -> bool:
    attributes = {attribute.id: attribute for attribute in blueprint}
    return (
        "base_type" in attributes
        and attributes["base_type"].as_str() == "car"
        and ("special_type" not in attributes or not attributes["special_type"].as_str())
        and ("has_lights" not in attributes or attributes["has_lights"].as_bool())
    )
