"""ScenarioMapping: which stretch of its log a scenario covers, by its type."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

log = logging.getLogger(__name__)

# What reading a file of another form raises
_DAMAGE = (OmegaConfBaseException, YAMLError, AttributeError, LookupError, TypeError, ValueError)
UNKNOWN_TYPE = "unknown"  # of frames without a tag

# Types that the devkit's mapping lists, all with the same window; any other type falls back
_LISTED_TYPES = """
    accelerating_at_crosswalk accelerating_at_stop_sign accelerating_at_stop_sign_no_crosswalk
    accelerating_at_traffic_light accelerating_at_traffic_light_with_lead
    accelerating_at_traffic_light_without_lead behind_bike behind_long_vehicle
    behind_pedestrian_on_driveable behind_pedestrian_on_pickup_dropoff changing_lane
    changing_lane_to_left changing_lane_to_right changing_lane_with_lead changing_lane_with_trail
    crossed_by_bike crossed_by_vehicle following_lane_with_lead following_lane_with_slow_lead
    following_lane_without_lead high_lateral_acceleration high_magnitude_jerk high_magnitude_speed
    low_magnitude_speed medium_magnitude_speed near_barrier_on_driveable
    near_construction_zone_sign near_high_speed_vehicle near_long_vehicle near_multiple_bikes
    near_multiple_pedestrians near_multiple_vehicles near_pedestrian_at_pickup_dropoff
    near_pedestrian_on_crosswalk near_pedestrian_on_crosswalk_with_ego
    near_trafficcone_on_driveable on_all_way_stop_intersection on_carpark on_intersection
    on_pickup_dropoff on_stopline_crosswalk on_stopline_stop_sign on_stopline_traffic_light
    on_traffic_light_intersection starting_high_speed_turn starting_left_turn
    starting_low_speed_turn starting_protected_cross_turn starting_protected_noncross_turn
    starting_right_turn starting_straight_stop_sign_intersection_traversal
    starting_straight_traffic_light_intersection_traversal starting_u_turn
    starting_unprotected_cross_turn starting_unprotected_noncross_turn stationary
    stationary_at_crosswalk stationary_at_traffic_light_with_lead
    stationary_at_traffic_light_without_lead stationary_in_traffic stopping_at_crosswalk
    stopping_at_stop_sign_no_crosswalk stopping_at_stop_sign_with_lead
    stopping_at_stop_sign_without_lead stopping_at_traffic_light_with_lead
    stopping_at_traffic_light_without_lead stopping_with_lead traversing_crosswalk
    traversing_intersection traversing_narrow_lane traversing_pickup_dropoff
    traversing_traffic_light_intersection waiting_for_pedestrian_to_cross
"""


LONGEST_S = 3600.0  # of a scenario and of its offset; nuPlan's longest logs last about half an hour
NUPLAN_TYPES = (*_LISTED_TYPES.split(), UNKNOWN_TYPE)


def absent_types(wanted: Collection[str], present: Collection[str], where: str) -> list[str]:
    """Wanted scenario types that none of the present scenarios has.

    Args:
        wanted: Types, not a single one.
        present: Types of the scenarios.
        where: In whose scenarios was looked, for the error.

    Raises:
        ValueError: one of them is absent and no type of nuPlan's either: it is mistyped.
    """
    if isinstance(wanted, str):
        raise ValueError(f"scenario_types is {wanted!r}, expected a list of types: [{wanted}]")
    absent = [name for name in dict.fromkeys(wanted) if name not in present]
    for name in absent:
        if name not in NUPLAN_TYPES:
            near = get_close_matches(name, [*NUPLAN_TYPES, *present], n=1)
            hint = f": did you mean {near[0]}?" if near else ""
            raise ValueError(
                f"scenario type {name!r} is no type of nuPlan's, and no scenario of {where} has it"
                f"{hint}"
            )
    return absent


@dataclass(frozen=True)
class ScenarioWindow:
    """A stretch of a log about a tagged frame."""

    duration_s: float = 20.0  # frames at both ends belong to it
    offset_s: float = 0.0  # of its first moment from the tagged frame
    subsample_ratio: float = 0.5  # share of the log's 20 Hz frames that are used

    def __post_init__(self) -> None:
        if not 0.0 < self.duration_s <= LONGEST_S:
            raise ValueError(
                f"duration of a scenario must be positive and at most {LONGEST_S:g} s, "
                f"got {self.duration_s} s"
            )
        if not abs(self.offset_s) <= LONGEST_S:
            raise ValueError(
                f"a scenario begins within {LONGEST_S:g} s of its frame, got {self.offset_s} s"
            )
        if (
            not 0.0 < self.subsample_ratio <= 1.0
            or abs(self.step - 1.0 / self.subsample_ratio) > 1e-3
        ):
            raise ValueError(f"subsample_ratio must be 1, 1/2, 1/3 ..., got {self.subsample_ratio}")

    @property
    def step(self) -> int:
        """Every how many frames of the log one is used."""
        return int(1.0 / self.subsample_ratio)


NUPLAN_WINDOW = ScenarioWindow(duration_s=15.0, offset_s=-3.0)


@dataclass(frozen=True)
class ScenarioMapping:
    """Windows by scenario type; the default is the mapping that nuPlan's benchmarks use.

    Args:
        windows: Of the types that have one of their own.
        fallback: Of all others, untagged frames among them.

    Source: nuplan-devkit, `nuplan_scenario_mapping.yaml`.
    """

    windows: Mapping[str, ScenarioWindow] = field(
        default_factory=lambda: dict.fromkeys(_LISTED_TYPES.split(), NUPLAN_WINDOW)
    )
    fallback: ScenarioWindow = field(default_factory=ScenarioWindow)

    def window(self, scenario_type: str) -> ScenarioWindow:
        """The window of one type."""
        return self.windows.get(scenario_type, self.fallback)


def load_mapping(path: str | Path) -> ScenarioMapping:
    """A mapping in the devkit's YAML form.

    `scenario_map: {TYPE: [duration, offset(, subsample ratio)]}` and `subsample_ratio_override`.

    Raises:
        ValueError: the file has another form.
    """
    try:
        config: Any = OmegaConf.to_container(OmegaConf.load(path))
        ratio = config.get("subsample_ratio_override")
        ratio = 1.0 if ratio is None else float(ratio)
        windows = {
            str(name): ScenarioWindow(*(float(value) for value in row[:2]), *(row[2:] or [ratio]))
            for name, row in config["scenario_map"].items()
        }
        others = [name for name in windows if name not in NUPLAN_TYPES]
        if others:
            log.warning("%s maps types that nuPlan has not: %s", path, ", ".join(others))
        return ScenarioMapping(windows, ScenarioWindow(subsample_ratio=ratio))
    except _DAMAGE as error:
        raise ValueError(
            f"{path} is no scenario mapping ({error}): expected scenario_map: "
            f"{{TYPE: [duration, offset]}} and subsample_ratio_override"
        ) from error
