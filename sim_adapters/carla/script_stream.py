"""Junction scenarios live: cars that the TrafficManager sends through the ego's junction.

SignalizedJunctionLeftTurn and RightTurn send a stream, OppositeVehicleRunningRedLight one car that
meets the ego. Lights are set as the embedded world sets them (`world/scenarios/streams.py`).

Limit: a stream's cars follow CARLA's TrafficManager, which keeps its distance from others on the
path and may arrive later than planned; a runner appears when it starts; background cars are not
taken out of the way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import carla
import numpy as np

from sim_adapters.carla.actor_slots import EGO_SLOT
from sim_adapters.carla.background_traffic import BackgroundTraffic
from sim_adapters.carla.frames import to_carla_location, to_carla_transform, to_carla_vector
from sim_adapters.carla.live_lights import LiveLights
from sim_adapters.carla.session import LiveSession
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import LightState, SceneBatch
from sim_adapters.world.pedestrian_state import lane_place
from sim_adapters.world.scenarios.crossers import arrives_soon
from sim_adapters.world.scenarios.state import ScenarioKind, ScriptBook
from sim_adapters.world.scenarios.streams import (
    END_M,
    OWN_RED_S,
    RUNNER_NOTICE_M,
    RUNNER_REACTION_S,
    TIMEOUT_S,
)


@dataclass(frozen=True)
class LiveStage:
    """Where scripts play; the same for a whole episode."""

    session: LiveSession
    maps: MapBank
    scene: SceneBatch
    lights: LiveLights
    traffic: BackgroundTraffic | None

    @property
    def now_s(self) -> float:
        """Episode time."""
        return float(self.scene.clocks.elapsed_s[0])

    @property
    def seed(self) -> int:
        """Of the episode."""
        return int(self.scene.clocks.seed[0])

    @property
    def ego_speed_mps(self) -> float:
        """Horizontal speed of the ego."""
        motion = self.scene.motion
        return math.hypot(motion.vx_mps[0, EGO_SLOT], motion.vy_mps[0, EGO_SLOT])

    def ego_distance_m(self, x: float, y: float) -> float:
        """From the ego's centre to a place."""
        motion = self.scene.motion
        return math.hypot(x - motion.x[0, EGO_SLOT], y - motion.y[0, EGO_SLOT])


class LiveScript(Protocol):
    """One scripted event after the ego has reached its trigger point."""

    is_over: bool

    def step(self) -> None:
        """Play one step; reads the scene of the last tick, acts before the next."""
        ...

    def noise(self) -> tuple[float, float]:
        """What is added to the ego's steering and throttle in this step."""
        ...

    def clear(self) -> None:
        """Take what the script placed out of the world."""
        ...


NEAR_EXIT_M = 3.0  # the ego passes the end of its way through the junction
PATH_STEP_M = 5.0  # between places that the TrafficManager is told
RETRY_S = 0.5  # after a spawn that something stood in the way of
_SPAWN_HEIGHT_M = 0.2
_DRAW_GAP = 2401  # as the embedded world's
_STATES = {
    LightState.RED: carla.TrafficLightState.Red,
    LightState.GREEN: carla.TrafficLightState.Green,
}


class Stream:
    """One stream, or one red-light runner.

    Args:
        stage: Where it plays; it must have traffic.
        book: Resolved triggers of world 0.
        row: Which of them.
    """

    def __init__(self, stage: LiveStage, book: ScriptBook, row: int) -> None:
        self.is_over = False
        self._stage, self._row = stage, row
        triggers, streams, at = book.triggers, book.streams, (0, row)
        self._is_runner = triggers.kind[at] == ScenarioKind.RED_LIGHT_RUNNER
        self._meeting = float(triggers.meeting_x[at]), float(triggers.meeting_y[at])
        self._speed_mps = float(streams.speed_mps[at])
        self._exit = float(streams.exit_x[at]), float(streams.exit_y[at])
        self._gaps_m = float(streams.smallest_gap_m[at]), float(streams.largest_gap_m[at])
        self._places = path_places(stage.maps, streams.path[at], float(streams.source_m[at]))
        self._own_light, self._their_light = (
            int(streams.own_light[at]),
            int(streams.stream_light[at]),
        )
        self._lights = lights_of_group(stage, int(streams.group[at]))
        self._began_s = self._next_s = stage.now_s
        self._has_sent = self._has_left = False

    def step(self) -> None:
        """Set the junction's lights and send the next car when it is time."""
        stage = self._stage
        beyond_m = stage.ego_distance_m(*self._exit)
        self._has_left |= beyond_m < NEAR_EXIT_M
        if (self._has_left and beyond_m > NEAR_EXIT_M + END_M) or self._waited_s() > TIMEOUT_S:
            self.is_over = True
            return
        self._set_lights()
        if stage.now_s >= self._next_s and self._is_due(stage.ego_distance_m(*self._meeting)):
            self._send()

    def noise(self) -> tuple[float, float]:
        """None."""
        return 0.0, 0.0

    def clear(self) -> None:
        """Nothing: the cars belong to the traffic now, the lights go on by themselves."""

    def _waited_s(self) -> float:
        return self._stage.now_s - self._began_s

    def _is_due(self, distance_m: float) -> bool:
        if not self._is_runner:
            return True
        return not self._has_sent and bool(
            arrives_soon(distance_m, self._stage.ego_speed_mps, RUNNER_REACTION_S, RUNNER_NOTICE_M)
        )

    def _send(self) -> None:
        traffic, (x, y, z, yaw) = self._stage.traffic, self._places[0]
        assert traffic is not None
        sent = traffic.send(
            to_carla_transform(x, y, z + _SPAWN_HEIGHT_M, yaw),
            to_carla_vector(math.cos(yaw) * self._speed_mps, math.sin(yaw) * self._speed_mps),
            [to_carla_location(*place[:3]) for place in self._places[1:]],
            self._speed_mps,
        )
        if not sent:
            self._next_s = self._stage.now_s + RETRY_S
            return
        self._has_sent = True
        tick = round(self._stage.now_s / self._stage.scene.step_s)
        smallest, largest = self._gaps_m
        share = uniform(np.uint64(self._stage.seed), tick, self._row, _DRAW_GAP)
        self._next_s = (
            self._stage.now_s + (smallest + share * (largest - smallest)) / self._speed_mps
        )

    def _set_lights(self) -> None:
        """The ego's arm green after a moment of red, the stream's green, all others red."""
        for index, light in self._lights.items():
            wanted = LightState.RED
            if index == self._their_light and not self._is_runner:
                wanted = LightState.GREEN
            if index == self._own_light:
                has_head_start = not self._is_runner and self._waited_s() < OWN_RED_S
                wanted = LightState.RED if has_head_start else LightState.GREEN
            if int(light.state) != wanted:
                light.set_state(_STATES[wanted])


def lights_of_group(stage: LiveStage, group: int) -> dict[int, carla.TrafficLight]:
    """Light actors of a signal group by index within the map; empty for -1."""
    maps, scene = stage.maps, stage.scene
    map_index = int(scene.clocks.map_index[0])
    first, last = maps.ranges.signal[map_index], maps.ranges.signal[map_index + 1]
    indices = np.flatnonzero(maps.signals.group[first:last] == group) if group >= 0 else []
    found = {int(index): stage.lights.light(int(index)) for index in indices}
    return {index: light for index, light in found.items() if light is not None}


def path_places(
    maps: MapBank, lanes: np.ndarray, source_m: float
) -> list[tuple[float, float, float, float]]:
    """Poses (x, y, z, yaw) every few metres along lanes, from a place on the first on; -1 ends."""
    places = []
    along_m = source_m
    for lane in lanes:
        if lane < 0:
            break
        length_m = float(maps.lanes.length_m[lane])
        while along_m < length_m:
            places.append(lane_place(maps.points, maps.lanes, int(lane), along_m, 0.0))
            along_m += PATH_STEP_M
        along_m -= length_m
    return [(float(x), float(y), float(z), float(yaw)) for x, y, z, yaw in places]
