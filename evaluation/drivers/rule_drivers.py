"""Drivers without a network: the rule-based one, and two that see next to nothing.

They read the scene itself, not the observation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evaluation.drivers.route_following import (
    VIEW_POINTS,
    comfortable_braking_mps2,
    follow_actors,
    follow_routes_range,
    idm_towards,
    nearest_route_point,
    place_on_route,
)
from evaluation.drivers.vehicle_control import pedal_for_acceleration, pedals_range
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.geometry import forward_offset_m, left_offset_m, wrap_angle
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import MapRanges, Roads, Signals, SignKind, Signs, StopLines
from sim_adapters.scene.state import LightState, Routes, SceneArrays

# Where lights and signs make the ego stop on its route.

VIEW_M = 80.0
BESIDE_M = 2.0  # a stop line or sign this far beside the route line still concerns the ego
ALIGNED_RAD = math.radians(60.0)
# PDM-Lite: gap [m] of the ego's centre, and headway [s]
LIGHT_GAP_M, STOP_GAP_M, RULE_HEADWAY_S = 6.0, 2.0, 0.1
# The leaderboard sees a red light run while what lies behind 0.8 of the rear half crosses the line
TAIL_SHARE = 0.8
POINTS_BEHIND = 4  # of the route, in which a line under the ego is looked for
SERVED_M, SERVED_MPS = 4.0, 0.1  # leaderboard: standing this near counts as having stopped
_STOP = int(SignKind.STOP)
_RED, _YELLOW = int(LightState.RED), int(LightState.YELLOW)


@device_function
def place_ahead_m(
    routes: Routes,
    agent: int,
    start: int,
    ego_x: float,
    ego_y: float,
    x: float,
    y: float,
    z: float,
    yaw: float,
) -> float:
    """Route metres from the ego's centre to a place on its route, +inf if it is not on it.

    Places under the ego's rear half have a negative distance; what lies farther back is not found.
    """
    first = max(start - POINTS_BEHIND, 0)
    end = min(start + VIEW_POINTS, routes.num_points[agent])
    k = nearest_route_point(routes, agent, first, end, x, y)
    direction = routes.yaw_rad[agent, k]
    cos_route, sin_route = math.cos(direction), math.sin(direction)
    dx, dy = x - routes.x[agent, k], y - routes.y[agent, k]
    off_level = abs(z - routes.z[agent, k]) > SAME_LEVEL_M
    if off_level or abs(left_offset_m(dx, dy, cos_route, sin_route)) > BESIDE_M:
        return np.inf
    forward = forward_offset_m(dx, dy, cos_route, sin_route)
    if abs(wrap_angle(yaw - direction)) > ALIGNED_RAD or abs(forward) > BESIDE_M:
        return np.inf
    direction = routes.yaw_rad[agent, start]
    own = forward_offset_m(
        ego_x - routes.x[agent, start],
        ego_y - routes.y[agent, start],
        math.cos(direction),
        math.sin(direction),
    )
    return float(k - start) + forward - own


@device_function
def stop_for_lights(
    agent: int,
    scene: SceneArrays,
    ranges: MapRanges,
    signals: Signals,
    stop_lines: StopLines,
    passed: int,
    desired_mps: float,
) -> float:
    """Least IDM acceleration [m/s^2] towards red lights, and yellow ones it can still stop for.

    An ego that has waited on the line, for others to cross, stays there if the light turns.
    """
    motion, routes = scene.motion, scene.routes
    world: int = scene.ego.world[agent]
    own: int = scene.ego.slot[agent]
    map_index: int = scene.clocks.map_index[world]
    x, y = motion.x[world, own], motion.y[world, own]
    v = math.hypot(motion.vx_mps[world, own], motion.vy_mps[world, own])
    needed = v * v / (2.0 * comfortable_braking_mps2(v))
    tail = TAIL_SHARE * scene.traits.half_length_m[world, own]
    start = place_on_route(routes, agent, passed, x, y)
    first_signal, least = ranges.signal[map_index], np.inf
    for signal in range(first_signal, ranges.signal[map_index + 1]):
        state = scene.lights.state[world, signal - first_signal]
        if state != _RED and state != _YELLOW:
            continue
        for line in range(signals.first_stop_line[signal], signals.first_stop_line[signal + 1]):
            line_x, line_y = stop_lines.x[line], stop_lines.y[line]
            if math.hypot(line_x - x, line_y - y) > VIEW_M:
                continue
            z, yaw = stop_lines.z[line], stop_lines.yaw_rad[line]
            gap = place_ahead_m(routes, agent, start, x, y, line_x, line_y, z, yaw)
            if gap == np.inf or (gap < 0.0 and needed > gap + tail):
                continue
            if gap >= 0.0 and state == _YELLOW and needed > gap:
                continue
            least = min(least, idm_towards(v, gap, 0.0, desired_mps, RULE_HEADWAY_S, LIGHT_GAP_M))
    return least


@device_function
def stop_at_signs(
    agent: int,
    scene: SceneArrays,
    ranges: MapRanges,
    signs: Signs,
    passed: int,
    served_sign: int,
    desired_mps: float,
) -> tuple[float, int]:
    """Least IDM acceleration [m/s^2] towards stop signs, and the sign stopped at last."""
    motion, routes = scene.motion, scene.routes
    world: int = scene.ego.world[agent]
    own: int = scene.ego.slot[agent]
    map_index: int = scene.clocks.map_index[world]
    x, y = motion.x[world, own], motion.y[world, own]
    v = math.hypot(motion.vx_mps[world, own], motion.vy_mps[world, own])
    start = place_on_route(routes, agent, passed, x, y)
    least = np.inf
    for sign in range(ranges.sign[map_index], ranges.sign[map_index + 1]):
        if signs.kind[sign] != _STOP or sign == served_sign:
            continue
        sign_x, sign_y = signs.x[sign], signs.y[sign]
        if math.hypot(sign_x - x, sign_y - y) > VIEW_M:
            continue
        z, yaw = signs.z[sign], signs.yaw_rad[sign]
        gap = place_ahead_m(routes, agent, start, x, y, sign_x, sign_y, z, yaw)
        if gap < 0.0 or gap == np.inf:
            continue
        if gap < SERVED_M and v < SERVED_MPS:
            served_sign = sign
            continue
        least = min(least, idm_towards(v, gap, 0.0, desired_mps, RULE_HEADWAY_S, STOP_GAP_M))
    return least, served_sign


# Pedals of the rule-based driver: the least acceleration that any of its rules asks for.


@range_kernel
def choose_pedals_range(
    first: int,
    last: int,
    scene: SceneArrays,
    roads: Roads,
    passed: NDArray[np.int32],
    standing_s: NDArray[np.float64],
    desired_mps: NDArray[np.float64],
    served_sign: NDArray[np.int64],
    pedal: NDArray[np.float64],
) -> None:
    """Pedals of drivers `first` to `last` (exclusive), written with `served_sign`, both (E,)."""
    ego, motion, ranges = scene.ego, scene.motion, roads.ranges
    for agent in range(first, last):
        world: int = ego.world[agent]
        slot: int = ego.slot[agent]
        desired: float = desired_mps[agent]
        start: int = passed[agent]
        acceleration = follow_actors(
            agent, ego, motion, scene.traits, scene.routes, start, standing_s[agent], desired
        )
        for_light = stop_for_lights(
            agent, scene, ranges, roads.signals, roads.stop_lines, start, desired
        )
        for_sign, served_sign[agent] = stop_at_signs(
            agent, scene, ranges, roads.signs, start, served_sign[agent], desired
        )
        wanted = min(acceleration, for_light, for_sign)
        v = math.hypot(motion.vx_mps[world, slot], motion.vy_mps[world, slot])
        pedal[agent] = pedal_for_acceleration(v, wanted)


SHARE_OF_LIMIT = 0.9  # of the posted speed it drives at, to never exceed it
SLOWEST_MPS = 2.0  # in the tightest bend


class RuleBasedDriver:
    """The yardstick beside every score, PDM-Lite's numbers on the same interface.

    Pure pursuit along the route; IDM towards actors in its corridor, red lights and stop signs; the
    speed limit and the speed of bends. It does not change lanes around obstacles. Source of the
    numbers: PDM-Lite (carla_garage, leaderboard_2).
    """

    def __init__(self, *, name: str = "idm") -> None:
        self.name = name
        self._served_sign = np.zeros(0, np.int64)  # (E,) stop sign already stopped at, -1 none

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """Forget the signs of the last route."""
        if self._served_sign.shape != (worlds.num_envs,):
            self._served_sign = np.full(worlds.num_envs, -1, np.int64)
        self._served_sign[agents] = -1

    def act(self, worlds: DrivingWorlds) -> NDArray[np.float32]:
        """Steering of the pursuit, pedal of the least acceleration that any rule asks for."""
        scene, maps, num_agents = worlds.scene, worlds.maps, worlds.num_envs
        passed = worlds.memory.route.index
        steer, desired, pedal = (np.zeros(num_agents) for _ in range(3))
        follow_routes_range(
            0, num_agents, scene.ego, scene.motion, scene.routes, passed, steer, desired
        )
        limit = SHARE_OF_LIMIT * scene.ego.speed_limit_mps
        desired = np.clip(desired, SLOWEST_MPS, np.maximum(limit, SLOWEST_MPS))
        choose_pedals_range(
            0,
            num_agents,
            scene.arrays,
            maps.roads,
            passed,
            worlds.memory.counters.standing_s,
            desired,
            self._served_sign,
            pedal,
        )
        return worlds.action_layout.encode(steer, pedal)


class ConstantSpeedDriver:
    """Goes straight on at one speed, the constant-velocity yardstick of motion forecasting.

    It sees nothing: neither the route's turns nor traffic, lights or signs.
    """

    def __init__(
        self,
        speed_mps: float = 6.0,
        *,
        gain_per_s: float = 1.0,
        name: str = "constant_speed",
    ) -> None:
        self.speed_mps, self.name = speed_mps, name
        self.gain_per_s = gain_per_s  # of the speed error

    def begin_episodes(self, agents: NDArray[np.int64], worlds: DrivingWorlds) -> None:
        """It remembers nothing."""

    def act(self, worlds: DrivingWorlds) -> NDArray[np.float32]:
        """A proportional speed controller and `steer`."""
        speed, pedal = ego_speed_mps(worlds), np.zeros(worlds.num_envs)
        wanted = self.gain_per_s * (self.speed_mps - speed)
        pedals_range(0, worlds.num_envs, speed, wanted, pedal)
        return worlds.action_layout.encode(self.steer(worlds), pedal)

    def steer(self, worlds: DrivingWorlds) -> NDArray[np.float64]:
        """Straight on, (E,)."""
        return np.zeros(worlds.num_envs)


class BlindFollower(ConstantSpeedDriver):
    """Steers along the route at one speed, blind to traffic, lights and signs.

    The leaderboard does not end a route at a collision, so such a car completes nearly all of them:
    its score, not its completion, shows what driving without looking is worth.
    """

    def __init__(
        self,
        speed_mps: float = 6.0,
        *,
        gain_per_s: float = 1.0,
        name: str = "blind_follower",
    ) -> None:
        super().__init__(speed_mps, gain_per_s=gain_per_s, name=name)

    def steer(self, worlds: DrivingWorlds) -> NDArray[np.float64]:
        """Pure pursuit, (E,)."""
        steer, bend_mps = np.zeros(worlds.num_envs), np.zeros(worlds.num_envs)
        scene, passed = worlds.scene, worlds.memory.route.index
        follow_routes_range(
            0, worlds.num_envs, scene.ego, scene.motion, scene.routes, passed, steer, bend_mps
        )
        return steer


def ego_speed_mps(worlds: DrivingWorlds) -> NDArray[np.float64]:
    """Horizontal speed of every driver, (E,)."""
    place = (worlds.scene.ego.world, worlds.scene.ego.slot)
    return np.hypot(worlds.scene.motion.vx_mps[place], worlds.scene.motion.vy_mps[place])
