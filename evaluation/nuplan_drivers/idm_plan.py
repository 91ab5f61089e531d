"""The devkit's IDM planner tick by tick: along a fixed path, behind what stands on it.

Source: nuplan-devkit, AbstractIDMPlanner and IDMPlanner with idm_planner.yaml.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.bicycle import (
    LENGTH_M,
    REAR_AXLE_TO_CENTRE_M,
    WIDTH_M,
    principal_angle,
)
from sim_adapters.nuplan.idm.agents import idm_step
from sim_adapters.nuplan.idm.nearest import Candidates, nearest_on_line
from sim_adapters.nuplan.idm.outline import WideLine
from sim_adapters.nuplan.idm.paths import (
    FloatArray,
    IntArray,
    Paths,
    clamp_progress,
    path_end_m,
    pose_on_path,
    write_line_between,
)
from sim_adapters.nuplan.idm.shapes import Shapes
from sim_adapters.nuplan.idm.start import write_box_shape
from sim_adapters.nuplan.replay import LightBook, LogBook
from sim_adapters.nuplan.trajectory import Trajectories
from sim_adapters.scene.area_lookup import station_m
from sim_adapters.scene.map_areas import Polylines
from sim_adapters.scene.state import (
    ActorKind,
    ActorMotion,
    ActorTraits,
    EgoBody,
    LightState,
    SceneArrays,
)

NUM_SAMPLES = 16
SAMPLE_S, SAMPLE_US = 0.5, 500_000
HORIZON_S = NUM_SAMPLES * SAMPLE_S
RADIUS_M = 40.0
MIN_GAP_M, HEADWAY_S = 1.0, 1.5
MAX_ACCELERATION_MPS2, MAX_BRAKING_MPS2 = 1.0, 3.0
_RED = int(LightState.RED)
_LAST_MOVING_KIND = int(ActorKind.PEDESTRIAN)


class IdmRoutes(NamedTuple):
    """What the planner fixes at the start, (E,)."""

    has_way: NDArray[np.bool_]  # without one it plans to stand still
    desired_mps: FloatArray
    num_gates: IntArray  # connectors of the route
    gate: IntArray  # (E, G) rows of RoadEdges; gate g is shape A + g, always in place


class IdmWorkspace(NamedTuple):
    """Shape 0 is the ego, 1 to A - 1 the scene's slots, then gates; `counts` says who is there."""

    counts: NDArray[np.bool_]  # (E, S)
    line: FloatArray  # (E, P, 2)


@range_kernel
def plan_behind_leader_range(
    first: int,
    last: int,
    book: LogBook,
    scene: SceneArrays,
    routes: IdmRoutes,
    lines: Polylines,
    paths: Paths,
    shapes: Shapes,
    workspace: IdmWorkspace,
    plans: Trajectories,
) -> None:
    """Plans of drivers [first, last), each alone in the world of its number.

    Others are frozen where they are for the whole eight seconds. The plan begins on the path, not
    at the ego.
    """
    motion, traits, body = scene.motion, scene.traits, scene.body
    for agent in range(first, last):
        frame = book.timeline.frame[agent]
        now_us = book.timeline.time_us[agent, frame]
        if not routes.has_way[agent]:
            _plan_to_stand(agent, now_us, motion, body, plans)
            continue
        _look_around(agent, frame, book.lights, motion, traits, routes, shapes, workspace)
        x, y, yaw = motion.x[agent, 0], motion.y[agent, 0], motion.yaw_rad[agent, 0]
        s_m, speed = station_m(agent, x, y, lines), body.vx_mps[agent]
        plans.num_points[agent] = NUM_SAMPLES + 1
        for sample in range(NUM_SAMPLES + 1):
            if sample > 0:
                distance, lead_speed, lead_length = _look_ahead(
                    agent, s_m, (x, y, yaw), motion, traits, routes, paths, shapes, workspace
                )
                progress, speed = idm_step(
                    speed,
                    routes.desired_mps[agent],
                    distance,
                    lead_speed,
                    lead_length,
                    MIN_GAP_M,
                    HEADWAY_S,
                    MAX_ACCELERATION_MPS2,
                    MAX_BRAKING_MPS2,
                    SAMPLE_S,
                )
                s_m += progress
            x, y, yaw = pose_on_path(agent, clamp_progress(agent, s_m, paths), paths)
            plans.time_us[agent, sample] = now_us + sample * SAMPLE_US
            plans.x[agent, sample] = x - REAR_AXLE_TO_CENTRE_M * math.cos(yaw)
            plans.y[agent, sample] = y - REAR_AXLE_TO_CENTRE_M * math.sin(yaw)
            plans.yaw_rad[agent, sample] = yaw
            if sample == 0:  # the first look ahead is from where the ego really is
                x, y, yaw = motion.x[agent, 0], motion.y[agent, 0], motion.yaw_rad[agent, 0]


@device_function
def _plan_to_stand(
    agent: int, now_us: int, motion: ActorMotion, body: EgoBody, plans: Trajectories
) -> None:
    plans.num_points[agent] = 2
    for point in range(2):
        plans.time_us[agent, point] = now_us + point * SAMPLE_US
        plans.x[agent, point] = body.rear_axle_x[agent]
        plans.y[agent, point] = body.rear_axle_y[agent]
        plans.yaw_rad[agent, point] = motion.yaw_rad[agent, 0]


@device_function
def _look_around(
    agent: int,
    frame: int,
    lights: LightBook,
    motion: ActorMotion,
    traits: ActorTraits,
    routes: IdmRoutes,
    shapes: Shapes,
    workspace: IdmWorkspace,
) -> None:
    """Take in everybody within 40 m of the ego's centre, and the red connectors of the route."""
    num_slots = traits.valid.shape[1]
    for slot in range(1, num_slots):
        x, y = motion.x[agent, slot], motion.y[agent, slot]
        dx, dy = x - motion.x[agent, 0], y - motion.y[agent, 0]
        near = traits.valid[agent, slot] and math.sqrt(dx * dx + dy * dy) < RADIUS_M
        workspace.counts[agent, slot] = near
        if near:
            length = 2.0 * traits.half_length_m[agent, slot]
            width = 2.0 * traits.half_width_m[agent, slot]
            yaw = motion.yaw_rad[agent, slot]
            write_box_shape(agent, slot, x, y, yaw, length, width, shapes)
    for gate in range(routes.num_gates[agent]):
        workspace.counts[agent, num_slots + gate] = False
    for row in range(lights.first[agent, frame], lights.first[agent, frame + 1]):
        if lights.state[agent, row] != _RED:
            continue
        for gate in range(routes.num_gates[agent]):
            if routes.gate[agent, gate] == lights.edge[agent, row]:
                workspace.counts[agent, num_slots + gate] = True


@device_function
def _look_ahead(
    agent: int,
    s_m: float,
    pose: tuple[float, float, float],
    motion: ActorMotion,
    traits: ActorTraits,
    routes: IdmRoutes,
    paths: Paths,
    shapes: Shapes,
    workspace: IdmWorkspace,
) -> tuple[float, float, float]:
    """Distance to the nearest on the path or under the ego's box, its speed along ours, its length.

    `pose` is that of the ego's box: x, y [m], yaw [rad]. On a free road the path's end is a
    standing car of our half length.
    """
    x, y, yaw = pose
    write_box_shape(agent, 0, x, y, yaw, LENGTH_M, WIDTH_M, shapes)
    length = write_line_between(
        agent,
        clamp_progress(agent, s_m, paths),
        clamp_progress(agent, s_m + abs(routes.desired_mps[agent]) * HORIZON_S, paths),
        paths,
        agent,
        workspace.line,
    )
    num_slots = traits.valid.shape[1]
    end = num_slots + routes.num_gates[agent]
    candidates = Candidates(workspace.counts, end, end, end)
    wide = WideLine(workspace.line, length, 0.5 * WIDTH_M, 0.5 * WIDTH_M)
    nearest, distance = nearest_on_line(agent, 0, candidates, wide, True, shapes)
    if nearest < 0:
        return path_end_m(agent, paths) - s_m, 0.0, 0.5 * LENGTH_M
    if nearest >= num_slots or traits.kind[agent, nearest] > _LAST_MOVING_KIND:
        return distance, 0.0, 0.0
    speed = math.hypot(motion.vx_mps[agent, nearest], motion.vy_mps[agent, nearest])
    turn = principal_angle(motion.yaw_rad[agent, nearest] - yaw)
    return distance, speed * math.cos(turn), 0.0
