"""What exported logs hold, read back from their files, and the filter that selects it."""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import yaml

# In this order Val14 lists its types
VAL14_TYPES = (
    "starting_left_turn",
    "starting_right_turn",
    "starting_straight_traffic_light_intersection_traversal",
    "stopping_with_lead",
    "high_lateral_acceleration",
    "high_magnitude_speed",
    "low_magnitude_speed",
    "traversing_pickup_dropoff",
    "waiting_for_pedestrian_to_cross",
    "behind_long_vehicle",
    "stationary_in_traffic",
    "near_multiple_vehicles",
    "changing_lane",
    "following_lane_with_lead",
)
_OUTER_SCENES = 2  # on each side, from which the devkit takes no scenario
_TAGGED = """
    SELECT lower(hex(frame.token)), max(tag.type), scene.name
    FROM scenario_tag tag
    JOIN lidar_pc frame ON frame.token = tag.lidar_pc_token
    JOIN scene ON scene.token = frame.scene_token
    GROUP BY frame.token ORDER BY frame.timestamp
"""


class TaggedFrame(NamedTuple):
    """A scenario that the devkit can take from a log."""

    token: str
    type: str


def tagged_frames(log: Path) -> list[TaggedFrame]:
    """Scenarios of a log, oldest first; of several tags on a frame the devkit takes the last."""
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as database:
        names = [row[0] for row in database.execute("SELECT name FROM scene ORDER BY name")]
        inner = set(names[_OUTER_SCENES : len(names) - _OUTER_SCENES])
        rows = database.execute(_TAGGED).fetchall()
    return [TaggedFrame(token, kind) for token, kind, scene in rows if scene in inner]


def count_types(logs: Iterable[Path]) -> dict[str, int]:
    """Number of scenarios by type, all types of Val14, also those that do not occur."""
    counts = Counter(frame.type for log in logs for frame in tagged_frames(log))
    return {kind: counts[kind] for kind in VAL14_TYPES}


def write_filter(path: Path, logs: Sequence[Path], max_per_type: int | None) -> int:
    """Write a scenario filter in the devkit's form for what these logs hold.

    Args:
        path: The .yaml file.
        logs: All of the set.
        max_per_type: Of a type's scenarios at most this many, spread over the logs; None: all.

    Returns:
        Number of scenarios that it names.
    """
    by_type: dict[str, list[str]] = defaultdict(list)
    for log in logs:
        for frame in tagged_frames(log):
            by_type[frame.type].append(frame.token)
    tokens = [token for kind in VAL14_TYPES for token in _spread(by_type[kind], max_per_type)]
    table = {
        "_target_": "nuplan.planning.scenario_builder.scenario_filter.ScenarioFilter",
        "_convert_": "all",
        "scenario_types": [kind for kind in VAL14_TYPES if by_type[kind]],
        "scenario_tokens": tokens,
        "log_names": None,
        "map_names": None,
        "num_scenarios_per_type": None,
        "limit_total_scenarios": None,
        "timestamp_threshold_s": None,
        "ego_displacement_minimum_m": None,
        "ego_start_speed_threshold": None,
        "ego_stop_speed_threshold": None,
        "speed_noise_tolerance": None,
        "expand_scenarios": False,
        "remove_invalid_goals": True,
        "shuffle": False,
    }
    path.write_text(yaml.safe_dump(table, sort_keys=False))
    return len(tokens)


def _spread(tokens: list[str], limit: int | None) -> list[str]:
    """At most `limit` of them, evenly."""
    if limit is None or len(tokens) <= limit:
        return tokens
    return [tokens[row * len(tokens) // limit] for row in range(limit)]
