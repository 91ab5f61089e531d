"""A log as a scenario: its route is the path that the ego's centre took."""

from __future__ import annotations

import numpy as np

from sim_adapters.nuplan.bicycle import MICROSECOND_S, REAR_AXLE_TO_CENTRE_M
from sim_adapters.nuplan.scenario_log import LoggedScenario, ScenarioLog
from sim_adapters.scene.scenario import Route, RouteCommand


def logged_route(log: ScenarioLog) -> Route:
    """The centre of the logged ego, one point a frame (N points, the same place twice included)."""
    ego = log.ego
    num_frames = log.num_frames
    return Route(
        x=ego.x + REAR_AXLE_TO_CENTRE_M * np.cos(ego.yaw_rad),
        y=ego.y + REAR_AXLE_TO_CENTRE_M * np.sin(ego.yaw_rad),
        z=np.zeros(num_frames),
        yaw_rad=ego.yaw_rad.copy(),
        lane=np.full(num_frames, -1, np.int32),
        in_junction=np.zeros(num_frames, np.bool_),
        command=np.full(num_frames, RouteCommand.LANE_FOLLOW, np.uint8),
    )


def logged_scenario(log: ScenarioLog, *, seed: int = 0) -> LoggedScenario:
    """The log as a scenario; CaRL ends its episodes at frame N - 2."""
    return LoggedScenario(
        scenario_id=log.token,
        town=log.map_name,
        route=logged_route(log),
        seed=seed,
        time_limit_s=float(log.ego.time_us[max(log.num_frames - 2, 0)] - log.ego.time_us[0])
        * MICROSECOND_S,
        log=log,
    )
