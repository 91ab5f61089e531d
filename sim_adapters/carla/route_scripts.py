"""RouteScripts: the scripted scenarios of a route in a live world.

Triggers are resolved against the map as in the embedded world (`world/scenarios/resolution.py`),
with the same distances and times; here the server's own walkers, vehicles and lights act them out.

Limit: props and debris stand there from the trigger on; in the embedded world, as on the
leaderboard, they can be seen from afar.
"""

from __future__ import annotations

import logging
import math

import carla
import numpy as np

from sim_adapters.carla.actor_slots import EGO_SLOT
from sim_adapters.carla.frames import to_carla_transform, to_carla_vector
from sim_adapters.carla.script_stream import LiveScript, LiveStage, Stream
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorKind
from sim_adapters.world.scenarios.control_loss import (
    LOSS_END_M,
    LOSS_LONGEST_S,
    debris_underneath,
    loss_noise,
)
from sim_adapters.world.scenarios.crossers import (
    LEFT_BEHIND_M,
    PATIENCE_S,
    SHORT_NOTICE_M,
    arrives_soon,
)
from sim_adapters.world.scenarios.resolution import resolve_triggers
from sim_adapters.world.scenarios.state import ScenarioKind, ScriptBook, empty_script_book
from sim_adapters.world.scenarios.step import is_at_trigger
from sim_adapters.world.scenarios.streams import HARD_BREAK_REACH_M, HARD_BREAK_S
from sim_adapters.world.vehicle_catalogue import DIRT_DEBRIS, PROP_NAMES, VEHICLE_NAMES

# DynamicObjectCrossing and VehicleTurningRoute live: somebody crosses in front of the ego.
#
# Follows the embedded world's script (`world/scenarios/crossers.py`): the crosser stands beside the
# road, starts when the ego is a reaction time away, goes straight on whatever the ego does, and is
# gone on the other side.

WALKER_BLUEPRINT = "walker.pedestrian.0001"
_CLEARANCE_M = 0.3  # above the ground at the spawn


class Crossing:
    """One crosser and the prop that hides it.

    Args:
        stage: Where it plays.
        book: Resolved triggers of world 0.
        row: Which of them.
    """

    def __init__(self, stage: LiveStage, book: ScriptBook, row: int) -> None:
        self.is_over = False
        self._stage = stage
        crossers, triggers, at = book.crossers, book.triggers, (0, row)
        self._meeting = float(triggers.meeting_x[at]), float(triggers.meeting_y[at])
        self._start = float(crossers.start_x[at]), float(crossers.start_y[at])
        self._end = float(crossers.end_x[at]), float(crossers.end_y[at])
        self._speed_mps, self._reaction_s = crossers.speed_mps[at], crossers.reaction_s[at]
        self._began_s = stage.now_s
        self._is_walking = False
        self._placed = [place_blocker(stage, book, row)]
        self._crosser = self._bring(float(crossers.z[at]), int(crossers.kind[at]), book, row)
        self._placed.append(self._crosser.id if self._crosser is not None else 0)

    def step(self) -> None:
        """Start the crosser in time; on the other side everything is taken away."""
        stage = self._stage
        distance_m = stage.ego_distance_m(*self._meeting)
        if not self._is_walking and arrives_soon(
            distance_m, stage.ego_speed_mps, float(self._reaction_s), SHORT_NOTICE_M
        ):
            self._walk(self._speed_mps)
            self._is_walking, self._began_s = True, stage.now_s
        waited_s = stage.now_s - self._began_s
        is_over = waited_s > PATIENCE_S and distance_m > LEFT_BEHIND_M
        if self._is_walking:
            is_over = waited_s > math.dist(self._start, self._end) / self._speed_mps
        if is_over:
            self.clear()
            self.is_over = True

    def noise(self) -> tuple[float, float]:
        """None."""
        return 0.0, 0.0

    def clear(self) -> None:
        """Take crosser and prop away."""
        self._stage.session.destroy([actor for actor in self._placed if actor])
        self._placed, self._crosser = [], None

    def _bring(self, z: float, kind: int, book: ScriptBook, row: int) -> carla.Actor | None:
        library = self._stage.session.world.get_blueprint_library()
        is_walker = kind == ActorKind.PEDESTRIAN
        name = f"vehicle.{VEHICLE_NAMES[book.crossers.body[0, row]]}"
        blueprint = library.find(WALKER_BLUEPRINT if is_walker else name)
        (x, y), (end_x, end_y) = self._start, self._end
        yaw = math.atan2(end_y - y, end_x - x)
        # A walker's origin is its middle
        height = (1.0 if is_walker else 0.0) + _CLEARANCE_M
        pose = to_carla_transform(x, y, z + height, yaw)
        return self._stage.session.world.try_spawn_actor(blueprint, pose)

    def _walk(self, speed_mps: float) -> None:
        way = self._end[0] - self._start[0], self._end[1] - self._start[1]
        if isinstance(self._crosser, carla.Walker):
            direction = to_carla_vector(*way).make_unit_vector()
            self._crosser.apply_control(carla.WalkerControl(direction, float(speed_mps)))
        elif isinstance(self._crosser, carla.Vehicle):
            # A bicycle's own physics would fall over or be too slow
            self._crosser.enable_constant_velocity(carla.Vector3D(float(speed_mps), 0.0, 0.0))


def place_blocker(stage: LiveStage, book: ScriptBook, row: int) -> int:
    """Stand a trigger's prop in its place; its id, 0 if it has none or something is in the way."""
    blockers, at = book.blockers, (0, row)
    if blockers.prop[at] < 0:
        return 0
    pose = float(blockers.x[at]), float(blockers.y[at]), float(book.triggers.z[at])
    return place_prop(stage, int(blockers.prop[at]), (*pose, float(blockers.yaw_rad[at])))


def place_debris(stage: LiveStage, book: ScriptBook, row: int) -> list[int]:
    """Lay the debris of a ControlLoss trigger; ids of what lies there."""
    debris, at = book.debris, (0, row)
    poses = zip(debris.x[at], debris.y[at], debris.z[at], debris.yaw_rad[at], strict=True)
    placed = [place_prop(stage, DIRT_DEBRIS, tuple(map(float, pose))) for pose in poses]
    return [actor for actor in placed if actor]


def place_prop(stage: LiveStage, prop: int, pose: tuple[float, ...]) -> int:
    """Stand a prop of the catalogue at x, y, z, yaw; its id, 0 if something is in the way."""
    library = stage.session.world.get_blueprint_library()
    blueprint = library.find(f"static.prop.{PROP_NAMES[prop]}")
    actor = stage.session.world.try_spawn_actor(blueprint, to_carla_transform(*pose))
    return actor.id if actor is not None else 0


# ControlLoss and HardBreakRoute live, as the embedded world plays them (`world/scenarios`).


class ControlLoss:
    """Debris on the road and noise on the ego's controls in three places.

    Args:
        stage: Where it plays.
        book: Resolved triggers of world 0.
        row: Which of them.
    """

    def __init__(self, stage: LiveStage, book: ScriptBook, row: int) -> None:
        self.is_over = False
        self._stage, self._book, self._row = stage, book, row
        self._place = float(book.triggers.x[0, row]), float(book.triggers.y[0, row])
        self._began_s = stage.now_s
        self._debris = place_debris(stage, book, row)

    def step(self) -> None:
        """End when the ego is out of the stretch, or after a while."""
        is_out = self._stage.ego_distance_m(*self._place) > LOSS_END_M
        if is_out or self._stage.now_s - self._began_s > LOSS_LONGEST_S:
            self.clear()
            self.is_over = True

    def noise(self) -> tuple[float, float]:
        """To one side a place, none between."""
        stage, book, motion = self._stage, self._book, self._stage.scene.motion
        x, y = motion.x[0, EGO_SLOT], motion.y[0, EGO_SLOT]
        place = debris_underneath(x, y, book.debris, 0, self._row)
        tick = round(stage.now_s / stage.scene.step_s)
        return loss_noise(np.uint64(stage.seed), tick, self._row, place)

    def clear(self) -> None:
        """Sweep the debris away."""
        self._stage.session.destroy(self._debris)
        self._debris = []


class HardBreak:
    """Traffic ahead of the ego brakes for some seconds.

    Limit: where nobody drives ahead nothing happens; the embedded world puts a car there.

    Args:
        stage: Where it plays.
    """

    def __init__(self, stage: LiveStage) -> None:
        self._stage = stage
        self._began_s = stage.now_s
        traffic = stage.traffic
        self._cars = cars_ahead(stage) if traffic is not None else []
        self.is_over = not self._cars
        if traffic is not None:
            traffic.hold(self._cars)

    def step(self) -> None:
        """Let them drive on when the time is over."""
        if self._stage.now_s - self._began_s > HARD_BREAK_S:
            self.clear()
            self.is_over = True

    def noise(self) -> tuple[float, float]:
        """None."""
        return 0.0, 0.0

    def clear(self) -> None:
        """Give the cars their speed back."""
        if self._stage.traffic is not None:
            self._stage.traffic.release(self._cars)
        self._cars = []


def cars_ahead(stage: LiveStage) -> list[int]:
    """Ids of background cars in front of the ego that go its way."""
    motion, traits, traffic = stage.scene.motion, stage.scene.traits, stage.traffic
    x, y, z, yaw = (
        float(part[0, EGO_SLOT]) for part in (motion.x, motion.y, motion.z, motion.yaw_rad)
    )
    dx, dy = motion.x[0] - x, motion.y[0] - y
    ahead = math.cos(yaw) * dx + math.sin(yaw) * dy
    left = math.cos(yaw) * dy - math.sin(yaw) * dx
    chosen = traits.valid[0] & (ahead > 0.0) & (ahead < HARD_BREAK_REACH_M)
    chosen &= np.abs(left) < 2.0 + 0.15 * ahead
    chosen &= (np.cos(motion.yaw_rad[0] - yaw) > 0.8) & (np.abs(motion.z[0] - z) < SAME_LEVEL_M)
    ids = traits.actor_id[0][chosen].tolist()
    return [car for car in ids if traffic is not None and traffic.has(car)]


_logger = logging.getLogger(__name__)


class RouteScripts:
    """Waits for the ego at the trigger points of one route and plays what happens there.

    Args:
        stage: Where they play.
        scenario: Its triggers.

    Raises:
        ValueError: a scenario type that this project does not know.
    """

    def __init__(self, stage: LiveStage, scenario: Scenario) -> None:
        self._stage = stage
        self._book: ScriptBook = empty_script_book(1, max(len(scenario.triggers), 1))
        self._running: list[LiveScript] = []
        refused = resolve_triggers(scenario, stage.maps, self._book, 0)
        for name, reason in refused:
            _logger.info("%s: %s is not played: %s", scenario.scenario_id, name, reason)
        kinds = self._book.triggers.kind[0]
        self._waiting = [row for row, kind in enumerate(kinds) if kind != ScenarioKind.NONE]

    def step(self) -> None:
        """Start and play scripts; to be called between two ticks."""
        for row in [row for row in self._waiting if self._is_reached(row)]:
            self._waiting.remove(row)
            script = self._start(row)
            if script is not None:
                self._running.append(script)
        for script in self._running:
            script.step()
        self._running = [script for script in self._running if not script.is_over]

    def disturbed(self, steer: float, acceleration: float) -> tuple[float, float]:
        """The ego's steering and pedal with what the scripts add; a braking ego brakes on."""
        for script in self._running:
            steer_noise, throttle_noise = script.noise()
            steer = min(max(steer + steer_noise, -1.0), 1.0)
            if acceleration >= 0.0:
                acceleration = min(max(acceleration + throttle_noise, 0.0), 1.0)
        return steer, acceleration

    def clear(self) -> None:
        """Take everything away that scripts have placed."""
        for script in self._running:
            script.clear()
        self._running, self._waiting = [], []

    def _is_reached(self, row: int) -> bool:
        triggers, motion = self._book.triggers, self._stage.scene.motion
        dx, dy, dz = (
            float(ours[0, 0] - theirs[0, row])
            for ours, theirs in (
                (motion.x, triggers.x),
                (motion.y, triggers.y),
                (motion.z, triggers.z),
            )
        )
        return bool(is_at_trigger(dx, dy, dz, float(triggers.yaw_rad[0, row])))

    def _start(self, row: int) -> LiveScript | None:
        stage, book = self._stage, self._book
        kind = ScenarioKind(int(book.triggers.kind[0, row]))
        _logger.debug("%s starts", kind.name)
        if kind == ScenarioKind.CONTROL_LOSS:
            return ControlLoss(stage, book, row)
        if kind in (ScenarioKind.OBJECT_CROSSING, ScenarioKind.VEHICLE_TURNING):
            return Crossing(stage, book, row)
        if stage.traffic is None:
            _logger.debug("%s needs traffic, this world has none", kind.name)
            return None
        if kind == ScenarioKind.HARD_BREAK:
            return HardBreak(stage)
        return Stream(stage, book, row)
