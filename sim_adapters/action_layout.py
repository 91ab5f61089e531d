"""ActionLayout: how a network's two outputs mean steering and acceleration.

Released checkpoints differ (CARLA: [steer right, acceleration]; nuPlan: [acceleration, steer
left]), so the layout is part of an experiment's YAML. Inside, steering is positive to the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ActionLayout:
    """Column of each action and the sign of steering.

    Args:
        steer_index: Column of the steering output, 0 or 1.
        acceleration_index: Column of the acceleration output, the other one.
        steer_right_positive: CARLA's sign; False means left is positive.
    """

    steer_index: int = 0
    acceleration_index: int = 1
    steer_right_positive: bool = True

    def __post_init__(self) -> None:
        """Refuse layouts that are no permutation of the two columns."""
        if {self.steer_index, self.acceleration_index} != {0, 1}:
            raise ValueError(
                f"action columns are steer {self.steer_index} and acceleration "
                f"{self.acceleration_index}: one must be 0 and the other 1"
            )

    def decode(
        self,
        actions: NDArray[np.floating],
        steer: NDArray[np.float64],
        acceleration: NDArray[np.float64],
    ) -> None:
        """Write (E, 2) network actions into (E,) steer (left positive) and acceleration.

        Actions are clipped to [-1, 1], as gymnasium's ClipAction around CaRL's environment does.
        """
        np.clip(actions[:, self.steer_index], -1.0, 1.0, out=steer)
        np.clip(actions[:, self.acceleration_index], -1.0, 1.0, out=acceleration)
        if self.steer_right_positive:
            np.negative(steer, out=steer)

    def encode(
        self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """The (E, 2) network actions that `decode` turns into these, for rule-based drivers."""
        actions = np.empty((len(steer), 2), np.float32)
        actions[:, self.steer_index] = -steer if self.steer_right_positive else steer
        actions[:, self.acceleration_index] = acceleration
        return actions


def checked_actions(actions: Any, num_agents: int) -> NDArray[np.floating]:
    """Actions as an array (E, 2) of finite numbers, whatever their range.

    Raises:
        ValueError: another shape, another type or numbers that are none.
    """
    array = np.asarray(actions)
    if array.dtype.kind not in "fiu" or array.shape != (num_agents, 2):
        raise ValueError(
            f"the actions are {array.dtype} {array.shape}, expected float32 ({num_agents}, 2): one "
            "row a driver, numbers in [-1, 1]"
        )
    if not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise ValueError(
            f"the actions of world {', '.join(map(str, rows[:8]))} are {array[rows[0]]}: expected "
            "finite numbers in [-1, 1]; a policy that gives NaN has diverged or reads NaN"
        )
    return array
