"""Actor-critic with a policy of Betas or of choices, and a critic that also sees privileged values.

With `ImageFeatures` and `carl_cnn` it is CaRL's network under the names of the released state
dicts: a published `model_final.pth` loads strictly.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from gymnasium import spaces
from torch import Tensor, nn

from carl_planner.beta_distribution import BetaDistribution
from carl_planner.features import Observation, box_of, mlp
from carl_planner.grid_distribution import GridDistribution

ActionDistribution = BetaDistribution | GridDistribution


class PolicyOutput(NamedTuple):
    """What the network says about a batch of observations."""

    distribution: ActionDistribution  # over actions, (N, actions)
    value: Tensor  # (N,), expected return


class SampledActions(NamedTuple):
    """Actions drawn while collecting."""

    action: Tensor  # (N, actions), in [-1, 1]
    log_prob: Tensor  # (N,)
    value: Tensor  # (N,)
    distribution: ActionDistribution  # that they were drawn from


class ExplorationSuggestions(nn.Module):
    """Fixed Beta concentrations of Roach's exploration loss, part of every released state dict.

    Each is (alpha, beta) of a distribution that Roach pulls towards before an infraction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.suggest_go = _constant((2.5, 1.0))
        self.suggest_stop = _constant((1.0, 1.5))
        self.suggest_turn = _constant((1.0, 1.0))


class ActorCritic(nn.Module):
    """Shared features, a policy head with two outputs per action and a value head.

    Args:
        observation_space: Single driver's space; `value_measurements` feeds the critic alone.
        action_space: Single driver's space, a Box on [-1, 1].
        features: Builds the feature extractor for the observation space.
        head_widths: Hidden layers of each head.
        layer_norm: Normalise after each linear layer of the heads.
        min_concentration: Smallest alpha and beta of the policy's Betas.
        action_levels: Ascending values in [-1, 1] to choose from, a list for each action; None is
            a Beta for each.
        draws: Whether it drives by draws in evaluation too, as it has learned to, instead of by
            `decision()`: where going has a probability below one half in every step, the likeliest
            action is never to go. Needs `action_levels`.

    Raises:
        ValueError: levels that are no such lists, or draws without any.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Box,
        *,
        features: Callable[[spaces.Dict], nn.Module],
        head_widths: Sequence[int] = (256, 256),
        layer_norm: bool = True,
        min_concentration: float = 1.0,
        action_levels: Sequence[Sequence[float]] | None = None,
        draws: bool = False,
    ) -> None:
        super().__init__()
        num_actions = action_space.shape[0]
        num_value_measurements = box_of(observation_space, "value_measurements").shape[0]
        self.min_concentration = min_concentration
        # Names and order of registration are those of the released state dicts and Adam states.
        self.action_space_low = _constant([-1.0] * num_actions)
        self.action_space_high = _constant([1.0] * num_actions)
        self.features_extractor = features(observation_space)
        num_features = int(self.features_extractor.num_features)  # pyright: ignore[reportArgumentType]
        num_hidden = head_widths[-1] if head_widths else num_features
        self.action_dist = ExplorationSuggestions()
        self.policy_head = mlp(num_features, head_widths, layer_norm=layer_norm)
        if draws and action_levels is None:
            raise ValueError("policy.draws needs policy.action_levels: Betas drive by their means")
        self.draws = draws
        self.num_levels = [len(levels) for levels in action_levels or ()]
        if action_levels is None:
            self.dist_mu = nn.Sequential(nn.Linear(num_hidden, num_actions))
            self.dist_sigma = nn.Sequential(nn.Linear(num_hidden, num_actions))
        else:
            _check_levels(action_levels, num_actions)
            self.action_levels = _constant([value for levels in action_levels for value in levels])
            self.dist_logits = nn.Linear(num_hidden, sum(self.num_levels))
        num_critic_inputs = num_features + num_value_measurements
        self.value_head = mlp(num_critic_inputs, head_widths, layer_norm=layer_norm)
        self.value_head.append(nn.Linear(head_widths[-1] if head_widths else num_critic_inputs, 1))
        self.features_dtype: torch.dtype | None = None  # autocast's; None: float32
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, observation: Observation) -> PolicyOutput:
        """Distribution over actions and value of each observation."""
        features = self._features(observation)
        return PolicyOutput(self._distribution(features), self._value(features, observation))

    def act(self, observation: Observation) -> SampledActions:
        """Draw actions from torch's global generator."""
        distribution, value = self(observation)
        action = distribution.sample()
        return SampledActions(action, distribution.log_prob(action), value, distribution)

    @torch.no_grad()
    def sharpen(self, power: float) -> None:
        """Raise the odds of choices to a power: above 1 they are drawn nearer to the likeliest.

        Raises:
            ValueError: a power that is not positive, or a policy of Betas.
        """
        if not self.num_levels or not 0.0 < power < math.inf:
            raise ValueError(
                f"init_sharpness is {power}: expected a positive number, and a policy with "
                "policy.action_levels"
            )
        self.dist_logits.weight.mul_(power)
        self.dist_logits.bias.mul_(power)

    def distribution(self, observation: Observation) -> ActionDistribution:
        """Distribution over actions alone."""
        return self._distribution(self._features(observation))

    def drive(self, observation: Observation, uniform: Tensor | None = None) -> Tensor:
        """What it does in evaluation, shape (N, actions).

        Args:
            observation: Of N drivers.
            uniform: (N, actions) random numbers in [0, 1) for a policy that `draws`.
        """
        return self.driven(self.distribution(observation), uniform)

    def driven(self, distribution: ActionDistribution, uniform: Tensor | None = None) -> Tensor:
        """`drive`, of a distribution that is there already."""
        if not self.draws:
            return distribution.decision()
        assert isinstance(distribution, GridDistribution)
        assert uniform is not None
        return distribution.at(uniform)

    def value(self, observation: Observation) -> Tensor:
        """Expected return, shape (N,)."""
        return self._value(self._features(observation), observation)

    def _features(self, observation: Observation) -> Tensor:
        """What both heads see, in float32."""
        if self.features_dtype is None:
            return self.features_extractor(observation)
        device = observation["value_measurements"].device.type
        with torch.autocast(device, dtype=self.features_dtype):
            features = self.features_extractor(observation)
        return features.float()

    def _distribution(self, features: Tensor) -> ActionDistribution:
        hidden = self.policy_head(features)
        if self.num_levels:
            logits = self.dist_logits(hidden).split(self.num_levels, dim=1)
            return GridDistribution(logits, self.action_levels.split(self.num_levels))
        return BetaDistribution.from_network(
            self.dist_mu(hidden), self.dist_sigma(hidden), min_concentration=self.min_concentration
        )

    def _value(self, features: Tensor, observation: Observation) -> Tensor:
        critic_input = torch.cat((features, observation["value_measurements"]), dim=1)
        return self.value_head(critic_input).squeeze(1)


def num_trainable_parameters(policy: nn.Module) -> int:
    """Number of parameters that receive gradients."""
    return sum(parameter.numel() for parameter in policy.parameters() if parameter.requires_grad)


def _check_levels(action_levels: Sequence[Sequence[float]], num_actions: int) -> None:
    if len(action_levels) != num_actions:
        raise ValueError(
            f"policy.action_levels has {len(action_levels)} lists for {num_actions} actions"
        )
    for levels in map(list, action_levels):
        ascending = len(levels) > 1 and levels == sorted(set(levels))
        if not ascending or levels[0] < -1.0 or levels[-1] > 1.0:
            raise ValueError(
                f"policy.action_levels has {levels}, expected two or more ascending values "
                "between -1 and 1"
            )


def _constant(values: Sequence[float]) -> nn.Parameter:
    return nn.Parameter(torch.tensor(values), requires_grad=False)
