"""Independent choices of one of a few values for each action.

A Beta has one hump, so where going and braking are both good but creeping is not, its mean is the
one thing that is wrong. A choice among values has as many humps as it needs, and PPO learns with it
at least as well as with continuous actions (Tang and Agrawal 2020, arXiv 1901.10500; Gigaflow and
PufferDrive choose among a dozen).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class GridDistribution:
    """One categorical distribution per action dimension over that dimension's values.

    Args:
        logits: Of each dimension, shape (N, values), unnormalised.
        levels: Values of each dimension, shape (values,), ascending.
    """

    def __init__(self, logits: Sequence[Tensor], levels: Sequence[Tensor]) -> None:
        self.log_probs = [each.log_softmax(-1) for each in logits]
        self.levels = levels

    def sample(self) -> Tensor:
        """One action each, shape (N, actions), of the grid's values."""
        # The sampler refuses a NaN without a word; the check of the loss reports it instead.
        chosen = [
            torch.multinomial(each.detach().exp().nan_to_num(nan=1.0), 1).squeeze(-1)
            for each in self.log_probs
        ]
        return self._values(chosen)

    def log_prob(self, action: Tensor) -> Tensor:
        """Log-probability of the values nearest to `action`, (N, actions); shape (N,)."""
        total = action.new_zeros(len(action))
        for column, (log_probs, levels) in enumerate(zip(self.log_probs, self.levels, strict=True)):
            middles = (levels[1:] + levels[:-1]) / 2
            index = torch.bucketize(action[:, column].contiguous(), middles)
            total = total + log_probs.gather(1, index[:, None]).squeeze(1)
        return total

    def imitation_loss(self, taught: Tensor) -> Tensor:
        """Cross-entropy with the taught actions, (N, actions), in [-1, 1]; shape (N,).

        An action between two values counts for both, in such shares that their mean is the action.
        """
        total = taught.new_zeros(len(taught))
        for column, (log_probs, levels) in enumerate(zip(self.log_probs, self.levels, strict=True)):
            value = taught[:, column].contiguous().clamp(levels[0], levels[-1])
            upper = torch.bucketize(value, levels).clamp(1, len(levels) - 1)
            share = (value - levels[upper - 1]) / (levels[upper] - levels[upper - 1])
            above = log_probs.gather(1, upper[:, None]).squeeze(1)
            below = log_probs.gather(1, upper[:, None] - 1).squeeze(1)
            total = total - share * above - (1.0 - share) * below
        return total

    def entropy(self) -> Tensor:
        """Shannon entropy [nats], summed over dimensions; shape (N,)."""
        return torch.stack([-(each.exp() * each).sum(-1) for each in self.log_probs]).sum(0)

    def decision(self) -> Tensor:
        """Likeliest value of each dimension, shape (N, actions)."""
        return self._values([each.argmax(-1) for each in self.log_probs])

    def at(self, uniform: Tensor) -> Tensor:
        """The draw that numbers in [0, 1) stand for, both (N, actions); by inverse distribution."""
        chosen = []
        for column, log_probs in enumerate(self.log_probs):
            below = log_probs.exp().cumsum(-1) <= uniform[:, column, None]
            chosen.append(below.sum(-1).clamp_max(log_probs.shape[1] - 1))
        return self._values(chosen)

    def _values(self, chosen: Sequence[Tensor]) -> Tensor:
        return torch.stack(
            [levels[index] for levels, index in zip(self.levels, chosen, strict=True)], dim=-1
        )
