"""The short vectors of CaRL's nuPlan observation: ten for the policy, four more for the critic.

Raw SI values, left is positive. Velocity and acceleration are those of the ego's centre as the
devkit shifts them from the rear axle.
"""

from __future__ import annotations

from numpy.typing import NDArray

from rewards.driving_events import NUM_COMFORT_METRICS
from sim_adapters.kernels import range_kernel
from sim_adapters.scene.nuplan_events.memory import NuplanTracker, centre_ax_mps2, centre_vy_mps
from sim_adapters.scene.state import EgoBody, EgoState

TTC_FAILED_VALUE = 0.5  # what the critic sees of a failed time-to-collision test


@range_kernel
def write_nuplan_measurements_range(
    first: int, last: int, ego: EgoState, body: EgoBody, measurements: NDArray
) -> None:
    """Inputs of drivers first to last - 1.

    Order: last action (acceleration, steering, as the policy gave it), velocity forward and left,
    acceleration forward and left [SI, centre], tyre angle, its rate, yaw rate, yaw acceleration.
    """
    for driver in range(first, last):
        out = measurements[driver]
        out[0] = ego.throttle[driver] - ego.brake[driver]
        out[1] = ego.steer[driver]
        out[2] = body.vx_mps[driver]
        out[3] = centre_vy_mps(driver, body)
        out[4] = centre_ax_mps2(driver, body)
        out[5] = body.ay_mps2[driver]
        out[6] = body.tyre_angle_rad[driver]
        out[7] = body.tyre_rate_radps[driver]
        out[8] = body.yaw_rate_radps[driver]
        out[9] = body.yaw_acceleration_radps2[driver]


@range_kernel
def write_nuplan_value_measurements_range(
    first: int, last: int, tracker: NuplanTracker, value_measurements: NDArray
) -> None:
    """Inputs of the critics of drivers first to last - 1; all ones at the start of an episode.

    Order: share of the log's frames left, of the human's path left, of the comfort checks passed
    so far, and 1 or, once a time-to-collision test has failed, 0.5.
    """
    for driver in range(first, last):
        out = value_measurements[driver]
        out[0] = 1.0 - tracker.frame[driver] / tracker.num_frames[driver]
        out[1] = 1.0 - tracker.completion[driver]
        out[2] = 1.0 - tracker.num_uncomfortable[driver] / NUM_COMFORT_METRICS
        out[3] = TTC_FAILED_VALUE if tracker.ttc_failed[driver] else 1.0
