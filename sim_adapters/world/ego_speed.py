"""How the ego's speed answers throttle and brake: CARLA's fitted car, closed where the fit is open.

The published fit (PDM-Lite, carla_garage `team_code/config.py`, 20 Hz) gives the next speed for
throttle from 0.3 to 1.0 and for full brake. It was made from drives up to 120 km/h (`VALID_KMH`),
fewer at low throttle, and is not monotone outside them. We keep it where it has data and add:

- After its minimum over speed, acceleration at a given throttle stays at that minimum (the fitted
  polynomial turns upwards there for lack of data); above 120 km/h it goes on with its last slope.
- More throttle is never slower: acceleration is the least of all throttles above it.
- Coasting is the 0.3 curve shifted down to zero at standstill, less a rolling resistance.
  Between throttle 0 and 0.3 acceleration is linear in throttle, so every throttle starts the car.
- Brake mixes coasting and full brake linearly, because CARLA's brake torque is linear in it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function

SUBSTEP_S = 0.05  # the fit's step; other steps scale its speed change
VALID_KMH = 120.0
BRAKE_VALID_KMH = 112.0  # above it the brake fit weakens, the recorded brake does not
ROLLING_RESISTANCE_MPS2 = 0.15
STANDSTILL_MPS = 0.02  # slower than this without throttle is standing
_KMH_PER_MPS = 3.6

# next v = sum c_i f_i, v in km/h, f = (v, v^2, t, t^2, v t, v t^2, v^2 t, v^2 t^2)
_THROTTLE_FIT = (
    0.963873001,
    4.37535692e-4,
    -0.380192912,
    1.74950069,
    0.0916787414,
    -0.070546153,
    -1.05996152e-3,
    6.71079346e-4,
)
# next v = sum b_k v^k, k = 1 to 7, v in km/h
_BRAKE_FIT = (
    9.3171137e-3,
    0.0820967431,
    -2.83832427e-3,
    5.06587474e-5,
    -4.90357228e-7,
    2.44419284e-9,
    -4.91381935e-12,
)
_FIRST_THROTTLE = 0.3  # below it the fit has no data
_THROTTLE_STEP = 0.05
_SPEED_STEP_KMH = 2.0
_LAST_SPEED_KMH = 240.0


def fitted_next_speed_kmh(
    speed_kmh: NDArray[np.float64], throttle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The published throttle fit as it is: speed after 0.05 s; arguments broadcast."""
    v, t, c = speed_kmh, throttle, _THROTTLE_FIT
    constant = c[0] * v + c[1] * v**2
    linear = (c[2] + c[4] * v + c[6] * v**2) * t
    return constant + linear + (c[3] + c[5] * v + c[7] * v**2) * t**2


def _acceleration_table() -> NDArray[np.float64]:
    """Acceleration [m/s^2] by (speed row, throttle column); column 0 is coasting."""
    speeds = np.arange(0.0, _LAST_SPEED_KMH + 1.0, _SPEED_STEP_KMH)
    throttles = np.arange(_FIRST_THROTTLE, 1.0 + 1e-9, _THROTTLE_STEP)
    last_valid = int(VALID_KMH / _SPEED_STEP_KMH)
    gain = fitted_next_speed_kmh(speeds[:, None], throttles[None, :]) - speeds[:, None]
    slope = (gain[last_valid] - gain[last_valid - 1]) / _SPEED_STEP_KMH
    slope = np.minimum(slope, slope[-1])  # all lose speed at least as full throttle does
    beyond = speeds[last_valid:, None] - VALID_KMH
    gain = np.minimum.accumulate(gain, axis=0)
    gain[last_valid:] = gain[last_valid] + slope * beyond
    gain = np.minimum.accumulate(gain[:, ::-1], axis=1)[:, ::-1]
    acceleration = gain / (_KMH_PER_MPS * SUBSTEP_S)
    rolling = np.where(speeds > 0.0, ROLLING_RESISTANCE_MPS2, 0.0)
    coasting = acceleration[:, 0] - acceleration[0, 0] - rolling
    return np.ascontiguousarray(np.column_stack([coasting, acceleration]))


_ACCELERATION_MPS2 = _acceleration_table()
_LAST_ROW = _ACCELERATION_MPS2.shape[0] - 1
_LAST_COLUMN = _ACCELERATION_MPS2.shape[1] - 1


@device_function
def throttle_acceleration_mps2(speed_mps: float, throttle: float) -> float:
    """Acceleration at a throttle in [0, 1], bilinear between the table's points."""
    row_exact = min(max(speed_mps * (_KMH_PER_MPS / _SPEED_STEP_KMH), 0.0), _LAST_ROW - 1e-9)
    row = int(row_exact)
    if throttle < _FIRST_THROTTLE:
        column_exact = throttle / _FIRST_THROTTLE
    else:
        column_exact = 1.0 + (throttle - _FIRST_THROTTLE) / _THROTTLE_STEP
    column_exact = min(max(column_exact, 0.0), _LAST_COLUMN - 1e-9)
    column = int(column_exact)
    up, right = row_exact - row, column_exact - column
    table = _ACCELERATION_MPS2
    low = table[row, column] + right * (table[row, column + 1] - table[row, column])
    high = table[row + 1, column] + right * (table[row + 1, column + 1] - table[row + 1, column])
    return low + up * (high - low)


@device_function
def full_brake_acceleration_mps2(speed_mps: float) -> float:
    """Mean acceleration over 0.05 s of full brake, at most 0; constant above 112 km/h."""
    v = min(speed_mps * _KMH_PER_MPS, BRAKE_VALID_KMH)
    next_v = 0.0
    for k in range(len(_BRAKE_FIT) - 1, -1, -1):
        next_v = (next_v + _BRAKE_FIT[k]) * v
    return (next_v - v) / (_KMH_PER_MPS * SUBSTEP_S)


@device_function
def next_speed_mps(speed_mps: float, throttle: float, brake: float, dt: float) -> float:
    """Speed after `dt`, never negative; any brake overrides the throttle, as in the fit.

    Args:
        speed_mps: Forward speed, >= 0.
        throttle: In [0, 1].
        brake: In [0, 1].
        dt: Step [s]; the fit's own is `SUBSTEP_S`.
    """
    if brake > 0.0:
        coasting = throttle_acceleration_mps2(speed_mps, 0.0)
        braking = full_brake_acceleration_mps2(speed_mps)
        acceleration = coasting + brake * (min(braking, coasting) - coasting)
    else:
        acceleration = throttle_acceleration_mps2(speed_mps, throttle)
    speed = max(speed_mps + acceleration * dt, 0.0)
    if speed < STANDSTILL_MPS and (throttle <= 0.0 or brake > 0.0):
        return 0.0
    return speed
