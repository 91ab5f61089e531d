"""Where the worlds' scenarios come from: random routes for training, a file for evaluation.

Both answer `next_scenario(world, episode)` as pure functions, so the same world drives the same
episodes in any batch, after any restart and however many processes share the worlds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Self

from sim_adapters.embedded.route_generator import RouteGenerator, SignalisedTurns
from sim_adapters.embedded.route_triggers import PlannedStreams, TriggerShares, place_triggers
from sim_adapters.embedded.route_triggers import scenario_weights as weigh_scenarios
from sim_adapters.maps.route_scenarios import load_scenarios
from sim_adapters.maps.town_files import town_name
from sim_adapters.scene.counter_rng import Draws, random_bits
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.world.scenarios.resolution import refuse_unknown_types

CARL_TIME_LIMIT_S = 1200.0
_RNG_POOL = 7201  # purposes of the draws of this file
_RNG_WORLD_SEED = 7202
_RNG_TRIGGERS = 7203
_SEED_MASK = (1 << 62) - 1


@dataclass(eq=False)
class RandomRoutes:
    """Endless random routes, from a pool that fills as worlds ask for them.

    Raises:
        ValueError: a town that `maps` lacks, one without a road of that length, or a share beyond
            [0, 1].
    """

    maps: MapBank
    seed: int  # of the routes and of all that happens on them
    _: KW_ONLY
    # Towns to drive in, by name or file, all of `maps` if not given; each is as likely as another
    towns: Sequence[str] | None = None
    length_m: float = 1000.0  # of every route
    routes_per_town: int = 1024  # size of the pool; CaRL's files hold up to 8,000 a town
    scenario_triggers: bool = True  # put CaRL's scenario slots on the routes
    # How likely each type is tried first in a slot; 0 switches a type off
    scenario_weights: Mapping[str, float] | None = None
    # How often routes turn where a stream of traffic may cross them; CaRL: at random
    turns: SignalisedTurns | None = None
    benchmark_share: float = 0.0  # of the slots whose scenario has the benchmark's own parameters
    open_road_share: float = 1.0  # of the slots without a scenario for a junction ahead: filled
    time_limit_s: float = CARL_TIME_LIMIT_S  # of an episode
    # World w drives in town w (mod the number of towns) only; servers take seconds to load another
    one_town_per_world: bool = False

    def __post_init__(self) -> None:
        """Plan what all routes share, and draw the first one of each town."""
        self._shares = TriggerShares(self.benchmark_share, self.open_road_share)
        _check_shares(self.turns or SignalisedTurns(), self._shares)
        names = [town_name(town) for town in self.towns or self.maps.towns]
        self._generators = [RouteGenerator(self.maps, name, turns=self.turns) for name in names]
        self._streams = PlannedStreams(self.maps)
        self._weights = weigh_scenarios(self.scenario_weights)
        self._pool: dict[tuple[int, int], Scenario] = {}
        for town in range(len(self._generators)):
            self._pooled(town, 0)  # fails now rather than amid the training if there is none

    def with_seed(self, seed: int) -> Self:
        """The random routes of another seed in the same towns."""
        other = copy(self)
        other.seed, other._pool = seed, {}
        return other

    def next_scenario(self, world: int, episode: int) -> Scenario:
        """The scenario of that world's `episode`-th episode."""
        draws = Draws(_world_seed(self.seed, world, episode), 0, _RNG_POOL)
        town = draws.integer(len(self._generators))
        if self.one_town_per_world:
            town = world % len(self._generators)
        pooled = self._pooled(town, draws.integer(self.routes_per_town))
        return replace(pooled, seed=_world_seed(self.seed, world, episode))

    def _pooled(self, town: int, number: int) -> Scenario:
        if (town, number) not in self._pool:
            self._pool[town, number] = self._make(self._generators[town], number)
        return self._pool[town, number]

    def _make(self, generator: RouteGenerator, number: int) -> Scenario:
        route = generator.draw(self.seed, number, length_m=self.length_m)
        draws = Draws(self.seed, number, _RNG_TRIGGERS)
        return Scenario(
            scenario_id=f"{generator.town}_random_{number:05d}",
            town=generator.town,
            route=route,
            seed=self.seed,
            triggers=(
                place_triggers(route, self.maps, self._streams, draws, self._weights, self._shares)
                if self.scenario_triggers
                else ()
            ),
            time_limit_s=self.time_limit_s,
        )


def _check_shares(turns: SignalisedTurns, shares: TriggerShares) -> None:
    if not turns.weight > 0.0:
        raise ValueError(f"scenarios.turns.weight is {turns.weight}, expected a positive one")
    given = {"turns.route_share": turns.route_share, "turns.left_share": turns.left_share}
    given |= {"benchmark_share": shares.benchmark, "open_road_share": shares.open_road}
    for name, share in given.items():
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"scenarios.{name} is {share}, expected 0 to 1")


class RouteFile:
    """The routes of a leaderboard file, one after the other, for evaluation.

    World w drives routes w, w + stride, w + 2 stride ... and begins again after the last.

    Args:
        path: A .xml or .xml.gz file of either leaderboard format.
        maps: The towns; must hold those of the file.
        seed: Of all that happens on the routes.
        stride: Number of worlds that share the file.
        time_limit_s: Of an episode.
    """

    def __init__(
        self,
        path: str | Path,
        maps: MapBank,
        seed: int,
        *,
        stride: int = 1,
        time_limit_s: float = CARL_TIME_LIMIT_S,
    ) -> None:
        self.scenarios = load_scenarios(path, maps, seed=seed, time_limit_s=time_limit_s)
        for scenario in self.scenarios:
            refuse_unknown_types(scenario)
        self.seed, self.stride = seed, stride

    def with_seed(self, seed: int) -> Self:
        """The same routes in the same order; what happens on them is another seed's."""
        other = copy(self)
        other.seed = seed
        return other

    def next_scenario(self, world: int, episode: int) -> Scenario:
        """The scenario of that world's `episode`-th episode."""
        scenario = self.scenarios[(world + episode * self.stride) % len(self.scenarios)]
        return replace(scenario, seed=_world_seed(self.seed, world, episode))


def _world_seed(seed: int, world: int, episode: int) -> int:
    return int(random_bits(seed, world, episode, _RNG_WORLD_SEED)) & _SEED_MASK
