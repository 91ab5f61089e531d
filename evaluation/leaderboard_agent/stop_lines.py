"""Stop lines as the official red-light criterion draws them, from a live world's light actors.

Each light's trigger box is sampled along its own x axis, a metre apart. Every lane that is met this
way is walked down in steps of half a metre to the last point before a junction: there is the line.
It lies anywhere within half a metre of the junction, as the box lies on the lane.

Source: behaviour of scenario_runner's RunningRedLightTest (0.9.16).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.frames import from_carla_location, from_carla_transform

_BOX_SHARE = 0.9  # of the trigger box that is looked at
_SAMPLE_M = 1.0
_STEP_M = 0.5


class StopLineRow(NamedTuple):
    """One stop line, in our frame; a column of the recording's array each."""

    light: float  # number of the light actor
    center_x: float  # [m] of the light's trigger box
    center_y: float
    center_z: float
    x: float  # [m] middle of the line
    y: float
    z: float
    yaw_rad: float  # driving direction
    width_m: float  # of the lane
    road_id: float
    lane_id: float


def official_stop_lines(
    lights: Sequence[carla.TrafficLight], carla_map: carla.Map
) -> NDArray[np.float64]:
    """All lines of a world as rows of StopLineRow, (K, 11); lights are numbered in their order."""
    rows = []
    for number, actor in enumerate(lights):
        center = actor.get_transform().transform(actor.trigger_volume.location)
        for waypoint in _line_waypoints(actor, carla_map):
            pose = from_carla_transform(waypoint.transform)
            ids = (float(waypoint.road_id), float(waypoint.lane_id))
            place = from_carla_location(center)
            rows.append(StopLineRow(number, *place, *pose, waypoint.lane_width, *ids))
    return np.array(rows, np.float64).reshape(-1, len(StopLineRow._fields))


def _line_waypoints(actor: carla.TrafficLight, carla_map: carla.Map) -> Iterator[carla.Waypoint]:
    """Where each lane of a light's box meets its junction."""
    previous: tuple[int, int] | None = None
    for place in _box_places(actor):
        waypoint = carla_map.get_waypoint(place)
        lane = waypoint.road_id, waypoint.lane_id
        if lane == previous:
            continue
        previous = lane
        while not waypoint.is_junction:
            following = waypoint.next(_STEP_M)
            if not following or following[0].is_junction:
                break
            waypoint = following[0]
        yield waypoint


def _box_places(actor: carla.TrafficLight) -> Iterator[carla.Location]:
    """Places along the middle of the trigger box, in CARLA's frame."""
    transform, volume = actor.get_transform(), actor.trigger_volume
    center = transform.transform(volume.location)
    yaw = math.radians(transform.rotation.yaw)
    reach = _BOX_SHARE * volume.extent.x
    for offset in np.arange(-reach, reach, _SAMPLE_M):
        yield carla.Location(
            center.x + math.cos(yaw) * offset, center.y + math.sin(yaw) * offset, center.z
        )
