"""LogReplay: plans what the human did, and the tracker follows (the devkit's LogFuturePlanner)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.simulator import nuplan_simulator
from sim_adapters.nuplan.trajectory import Trajectories, empty_trajectories

NUM_FUTURE_POSES = 16
FRAMES_BETWEEN = 5  # half a second at 10 Hz


class LogReplay:
    """Plans the logged present and future: 16 poses half a second apart, fewer at the log's end.

    Where nothing at all is left of the log the plan before it goes on.

    Source: nuplan-devkit, LogFuturePlanner with log_future_planner.yaml.
    """

    def __init__(self, *, name: str = "log_replay") -> None:
        self.name = name
        self._plans = empty_trajectories(0, NUM_FUTURE_POSES + 1)
        self._human = empty_trajectories(0, 1)

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Put the logged paths of the batch side by side."""
        simulator = nuplan_simulator(worlds.simulator, agents)
        self._plans = empty_trajectories(worlds.num_envs, NUM_FUTURE_POSES + 1)
        self._human = _logged_paths([simulator.logs[world] for world in agents.tolist()])

    def act(self, worlds: DrivingWorlds) -> Trajectories:
        """The human's next seconds."""
        simulator = nuplan_simulator(worlds.simulator)
        human, plans = self._human, self._plans
        frame = simulator.book.timeline.frame
        frames = frame[:, None] + FRAMES_BETWEEN * np.arange(NUM_FUTURE_POSES + 1)
        known = (frames < human.num_points[:, None]).sum(axis=1)
        planned = np.flatnonzero(known >= 2)
        plans.num_points[planned] = known[planned]
        rows = planned[:, None], np.minimum(frames[planned], human.x.shape[1] - 1)
        for name in Trajectories._fields[1:]:
            getattr(plans, name)[planned] = getattr(human, name)[rows]
        return plans


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
