"""Choices among a few values: log-probabilities by hand, entropies by scipy, counted draws."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from gymnasium import spaces
from scipy import stats

from carl_planner.distributed import ProcessGroup
from carl_planner.features import VectorFeatures
from carl_planner.grid_distribution import GridDistribution
from carl_planner.policy import ActorCritic
from carl_planner.ppo import Ppo
from carl_planner.rollout_buffer import PixelStorage, RolloutBuffer
from tests.carl_planner.test_ppo import SETTINGS, SPACE

STEER = torch.tensor([-1.0, 0.0, 1.0])
PEDAL = torch.tensor([-1.0, 0.5])
SHARES = ((0.2, 0.5, 0.3), (0.6, 0.4))


def grid(rows: int = 1) -> GridDistribution:
    """Of known shares; logits are only defined up to a constant."""
    logits = [torch.tensor(shares).log().repeat(rows, 1) + 3.0 for shares in SHARES]
    return GridDistribution(logits, (STEER, PEDAL))


def test_log_prob_is_that_of_the_nearest_values() -> None:
    action = torch.tensor([[-0.4, 0.3]])  # nearest to 0 and 0.5
    assert float(grid().log_prob(action)) == pytest.approx(math.log(0.5 * 0.4), rel=1e-5)


def test_every_value_has_its_own_probability() -> None:
    found = [
        float(grid().log_prob(torch.tensor([[steer, pedal]])).exp())
        for steer in STEER.tolist()
        for pedal in PEDAL.tolist()
    ]
    assert found == pytest.approx([s * p for s in SHARES[0] for p in SHARES[1]], rel=1e-5)


def test_an_action_between_two_values_is_learned_as_both_by_its_place() -> None:
    taught = torch.tensor([[0.25, -1.0]])  # three quarters 0, one quarter 1
    expected = -(0.75 * math.log(0.5) + 0.25 * math.log(0.3)) - math.log(0.6)
    assert float(grid().imitation_loss(taught)) == pytest.approx(expected, rel=1e-5)


def test_actions_beyond_the_levels_are_learned_as_the_last_ones() -> None:
    found = float(grid().imitation_loss(torch.tensor([[1.0, 0.9]])))
    assert found == pytest.approx(-math.log(0.3 * 0.4), rel=1e-5)


def test_entropy_matches_scipy() -> None:
    expected = sum(float(stats.entropy(shares)) for shares in SHARES)
    assert float(grid().entropy()) == pytest.approx(expected, rel=1e-5)


def test_draws_come_in_their_shares_and_the_likeliest_is_the_decision() -> None:
    torch.manual_seed(0)
    sample = grid(rows=40_000).sample()
    assert sample.shape == (40_000, 2)
    for column, (levels, shares) in enumerate(zip((STEER, PEDAL), SHARES, strict=True)):
        found = [float((sample[:, column] == level).float().mean()) for level in levels]
        assert found == pytest.approx(shares, abs=0.01)
    assert grid().decision().tolist() == [[0.0, -1.0]]


def test_a_number_stands_for_the_draw_whose_share_it_falls_into() -> None:
    # Steering: 0.2, 0.5, 0.3 end at 0.2, 0.7, 1; pedal: 0.6, 0.4 end at 0.6, 1
    numbers = torch.tensor([[0.0, 0.0], [0.19, 0.59], [0.21, 0.61], [0.69, 0.99], [0.71, 0.999]])
    found = grid(rows=5).at(numbers)
    assert found[:, 0].tolist() == [-1.0, -1.0, 0.0, 0.0, 1.0]
    assert found[:, 1].tolist() == [-1.0, -1.0, 0.5, 0.5, 0.5]


def test_draws_by_numbers_come_in_their_shares() -> None:
    numbers = torch.rand(40_000, 2, generator=torch.Generator().manual_seed(0))
    found = grid(rows=40_000).at(numbers)
    shares = [float((found[:, 0] == level).float().mean()) for level in STEER]
    assert shares == pytest.approx(SHARES[0], abs=0.01)


def test_two_humps_are_no_mean() -> None:
    logits = torch.tensor([[0.48, 0.04, 0.48]]).log()
    decision = GridDistribution([logits], [STEER]).decision()
    assert abs(float(decision)) == 1.0  # a Beta's mean is 0, which nobody wanted


def make_policy(*levels: list[float], draws: bool = False) -> ActorCritic:
    torch.manual_seed(0)
    return ActorCritic(
        SPACE,
        spaces.Box(-1, 1, (2,), np.float32),
        features=partial(VectorFeatures, widths=(16,)),
        head_widths=(8,),
        action_levels=levels or None,
        draws=draws,
    )


@pytest.mark.parametrize(
    ("levels", "reason"),
    [
        ([[-1.0, 1.0]], "1 lists for 2 actions"),
        ([[-1.0, 1.0], [0.0]], "two or more ascending"),
        ([[-1.0, 1.0], [0.5, 0.0]], "two or more ascending"),
        ([[-1.0, 1.0], [0.0, 0.0]], "two or more ascending"),
        ([[-2.0, 1.0], [0.0, 1.0]], "between -1 and 1"),
    ],
)
def test_levels_that_are_none_are_refused(levels: list[list[float]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make_policy(*levels)


def test_ppo_learns_to_choose_what_pays() -> None:
    policy = make_policy(STEER.tolist(), PEDAL.tolist())
    ppo = Ppo(policy, SETTINGS, ProcessGroup())
    storage = PixelStorage(SPACE, num_steps=4, num_envs=4, device=torch.device("cpu"))
    rollout = RolloutBuffer(
        storage, num_steps=4, num_envs=4, num_actions=2, device=torch.device("cpu")
    )
    for array in storage.rows.values():
        array[:] = 0.5
    for _ in range(40):
        with torch.no_grad():
            for t in range(4):
                sampled = policy.act(storage.current(t, {}))
                rollout.action[t], rollout.log_prob[t] = sampled.action, sampled.log_prob
                rollout.value[t] = sampled.value
        rollout.reward[:] = rollout.action[..., 0] == 1.0
        rollout.terminated[:] = True
        rollout.finish(gamma=0.9, gae_lambda=0.9)
        ppo.update(rollout)
    with torch.no_grad():
        decision = policy.distribution(rollout.fetch(torch.arange(1))[0]).decision()
    assert float(decision[0, 0]) == 1.0


@pytest.mark.parametrize("key", ["target_kl", "exploration"])
def test_losses_between_betas_are_refused(key: str) -> None:
    settings = replace(SETTINGS, **{key: 0.1})
    with pytest.raises(ValueError, match="this policy has action_levels"):
        Ppo(make_policy(STEER.tolist(), PEDAL.tolist()), settings, ProcessGroup())


def test_policy_drives_by_draws_only_if_it_says_so() -> None:
    observation = {name: torch.zeros(2, *box.shape) for name, box in SPACE.items()}
    levels, numbers = (STEER.tolist(), PEDAL.tolist()), torch.tensor([[0.0, 0.0], [0.999, 0.999]])
    with torch.no_grad():
        likeliest = make_policy(*levels).drive(observation, numbers)
        drawn = make_policy(*levels, draws=True).drive(observation, numbers)
    assert torch.equal(likeliest[0], likeliest[1])
    assert drawn.tolist() == [[-1.0, -1.0], [1.0, 0.5]]
    with pytest.raises(ValueError, match=r"draws needs policy\.action_levels"):
        make_policy(draws=True)
