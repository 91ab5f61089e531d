"""MinimumSpeedTest: whether the ego has kept pace with the traffic around it.

Source: scenario_runner `MinimumSpeedRouteTest` with the leaderboard's four checkpoints: each time
a quarter of the route is passed, the ego's mean speed is compared with the mean speed of all
background vehicles over the same ticks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NUM_CHECKPOINTS = 4
LAST_CHECKPOINT_PERCENT = 95.0  # a route that gets this far has its last quarter judged


class MinimumSpeedTest:
    """Speed sums of E drivers since their last checkpoint."""

    def __init__(self, num_agents: int) -> None:
        self._ego_mps = np.zeros(num_agents)
        self._traffic_mps = np.zeros(num_agents)
        self._ticks = np.zeros(num_agents)
        self._checkpoint_percent = np.zeros(num_agents)  # route percent at the last checkpoint

    def restart(self, agent: int) -> None:
        """Begin a new route."""
        self._clear(agent)
        self._checkpoint_percent[agent] = 0.0

    def add_step(self, ego_mps: NDArray[np.float64], traffic_mps: NDArray[np.float64]) -> None:
        """Add one tick of all drivers; `traffic_mps` (E,) is NaN in a world without traffic."""
        seen = np.isfinite(traffic_mps)
        self._ego_mps[seen] += ego_mps[seen]
        self._traffic_mps[seen] += traffic_mps[seen]
        self._ticks += seen

    def agents_at_checkpoint(self, route_percent: NDArray[np.float64]) -> NDArray[np.int64]:
        """Drivers that have passed another quarter of their route."""
        passed = route_percent - self._checkpoint_percent
        return np.flatnonzero(passed > 100.0 / NUM_CHECKPOINTS)

    def close_checkpoint(self, agent: int, route_percent: float) -> float:
        """Judge the stretch that ends here: ego's speed in percent of the traffic's, 100 if none.

        The next stretch begins at `route_percent`.
        """
        ego, traffic = self._ego_mps[agent], self._traffic_mps[agent]
        percent = round(float(ego / traffic) * 100.0, 2) if traffic > 0.0 else 100.0
        self._clear(agent)
        self._checkpoint_percent[agent] = route_percent
        return percent

    def _clear(self, agent: int) -> None:
        self._ego_mps[agent] = self._traffic_mps[agent] = self._ticks[agent] = 0.0
