"""Our id among gymnasium's own checks, vectors and wrappers, and in the usual libraries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import sim_adapters  # noqa: F401  (makes the id known)
from sim_adapters.gymnasium_envs import DrivingEnv

ID = "CarlPlanner/Embedded-v0"
SMALL = (
    "simulator.towns=[Town02]",
    "simulator.traffic.num_vehicles=4",
    "simulator.max_vehicles=6",
    "simulator.warm_up_s=0.2",
    "scenarios.length_m=200.0",
    "scenarios.scenario_triggers=false",
)
SHORT = (*SMALL, "scenarios.time_limit_s=1.0")
AHEAD = np.array([0.0, 0.5], np.float32)
# Gymnasium remarks on every space without bounds, also on its own
OPEN_BOX = "ignore:.*Box observation space (minimum|maximum) value.*:UserWarning"


def make(*more: str, **keywords: Any) -> Callable[[], gym.Env]:
    return lambda: gym.make(ID, overrides=[*SMALL, *more], **keywords)


def short() -> gym.Env:
    return gym.make(ID, overrides=list(SHORT))


def drive(env: Any, steps: int, action: np.ndarray = AHEAD) -> list[np.ndarray]:
    """The observed vectors of so many steps."""
    return [env.step(action)[0]["vector"].copy() for _ in range(steps)]


def equal_steps(first: list[np.ndarray], second: list[np.ndarray]) -> int:
    return sum(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def start_and_drive(env: Any, seed: Any, steps: int = 12) -> list[np.ndarray]:
    """First observations and what follows, of a single or a vector environment."""
    observation, _ = env.reset(seed=seed)
    num_envs = getattr(env, "num_envs", 0)
    action = np.tile(AHEAD, (num_envs, 1)) if num_envs else AHEAD
    return [observation["vector"].copy(), *drive(env, steps, action)]


# Seeds ---------------------------------------------------------------------------------------


def test_another_seed_gives_another_episode_and_the_same_one_the_same() -> None:
    env = make()()
    first, again, other = (start_and_drive(env, seed) for seed in (1, 1, 2))
    assert equal_steps(first, again) == 13
    assert equal_steps(first, other) == 0
    fresh = make()()
    assert equal_steps(first, start_and_drive(fresh, 1)) == 13
    made_with = make(seed=1)()
    assert equal_steps(first, start_and_drive(made_with, None)) == 13


def test_an_environment_that_nobody_seeds_is_unlike_any_other() -> None:
    first, second = (start_and_drive(make()(), None) for _ in range(2))
    assert equal_steps(first, second) == 0


@pytest.mark.parametrize("kind", ["sync", "list", "made"])
def test_copies_of_a_vector_are_different_worlds(kind: str) -> None:
    makers = [make(), make(), make()]
    if kind == "made":
        envs = gym.make_vec(ID, num_envs=3, vectorization_mode="sync", overrides=list(SMALL))
    else:
        envs = SyncVectorEnv(makers)
    seen = start_and_drive(envs, [7, 8, 9] if kind == "list" else 7)
    for step in seen:
        assert len(np.unique(step, axis=0)) == 3
    alone = start_and_drive(make()(), 9)
    assert equal_steps([step[2] for step in seen], alone) == 13
    envs.close()


def test_our_vector_takes_one_seed_or_one_a_world() -> None:
    envs = gym.make_vec(ID, num_envs=3, overrides=list(SMALL))
    whole = start_and_drive(envs, 7)
    assert equal_steps(whole, start_and_drive(envs, 7)) == 13
    assert all(len(np.unique(step, axis=0)) == 3 for step in whole)
    assert equal_steps(whole, start_and_drive(envs, 8)) == 0
    single = start_and_drive(envs, [4, 5, 4])
    assert all(np.array_equal(step[0], step[2]) for step in single)
    assert not any(np.array_equal(step[0], step[1]) for step in single)
    assert equal_steps([step[1] for step in single], start_and_drive(make()(), 5)) == 13
    with pytest.raises(ValueError, match="2 seeds for 3 worlds"):
        envs.reset(seed=[1, 2])
    for bad in (-1, 1.5, "1", True, [1, 2, "x"]):
        with pytest.raises(ValueError, match="whole number of 0 or more"):
            envs.reset(seed=bad)


def test_seeds_of_any_length_are_told_apart() -> None:
    env = make()()
    first, second = (start_and_drive(env, 2**100 + k, 3) for k in range(2))
    assert equal_steps(first, second) == 0


def test_a_masked_reset_leaves_the_other_worlds_as_they_are() -> None:
    envs = gym.make_vec(ID, num_envs=3, overrides=list(SMALL))
    before = start_and_drive(envs, 0)[-1]
    observation, _ = envs.reset(options={"reset_mask": np.array([False, True, False])})
    after = observation["vector"]
    assert [np.array_equal(before[k], after[k]) for k in range(3)] == [True, False, True]
    with pytest.raises(ValueError, match="reset_mask is int64"):
        envs.reset(options={"reset_mask": np.array([0, 1, 0])})


def test_a_saved_environment_goes_on_under_its_seeds() -> None:
    saved, restored = (gym.make_vec(ID, num_envs=2, overrides=list(SHORT)) for _ in range(2))
    start_and_drive(saved, [3, 11])
    restored.unwrapped.load_state_dict(saved.unwrapped.state_dict())
    actions = np.tile(AHEAD, (2, 1))
    assert equal_steps(drive(saved, 25, actions), drive(restored, 25, actions)) == 25


# Gymnasium's checks and wrappers -------------------------------------------------------------


@pytest.mark.filterwarnings(OPEN_BOX)
@pytest.mark.parametrize("observation", ["vector", "carl_bev_64"])
def test_gymnasiums_own_check_passes(observation: str) -> None:
    env = gym.make(ID, overrides=[*SMALL, f"observation={observation}"], render_mode="rgb_array")
    check_env(env.unwrapped)


def test_an_episode_that_has_ended_waits_for_its_reset() -> None:
    env = short().unwrapped
    with pytest.raises(gym.error.ResetNeeded):
        env.step(AHEAD)
    env.reset(seed=0)
    for _ in range(30):
        *_, terminated, truncated, info = env.step(AHEAD)
        if terminated or truncated:
            break
    assert info["finished_episode"]["length"] == 8.0  # 1 s less a warm-up of 0.2 s
    with pytest.raises(gym.error.ResetNeeded, match="call reset"):
        env.step(AHEAD)
    env.reset()
    env.step(AHEAD)


def test_episode_statistics_can_be_recorded() -> None:
    env = gym.wrappers.RecordEpisodeStatistics(short())
    env.reset(seed=0)
    total, steps, info = 0.0, 0, {}
    while "episode" not in info:
        _, reward, _, _, info = env.step(AHEAD)
        total, steps = total + float(reward), steps + 1
    assert info["episode"]["r"] == pytest.approx(total)
    assert info["episode"]["l"] == steps == info["finished_episode"]["length"]


def test_episode_statistics_of_our_vector_are_those_of_each_episode() -> None:
    envs = gym.wrappers.vector.RecordEpisodeStatistics(
        gym.make_vec(ID, num_envs=2, overrides=list(SHORT))
    )
    envs.reset(seed=0)
    ended = 0
    for _ in range(40):
        *_, info = envs.step(np.tile(AHEAD, (2, 1)))
        if "episode" in info:
            mask, ours = info["_episode"], info["finished_episode"]
            np.testing.assert_array_equal(mask, info["_finished_episode"])
            np.testing.assert_allclose(info["episode"]["r"][mask], ours["return"][mask], atol=1e-6)
            np.testing.assert_array_equal(info["episode"]["l"][mask], ours["length"][mask])
            ended += int(mask.sum())
    assert ended >= 6


def test_last_observations_come_as_gymnasiums_vectors_give_them() -> None:
    ours = gym.make_vec(ID, num_envs=2, overrides=list(SHORT))
    theirs = SyncVectorEnv([short] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    finals = []
    for envs in (ours, theirs):
        envs.reset(seed=[3, 4])
        info: dict[str, Any] = {}
        while "final_obs" not in info:
            *_, info = envs.step(np.tile(AHEAD, (2, 1)))
        finals.append(info)
    np.testing.assert_array_equal(finals[0]["_final_obs"], finals[1]["_final_obs"])
    for mine, other in zip(finals[0]["final_obs"], finals[1]["final_obs"], strict=True):
        assert mine.keys() == other.keys()
        for name, array in mine.items():
            np.testing.assert_array_equal(array, other[name])


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_gymnasiums_vector_runs_in_every_autoreset_mode(mode: AutoresetMode) -> None:
    envs = SyncVectorEnv([short] * 2, autoreset_mode=mode)
    envs.reset(seed=0)
    for _ in range(30):
        _, _, terminated, truncated, _ = envs.step(np.tile(AHEAD, (2, 1)))
        ended = terminated | truncated
        if mode is AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})
    envs.close()


def test_processes_drive_what_one_process_drives() -> None:
    # Fork after numba's and torch's threads is the reader's risk, so that the page says spawn
    envs = AsyncVectorEnv([short] * 2, context="spawn")
    seen = start_and_drive(envs, 5, 14)
    envs.close()
    one = SyncVectorEnv([short] * 2)
    assert equal_steps(seen, start_and_drive(one, 5, 14)) == 15


def test_the_usual_set_up_of_cleanrl_runs(tmp_path: Path) -> None:
    def make_env(seed: int) -> Callable[[], gym.Env]:
        def thunk() -> gym.Env:
            env = gym.make(ID, overrides=list(SHORT), render_mode="rgb_array")
            env = gym.wrappers.FlattenObservation(env)
            env = gym.wrappers.RecordEpisodeStatistics(env)
            env = gym.wrappers.ClipAction(env)
            env = gym.wrappers.NormalizeObservation(env)
            bounded = gym.spaces.Box(-10, 10, env.observation_space.shape, np.float64)
            env = gym.wrappers.TransformObservation(env, lambda o: np.clip(o, -10, 10), bounded)
            env = gym.wrappers.NormalizeReward(env, gamma=0.99)
            env = gym.wrappers.TransformReward(env, lambda reward: float(np.clip(reward, -10, 10)))
            env.action_space.seed(seed)
            return env

        return thunk

    envs = SyncVectorEnv([make_env(k) for k in range(2)])
    assert isinstance(envs.single_action_space, gym.spaces.Box)
    envs.reset(seed=1)
    returns = []
    for _ in range(40):
        *_, infos = envs.step(envs.action_space.sample())
        if "episode" in infos:
            returns += infos["episode"]["r"][infos["_episode"]].tolist()
    assert len(returns) >= 4
    envs.close()


# Pictures ------------------------------------------------------------------------------------


def test_a_picture_is_drawn_on_demand() -> None:
    env = make(render_mode="rgb_array")()
    env.reset(seed=0)
    before = env.render()
    assert before.shape == (480, 640, 3)
    assert before.dtype == np.uint8
    assert len(np.unique(before.reshape(-1, 3), axis=0)) > 50  # road, markings, ego, route
    for _ in range(8):
        env.step(AHEAD)
    assert not np.array_equal(before, env.render())
    assert env.metadata["render_modes"] == ["rgb_array"]
    assert env.metadata["render_fps"] == 10  # steps of 0.1 s
    envs = gym.make_vec(ID, num_envs=2, overrides=list(SMALL), render_mode="rgb_array")
    envs.reset(seed=0)
    pictures = envs.render()
    assert pictures is not None
    assert [picture.shape for picture in pictures] == [(480, 640, 3)] * 2
    assert not np.array_equal(*pictures)


def test_the_last_picture_of_an_episode_shows_its_end() -> None:
    env = gym.make(ID, overrides=list(SHORT), render_mode="rgb_array")
    env.reset(seed=0)
    ended = False
    while not ended:
        before = env.render()
        *_, terminated, truncated, _ = env.step(AHEAD)
        ended = terminated or truncated
    last = env.render()
    env.reset()
    # The camera rides along: a step of 0.1 s changes less than another route does
    moved, jumped = (np.mean(last != other) for other in (before, env.render()))
    assert moved < jumped


def test_rendering_without_a_mode_is_told_in_gymnasiums_way() -> None:
    env = make()()
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="render_mode"):
        assert env.unwrapped.render() is None
    with pytest.raises(ValueError, match="expected None or one of"):
        DrivingEnv(SMALL, render_mode="ansi")


def test_a_video_can_be_recorded(tmp_path: Path) -> None:
    pytest.importorskip("moviepy", reason="gymnasium's RecordVideo needs moviepy")
    env = gym.wrappers.RecordVideo(
        gym.make(ID, overrides=list(SHORT), render_mode="rgb_array"), str(tmp_path / "videos")
    )
    env.reset(seed=0)
    while not any(env.step(AHEAD)[2:4]):
        pass
    env.close()
    assert (tmp_path / "videos" / "rl-video-episode-0.mp4").stat().st_size > 1000


# Actions -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([np.nan, 0.0], np.float32), "finite numbers"),
        (np.array([0.0, np.inf]), "finite numbers"),
        (np.array([0.0, -np.inf]), "finite numbers"),
        (np.zeros(3, np.float32), r"\(3,\), expected float32 \(2,\)"),
        (np.zeros((1, 2), np.float32), r"\(1, 2\), expected"),
        (np.float32(0.5), r"\(\), expected"),
        (["left", "right"], "expected float32"),
        ([None, 1.0], "object"),
        ([True, False], "bool"),
        (np.array([1j, 0.0]), "complex128"),
    ],
)
def test_an_action_that_is_not_two_numbers_is_refused(action: Any, message: str) -> None:
    env = WARM_ENV()
    with pytest.raises(ValueError, match=message):
        env.step(action)
    env.step(AHEAD)  # goes on


def test_actions_of_a_vector_are_checked_world_by_world() -> None:
    envs = gym.make_vec(ID, num_envs=3, overrides=list(SMALL))
    envs.reset(seed=0)
    actions = np.tile(AHEAD, (3, 1))
    actions[2, 0] = np.nan
    with pytest.raises(ValueError, match="actions of world 2 are"):
        envs.step(actions)
    for wrong in (actions[:2], actions[0], actions.T, actions[..., None]):
        with pytest.raises(ValueError, match=r"expected float32 \(3, 2\)"):
            envs.step(wrong)
    for right in ([[0, 1]] * 3, np.full((3, 2), 5.0), np.zeros((3, 2), np.int64)):
        envs.step(right)  # numbers of any range are clipped


_warm: list[gym.Env] = []


def WARM_ENV() -> gym.Env:  # noqa: N802
    """One running environment for tests that only look at what it refuses."""
    if not _warm:
        _warm.append(make()().unwrapped)
        _warm[0].reset(seed=0)
    return _warm[0]


# Other libraries, where they are installed ---------------------------------------------------


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_stable_baselines3_checks_seeds_and_learns() -> None:
    pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_checker import check_env as check_for_sb3
    from stable_baselines3.common.env_util import make_vec_env

    check_for_sb3(gym.make(ID, overrides=list(SHORT)))
    envs = make_vec_env(ID, n_envs=3, seed=0, env_kwargs={"overrides": list(SHORT)})
    envs.reset()
    for _ in range(12):
        assert len(np.unique(envs.step(np.tile(AHEAD, (3, 1)))[0]["vector"], axis=0)) == 3
    PPO("MultiInputPolicy", envs, n_steps=16, batch_size=16, n_epochs=1, device="cpu").learn(96)


@pytest.mark.filterwarnings("ignore")
def test_torchrls_wrapper_rolls_out_and_seeds() -> None:
    pytest.importorskip("torchrl", reason="torchrl is not installed")
    from torchrl.envs import GymWrapper
    from torchrl.envs.utils import check_env_specs

    env = GymWrapper(gym.make(ID, overrides=list(SHORT)))
    check_env_specs(env)
    env.set_seed(0)
    first = env.rollout(6)["next", "vector"]
    env.set_seed(1)
    assert not (first == env.rollout(6)["next", "vector"]).all()
