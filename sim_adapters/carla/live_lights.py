"""Traffic lights of a live world by their index within the map."""

from __future__ import annotations

import logging
import math

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.frames import from_carla_location
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import Lights, LightState

LIGHT_TYPE = "traffic.traffic_light"
MATCH_RADIUS_M = 8.0  # between a light's trigger box and the map's, where ids don't help

_logger = logging.getLogger(__name__)


class LiveLights:
    """The server's light actors, matched once a town by OpenDRIVE id, else by place.

    Reading them costs no call: the client keeps their state from the last tick.

    Args:
        world: The live world.
        maps: Holds its town.
        map_index: Which one that is.
    """

    def __init__(self, world: carla.World, maps: MapBank, map_index: int) -> None:
        first, last = (int(row) for row in maps.ranges.signal[map_index : map_index + 2])
        self.num_lights = last - first
        self._phase = maps.signals.phase[first:last]
        self._group = maps.signals.group[first:last]
        self._num_phases = maps.groups.num_phases
        self._actors: list[tuple[int, carla.TrafficLight]] = []
        actors = world.get_actors().filter(LIGHT_TYPE)
        lights = [actor for actor in actors if isinstance(actor, carla.TrafficLight)]
        self._match(lights, maps, first, last)

    @property
    def num_matched(self) -> int:
        """Lights of the map that the server has."""
        return len(self._actors)

    def light(self, index: int) -> carla.TrafficLight | None:
        """The server's actor for a light of the map."""
        return dict(self._actors).get(index)

    def read(self, lights: Lights) -> None:
        """Write state and remaining time of all lights into row 0 of `lights`."""
        state, remaining = lights.state[0], lights.remaining_s[0]
        state[:], remaining[:] = LightState.OFF, np.inf
        cycle_place: dict[int, tuple[float, float]] = {}  # group: time into its cycle, its arm [s]
        for index, actor in self._actors:
            shown = int(actor.state)
            state[index] = shown if shown <= LightState.OFF else LightState.OFF
            if actor.is_frozen():
                continue
            elapsed_s = actor.get_elapsed_time()
            green_s, yellow_s = actor.get_green_time(), actor.get_yellow_time()
            if shown == LightState.GREEN:
                remaining[index], into_arm_s = green_s - elapsed_s, elapsed_s
            elif shown == LightState.YELLOW:
                remaining[index], into_arm_s = yellow_s - elapsed_s, green_s + elapsed_s
            elif elapsed_s > 0.0:  # the gap after its yellow; lights that wait have 0
                into_arm_s = green_s + yellow_s + elapsed_s
            else:
                continue
            arm_s = green_s + yellow_s + actor.get_red_time()
            cycle_place[int(self._group[index])] = (self._phase[index] * arm_s + into_arm_s, arm_s)
        self._fill_red(state, remaining, cycle_place)

    def _fill_red(
        self,
        state: NDArray[np.uint8],
        remaining: NDArray[np.float64],
        cycle_place: dict[int, tuple[float, float]],
    ) -> None:
        """Time until green of the red lights, from where their group is in its cycle.

        Limit: arms are taken to follow one another as the map's controllers do; a level in which
        lights were placed by hand may have another order, which no call tells.
        """
        for index, actor in self._actors:
            place = cycle_place.get(int(self._group[index]))
            if state[index] == LightState.RED and place is not None and not actor.is_frozen():
                into_cycle_s, arm_s = place
                cycle_s = arm_s * max(int(self._num_phases[self._group[index]]), 1)
                left_s = (float(self._phase[index]) * arm_s - into_cycle_s) % cycle_s
                remaining[index] = left_s if left_s > 0.0 else cycle_s

    def _match(
        self, actors: list[carla.TrafficLight], maps: MapBank, first: int, last: int
    ) -> None:
        ids = {int(number): row for row, number in enumerate(maps.signals.opendrive_id[first:last])}
        places = np.column_stack([maps.signals.x[first:last], maps.signals.y[first:last]])
        taken: dict[int, carla.TrafficLight] = {}
        nameless = []
        for actor in actors:
            name = actor.get_opendrive_id()
            row = ids.get(int(name)) if name.isdigit() else None
            if row is None:
                nameless.append(actor)
            else:
                taken.setdefault(row, actor)
        for actor in nameless:
            row = _nearest(actor, places)
            if row >= 0:
                taken.setdefault(row, actor)
        self._actors = sorted(taken.items())
        missing = self.num_lights - len(taken)
        if missing:
            _logger.warning(
                "%d of %d traffic lights of the map have no actor on the server: they count as off",
                missing,
                self.num_lights,
            )


def _nearest(actor: carla.TrafficLight, places: NDArray[np.float64]) -> int:
    """Row of the light whose trigger box lies nearest to the actor's, -1 if none is near."""
    if not len(places):
        return -1
    x, y, _ = from_carla_location(actor.get_transform().transform(actor.trigger_volume.location))
    distances = np.hypot(places[:, 0] - x, places[:, 1] - y)
    row = int(np.argmin(distances))
    return row if math.isfinite(distances[row]) and distances[row] < MATCH_RADIUS_M else -1
