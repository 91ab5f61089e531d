"""How much of a route a recorded drive has passed, where nobody counted on the way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
AHEAD_POINTS = 60  # of the plan, among which the ego's place is sought


def passed_percent(plan: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Percent of the plan's points that the ego has passed at each step, never falling, (T,).

    Args:
        plan: (P, 2) [m].
        x: Of the ego, (T,) [m].
        y: As `x`.
    """
    passed, here = np.zeros(len(x)), 0
    for step, (east, north) in enumerate(zip(x, y, strict=True)):
        ahead = plan[here : here + AHEAD_POINTS]
        here += int(np.argmin(np.hypot(ahead[:, 0] - east, ahead[:, 1] - north)))
        passed[step] = here
    return 100.0 * passed / max(len(plan) - 1, 1)
