"""The vector observation shows who is hit, long before."""

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from evaluation.drivers.rule_drivers import BlindFollower
from evaluation.seen_actors import SeenShares, SightWatch, measure_sight
from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.scene.state import ActorKind
from tests.evaluation.fake_drive import events_with, make_scene, no_reward


class FakeObserver:
    """Describes slot 1 alone."""

    def described_slots(self, agent: int) -> np.ndarray:
        return np.array([1], np.int32)


class FakeWorlds:
    """What the watch looks at: one world, the ego in slot 0, a car and a walker beside it."""

    def __init__(self) -> None:
        self.scene = make_scene(1)
        self.observer, self.driving_reward = FakeObserver(), no_reward
        traits, motion = self.scene.traits, self.scene.motion
        traits.valid[0, 1:] = True
        traits.kind[0, 1:] = ActorKind.CAR, ActorKind.PEDESTRIAN
        traits.actor_id[0, :] = 1, 2, 3
        motion.x[0, 1:] = 20.0, 30.0


def test_a_look_back_asks_for_whoever_was_there_and_tells_who_was_described(monkeypatch):
    monkeypatch.setattr("evaluation.seen_actors.VectorObserver", FakeObserver)
    worlds = FakeWorlds()
    watch = SightWatch(worlds, seconds=(1.0, 2.0))  # pyright: ignore[reportArgumentType]
    for step in range(15):
        worlds.scene.motion.vx_mps[0, 2] = 1.0 if step == 3 else 0.0  # the walker sets off, once
        watch.look()
    contacts = worlds.scene.contacts.other_slot
    contacts[:] = -1
    contacts[0, :2] = 1, 2
    watch(events_with(1, collision=True))
    # 20 steps ago nothing had been seen yet
    assert dict(watch.shares.asked) == {"walkers as they set off": 1, "hit, 1 s before": 2}
    assert watch.shares.share("hit, 1 s before") == 0.5
    assert watch.shares.share("walkers as they set off") == 0.0
    watch.forget(np.array([True]))
    watch(events_with(1, collision=True))
    assert watch.shares.asked["hit, 1 s before"] == 2  # a new episode has no past


def test_shares_are_told_in_words():
    shares = SeenShares()
    for seen in (True, True, False):
        shares.add("hit, 1 s before", seen)
    assert shares.lines() == ["hit, 1 s before: 2 of 3 seen (66.7%)"]
    assert np.isnan(shares.share("nobody asked"))


@pytest.mark.parametrize("observation", ["vector_driver"])
def test_the_drivers_observation_loses_nobody_who_is_hit(observation: str):
    small = ["simulator.towns=[Town01]", "num_worlds=16", f"observation={observation}"]
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("seen_actors", small)
    env = instantiate(config.env, num_envs=config.num_worlds, seed=1)
    assert isinstance(env, DrivingVectorEnv)
    shares = measure_sight(env, BlindFollower(8.0), 400)
    for seconds in (1, 2, 3):
        assert shares.asked[f"hit, {seconds} s before"] >= 10
        assert shares.share(f"hit, {seconds} s before") >= 0.95
    assert shares.asked["walkers as they set off"] >= 10
    assert shares.share("walkers as they set off") >= 0.98
