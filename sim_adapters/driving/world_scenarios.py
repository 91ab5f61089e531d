"""WorldScenarios: which episode every world drives next, and under which seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.named_arrays import copy_arrays, restore_arrays
from sim_adapters.scene.scenario import Scenario

Seeds = int | Sequence[int | None] | None
SEED_BITS = 62  # of a scenario's seed; longer ones are folded
_AS_MADE = -1  # a world that drives under the seed that its source was made with


class ScenarioSource(Protocol):
    """Says what a world drives next."""

    def next_scenario(self, world: int, episode: int) -> Scenario:
        """The scenario of that world's `episode`-th episode (0 is the first)."""
        ...


@runtime_checkable
class SeedableSource(Protocol):
    """A source that also has the episodes of any other seed."""

    def next_scenario(self, world: int, episode: int) -> Scenario:
        """The scenario of that world's `episode`-th episode (0 is the first)."""
        ...

    def with_seed(self, seed: int) -> ScenarioSource:
        """The same source, as if it had been made with `seed`; costs next to nothing."""
        ...


def checked_seed(seed: Any) -> int:
    """A seed as a whole number of at most `SEED_BITS` bits; shorter ones stay as they are.

    Raises:
        ValueError: it is no whole number of 0 or more.
    """
    is_whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not is_whole or seed < 0:
        raise ValueError(f"seed={seed!r}: expected a whole number of 0 or more")
    if int(seed) < 1 << SEED_BITS:
        return int(seed)
    folded = np.random.SeedSequence(int(seed)).generate_state(1, np.uint64)[0]
    return int(folded) >> (64 - SEED_BITS)


@dataclass
class _Numbers:
    """What a checkpoint keeps of the seeds, (E,) each."""

    seed: NDArray[np.int64]  # _AS_MADE until a reset says otherwise
    world: NDArray[np.int64]  # the number under which the source knows the world


@dataclass
class WorldScenarios:
    """The source of E worlds' episodes, seeded together or one by one."""

    source: ScenarioSource
    num_worlds: int
    first_world: int = 0  # number of world 0 among all ranks' worlds
    made_with: int | None = None  # seed of `source`, where it is known
    _numbers: _Numbers = field(init=False)
    _others: dict[int, ScenarioSource] = field(init=False, default_factory=dict)  # by seed

    def __post_init__(self) -> None:
        self._numbers = _Numbers(
            np.full(self.num_worlds, _AS_MADE), self.first_world + np.arange(self.num_worlds)
        )

    def next_scenario(self, world: int, episode: int) -> Scenario:
        """The scenario of the `episode`-th episode of world 0 ... E - 1."""
        seed, number = int(self._numbers.seed[world]), int(self._numbers.world[world])
        source = self.source if seed == _AS_MADE else self._others[seed]
        return source.next_scenario(number, episode)

    def reseed(self, seed: Seeds, worlds: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take the episodes of another seed from now on; returns those of `worlds` that do.

        One seed is shared by all worlds, which stay as different as they are; of a list each world
        gets its own and drives what the only world of an environment with that seed drives.

        Raises:
            ValueError: not a seed, not as many as worlds, or the source knows one seed only.
        """
        if seed is None:
            return worlds[:0]
        if not isinstance(seed, Sequence | np.ndarray) or isinstance(seed, str):
            self._set(worlds, checked_seed(seed), self.first_world + worlds)
        elif len(seed) != self.num_worlds:
            raise ValueError(f"{len(seed)} seeds for {self.num_worlds} worlds: give one for each")
        else:
            own = {w: checked_seed(seed[w]) for w in worlds.tolist() if seed[w] is not None}
            for world, chosen in own.items():
                self._set(np.array([world]), chosen, np.zeros(1, np.int64))
            worlds = np.array(list(own), np.int64)
        self._keep_used()
        return worlds

    def state_dict(self) -> dict[str, np.ndarray]:
        """The seeds of all worlds."""
        return copy_arrays(self._numbers, "scenarios")

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on with the seeds of `state`; one without any is of worlds never seeded anew."""
        if "scenarios.seed" not in state:
            self.__post_init__()
            return
        restore_arrays(self._numbers, state, "scenarios")
        for seed in set(self._numbers.seed.tolist()) - {_AS_MADE}:
            self._others[seed] = self._seeded(seed)
        self._keep_used()

    def _set(self, worlds: NDArray[np.int64], seed: int, numbers: NDArray[np.int64]) -> None:
        kept = _AS_MADE if seed == self.made_with else seed
        if kept != _AS_MADE and kept not in self._others:
            self._others[kept] = self._seeded(kept)
        self._numbers.seed[worlds], self._numbers.world[worlds] = kept, numbers

    def _seeded(self, seed: int) -> ScenarioSource:
        if not isinstance(self.source, SeedableSource):
            raise ValueError(
                f"reset(seed={seed}): {type(self.source).__name__} has no with_seed(seed) and so "
                "no other episodes than its own; restart() begins again with the first of them"
            )
        return self.source.with_seed(seed)

    def _keep_used(self) -> None:
        used = set(self._numbers.seed.tolist())
        self._others = {seed: source for seed, source in self._others.items() if seed in used}


def masked_worlds(options: Mapping[str, Any], num_envs: int) -> NDArray[np.int64]:
    """The worlds that gymnasium's option `reset_mask` names, all without it."""
    mask = np.asarray(options.get("reset_mask", np.ones(num_envs, np.bool_)))
    if mask.shape != (num_envs,) or mask.dtype != np.bool_ or not mask.any():
        raise ValueError(
            f"reset_mask is {mask.dtype} {mask.shape} with {np.count_nonzero(mask)} true, expected "
            f"bool ({num_envs},) with at least one"
        )
    return np.flatnonzero(mask)
