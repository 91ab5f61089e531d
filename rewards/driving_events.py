"""The facts of one step that a reward may look at; the event detector of the scene finds them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NUM_COMFORT_METRICS = 6  # nuPlan's, which CaRL's penalties on CARLA take over


class DrivingEvents(NamedTuple):
    """What happened to each learning driver in this step.

    Every field has shape (E,) and lives on one device. Bools are facts of this step or, where the
    name says `active`, of a penalty window that is still open. Simulators never fill this type:
    the detector does, from the scene, once for all of them.
    """

    # Progress along the route
    route_percent_gained: Tensor  # float, percent of the route passed in this step, >= 0
    route_percent: Tensor  # float, percent of the route passed so far, 0 to 100
    route_finished: Tensor  # bool, fewer than two dense route points remain
    off_route: Tensor  # bool, in-route test failed (30 m away or 30 % of the route beside it)
    route_lateral_m: Tensor  # float, offset from the route line, left is positive
    left_route_line: Tensor  # bool, Roach's lateral test: more than 3.5 m beside the route line
    route_heading_error_rad: Tensor  # float, ego yaw minus route yaw, wrapped to [-pi, pi]
    # Infractions
    collision: Tensor  # bool, a new contact of any kind, whoever is at fault
    collision_kind: Tensor  # int64, rewards.CollisionKind of that contact, 0 if none
    ran_red_light: Tensor  # bool
    ran_stop_sign: Tensor  # bool
    blocked: Tensor  # bool, standing for longer than the detector's limit (90 s)
    timed_out: Tensor  # bool, the scenario's time limit has passed
    simulator_failed: Tensor  # bool, the world was lost (dead server); the step carries no facts
    # Lane keeping
    outside_route_lanes: Tensor  # bool, off every lane by more than 0.5 m, or in a wrong-way lane;
    # on nuPlan: off the route's roadblocks (or lanes) where the human was on them
    in_oncoming_lane: Tensor  # bool, the wrong-way part of the field above on its own
    off_road_fraction: Tensor  # float in [0, 1], part of the ego box (on nuPlan: of its corners) on
    # neither road nor shoulder
    lane_offset_m: Tensor  # float >= 0, ego centre to the nearest driving-lane centre
    lane_width_m: Tensor  # float, width of that lane
    in_junction: Tensor  # bool, that lane lies in a junction
    # Speed, gaps, comfort
    speed_mps: Tensor  # float, horizontal speed
    overspeed_mps: Tensor  # float >= 0, speed above the limit
    ttc_active: Tensor  # bool, time-to-collision penalty window open (on nuPlan: to the end)
    num_comfort_active: (
        Tensor  # int64 in [0, 6], comfort penalty windows open (nuPlan: checks that fail)
    )
    steer_change: Tensor  # float, absolute change of the steering action since the last step
    # What a hand-shaped reward looks at (Roach); far away is +inf
    lead_vehicle_m: Tensor  # float, distance to the hazard vehicle, ego origin to its origin
    lead_pedestrian_m: Tensor  # float, likewise for pedestrians
    too_near_pedestrian: Tensor  # bool, ego box overlaps a pedestrian's box of twice its size
    red_light_m: Tensor  # float, distance to the stop line of a red or yellow light ahead
    stop_sign_m: Tensor  # float, distance to an active, uncompleted stop sign


class CollisionKind:
    """Values of `DrivingEvents.collision_kind`."""

    NONE = 0
    VEHICLE = 1
    PEDESTRIAN = 2
    STATIC = 3


_BOOL_FIELDS = [
    "route_finished",
    "off_route",
    "left_route_line",
    "collision",
    "ran_red_light",
    "ran_stop_sign",
    "blocked",
    "timed_out",
    "simulator_failed",
    "outside_route_lanes",
    "in_oncoming_lane",
    "in_junction",
    "ttc_active",
    "too_near_pedestrian",
]
_COUNT_FIELDS = ("collision_kind", "num_comfort_active")
_DISTANCE_FIELDS = ("lead_vehicle_m", "lead_pedestrian_m", "red_light_m", "stop_sign_m")


def uneventful(num_agents: int) -> DrivingEvents:
    """Events of drivers that stand still on the centre of a 3.5 m lane and meet nobody."""
    fields = {name: torch.zeros(num_agents, dtype=torch.float64) for name in DrivingEvents._fields}
    fields |= {name: torch.zeros(num_agents, dtype=torch.bool) for name in _BOOL_FIELDS}
    fields |= {name: torch.zeros(num_agents, dtype=torch.int64) for name in _COUNT_FIELDS}
    far = torch.full((num_agents,), torch.inf, dtype=torch.float64)
    fields |= {name: far.clone() for name in _DISTANCE_FIELDS}
    fields["lane_width_m"] += 3.5
    return DrivingEvents(**fields)
