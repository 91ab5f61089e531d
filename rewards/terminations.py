"""Episode ends: predicates over the events of a step, bool, shape (E,).

A reward lists in its YAML which of them terminate and which truncate an episode.
"""

from __future__ import annotations

from torch import Tensor

from rewards.driving_events import CollisionKind, DrivingEvents


def collision(events: DrivingEvents) -> Tensor:
    """A new contact with anything, whoever is at fault."""
    return events.collision


def hit_pedestrian(events: DrivingEvents) -> Tensor:
    """A new contact with a pedestrian."""
    return events.collision & (events.collision_kind == CollisionKind.PEDESTRIAN)


def hit_vehicle(events: DrivingEvents) -> Tensor:
    """A new contact with a vehicle or a cyclist."""
    return events.collision & (events.collision_kind == CollisionKind.VEHICLE)


def hit_static(events: DrivingEvents) -> Tensor:
    """A new contact with a thing, or with the map itself."""
    return events.collision & (events.collision_kind == CollisionKind.STATIC)


def too_near_pedestrian(events: DrivingEvents) -> Tensor:
    """The ego's box overlaps a pedestrian's of twice its size (Roach's "pixel collision")."""
    return events.too_near_pedestrian


def ran_red_light(events: DrivingEvents) -> Tensor:
    """A red light was crossed."""
    return events.ran_red_light


def ran_stop_sign(events: DrivingEvents) -> Tensor:
    """A stop sign was passed without a stop."""
    return events.ran_stop_sign


def blocked(events: DrivingEvents) -> Tensor:
    """Standing for longer than the detector allows."""
    return events.blocked


def off_route(events: DrivingEvents) -> Tensor:
    """30 m away from the route, or beside it for 30 % of its length."""
    return events.off_route


def left_route_line(events: DrivingEvents) -> Tensor:
    """More than 3.5 m beside the route line (Roach)."""
    return events.left_route_line


def off_road(events: DrivingEvents, *, fraction: float = 0.95) -> Tensor:
    """More than `fraction` of the ego's box is on neither road nor shoulder."""
    return events.off_road_fraction > fraction


def in_oncoming_lane(events: DrivingEvents) -> Tensor:
    """Driving against the traffic; CaRL leaves this to the soft penalty."""
    return events.in_oncoming_lane


def route_finished(events: DrivingEvents) -> Tensor:
    """Fewer than two points of the route remain."""
    return events.route_finished


def timed_out(events: DrivingEvents) -> Tensor:
    """The scenario's time limit has passed."""
    return events.timed_out


def simulator_failed(events: DrivingEvents) -> Tensor:
    """The world was lost."""
    return events.simulator_failed
