"""Speed and curvature along a trajectory, by the devkit's two regularised least-squares fits.

The devkit writes both fits with dense matrices in (initial value, derivatives) and inverts them.
In terms of the profiles themselves the normal equations are banded, with the same minimiser:

    speed      sum (dt v_k - p_k)^2 + lambda sum ((v_k+2 - 2 v_k+1 + v_k) / dt)^2
    curvature  sum (dt v_k c_k - y_k)^2 + mu sum ((c_k+1 - c_k) / dt)^2 + nu c_0^2

with p_k the step along the heading at its start and y_k the turn of step k. (The heading drops
out of the first matrix because cos^2 + sin^2 = 1.)

Source: nuplan-devkit, tracker_utils.py, and the defaults of lqr_tracker.yaml.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function

FloatArray = NDArray[np.float64]

PROFILE_STEP_S = 0.1
JERK_PENALTY = 1e-4
CURVATURE_RATE_PENALTY = 1e-2
INITIAL_CURVATURE_PENALTY = 1e-10


class Profiles(NamedTuple):
    """Workspace of the fits, (E, M): M steps of 0.1 s between M + 1 poses."""

    step_m: FloatArray  # p, along the heading at the step's start
    turn_rad: FloatArray  # y
    speed_mps: FloatArray  # fitted
    curvature_radpm: FloatArray  # fitted
    diagonal: FloatArray  # factors of the speed fit's matrix: L D L^T with two lower bands
    lower: FloatArray
    second_lower: FloatArray
    excess: FloatArray  # of the curvature fit's elimination


def empty_profiles(num_agents: int, num_steps: int) -> Profiles:
    """Workspace for trajectories of `num_steps` tenths of a second."""
    return Profiles(*(np.zeros((num_agents, num_steps)) for _ in Profiles._fields))


@device_function
def fit_speed(agent: int, num_steps: int, profiles: Profiles) -> None:
    """Fill `speed_mps` from `step_m`.

    The matrix dt^2 I + w D^T D, D second differences, is pentadiagonal and well conditioned.
    """
    dt = PROFILE_STEP_S
    weight = JERK_PENALTY / (dt * dt)
    diagonal, lower = profiles.diagonal, profiles.lower
    second, speed = profiles.second_lower, profiles.speed_mps
    last = num_steps - 1
    for k in range(num_steps):
        # Rows (1, -2, 1) of D that start at k, k - 1 and k - 2
        starts, middles, ends = k <= last - 2, 1 <= k <= last - 1, k >= 2
        value = dt * dt + weight * ((1.0 if starts else 0.0) + (1.0 if ends else 0.0))
        value += 4.0 * weight if middles else 0.0
        right_hand = dt * profiles.step_m[agent, k]
        # Bands right of the diagonal, divided by it after elimination
        first_band = (-2.0 * weight if starts else 0.0) + (-2.0 * weight if middles else 0.0)
        second_band = weight if starts else 0.0
        if k >= 1:
            factor = lower[agent, k - 1]
            value -= factor * factor * diagonal[agent, k - 1]
            first_band -= factor * second[agent, k - 1] * diagonal[agent, k - 1]
            right_hand -= factor * speed[agent, k - 1]
        if k >= 2:
            factor = second[agent, k - 2]
            value -= factor * factor * diagonal[agent, k - 2]
            right_hand -= factor * speed[agent, k - 2]
        diagonal[agent, k] = value
        lower[agent, k] = first_band / value
        second[agent, k] = second_band / value
        speed[agent, k] = right_hand
    for k in range(last, -1, -1):
        speed[agent, k] /= diagonal[agent, k]
        if k + 1 <= last:
            speed[agent, k] -= lower[agent, k] * speed[agent, k + 1]
        if k + 2 <= last:
            speed[agent, k] -= second[agent, k] * speed[agent, k + 2]


@device_function
def fit_curvature(agent: int, num_steps: int, profiles: Profiles) -> None:
    """Fill `curvature_radpm` from `turn_rad` and `speed_mps`.

    The matrix is w times a chain of springs plus (dt v)^2 on the diagonal. Eliminating from the
    end with only the excess over the chain keeps full precision when the car hardly moves.
    """
    dt = PROFILE_STEP_S
    weight = CURVATURE_RATE_PENALTY / (dt * dt)
    excess, curvature = profiles.excess, profiles.curvature_radpm
    carried_excess, carried_right = 0.0, 0.0
    for k in range(num_steps - 1, -1, -1):
        reach = dt * profiles.speed_mps[agent, k]
        own = reach * reach + (INITIAL_CURVATURE_PENALTY if k == 0 else 0.0)
        excess[agent, k] = own + carried_excess
        curvature[agent, k] = reach * profiles.turn_rad[agent, k] + carried_right
        share = weight / (weight + excess[agent, k])
        carried_excess = share * excess[agent, k]
        carried_right = share * curvature[agent, k]
    curvature[agent, 0] /= excess[agent, 0]
    for k in range(1, num_steps):
        curvature[agent, k] = (curvature[agent, k] + weight * curvature[agent, k - 1]) / (
            weight + excess[agent, k]
        )
