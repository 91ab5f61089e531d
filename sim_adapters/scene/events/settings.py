"""DetectorSettings: every threshold of the event detectors, CaRL's training values by default.

Grouped by detector as flat NamedTuples of numbers, which kernels take as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple


class RouteSettings(NamedTuple):
    """Progress along the route and the in-route tests."""

    window_points: int = 2  # how many dense points one step may pass
    nearby_points: int = 5  # window of the in-route test
    safe_m: float = 15.0  # beside the route from here on
    max_distance_m: float = 30.0  # off the route from here on
    max_beside_percent: float = 30.0  # share of the route that may be passed beside it
    line_m: float = 3.5  # Roach's lateral limit
    line_jump_m: float = 0.8  # Roach: growth in one step that is a jump of the route's frame


class LaneSettings(NamedTuple):
    """Outside-lanes and wrong-way tests (leaderboard's criterion)."""

    outside_margin_m: float = 0.5  # beyond half the lane's width
    max_exit_angle_deg: float = 120.0  # out of a junction, ego to lane
    min_opposite_angle_deg: float = 150.0  # between lanes of opposite directions


class CollisionSettings(NamedTuple):
    """When a contact counts as a new collision."""

    repeat_s: float = 5.0  # the last actor is not counted again for so long
    near_place_m: float = 3.0  # no second collision so near to an earlier one ...
    forget_place_m: float = 5.0  # ... until the ego has been so far from it
    min_speed_mps: float = 0.0  # contacts of a slower ego do not count


class LightSettings(NamedTuple):
    """Red-light crossing."""

    range_m: float = 30.0  # centre of the trigger volume to the ego
    line_half_lanes: float = 5.0  # the line reaches so many lane widths to both sides
    near_fraction: float = 0.8  # the tested segment begins so many half lengths behind the centre
    far_margin_m: float = 1.0  # and ends so far behind the rear
    min_speed_mps: float = 1e-7
    yellow_counts: int = 0  # 1: a yellow light is judged like a red one
    same_lane_only: int = 0  # 1: the segment's far end must lie in the line's own lane


class StopSignSettings(NamedTuple):
    """Stop-sign tracking."""

    range_m: float = 20.0
    shown_range_m: float = 50.0  # of the tracker that the raster draws
    look_ahead_step_m: float = 0.5
    box_scale: float = 1.2  # of the trigger box that the lane ahead must enter
    line_half_lanes: float = 5.0
    stop_speed_mps: float = 0.1
    max_reverse_mps: float = 0.17  # faster backwards looks for no sign


class MotionSettings(NamedTuple):
    """Standing still, speed limit, end of time."""

    blocked_s: float = 90.0
    blocked_speed_mps: float = 0.1
    unknown_limit_mps: float = 6.0  # where the world gives no limit


class TtcSettings(NamedTuple):
    """Time to collision by constant velocity and heading at a few horizons."""

    first_horizon_s: float = 0.1
    horizon_step_s: float = 0.2
    num_horizons: int = 5  # 0.1, 0.3, 0.5, 0.7, 0.9 s
    min_speed_mps: float = 0.1
    hold_ticks: int = 500  # the released C++ model used 100


class ComfortSettings(NamedTuple):
    """Limits of the six comfort metrics."""

    min_longitudinal_mps2: float = -20.0
    max_longitudinal_mps2: float = 10.0
    max_lateral_mps2: float = 9.0
    max_jerk_mps3: float = 30.0
    max_longitudinal_jerk_mps3: float = 30.0
    max_yaw_rate_radps: float = 1.0
    max_yaw_acceleration_radps2: float = 3.0
    min_samples: int = 8
    hold_ticks: int = 500


class HazardSettings(NamedTuple):
    """What Roach's hand-shaped speed target looks at."""

    max_distance_m: float = 9.5  # of vehicles and pedestrians
    max_vehicle_yaw_deg: float = 150.0  # oncoming vehicles are no hazard
    max_vehicle_bearing_deg: float = 45.0
    pedestrian_angle_deg: float = 162.0  # |bearing| < angle / (clip(d, near, far) + 0.3)
    pedestrian_near_m: float = 1.5
    pedestrian_far_m: float = 10.5
    pedestrian_scale: float = 2.0  # of the box that the ego's must not touch
    least_half_extent_m: float = 0.8  # of that box
    light_range_m: float = 18.0  # stop line to a point 0.8 half lengths behind the centre
    light_probe_fraction: float = 0.8


class Thresholds(NamedTuple):
    """All groups as kernels take them."""

    route: RouteSettings
    lane: LaneSettings
    collision: CollisionSettings
    light: LightSettings
    stop_sign: StopSignSettings
    motion: MotionSettings
    ttc: TtcSettings
    comfort: ComfortSettings
    hazard: HazardSettings


@dataclass(frozen=True)
class DetectorSettings:
    """All groups; the defaults are those CaRL was trained with on CARLA."""

    route: RouteSettings = field(default_factory=RouteSettings)
    lane: LaneSettings = field(default_factory=LaneSettings)
    collision: CollisionSettings = field(default_factory=CollisionSettings)
    light: LightSettings = field(default_factory=LightSettings)
    stop_sign: StopSignSettings = field(default_factory=StopSignSettings)
    motion: MotionSettings = field(default_factory=MotionSettings)
    ttc: TtcSettings = field(default_factory=TtcSettings)
    comfort: ComfortSettings = field(default_factory=ComfortSettings)
    hazard: HazardSettings = field(default_factory=HazardSettings)

    def __post_init__(self) -> None:
        """Give every number its declared type: a YAML's `30` would compile kernels anew."""
        for group in fields(self):
            object.__setattr__(self, group.name, _typed(getattr(self, group.name)))

    @property
    def thresholds(self) -> Thresholds:
        """The groups in one argument."""
        return Thresholds(*(getattr(self, name) for name in Thresholds._fields))

    @classmethod
    def leaderboard(cls) -> DetectorSettings:
        """What CARLA's leaderboard counts, for evaluation."""
        return cls(
            collision=CollisionSettings(near_place_m=5.0, min_speed_mps=0.1),
            light=LightSettings(range_m=15.0, line_half_lanes=0.6, same_lane_only=1),
            stop_sign=StopSignSettings(range_m=4.0),
            motion=MotionSettings(blocked_s=180.0),
        )


def _typed(group: Any) -> Any:
    """The group with each field converted to the type of its default."""
    typed = {}
    for name, default in group._field_defaults.items():
        value = getattr(group, name)
        typed[name] = type(default)(value)
        if typed[name] != value:
            raise ValueError(
                f"detector setting {type(group).__name__}.{name} is {value!r}, "
                f"expected {type(default).__name__}"
            )
    return type(group)(**typed)
