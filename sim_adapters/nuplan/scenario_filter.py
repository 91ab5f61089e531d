"""ScenarioFilter: which scenarios of a data set are wanted, in the devkit's own YAML form."""

from __future__ import annotations

import logging
import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException
from yaml import YAMLError

from sim_adapters.nuplan.bicycle import REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.log_candidates import Candidate, CandidateQuery
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.scenario_mapping import UNKNOWN_TYPE

log = logging.getLogger(__name__)

_DEVKIT_NOISE_MPS = 0.1  # speed_noise_tolerance where a filter leaves it out
_FRAME_STEP_S = 0.1
_NAME_KEYS = ("scenario_types", "scenario_tokens", "log_names", "map_names")
_THRESHOLD_KEYS = (
    "timestamp_threshold_s",
    "ego_displacement_minimum_m",
    "ego_start_speed_threshold",
    "ego_stop_speed_threshold",
    "speed_noise_tolerance",
)

# Keys of the devkit that a cache of simulated scenarios has no use for, and the values that mean
# "off"; any other value is an error
_OFF = {
    "_target_": None,
    "_convert_": None,
    "_recursive_": None,
    "expand_scenarios": (None, False),
    "token_set_path": (None,),
    "fraction_in_token_set_threshold": (None,),
    "ego_route_radius": (None,),
}


@dataclass(frozen=True)
class ScenarioFilter:
    """What to take; None takes everything. Names and meanings are the devkit's.

    Args:
        scenario_types: Tags to take.
        scenario_tokens: Tagged lidar frames, hex digits.
        log_names: Logs to look into.
        map_names: Locations to take.
        num_scenarios_per_type: At most this many of a type, evenly spread over the logs.
        limit_total_scenarios: At most this many (int), or this share (float below 1); untagged
            ones go first.
        timestamp_threshold_s: Least time between two scenarios of a type.
        ego_displacement_minimum_m: Least way of the logged ego.
        ego_start_speed_threshold: The logged ego accelerates through this speed [m/s].
        ego_stop_speed_threshold: The logged ego brakes through this speed [m/s].
        speed_noise_tolerance: Smaller changes of speed through a threshold are noise [m/s].
        remove_invalid_goals: Drop scenarios whose mission goal is not in the log.
        shuffle: Draw subsets at random rather than evenly. (The cache is ordered by token.)
        seed: Of the random subsets.
        name: Of the filter's file; titles bear it.
    """

    scenario_types: tuple[str, ...] | None = None
    scenario_tokens: tuple[str, ...] | None = None
    log_names: tuple[str, ...] | None = None
    map_names: tuple[str, ...] | None = None
    num_scenarios_per_type: int | None = None
    limit_total_scenarios: float | int | None = None
    timestamp_threshold_s: float | None = None
    ego_displacement_minimum_m: float | None = None
    ego_start_speed_threshold: float | None = None
    ego_stop_speed_threshold: float | None = None
    speed_noise_tolerance: float | None = None
    remove_invalid_goals: bool = False
    shuffle: bool = False
    seed: int = 0
    name: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        for key in _NAME_KEYS:
            _check_names(key, getattr(self, key))
        for token in self.scenario_tokens or ():
            if not re.fullmatch("([0-9a-f]{2})+", token):
                raise ValueError(
                    f"scenario token {token!r} is no string of pairs of hex digits in lower case "
                    f"(quote it in the YAML)"
                )
        _check_counts(self.num_scenarios_per_type, self.limit_total_scenarios)
        for key in _THRESHOLD_KEYS:
            value = getattr(self, key)
            if value is not None and not (_is_number(value) and 0.0 <= value < math.inf):
                raise ValueError(
                    f"{key} must be a finite number, 0 or more, or null, got {value!r}"
                )
        for key in ("remove_invalid_goals", "shuffle"):
            if not isinstance(getattr(self, key), bool):
                raise ValueError(f"{key} must be true or false, got {getattr(self, key)!r}")

    @property
    def takes_everything(self) -> bool:
        """Whether no key leaves out any scenario."""
        return self == ScenarioFilter(shuffle=self.shuffle, seed=self.seed)

    def query(self) -> CandidateQuery:
        """What each log is asked for."""
        return CandidateQuery(
            self.scenario_types, self.scenario_tokens, self.map_names, self.remove_invalid_goals
        )

    def takes_log(self, name: str) -> bool:
        """Whether to look into a log of that name."""
        return self.log_names is None or name in self.log_names


def _check_names(key: str, names: Sequence[str] | None) -> None:
    """A list of names that takes nothing, or not what its writer can have meant, is refused."""
    if names is None:
        return
    if len(names) == 0:
        raise ValueError(f"{key} is an empty list, which takes nothing: null takes all")
    blank = [name for name in names if not name or name != name.strip()]
    if blank:
        raise ValueError(f"{key} holds {blank[0]!r}: names are not empty and have no blanks around")


def _check_counts(count: object, limit: object) -> None:
    if count is not None and not (_is_count(count) and count >= 1):
        raise ValueError(f"num_scenarios_per_type must be positive and whole, got {count!r}")
    is_share = isinstance(limit, float) and 0.0 < limit < 1.0
    if limit is not None and not (is_share or (_is_count(limit) and limit >= 1)):
        raise ValueError(
            f"limit_total_scenarios must be a positive count or a share between 0 and 1, "
            f"got {limit!r}"
        )


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def load_filter(
    path: str | Path, *, splitter: str | Path | None = None, **changes: Any
) -> ScenarioFilter:
    """A filter from a YAML file of the devkit's form.

    Args:
        path: The file; keys left out are off.
        splitter: The devkit's splitter file, where the filter refers to `splitter.log_splits`.
        **changes: Replace keys of the file.

    Raises:
        ValueError: an unknown key, one that is not supported, or a value of another kind.
    """
    try:
        config: Any = OmegaConf.load(path)
        if not isinstance(config, DictConfig) or not config:
            raise ValueError(f"{path} holds no keys")
        config = OmegaConf.merge(config, changes)
        if splitter is not None:
            config = OmegaConf.merge({"splitter": OmegaConf.load(splitter)}, config)
        elif OmegaConf.is_interpolation(config, "log_names") and config.get("scenario_tokens"):
            # Tokens name their scenarios in any log, the list of logs only makes it quicker
            config = OmegaConf.merge(config, {"log_names": None})
        values: Any = OmegaConf.to_container(config, resolve=True)
    except InterpolationKeyError as error:
        raise ValueError(
            f"{path} refers to the devkit's splitter ({error.full_key}): give its file, "
            f"splitter=.../nuplan/planning/script/config/common/splitter/nuplan.yaml, "
            f"or name the logs (log_names=null takes all in data_root)"
        ) from error
    except (OmegaConfBaseException, YAMLError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a scenario filter: {error}") from error
    values.pop("splitter", None)
    loaded = parse_filter(values, str(path))
    is_changed = any(key not in _OFF for key in changes)
    loaded = replace(loaded, name=Path(path).stem + (" (changed)" if is_changed else ""))
    if loaded.takes_everything:
        log.warning("filter %s names nothing: it takes every scenario of every log", path)
    return loaded


def parse_filter(values: Mapping[str, Any], source: str) -> ScenarioFilter:
    """A filter from plain keys and values.

    Raises:
        ValueError: see `load_filter`; the message names `source`.
    """
    known = {one.name for one in fields(ScenarioFilter)} - {"name"}
    unknown = sorted(set(values) - known - set(_OFF))
    if unknown:
        raise ValueError(
            f"{source}: unknown filter keys {', '.join(unknown)}; known are "
            f"{', '.join(sorted(known))}"
        )
    for key, off in _OFF.items():
        if off is not None and values.get(key) not in off:
            raise ValueError(f"{source}: {key}={values[key]} is not supported, set it to {off[-1]}")
    taken = {key: value for key, value in values.items() if key in known}
    for key in _NAME_KEYS:
        rows = taken.get(key)
        if rows is None:
            continue
        if isinstance(rows, str) or not all(isinstance(row, str) for row in rows):
            raise ValueError(f"{source}: {key} must be a list of names in quotes, got {rows!r:.80}")
        taken[key] = tuple(rows)
    try:
        return ScenarioFilter(**taken)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from error


Groups = dict[str, list[Candidate]]


def select_scenarios(
    candidates: Iterable[Candidate], scenario_filter: ScenarioFilter
) -> list[Candidate]:
    """Counts, limit and spacing of a filter over the candidates of all logs, ordered by token.

    The order of `candidates` matters: logs by path, frames by time. Steps and their order are
    those of the devkit's scenario builder.
    """
    groups: Groups = {}
    for candidate in candidates:
        groups.setdefault(candidate.scenario_type, []).append(candidate)
    draws = random.Random(scenario_filter.seed) if scenario_filter.shuffle else None
    count = scenario_filter.num_scenarios_per_type
    if count is not None:
        groups = {name: _thin_type(rows, count, draws) for name, rows in groups.items()}
    if scenario_filter.limit_total_scenarios is not None:
        groups = _limit_total(groups, scenario_filter.limit_total_scenarios, draws)
    threshold_s = scenario_filter.timestamp_threshold_s
    if threshold_s is not None:
        groups = {name: _space_out(rows, threshold_s) for name, rows in groups.items()}
    return _by_token(groups)


def _by_token(groups: Groups) -> list[Candidate]:
    return sorted((row for rows in groups.values() for row in rows), key=lambda row: row.token)


def _spread(rows: Sequence[Candidate], count: int) -> list[Candidate]:
    return list(rows[:: max(len(rows) // count, 1)][:count])


def _thin_type(rows: list[Candidate], count: int, draws: random.Random | None) -> list[Candidate]:
    if draws is not None and count < len(rows):
        return draws.sample(rows, count)
    return _spread(rows, count)


def _limit_total(groups: Groups, limit: float | int, draws: random.Random | None) -> Groups:
    total = sum(len(rows) for rows in groups.values())
    wanted = math.ceil(limit * total) if isinstance(limit, float) else limit
    if total == 0 or (isinstance(limit, int) and wanted >= total):
        return groups

    def thin(rows: list[Candidate], count: int) -> list[Candidate]:
        return draws.sample(rows, count) if draws is not None else _spread(rows, count)

    untagged = groups.get(UNKNOWN_TYPE, [])
    if total - wanted < len(untagged):
        return groups | {UNKNOWN_TYPE: thin(untagged, len(untagged) - (total - wanted))}
    kept: Groups = {}
    tagged = {name: rows for name, rows in groups.items() if name != UNKNOWN_TYPE}
    for row in thin(_by_token(tagged), wanted):
        kept.setdefault(row.scenario_type, []).append(row)
    return kept


def _space_out(rows: list[Candidate], threshold_s: float) -> list[Candidate]:
    kept: list[Candidate] = []
    next_s = -math.inf
    for row in sorted(rows, key=lambda row: row.time_us):
        if row.time_us * 1e-6 >= next_s:
            kept.append(row)
            next_s = row.time_us * 1e-6 + threshold_s
    return kept


def keep_of_log(scenario: ScenarioLog, scenario_filter: ScenarioFilter) -> bool:
    """Whether a scenario passes the thresholds on what its logged ego does."""
    least_m = scenario_filter.ego_displacement_minimum_m
    if least_m is not None and _displacement_m(scenario) < least_m:
        return False
    noise = scenario_filter.speed_noise_tolerance
    noise = _DEVKIT_NOISE_MPS if noise is None else noise
    start, stop = (
        scenario_filter.ego_start_speed_threshold,
        scenario_filter.ego_stop_speed_threshold,
    )
    if start is not None and not _speed_crossings(scenario, start, noise)[0]:
        return False
    return stop is None or _speed_crossings(scenario, stop, noise)[1]


def _later(log: ScenarioLog, field: str) -> np.ndarray:
    """A column of the ego from frame 1 on, as long as the scenario lasts or the log goes."""
    duration_s = (log.ego.time_us[-1] - log.ego.time_us[0]) * 1e-6
    values = np.concatenate([getattr(log.ego, field)[1:], getattr(log.future_ego, field)])
    return values[: int(duration_s / _FRAME_STEP_S)]


def _displacement_m(log: ScenarioLog) -> float:
    yaw = _later(log, "yaw_rad")
    x = _later(log, "x") + REAR_AXLE_TO_CENTRE_M * np.cos(yaw)
    y = _later(log, "y") + REAR_AXLE_TO_CENTRE_M * np.sin(yaw)
    return float(np.hypot(np.diff(x), np.diff(y)).sum())


def _speed_crossings(log: ScenarioLog, threshold: float, noise: float) -> tuple[bool, bool]:
    """Whether the speed rises above the threshold, and whether it falls to it or below."""
    highest = lowest = math.hypot(log.ego.vx_mps[0], log.ego.vy_mps[0])
    rises = falls = False
    for speed in np.hypot(_later(log, "vx_mps"), _later(log, "vy_mps")).tolist():
        # The devkit's hysteresis: a rise begins at the lowest speed since the last fall
        if speed > highest:
            highest = speed
            if highest > threshold >= lowest and highest - lowest > noise:
                rises, lowest = True, highest
        if speed < lowest:
            lowest = speed
            if highest > threshold >= lowest and highest - lowest > noise:
                falls, highest = True, lowest
    return rises, falls
