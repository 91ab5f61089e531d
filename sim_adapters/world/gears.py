"""The automatic gearbox as CARLA reports it, because CaRL's policy reads the gear.

Fitted by eye to the shift dips of recorded CARLA drives (Lincoln MKZ, 20 Hz): while it changes gear
the car stops accelerating for about three samples. Upshifts come at 19, 37, 61, 81 and 112 km/h at
throttle 0.6 and earlier, at 19, 32, 48, 65 and 94 km/h, at throttle 1 (the wheels spin faster than
the car drives); downshifts under full brake at 25, 41, 56, 81 and 108 km/h (the wheels slip).
Assumed, not measured: coasting shifts down at 0.5 / 0.65 of the upshift speed (Unreal's default
shift points); PhysX reports neutral (0) while it shifts; neutral from the spawn until the first
throttle, first gear from then on when standing; no reverse.
"""

from __future__ import annotations

import numpy as np

from sim_adapters.kernels import device_function

NUM_GEARS = 6
SHIFT_SUBSTEPS = 3  # substeps of 0.05 s in neutral
_CALM_THROTTLE = 0.6  # up to here the wheels hardly slip
_UPSHIFT_CALM_MPS = np.array([19.0, 37.0, 61.0, 81.0, 112.0]) / 3.6
_UPSHIFT_FULL_MPS = np.array([19.0, 32.0, 48.0, 65.0, 94.0]) / 3.6
_DOWNSHIFT_BRAKE_MPS = np.array([25.0, 41.0, 56.0, 81.0, 108.0]) / 3.6
_DOWNSHIFT_RATIO = 0.5 / 0.65


@device_function
def gear_wanted(gear: int, speed_mps: float, throttle: float, brake: float) -> int:
    """Gear that the gearbox would engage next from `gear` (0 neutral, 1 to 6): at most one away."""
    if gear == 0:
        return 1 if throttle > 0.0 or speed_mps > 0.1 else 0
    if gear < NUM_GEARS and brake <= 0.0:
        eager = max(throttle - _CALM_THROTTLE, 0.0) / (1.0 - _CALM_THROTTLE)
        calm, full = _UPSHIFT_CALM_MPS[gear - 1], _UPSHIFT_FULL_MPS[gear - 1]
        if speed_mps > calm + eager * (full - calm):
            return gear + 1
    if gear > 1:
        coasting = _DOWNSHIFT_RATIO * _UPSHIFT_FULL_MPS[gear - 2]
        braking = _DOWNSHIFT_BRAKE_MPS[gear - 2]
        if speed_mps < coasting + brake * (braking - coasting):
            return gear - 1
    return gear


@device_function
def gear_step(
    gear: int, substeps_left: int, speed_mps: float, throttle: float, brake: float
) -> tuple[int, int, int]:
    """Advance the gearbox by one substep of 0.05 s.

    Args:
        gear: Engaged gear, or the one being engaged.
        substeps_left: How long the gearbox still stays in neutral.
        speed_mps: Forward speed.
        throttle: In [0, 1].
        brake: In [0, 1].

    Returns:
        `gear` and `substeps_left` after the substep, and the gear that CARLA would report.
    """
    if substeps_left > 0:
        substeps_left -= 1
    else:
        wanted = gear_wanted(gear, speed_mps, throttle, brake)
        if wanted != gear:
            substeps_left = SHIFT_SUBSTEPS if gear != 0 else 0
            gear = wanted
    return gear, substeps_left, 0 if substeps_left > 0 else gear
