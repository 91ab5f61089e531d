"""Generalised advantage estimation (Schulman et al. 2016) with terminated and truncated apart."""

from __future__ import annotations

import numpy as np


def generalized_advantages(
    reward: np.ndarray,
    value: np.ndarray,
    terminated: np.ndarray,
    truncated: np.ndarray,
    final_value: np.ndarray,
    *,
    gamma: float,
    gae_lambda: float,
) -> np.ndarray:
    """Advantage of each step.

    Args:
        reward: (T, E).
        value: (T + 1, E), the last row is the value of the observation after the rollout.
        terminated: (T, E), the step ended its episode by the episode's own rules.
        truncated: (T, E), the step's episode was cut off.
        final_value: (T, E), where truncated the value of the last observation of the episode;
            zero to treat the cut as an end, as CaRL does.
        gamma: Discount per step.
        gae_lambda: Weight of longer horizons, 0 to 1.

    Returns:
        Advantages, (T, E); adding `value[:-1]` gives the targets of the critic.
    """
    num_steps = len(reward)
    ended = terminated | truncated
    next_value = np.where(ended, 0.0, value[1:])
    next_value[truncated & ~terminated] = final_value[truncated & ~terminated]
    delta = reward + gamma * next_value - value[:-1]
    decay = gamma * gae_lambda * ~ended
    advantage = np.empty_like(reward)
    running = np.zeros_like(reward[0])
    for t in range(num_steps - 1, -1, -1):
        running = delta[t] + decay[t] * running
        advantage[t] = running
    return advantage
