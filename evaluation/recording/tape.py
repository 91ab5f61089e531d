"""Tape: the latest steps of all worlds, from which ended episodes are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rewards.reward_terms import RewardBreakdown
from sim_adapters.scene.state import SceneBatch

BLOCK_STEPS = 256
DRIVER_NUMBERS = (
    "speed_mps",
    "speed_limit_mps",
    "steer",
    "throttle",
    "brake",
    "route_percent",
    "reward",
    "value",
)


class Block(NamedTuple):
    """BLOCK_STEPS steps of B worlds and E drivers."""

    actor_id: NDArray[np.int32]  # (T, B, A), 0 is an empty slot
    x: NDArray[np.float32]  # (T, B, A) [m]
    y: NDArray[np.float32]
    yaw_rad: NDArray[np.float32]
    speed_mps: NDArray[np.float32]
    lights: NDArray[np.uint8]
    signals: NDArray[np.uint8]  # (T, B, L)
    phases: NDArray[np.uint8]  # (T, B, K) of scripted triggers
    numbers: NDArray[np.float32]  # (T, E, DRIVER_NUMBERS and reward terms)
    seen: NDArray[np.float16]  # (T, E, F)


class Strip(NamedTuple):
    """One driver's part of the tape: the fields of `Block`, without the axis of worlds."""

    actor_id: NDArray[np.int32]  # (T, A)
    x: NDArray[np.float32]
    y: NDArray[np.float32]
    yaw_rad: NDArray[np.float32]
    speed_mps: NDArray[np.float32]
    lights: NDArray[np.uint8]
    signals: NDArray[np.uint8]  # (T, L)
    phases: NDArray[np.uint8]  # (T, K)
    numbers: NDArray[np.float32]  # (T, N)
    seen: NDArray[np.float16]  # (T, F)


class Tape:
    """Steps of a batch of worlds, numbered from 0.

    Args:
        scene: Filled by the simulator.
        term_names: Reward terms.
        num_features: Of what the policy sees.
        num_triggers: Scripted triggers a world has room for.
    """

    def __init__(
        self, scene: SceneBatch, term_names: Sequence[str], num_features: int, num_triggers: int
    ) -> None:
        self.scene, self.term_names = scene, tuple(term_names)
        self.num_steps = 0
        self._num_features, self._num_triggers = num_features, num_triggers
        self._blocks: list[Block] = []
        self._first_block = 0  # number of the first that is still there
        self._place = (scene.ego.world, scene.ego.slot)

    def add(
        self,
        outcome: RewardBreakdown,
        route_percent: NDArray[np.float64],
        value: NDArray[np.float32] | None,
        seen: NDArray[np.float32] | None,
        phases: NDArray[np.uint8] | None,
    ) -> None:
        """Keep the present of all worlds.

        Args:
            outcome: Rewards of this step and their terms.
            route_percent: (E,).
            value: (E,) the critic's, or None.
            seen: (E, F) features that are kept, or None.
            phases: (B, K) of scripted triggers, or None.
        """
        number, row = divmod(self.num_steps, BLOCK_STEPS)
        if number - self._first_block == len(self._blocks):
            self._blocks.append(self._empty_block())
        block = self._blocks[-1]
        motion, traits, ego = self.scene.motion, self.scene.traits, self.scene.ego
        np.multiply(traits.actor_id, traits.valid, out=block.actor_id[row], casting="unsafe")
        block.x[row], block.y[row], block.yaw_rad[row] = motion.x, motion.y, motion.yaw_rad
        np.hypot(motion.vx_mps, motion.vy_mps, out=block.speed_mps[row], casting="unsafe")
        block.lights[row] = traits.lights
        block.signals[row] = self.scene.lights.state
        if phases is not None:
            block.phases[row] = phases
        numbers = block.numbers[row]
        numbers[:, 0] = block.speed_mps[row][self._place]
        for column, values in enumerate((ego.speed_limit_mps, ego.steer, ego.throttle, ego.brake)):
            numbers[:, 1 + column] = values
        numbers[:, 5], numbers[:, 6] = route_percent, outcome.reward.numpy()
        numbers[:, 7] = 0.0 if value is None else value
        for column, name in enumerate(self.term_names, start=len(DRIVER_NUMBERS)):
            numbers[:, column] = outcome.terms[name].numpy()
        if seen is not None:
            block.seen[row] = seen
        self.num_steps += 1

    def cut(self, agent: int, first: int, last: int) -> Strip:
        """Steps `first` to `last - 1` of one driver and its world."""
        world = int(self.scene.ego.world[agent])
        parts = []
        for number in range(first // BLOCK_STEPS, (last - 1) // BLOCK_STEPS + 1):
            block, start = self._blocks[number - self._first_block], number * BLOCK_STEPS
            rows = slice(max(first - start, 0), min(last - start, BLOCK_STEPS))
            fields = zip(Block._fields, block, strict=True)
            parts.append(
                [a[rows, agent if name in ("numbers", "seen") else world] for name, a in fields]
            )
        return Strip(*(np.concatenate(pieces) for pieces in zip(*parts, strict=True)))

    def forget(self, before: int) -> None:
        """Let go of the steps before this one."""
        while self._blocks and (self._first_block + 1) * BLOCK_STEPS <= before:
            del self._blocks[0]
            self._first_block += 1

    def _empty_block(self) -> Block:
        scene = self.scene
        slots = (BLOCK_STEPS, *scene.motion.x.shape)
        worlds, drivers = slots[:2], (BLOCK_STEPS, scene.num_agents)
        return Block(
            np.zeros(slots, np.int32),
            *(np.zeros(slots, np.float32) for _ in range(4)),
            lights=np.zeros(slots, np.uint8),
            signals=np.zeros((*worlds, scene.lights.state.shape[1]), np.uint8),
            phases=np.zeros((*worlds, self._num_triggers), np.uint8),
            numbers=np.zeros((*drivers, len(DRIVER_NUMBERS) + len(self.term_names)), np.float32),
            seen=np.zeros((*drivers, self._num_features), np.float16),
        )
