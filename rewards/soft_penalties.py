"""Soft penalties: factors in [0, 1], shape (E,), that scale the progress of a step.

Source of all: CaRL (arXiv 2504.17838) and its released CARLA configuration. A factor that an
untrained driver cannot help violating must stay above 0, or it never sees a reward.
"""

from __future__ import annotations

from torch import Tensor

from rewards.driving_events import NUM_COMFORT_METRICS, DrivingEvents


def outside_route_lanes(events: DrivingEvents) -> Tensor:
    """0 while the ego is off every lane or in a wrong-way lane, else 1."""
    return (~events.outside_route_lanes).to(events.speed_mps.dtype)


def overspeed(events: DrivingEvents, *, tolerance_mps: float = 2.23) -> Tensor:
    """Falls linearly from 1 at the speed limit to 0 at `tolerance_mps` above it.

    Source: nuPlan speed-limit metric (max_overspeed_value_threshold = 2.23 m/s).
    """
    return (1.0 - events.overspeed_mps / tolerance_mps).clamp(0.0, 1.0)


def pace(events: DrivingEvents, *, full_mps: float = 8.0, floor: float = 0.5) -> Tensor:
    """Rises linearly from `floor` at rest to 1 at `full_mps`: a metre crept along is worth less.

    The leaderboard takes points from whoever is slower than the traffic, in proportion to what is
    missing; between and at its lights, traffic in towns goes at 5 to 8 m/s.
    """
    return floor + (1.0 - floor) * (events.speed_mps / full_mps).clamp(0.0, 1.0)


def time_to_collision(events: DrivingEvents, *, factor: float = 0.5) -> Tensor:
    """`factor` while a time-to-collision penalty window is open, else 1."""
    return 1.0 - (1.0 - factor) * events.ttc_active.to(events.speed_mps.dtype)


def comfort(events: DrivingEvents, *, floor: float = 0.5) -> Tensor:
    """Falls from 1 to `floor` in equal steps with the number of open comfort windows (0 to 6)."""
    return 1.0 - (1.0 - floor) / NUM_COMFORT_METRICS * events.num_comfort_active.to(
        events.speed_mps.dtype
    )


def comfortable(events: DrivingEvents) -> Tensor:
    """1 while no comfort window is open, else 0; for rewards that add rather than multiply."""
    return (events.num_comfort_active == 0).to(events.speed_mps.dtype)


def lane_distance(
    events: DrivingEvents, *, tolerance_m: float = 0.0, softener: float = 1.0
) -> Tensor:
    """Falls linearly from 1 at the lane's centre to 1 - `softener` at its edge; 1 in junctions.

    Args:
        events: `lane_offset_m`, `lane_width_m` and `in_junction` of the nearest driving lane.
        tolerance_m: Offset up to which nothing is taken off.
        softener: Part of the reward lost at the edge, in [0, 1].
    """
    room = (events.lane_width_m / 2.0 - tolerance_m).clamp_min(1e-6)
    lost = softener * ((events.lane_offset_m - tolerance_m) / room).clamp(0.0, 1.0)
    return (1.0 - lost).masked_fill(events.in_junction, 1.0)


def lane_edge(events: DrivingEvents, *, tolerance_m: float = 0.5, softener: float = 0.5) -> Tensor:
    """Falls linearly from 1 at `tolerance_m` beside a lane's centre to 1 - `softener` at its edge.

    1 on lane connectors and off all lanes (`in_junction`). `lane_width_m` is twice the way from the
    centre line over the ego to the nearer boundary. Where a lane's half is narrower than the
    tolerance the quotient changes its sign, as in CaRL.

    Source: CaRL's nuPlan reward, lane distance "v1".
    """
    room = events.lane_width_m / 2.0 - tolerance_m + 1e-6
    lost = ((events.lane_offset_m - tolerance_m) / room).clamp(0.0, 1.0)
    return (1.0 - softener * lost).masked_fill(events.in_junction, 1.0)


def steer_change(events: DrivingEvents, *, limit: float = 0.25, factor: float = 0.5) -> Tensor:
    """`factor` in a step that changes the steering by more than `limit`, else 1. CaRL: off."""
    return 1.0 - (1.0 - factor) * (events.steer_change > limit).to(events.speed_mps.dtype)
