"""Beta policy: densities against scipy, sampling against moments, CaRL's mean and Roach's mode."""

import math

import pytest
import torch
from scipy import stats

from carl_planner.beta_distribution import BetaDistribution


def beta(alpha: list[float], beta_: list[float]) -> BetaDistribution:
    return BetaDistribution(torch.tensor([alpha]), torch.tensor([beta_]))


def test_log_prob_is_the_density_on_the_unit_interval_summed_over_actions() -> None:
    distribution = beta([2.0, 3.5], [1.5, 1.2])
    expected = stats.beta(2.0, 1.5).logpdf(0.75) + stats.beta(3.5, 1.2).logpdf(0.2)
    action = torch.tensor([[0.5, -0.6]])  # x = 0.75 and 0.2
    assert float(distribution.log_prob(action)) == pytest.approx(expected, rel=1e-5)


def test_uniform_policy_has_zero_log_prob_and_zero_entropy() -> None:
    distribution = beta([1.0, 1.0], [1.0, 1.0])
    assert float(distribution.log_prob(torch.tensor([[0.3, -1.0]]))) == pytest.approx(0.0, abs=1e-6)
    assert float(distribution.entropy()) == pytest.approx(0.0, abs=1e-6)


def test_entropy_matches_scipy() -> None:
    expected = stats.beta(2.0, 1.5).entropy() + stats.beta(3.5, 1.2).entropy()
    assert float(beta([2.0, 3.5], [1.5, 1.2]).entropy()) == pytest.approx(float(expected), rel=1e-5)


def test_actions_on_the_border_have_finite_log_prob() -> None:
    distribution = beta([3.0, 3.0], [3.0, 3.0])
    # x is clamped to 1e-7: log density is 2 log(1e-7) + log 30 on each side, B(3, 3) = 1 / 30.
    expected = 2 * (2 * math.log(1e-7) + math.log(30.0))
    log_prob = float(distribution.log_prob(torch.tensor([[-1.0, 1.0]])))
    assert log_prob == pytest.approx(expected, rel=0.01)  # 1 - 1e-7 is coarse in float32


def test_network_outputs_of_zero_give_softplus_of_zero_plus_one() -> None:
    distribution = BetaDistribution.from_network(torch.zeros(1, 2), torch.zeros(1, 2))
    torch.testing.assert_close(distribution.alpha, torch.full((1, 2), 1.0 + math.log(2.0)))
    torch.testing.assert_close(distribution.mean(), torch.zeros(1, 2))


def test_samples_have_the_distributions_moments() -> None:
    torch.manual_seed(0)
    distribution = BetaDistribution(torch.full((40_000, 1), 4.0), torch.full((40_000, 1), 2.0))
    sample = distribution.sample()
    assert sample.abs().max() <= 1.0
    # On [0, 1] mean 4/6 and variance 4*2/(36*7); the stretch takes 2 and 4 times as much.
    assert float(sample.mean()) == pytest.approx(2 * 4 / 6 - 1, abs=0.01)
    assert float(sample.var()) == pytest.approx(4 * 8 / 252, rel=0.05)
    torch.testing.assert_close(distribution.mean()[0], torch.tensor([1 / 3]))


def test_mode_follows_the_three_cases() -> None:
    # Unimodal: (4-1)/(4+2-2) = 0.75. Rising: upper edge. Falling: lower edge. U-shaped: mean 1/4.
    mode = beta([4.0, 2.0, 0.5, 0.2], [2.0, 1.0, 3.0, 0.6]).mode()
    torch.testing.assert_close(mode, torch.tensor([[0.5, 1.0, -1.0, -0.5]]))


def test_kl_divergence_matches_torch() -> None:
    ours = beta([2.0, 3.5], [1.5, 1.2]).kl_divergence(beta([1.0, 2.0], [2.5, 4.0]))
    reference = torch.distributions.kl_divergence(
        torch.distributions.Beta(torch.tensor([2.0, 3.5]), torch.tensor([1.5, 1.2])),
        torch.distributions.Beta(torch.tensor([1.0, 2.0]), torch.tensor([2.5, 4.0])),
    ).sum()
    torch.testing.assert_close(ours[0], reference)


@pytest.mark.timeout(10)
def test_sampling_from_nan_concentrations_returns() -> None:
    # The Gamma sampler rejects NaN for ever; the loss check must get its chance to report.
    sample = beta([math.nan, 2.0], [2.0, 2.0]).sample()
    assert sample.shape == (1, 2)
