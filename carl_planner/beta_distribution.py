"""Independent Beta distributions over actions in [-1, 1].

The density is that of x = (action + 1) / 2 in [0, 1], without the Jacobian of the stretch: it is
a constant factor, so ratios of probabilities, all that PPO uses, do not see it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

# Keeps log(x) and log(1 - x) finite for actions on the border.
EDGE = 1e-7


class BetaDistribution:
    """One Beta per action dimension; log-probabilities and entropies are sums over dimensions.

    Args:
        alpha: First concentration, shape (N, actions), positive.
        beta: Second concentration, same shape.
    """

    def __init__(self, alpha: Tensor, beta: Tensor) -> None:
        self.alpha = alpha
        self.beta = beta

    @classmethod
    def from_network(
        cls, alpha_logit: Tensor, beta_logit: Tensor, *, min_concentration: float = 1.0
    ) -> BetaDistribution:
        """Concentrations from two unbounded network outputs.

        With `min_concentration` 1 the density is unimodal and bounded at the edges
        (Chou et al. 2017); Roach uses 0.
        """
        return cls(
            F.softplus(alpha_logit) + min_concentration, F.softplus(beta_logit) + min_concentration
        )

    def sample(self) -> Tensor:
        """One action each, shape (N, actions), in [-1, 1]."""
        # A Beta is a normalised pair of Gamma variables; both pairs come from one call.
        pair = torch.stack((self.alpha, self.beta), dim=-1).detach()
        # The Gamma sampler would reject a NaN for ever; the check of the loss reports it instead.
        pair = pair.nan_to_num(nan=1.0)
        return torch._sample_dirichlet(pair)[..., 0] * 2.0 - 1.0  # pyright: ignore[reportPrivateImportUsage]

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-density of `action` on the unit interval, shape (N,)."""
        x = ((action + 1.0) * 0.5).clamp(EDGE, 1.0 - EDGE)
        log_density = (self.alpha - 1.0) * x.log() + (self.beta - 1.0) * torch.log1p(-x)
        return (log_density - self._log_normaliser()).sum(-1)

    def entropy(self) -> Tensor:
        """Differential entropy on the unit interval, shape (N,)."""
        total = self.alpha + self.beta
        return (
            self._log_normaliser()
            - (self.alpha - 1.0) * torch.digamma(self.alpha)
            - (self.beta - 1.0) * torch.digamma(self.beta)
            + (total - 2.0) * torch.digamma(total)
        ).sum(-1)

    def mean(self) -> Tensor:
        """Expected action, shape (N, actions)."""
        return 2.0 * self.alpha / (self.alpha + self.beta) - 1.0

    def decision(self) -> Tensor:
        """How CaRL drives in evaluation: the mean, shape (N, actions)."""
        return self.mean()

    def mode(self) -> Tensor:
        """Most likely action, shape (N, actions): how Roach drives in evaluation.

        Where the density is not unimodal inside, its higher edge; for a flat or U-shaped one
        (both concentrations at most 1) the mean.
        """
        a, b = self.alpha, self.beta
        inside = (a - 1.0) / (a + b - 2.0).clamp_min(EDGE)
        x = torch.where((a > 1.0) & (b > 1.0), inside, a / (a + b))
        x = torch.where((a <= 1.0) & (b > 1.0), 0.0, x)
        x = torch.where((a > 1.0) & (b <= 1.0), 1.0, x)
        return x * 2.0 - 1.0

    def kl_divergence(self, other: BetaDistribution) -> Tensor:
        """KL(self || other), shape (N,)."""
        return self.kl_divergence_by_action(other).sum(-1)

    def kl_divergence_by_action(self, other: BetaDistribution) -> Tensor:
        """KL(self || other) of each action's Beta, shape (N, actions)."""
        own_total = self.alpha + self.beta
        other_total = other.alpha + other.beta
        return (
            other._log_normaliser()
            - self._log_normaliser()
            + (self.alpha - other.alpha) * torch.digamma(self.alpha)
            + (self.beta - other.beta) * torch.digamma(self.beta)
            + (other_total - own_total) * torch.digamma(own_total)
        )

    def _log_normaliser(self) -> Tensor:
        return (
            torch.lgamma(self.alpha)
            + torch.lgamma(self.beta)
            - torch.lgamma(self.alpha + self.beta)
        )
