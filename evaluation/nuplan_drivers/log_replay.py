"""LogReplay: plans what the human did, and the tracker follows (the devkit's LogFuturePlanner)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.nuplan.trajectory import Trajectories, empty_trajectories

NUM_FUTURE_POSES = 16
FRAMES_BETWEEN = 5  # half a second at 10 Hz


class LogReplay:
    """Plans the logged present and future: 16 poses half a second apart, fewer at the log's end.

    Where nothing at all is left of the log the plan before it goes on.

    Source: nuplan-devkit, LogFuturePlanner with log_future_planner.yaml.
    """

    def __init__(self) -> None:
        self._plans = empty_trajectories(0, NUM_FUTURE_POSES + 1)
        self._human = empty_trajectories(0, 1)

    def start(self, simulator: NuplanSimulator, logs: Sequence[ScenarioLog]) -> None:
        """Put the logged paths of the batch side by side."""
        self._plans = empty_trajectories(simulator.scene.num_agents, NUM_FUTURE_POSES + 1)
        self._human = _logged_paths(logs)

    def drive(self, simulator: NuplanSimulator) -> None:
        """Look up the human's next seconds and follow them for one frame."""
        human, plans = self._human, self._plans
        frame = simulator.book.timeline.frame
        frames = frame[:, None] + FRAMES_BETWEEN * np.arange(NUM_FUTURE_POSES + 1)
        known = (frames < human.num_points[:, None]).sum(axis=1)
        planned = np.flatnonzero(known >= 2)
        plans.num_points[planned] = known[planned]
        rows = planned[:, None], np.minimum(frames[planned], human.x.shape[1] - 1)
        for name in Trajectories._fields[1:]:
            getattr(plans, name)[planned] = getattr(human, name)[rows]
        simulator.follow(plans)


def _logged_paths(logs: Sequence[ScenarioLog]) -> Trajectories:
    """The window's frames and those after it, one row a scenario."""
    lengths = [log.ego.x.size + log.future_ego.x.size for log in logs]
    paths = empty_trajectories(len(logs), max(lengths))
    paths.num_points[:] = lengths
    for row, (log, length) in enumerate(zip(logs, lengths, strict=True)):
        for name in Trajectories._fields[1:]:
            parts = getattr(log.ego, name), getattr(log.future_ego, name)
            getattr(paths, name)[row, :length] = np.concatenate(parts)
    return paths
