"""Where CARLA's clients stop for a light: from its trigger volume forward to the junction.

The leaderboard and CaRL ask the server for a light's trigger volume, sample it across the road and
walk from each lane's centre line in steps of half a metre to the last one before the junction. The
map's lights and those of a live server are walked alike here.
Source: behaviour of leaderboard 2.0's red-light criterion (`get_traffic_light_waypoints`).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import carla
import numpy as np

_SAMPLED_SHARE = 0.9  # of the volume's width, so that no sample lies on a neighbouring lane
_SAMPLE_STEP_M = 1.0
_WALK_STEP_M = 0.5


class TriggerVolume(NamedTuple):
    """Box that a vehicle touches before a light, in our frame."""

    x: float  # [m] centre
    y: float
    z: float
    yaw_rad: float  # of its own x axis, which lies across the road
    half_across_m: float


class StopPlace(NamedTuple):
    """The last place of a lane before the junction, in our frame."""

    road_id: int  # OpenDRIVE ids
    lane_id: int
    x: float
    y: float
    z: float
    yaw_rad: float  # driving direction
    lane_width_m: float


def stop_places(carla_map: carla.Map, volume: TriggerVolume) -> list[StopPlace]:
    """Stop places of the lanes that a trigger volume covers, one a lane, from its one side on."""
    reach_m = _SAMPLED_SHARE * volume.half_across_m
    starts: list[carla.Waypoint] = []
    for across_m in np.arange(-reach_m, reach_m, _SAMPLE_STEP_M).tolist():
        x = volume.x + math.cos(volume.yaw_rad) * across_m
        y = volume.y + math.sin(volume.yaw_rad) * across_m
        start = _project(carla_map, x, y, volume.z)
        if not starts or _lane(starts[-1]) != _lane(start):
            starts.append(start)
    places = [_walk_to_junction(start) for start in starts]
    return list({place[:2]: place for place in reversed(places)}.values())[::-1]


def stop_place_of_lane(carla_map: carla.Map, x: float, y: float, z: float) -> StopPlace:
    """Stop place of the one lane at a point of its centre line."""
    return _walk_to_junction(_project(carla_map, x, y, z))


def _project(carla_map: carla.Map, x: float, y: float, z: float) -> carla.Waypoint:
    return carla_map.get_waypoint(carla.Location(x, -y, z))


def _lane(waypoint: carla.Waypoint) -> tuple[int, int]:
    return waypoint.road_id, waypoint.lane_id


def _walk_to_junction(waypoint: carla.Waypoint) -> StopPlace:
    while not waypoint.is_junction:
        ahead = waypoint.next(_WALK_STEP_M)
        if not ahead or ahead[0].is_junction:
            break
        waypoint = ahead[0]
    location = waypoint.transform.location
    yaw_rad = -math.radians(waypoint.transform.rotation.yaw)
    return StopPlace(
        *(waypoint.road_id, waypoint.lane_id),
        *(location.x, -location.y, location.z),
        math.atan2(math.sin(yaw_rad), math.cos(yaw_rad)),
        waypoint.lane_width,
    )
