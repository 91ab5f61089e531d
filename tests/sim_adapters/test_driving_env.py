"""The environment behind gymnasium's interface: resets, rows, storages, resumption."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest

from sim_adapters.driving.env import DrivingVectorEnv
from sim_adapters.gymnasium_envs import DrivingEnv, compose_training_config, make_embedded_vec

NUM_ENVS = 4
SMALL = (
    "simulator.towns=[Town02]",
    "simulator.traffic.num_vehicles=6",
    "simulator.max_vehicles=8",
    "simulator.warm_up_s=0.2",
    "scenarios.length_m=200.0",
    "scenarios.scenario_triggers=false",
)


def make_env(*overrides: str, num_envs: int = NUM_ENVS, seed: int = 3) -> DrivingVectorEnv:
    return make_embedded_vec(num_envs, [*SMALL, *overrides], seed)


def drive(env: DrivingVectorEnv, steps: int, seed: int = 0) -> Iterator[tuple]:
    actions = np.random.default_rng(seed).uniform(-1.0, 1.0, (steps, env.num_envs, 2))
    actions[..., 0] *= 0.3
    actions[..., 1] = np.abs(actions[..., 1])
    for action in actions.astype(np.float32):
        yield env.step(action)


@pytest.fixture(scope="module")
def env() -> DrivingVectorEnv:
    return make_env("env.final_observations=true")


def test_spaces_hold_what_is_drawn(env: DrivingVectorEnv) -> None:
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains({k: v.copy() for k, v in observation.items()})
    for observation, reward, terminated, truncated, _ in drive(env, 20):
        assert env.observation_space.contains({k: v.copy() for k, v in observation.items()})
        assert reward.shape == terminated.shape == truncated.shape == (NUM_ENVS,)
        assert reward.dtype == np.float32


def test_same_seed_gives_the_same_rewards(env: DrivingVectorEnv) -> None:
    def rewards() -> np.ndarray:
        env.reset(seed=0)
        return np.stack([step[1] for step in drive(env, 80)])

    np.testing.assert_array_equal(rewards(), rewards())


def test_a_finished_world_shows_its_next_episode_at_once(env: DrivingVectorEnv) -> None:
    env.reset(seed=0)
    ended = 0
    for observation, _, terminated, truncated, info in drive(env, 300):
        finished = terminated | truncated
        if not finished.any():
            assert "finished_episode" not in info
            continue
        ended += int(finished.sum())
        np.testing.assert_array_equal(info["_finished_episode"], finished)
        assert (env.scene.clocks.elapsed_s[finished] < 0.3).all()  # only the warm-up has passed
        assert (env.memory.counters.standing_s[finished] < 0.3).all()
        # The last observation differs from the first one of the next route
        last = np.stack([final["vector"] for final in info["final_obs"][finished]])
        first = observation["vector"][finished]
        assert (np.abs(last - first).max(axis=1) > 0.01).all()
    assert ended >= 3


ACCOUNTS = {"return", "length", "route_completion"}


@pytest.mark.parametrize("reward", ["carl", "nuplan_regular"])
def test_a_finished_episode_says_why_in_the_words_of_its_reward(reward: str) -> None:
    env = make_env(f"reward={reward}")
    config = compose_training_config([f"reward={reward}"]).reward
    names = {*config.terminations, *config.truncations}
    env.reset(seed=0)
    infos = [step[4] for step in drive(env, 120) if "finished_episode" in step[4]]
    assert infos
    for info in infos:
        assert info["finished_episode"].keys() == names | ACCOUNTS
        why = np.stack(
            [info["finished_episode"][name][info["_finished_episode"]] for name in names]
        )
        assert set(np.unique(why)) <= {0.0, 1.0}
        assert (why.sum(axis=0) >= 1.0).all()


def test_bound_rows_are_drawn_in_place(env: DrivingVectorEnv) -> None:
    steps = 5
    space = env.single_observation_space
    rows = {k: np.zeros((steps + 1, NUM_ENVS, *box.shape), box.dtype) for k, box in space.items()}
    env.bind(rows)
    first, _ = env.reset(seed=0)
    assert np.shares_memory(first["vector"], rows["vector"][0])
    for t, (observation, *_) in enumerate(drive(env, steps), start=1):
        assert np.shares_memory(observation["vector"], rows["vector"][t])
        assert observation["vector"].any()
    with pytest.raises(IndexError, match="rewind"):
        next(drive(env, 1))
    env.rewind()
    np.testing.assert_array_equal(rows["vector"][0], rows["vector"][steps])


def test_rows_of_another_shape_are_refused(env: DrivingVectorEnv) -> None:
    with pytest.raises(ValueError, match="expected float32"):
        env.bind({"vector": np.zeros((3, NUM_ENVS, 7), np.float32)})


def test_a_restored_world_goes_on_bit_by_bit() -> None:
    env, other = make_env(), make_env()
    env.reset(seed=0)
    for _ in drive(env, 30):
        pass
    other.reset(seed=5)
    other.load_state_dict(env.state_dict())
    np.testing.assert_array_equal(env.observe()["vector"], other.observe()["vector"])
    for mine, theirs in zip(drive(env, 60, seed=1), drive(other, 60, seed=1), strict=True):
        np.testing.assert_array_equal(mine[0]["vector"], theirs[0]["vector"])
        np.testing.assert_array_equal(mine[1], theirs[1])


def test_ranks_share_the_worlds_of_one_process() -> None:
    whole, second = make_env(num_envs=4), make_env("+env.rank=1", num_envs=2)
    whole.reset(seed=0)
    second.reset(seed=0)
    for mine, theirs in zip(
        (step[1][2:] for step in drive_straight(whole, 20)),
        (step[1] for step in drive_straight(second, 20)),
        strict=True,
    ):
        np.testing.assert_array_equal(mine, theirs)


def drive_straight(env: DrivingVectorEnv, steps: int) -> Iterator[tuple]:
    for _ in range(steps):
        yield env.step(np.tile(np.array([0.0, 0.5], np.float32), (env.num_envs, 1)))


def test_stored_scenes_are_redrawn_bit_by_bit() -> None:
    pixels = make_env("observation=carl_bev_64", num_envs=2)
    scenes = make_env("observation=carl_bev_64", "ppo.rollout_storage=scene", num_envs=2)
    steps = 6
    stored = {
        k: np.zeros((steps + 1, 2, *box.shape), box.dtype) for k, box in scenes.stored_space.items()
    }
    scenes.bind(stored)
    pixels.reset(seed=0)
    scenes.reset(seed=0)
    drawn = [step[0]["bev"].copy() for step in drive_straight(pixels, steps)]
    for _ in drive_straight(scenes, steps):
        pass
    flat = {k: v[1:].reshape(-1, *v.shape[2:]) for k, v in stored.items()}
    space = scenes.single_observation_space
    again = {k: np.zeros((2 * steps, *box.shape), box.dtype) for k, box in space.items()}
    scenes.redraw(flat, again)
    np.testing.assert_array_equal(again["bev"], np.concatenate(drawn))
    assert again["bev"].any()


def test_an_unbound_observation_outlives_the_next_step() -> None:
    env = make_env("observation=carl_bev_64", "ppo.rollout_storage=scene", num_envs=2)
    before, _ = env.reset(seed=0)
    num_changes = 0
    for _ in range(8):
        copy = before["bev"].copy()
        after = next(drive_straight(env, 1))[0]
        np.testing.assert_array_equal(before["bev"], copy)
        num_changes += not np.array_equal(before["bev"], after["bev"])
        before = after
    assert num_changes > 0


def test_a_single_world_begins_another_episode_at_every_reset() -> None:
    single = DrivingEnv([*SMALL, "scenarios.time_limit_s=1.0"])
    counter, action = single.vector.episodes, np.array([0.0, 0.5], np.float32)

    def ends_within(steps: int) -> bool:
        return any(True in single.step(action)[2:4] for _ in range(steps))

    single.reset()
    assert counter.episode.tolist() == [0]
    assert not ends_within(3)
    single.reset()  # in the middle of an episode, as a TimeLimit wrapper does
    assert (counter.episode.tolist(), counter.length.tolist()) == ([1], [0])
    assert ends_within(12)  # of 0.1 s
    single.reset()  # the step that ended the episode has begun the next
    assert (counter.episode.tolist(), counter.length.tolist()) == ([2], [0])
    single.reset()
    assert counter.episode.tolist() == [3]
    assert not ends_within(3)
    single.reset(seed=9)
    assert (counter.episode.tolist(), counter.length.tolist()) == ([0], [0])
    single.close()


def test_gymnasium_makes_both_forms() -> None:
    single = gymnasium.make("CarlPlanner/Embedded-v0", overrides=list(SMALL))
    observation, _ = single.reset(seed=0)
    assert single.observation_space.contains(observation)
    observation, reward, terminated, truncated, info = single.step(np.array([0.0, 0.5], np.float32))
    assert isinstance(reward, float)
    assert terminated is False
    assert truncated is False
    assert "progress" in info["reward_terms"]
    single.close()
    batch = gymnasium.make_vec("CarlPlanner/Embedded-v0", num_envs=2, overrides=list(SMALL))
    assert batch.num_envs == 2
    batch.close()


@pytest.mark.parametrize("repeat", [2, 3])
def test_a_held_action_earns_the_sum_of_its_steps_until_the_end(repeat: int) -> None:
    # Ends off the road and by time, in the middle of a decision and at its end
    short = ("scenarios.time_limit_s=6.3", "env.final_observations=true")
    env = make_env(*short, f"env.action_repeat={repeat}")
    singles = [make_env(*short, f"+env.rank={world}", num_envs=1) for world in range(NUM_ENVS)]
    env.reset(seed=0)
    for single in singles:
        single.reset(seed=0)
    actions = np.random.default_rng(2).uniform(-1.0, 1.0, (70, NUM_ENVS, 2)).astype(np.float32)
    actions[..., 0] *= 0.3
    actions[..., 1] = np.abs(actions[..., 1])
    ends_at: list[int] = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        for world, single in enumerate(singles):
            total, terms, final = 0.0, [], None
            for held in range(repeat):
                seen, paid, ended, cut, facts = single.step(action[world : world + 1])
                total += float(paid[0])
                terms.append(facts["reward_terms"]["overspeed"][0])
                if ended[0] or cut[0]:
                    ends_at.append(held)
                    final = facts
                    break
            assert reward[world] == pytest.approx(total, rel=1e-6)
            assert (terminated[world], truncated[world]) == (ended[0], cut[0])
            np.testing.assert_array_equal(observation["vector"][world], seen["vector"][0])
            assert info["reward_terms"]["overspeed"][world] == pytest.approx(np.mean(terms))
            if final:
                assert info["_finished_episode"][world]
                for name, values in final["finished_episode"].items():
                    assert info["finished_episode"][name][world] == pytest.approx(values[0])
                np.testing.assert_array_equal(
                    info["final_obs"][world]["vector"], final["final_obs"][0]["vector"]
                )
    assert {0, repeat - 1} <= set(ends_at)  # in the middle of a decision and at its end


def test_late_worlds_act_a_step_later() -> None:
    late = make_env("env.action_repeat=2", "env.late_share=0.5")
    prompt = make_env("env.action_repeat=2")
    late.reset(seed=0)
    prompt.reset(seed=0)
    full = np.tile(np.array([0.0, 1.0], np.float32), (NUM_ENVS, 1))
    first = NUM_ENVS // 2
    for action in (full, full, -full):
        late.step(action)
        prompt.step(action)
        told = action[:, 1]
        np.testing.assert_array_equal(late.scene.ego.throttle, np.maximum(told, 0.0))
        speeds = [
            np.hypot(env.scene.motion.vx_mps, env.scene.motion.vy_mps)[:, 0]
            for env in (late, prompt)
        ]
        np.testing.assert_array_equal(speeds[0][first:], speeds[1][first:])
        # It began a step later, and brakes a step later
        assert (speeds[0][:first] < speeds[1][:first]).all() == (told[0] > 0.0)


@pytest.mark.parametrize(
    "words", [("env.late_share=0.5",), ("env.action_repeat=2", "env.late_share=2")]
)
def test_lateness_that_cannot_be_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(Exception, match=r"env\.late_share is"):
        make_env(*words)


def test_an_action_held_for_no_step_is_refused() -> None:
    with pytest.raises(Exception, match="action_repeat is 0, expected at least 1"):
        make_env("env.action_repeat=0")
