"""EventArrays: the detector's output, numpy for kernels and torch for rewards in one memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from rewards.driving_events import DrivingEvents, uneventful
from sim_adapters.array_types import BoolArray, FloatArray, Int64Array


class ProgressFacts(NamedTuple):
    """Fields of DrivingEvents about the route, (E,)."""

    route_percent_gained: FloatArray
    route_percent: FloatArray
    route_finished: BoolArray
    off_route: BoolArray
    route_lateral_m: FloatArray
    left_route_line: BoolArray
    route_heading_error_rad: FloatArray


class InfractionFacts(NamedTuple):
    """Fields of DrivingEvents that may end an episode, (E,)."""

    collision: BoolArray
    collision_kind: Int64Array
    ran_red_light: BoolArray
    ran_stop_sign: BoolArray
    blocked: BoolArray
    timed_out: BoolArray
    simulator_failed: BoolArray


class LaneFacts(NamedTuple):
    """Fields of DrivingEvents about lanes, (E,)."""

    outside_route_lanes: BoolArray
    in_oncoming_lane: BoolArray
    off_road_fraction: FloatArray
    lane_offset_m: FloatArray
    lane_width_m: FloatArray
    in_junction: BoolArray


class MotionFacts(NamedTuple):
    """Fields of DrivingEvents about speed, gaps and comfort, (E,)."""

    speed_mps: FloatArray
    overspeed_mps: FloatArray
    ttc_active: BoolArray
    num_comfort_active: Int64Array
    steer_change: FloatArray


class HazardFacts(NamedTuple):
    """Fields of DrivingEvents for hand-shaped rewards, (E,)."""

    lead_vehicle_m: FloatArray
    lead_pedestrian_m: FloatArray
    too_near_pedestrian: BoolArray
    red_light_m: FloatArray
    stop_sign_m: FloatArray


class Facts(NamedTuple):
    """All facts of a step as kernels write them."""

    progress: ProgressFacts
    infractions: InfractionFacts
    lanes: LaneFacts
    motion: MotionFacts
    hazards: HazardFacts


@dataclass(frozen=True)
class EventArrays:
    """Preallocated DrivingEvents and the kernels' views of them."""

    events: DrivingEvents
    progress: ProgressFacts
    infractions: InfractionFacts
    lanes: LaneFacts
    motion: MotionFacts
    hazards: HazardFacts

    @classmethod
    def allocate(cls, num_agents: int) -> EventArrays:
        """Room for E drivers, filled with `uneventful`."""
        events = uneventful(num_agents)
        groups = (ProgressFacts, InfractionFacts, LaneFacts, MotionFacts, HazardFacts)
        return cls(events, *(_views(group, events) for group in groups))

    @property
    def facts(self) -> Facts:
        """The arrays themselves, not copies of them."""
        return Facts(*(getattr(self, name) for name in Facts._fields))

    @property
    def route_percent(self) -> FloatArray:
        """Percent of the route passed so far, (E,)."""
        return self.progress.route_percent

    def clear_failed(self, failed: BoolArray) -> None:
        """Make the rows of lost worlds uneventful but for `simulator_failed`."""
        calm = uneventful(1)
        for name, values in self.events._asdict().items():
            values.numpy()[failed] = getattr(calm, name).item()
        self.infractions.simulator_failed[failed] = True


def _views(group: Any, events: DrivingEvents) -> Any:
    return group(*(getattr(events, name).numpy() for name in group._fields))
