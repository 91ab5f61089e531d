"""CachedScenarios: endless training scenarios out of a scenario cache."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Self

import numpy as np

from sim_adapters.nuplan.bicycle import MICROSECOND_S, REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.scenario_cache.file import CacheEntry, ScenarioCache, open_cache
from sim_adapters.nuplan.scenario_log import LoggedScenario, ScenarioLog
from sim_adapters.nuplan.scenario_mapping import absent_types
from sim_adapters.nuplan.slot_demand import CARL_LIMITS, TrackLimits, nearest_tracks
from sim_adapters.scene.counter_rng import random_bits
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, RouteCommand

# A log as a scenario: its route is the path that the ego's centre took.


def logged_route(log: ScenarioLog) -> Route:
    """The centre of the logged ego, one point a frame (N points, the same place twice included)."""
    ego = log.ego
    num_frames = log.num_frames
    return Route(
        x=ego.x + REAR_AXLE_TO_CENTRE_M * np.cos(ego.yaw_rad),
        y=ego.y + REAR_AXLE_TO_CENTRE_M * np.sin(ego.yaw_rad),
        z=np.zeros(num_frames),
        yaw_rad=ego.yaw_rad.copy(),
        lane=np.full(num_frames, -1, np.int32),
        in_junction=np.zeros(num_frames, np.bool_),
        command=np.full(num_frames, RouteCommand.LANE_FOLLOW, np.uint8),
    )


def logged_scenario(log: ScenarioLog, *, seed: int = 0) -> LoggedScenario:
    """The log as a scenario; CaRL ends its episodes at frame N - 2."""
    return LoggedScenario(
        scenario_id=log.token,
        town=log.map_name,
        route=logged_route(log),
        seed=seed,
        time_limit_s=float(log.ego.time_us[max(log.num_frames - 2, 0)] - log.ego.time_us[0])
        * MICROSECOND_S,
        log=log,
    )


_RNG_CHOICE = 7401  # purposes of the draws of this file
_RNG_WORLD_SEED = 7402
_SEED_MASK = (1 << 62) - 1

log = logging.getLogger(__name__)


class CachedScenarios:
    """Scenarios drawn uniformly with replacement, as CaRL draws its training files.

    What cannot be trained on is left out, counted and named in the log: scenarios without a route
    on the map and, since progress is a share of the human's way, those whose human stands still.
    Which scenario a world's episode drives is a pure function of (seed, world, episode).

    Args:
        maps: The locations; scenarios of others are an error.
        seed: Of the choice.
        cache: The cache, or its folder.
        scenario_types: Types to drive, all if not given.
        track_limits: Boxes kept in each frame, CaRL's by default; None keeps all.
        min_human_path_m: Least way of the logged ego's centre. CaRL takes any but zero; a way
            of centimetres pays the full reward for a twitch, 1.0 leaves such scenarios out.
        needs_route: Leave out scenarios without a route.

    Raises:
        ValueError: a location that `maps` lacks, a type that nobody knows, or no scenario left.
    """

    def __init__(
        self,
        maps: MapBank,
        seed: int,
        *,
        cache: str | Path | ScenarioCache,
        scenario_types: Sequence[str] | None = None,
        track_limits: TrackLimits | None = CARL_LIMITS,
        min_human_path_m: float = 0.1,
        needs_route: bool = True,
    ) -> None:
        self.seed, self.track_limits = seed, track_limits
        self.cache = cache if isinstance(cache, ScenarioCache) else open_cache(cache)
        present = {entry.scenario_type for entry in self.cache.entries.values()}
        absent = absent_types(scenario_types or (), present, str(self.cache.folder))
        if absent:
            log.warning("%s holds no scenario of %s", self.cache.folder, ", ".join(absent))
        wanted = [
            entry
            for entry in self.cache.entries.values()
            if scenario_types is None or entry.scenario_type in scenario_types
        ]
        standing = [e for e in wanted if e.human_path_m < min_human_path_m]
        lost = [e for e in wanted if e.num_route == 0 and needs_route]
        _report_left_out(standing, f"their human moves less than {min_human_path_m} m")
        _report_left_out(lost, "they have no route on the map")
        left_out = {entry.token for entry in (*standing, *lost)}
        self.tokens = tuple(e.token for e in wanted if e.token not in left_out)
        if not self.tokens:
            raise ValueError(
                f"none of the {len(self.cache)} scenarios in {self.cache.folder} can be trained "
                f"on: {len(wanted)} are of the wanted types, {len(left_out)} of those are left out"
            )
        for map_name in sorted({entry.map_name for entry in wanted}):
            maps.map_index(map_name)  # says which location is missing

    def with_seed(self, seed: int) -> Self:
        """The same scenarios, drawn in the order of another seed."""
        other = copy(self)
        other.seed = seed
        return other

    def next_scenario(self, world: int, episode: int) -> LoggedScenario:
        """The scenario of that world's `episode`-th episode."""
        choice = int(random_bits(self.seed, world, episode, _RNG_CHOICE)) % len(self.tokens)
        chosen = self.cache.read(self.tokens[choice])
        if self.track_limits is not None:
            chosen = nearest_tracks(chosen, self.track_limits)
        seed = int(random_bits(self.seed, world, episode, _RNG_WORLD_SEED)) & _SEED_MASK
        return logged_scenario(chosen, seed=seed)


def _report_left_out(entries: Sequence[CacheEntry], reason: str) -> None:
    if entries:
        names = ", ".join(entry.token for entry in entries[:5])
        more = ", ..." if len(entries) > 5 else ""
        log.warning("%d scenarios left out, %s: %s%s", len(entries), reason, names, more)
