"""Traffic lights: CARLA's junction cycles as a pure function of time, and scenario overrides.

The arms of a junction are green one after the other. Each has green, then yellow, then an all-red
gap, while all others stand at red; then the next one starts (CARLA 0.9.16
`TrafficLightController`, `TrafficLightGroup`). CARLA resets a town with arm 0 of every junction
green at the same instant.

Limit: CARLA ends a stage on the first tick after its time; ours ends exactly on time.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import MapBank, MapRanges, SignalGroups, Signals
from sim_adapters.scene.state import Clocks, Lights, LightState

_RED, _YELLOW, _GREEN = int(LightState.RED), int(LightState.YELLOW), int(LightState.GREEN)
_OFF = int(LightState.OFF)
_DRAW_OFFSET = 210  # purpose of the random draw


class SignalPlan(NamedTuple):
    """What differs from world to world, (B, groups of the largest map) and (B, L)."""

    offset_s: NDArray[np.float64]  # where in its cycle a group starts the episode
    forced_state: NDArray[np.uint8]  # LightState that a scenario imposes ...
    forced_until_s: NDArray[np.float64]  # ... until this episode time
    forced_change_s: NDArray[np.float64]  # when it is said to change


def empty_signal_plan(num_worlds: int, maps: MapBank) -> SignalPlan:
    """Cycles as after CARLA's reset, nothing forced."""
    num_groups = max(1, int(np.diff(maps.ranges.group).max()))
    lights = (num_worlds, maps.max_lights)
    return SignalPlan(
        np.zeros((num_worlds, num_groups)),
        np.zeros(lights, np.uint8),
        np.zeros(lights),
        np.zeros(lights),
    )


@device_function
def light_phase(
    time_s: float, phase: int, num_phases: int, green_s: float, yellow_s: float, red_s: float
) -> tuple[int, float]:
    """State of the light of arm `phase` at `time_s` of its group's clock, and its time left [s]."""
    arm_s = green_s + yellow_s + red_s
    cycle_s = arm_s * max(num_phases, 1)
    local_s = time_s - phase * arm_s
    local_s -= cycle_s * math.floor(local_s / cycle_s)
    if local_s < green_s:
        return _GREEN, green_s - local_s
    if local_s < green_s + yellow_s:
        return _YELLOW, green_s + yellow_s - local_s
    return _RED, cycle_s - local_s


@range_kernel
def reset_signals_range(
    first: int,
    last: int,
    plan: SignalPlan,
    groups: SignalGroups,
    ranges: MapRanges,
    clocks: Clocks,
    random_start: bool,
) -> None:
    """Start the cycles of worlds `first` to `last`: at random places, or as CARLA resets a town."""
    for world in range(first, last):
        plan.forced_until_s[world, :] = 0.0
        plan.offset_s[world, :] = 0.0
        first_group = ranges.group[clocks.map_index[world]]
        num_groups = ranges.group[clocks.map_index[world] + 1] - first_group
        for local in range(num_groups if random_start else 0):
            group = first_group + local
            arm_s = groups.green_s[group] + groups.yellow_s[group] + groups.red_s[group]
            draw = uniform(clocks.seed[world], local, 0, _DRAW_OFFSET)
            plan.offset_s[world, local] = draw * arm_s * groups.num_phases[group]


@range_kernel
def update_lights_range(
    first: int,
    last: int,
    lights: Lights,
    plan: SignalPlan,
    signals: Signals,
    groups: SignalGroups,
    ranges: MapRanges,
    clocks: Clocks,
) -> None:
    """Write state and time left of every light of worlds `first` to `last`."""
    for world in range(first, last):
        now_s = float(clocks.elapsed_s[world])
        map_index = clocks.map_index[world]
        first_signal, first_group = int(ranges.signal[map_index]), int(ranges.group[map_index])
        num_signals = ranges.signal[map_index + 1] - first_signal
        for light in range(num_signals):
            group = int(signals.group[first_signal + light])
            state, left_s = light_phase(
                now_s + float(plan.offset_s[world, group - first_group]),
                int(signals.phase[first_signal + light]),
                int(groups.num_phases[group]),
                float(groups.green_s[group]),
                float(groups.yellow_s[group]),
                float(groups.red_s[group]),
            )
            if now_s < plan.forced_until_s[world, light]:
                state = int(plan.forced_state[world, light])
                left_s = float(plan.forced_change_s[world, light]) - now_s
            lights.state[world, light] = state
            lights.remaining_s[world, light] = left_s
        for light in range(num_signals, lights.state.shape[1]):
            lights.state[world, light] = _OFF
            lights.remaining_s[world, light] = np.inf
