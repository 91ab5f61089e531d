"""Does the vector observation show whoever is hit? `python -m evaluation.seen_actors`.

Drives random routes and looks back from every contact with a vehicle or a pedestrian: was the other
one described one, two and three seconds before, if it existed within sight then? And was every
walker described in the step in which it set off near the ego? See configs/seen_actors.yaml.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from omegaconf import DictConfig

from evaluation.drivers.driver import Driver, driver_command
from rewards.driving_events import DrivingEvents
from rewards.reward_terms import Reward, RewardBreakdown
from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.observation.vector import VectorObserver
from sim_adapters.scene.state import ActorKind

log = logging.getLogger(__name__)
SIGHT_M = 120.0  # actors further away are not looked for
WALKER_NEAR_M = 60.0  # setting off within this distance of the ego
SETS_OFF_MPS = 0.3
LEVEL_M, STEEPEST = 3.5, 0.1  # nobody further up or down is on the ego's road
_PEDESTRIAN = int(ActorKind.PEDESTRIAN)


@dataclass
class SeenShares:
    """How many of those to be seen were seen, by what was asked."""

    asked: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, question: str, seen: bool) -> None:
        """One answer."""
        self.asked[question] += 1
        self.seen[question] += seen

    def share(self, question: str) -> float:
        """Share seen, NaN if nobody was there to be seen."""
        asked = self.asked[question]
        return self.seen[question] / asked if asked else float("nan")

    def lines(self) -> list[str]:
        """A line a question."""
        return [
            f"{question}: {self.seen[question]} of {asked} seen ({self.share(question):.1%})"
            for question, asked in sorted(self.asked.items())
        ]


@dataclass(frozen=True)
class Look:
    """Who was there and who was described at the end of a step, (B, A)."""

    actor_id: NDArray[np.int64]  # 0 beyond sight
    described: NDArray[np.bool_]


class SightWatch:
    """Stands before the reward of an environment, where contacts meet the scene they belong to.

    Args:
        env: Its observer is a `VectorObserver`.
        seconds: To look back from a contact.
    """

    def __init__(self, env: DrivingVectorEnv, seconds: Sequence[float] = (1.0, 2.0, 3.0)) -> None:
        assert isinstance(env.observer, VectorObserver)
        self.env, self.observer = env, env.observer
        self.shares = SeenShares()
        self._reward: Reward = env.driving_reward
        self._back = {s: round(s / env.scene.step_s) for s in seconds}
        self._looks: deque[Look] = deque(maxlen=max(self._back.values()))
        self._moving: set[tuple[int, int]] = set()  # world and id of walkers that have set off
        env.driving_reward = self

    def __call__(self, events: DrivingEvents) -> RewardBreakdown:
        """Look back from the contacts of this step; the reward itself passes through."""
        traits, ego = self.env.scene.traits, self.env.scene.ego
        for agent in np.flatnonzero(events.collision.numpy()):
            world = int(ego.world[agent])
            for slot in self.env.scene.contacts.other_slot[agent]:
                if slot >= 0 and traits.kind[world, slot] <= _PEDESTRIAN:
                    self._look_back(world, int(traits.actor_id[world, slot]))
        return self._reward(events)

    def look(self) -> None:
        """Keep what the present observation shows."""
        scene = self.env.scene
        motion, traits, ego = scene.motion, scene.traits, scene.ego
        own = ego.world, ego.slot
        dx, dy, dz = (place - place[own][:, None] for place in (motion.x, motion.y, motion.z))
        distance = np.hypot(dx, dy)
        near = traits.valid & (distance < SIGHT_M) & (np.abs(dz) < LEVEL_M + STEEPEST * distance)
        described = np.zeros_like(near)
        for agent in range(scene.num_agents):
            described[ego.world[agent], self.observer.described_slots(agent)] = True
        self._looks.append(Look(np.where(near, traits.actor_id, 0), described))
        speed = np.hypot(motion.vx_mps, motion.vy_mps)
        sets_off = near & (traits.kind == _PEDESTRIAN) & (speed > SETS_OFF_MPS)
        sets_off &= distance < WALKER_NEAR_M
        for world, slot in np.argwhere(sets_off).tolist():
            walker = (world, int(traits.actor_id[world, slot]))
            if walker not in self._moving:
                self._moving.add(walker)
                self.shares.add("walkers as they set off", bool(described[world, slot]))

    def forget(self, finished: NDArray[np.bool_]) -> None:
        """Worlds with a new episode have no past."""
        for look in self._looks:
            look.actor_id[finished] = 0
        worlds = set(np.flatnonzero(finished).tolist())
        self._moving = {walker for walker in self._moving if walker[0] not in worlds}

    def _look_back(self, world: int, actor_id: int) -> None:
        for seconds, steps in self._back.items():
            past = self._looks[-steps] if steps <= len(self._looks) else None
            if past is not None and actor_id in past.actor_id[world]:
                slot = past.actor_id[world].tolist().index(actor_id)
                self.shares.add(f"hit, {seconds:g} s before", bool(past.described[world, slot]))


def measure_sight(env: DrivingVectorEnv, driver: Driver, num_steps: int) -> SeenShares:
    """Drive all worlds of an `env` that has a `VectorObserver` and decides in every step."""
    env.reset(seed=0)
    watch = SightWatch(env)
    driver.begin_episodes(np.arange(env.num_envs), env.worlds)
    watch.look()
    for _ in range(num_steps):
        _, _, terminated, truncated, _ = env.step(driver.act(env.worlds))
        finished = terminated | truncated
        if finished.any():
            watch.forget(finished)
            driver.begin_episodes(np.flatnonzero(finished), env.worlds)
        watch.look()
    return watch.shares


@driver_command("seen_actors")
def main(config: DictConfig) -> None:
    """The hydra command."""
    env = instantiate(config.env, num_envs=config.num_worlds, seed=config.seed)
    num_steps = round(config.seconds / env.scene.step_s)
    shares = measure_sight(env, instantiate(config.driver), num_steps)
    for line in shares.lines():
        log.info("%s", line)


if __name__ == "__main__":
    main()
