"""One step of the devkit's IDM agents: one after the other, each seeing where those before went.

Source: nuplan-devkit, IDMAgentManager and IDMAgent with idm_agents_observation.yaml.
Limit: the devkit unites an agent's box and its stretched path with GEOS, which now and then falls
back to snapping corners by 1e-12 of their coordinates (4e-6 m in UTM). Ours are exact, so agents
differ from the devkit's by up to some 1e-7 m then; where GEOS does not snap, by 1e-9 m.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.bicycle import MICROSECOND_S, principal_angle
from sim_adapters.nuplan.idm.nearest import Candidates, nearest_on_line
from sim_adapters.nuplan.idm.outline import WideLine, widened_line_hits, write_outline
from sim_adapters.nuplan.idm.paths import (
    FloatArray,
    Paths,
    clamp_progress,
    path_end_m,
    pose_on_path,
    write_line_ahead,
    write_line_between,
)
from sim_adapters.nuplan.idm.shapes import BOX_CORNERS, FIRST, Shapes, close_shape, write_box
from sim_adapters.nuplan.idm.start import write_ego_shape, write_replayed_boxes
from sim_adapters.nuplan.idm.state import (
    HEADWAY_S,
    OUTLINE_CORNERS,
    AgentMotion,
    AgentTraits,
    IdmMaps,
    IdmState,
    Trouble,
    plan_route,
    write_stop_shapes,
)
from sim_adapters.nuplan.replay import LightBook, LogBook
from sim_adapters.scene.map_areas import RoadEdges
from sim_adapters.scene.state import ActorMotion, EgoBody, SceneArrays

# The devkit's IDM law and its one Euler step.

EXPONENT = 4.0


@device_function
def idm_step(
    speed_mps: float,
    desired_mps: float,
    distance_m: float,
    lead_speed_mps: float,
    lead_length_m: float,
    min_gap_m: float,
    headway_s: float,
    max_acceleration_mps2: float,
    max_braking_mps2: float,
    dt: float,
) -> tuple[float, float]:
    """Progress made with the old speed, and the new speed, which is never negative.

    a (1 - (v / v0)^4 - (s* / s)^2) with s* = s0 + v T + v (v - v_lead) / (2 sqrt(a b)), the gap
    s = distance - lead length kept above s0, the acceleration within [-b, a].

    Source: nuplan-devkit, IDMPolicy.solve_forward_euler_idm_policy.
    """
    wish = min_gap_m + speed_mps * headway_s
    wish += (
        speed_mps
        * (speed_mps - lead_speed_mps)
        / (2.0 * math.sqrt(max_acceleration_mps2 * max_braking_mps2))
    )
    ratio = wish / max(distance_m - lead_length_m, min_gap_m)
    free = (speed_mps / desired_mps) ** EXPONENT
    acceleration = max_acceleration_mps2 * (1.0 - free - ratio * ratio)
    acceleration = min(max(-max_braking_mps2, acceleration), max_acceleration_mps2)
    return dt * speed_mps, max(speed_mps + dt * acceleration, 0.0)


RADIUS_M = 100.0
MIN_GAP_M = 1.0
MAX_ACCELERATION_MPS2, MAX_BRAKING_MPS2 = 1.0, 2.0
_NO_TROUBLE = int(Trouble.NONE)
_OUTLINE_TOO_LONG, _OFF_ITS_PATH = int(Trouble.OUTLINE_TOO_LONG), int(Trouble.OFF_ITS_PATH)


@range_kernel
def step_agents_range(
    first: int,
    last: int,
    book: LogBook,
    scene: SceneArrays,
    maps: IdmMaps,
    state: IdmState,
    line: FloatArray,
) -> None:
    """Move the agents of worlds [first, last) to the next frame of their logs.

    The timeline and the ego are still at the present frame; lights and replayed objects are taken
    from the next one. A world in trouble, or at its log's end, is left as it is.
    """
    timeline, traits, motion, shapes = book.timeline, state.traits, state.motion, state.shapes
    capacity = traits.alive.shape[1]
    for world in range(first, last):
        frame = timeline.frame[world] + 1
        if frame >= timeline.num_frames[world] or motion.trouble[world] != _NO_TROUBLE:
            continue
        # A difference of seconds since 1970, as the devkit takes it: exact to 2e-7 s only
        dt = timeline.time_us[world, frame] * MICROSECOND_S
        dt -= timeline.time_us[world, frame - 1] * MICROSECOND_S
        write_ego_shape(world, capacity, scene.motion, shapes)
        others = write_replayed_boxes(world, frame, capacity + 1, book.boxes, shapes)
        _drop_far_agents(world, scene.motion, traits, motion)
        for agent in range(traits.count[world]):
            if traits.alive[world, agent] and motion.trouble[world] == _NO_TROUBLE:
                first_stop = capacity + 1 + others
                end_shape = first_stop + _find_way(
                    world, agent, frame, first_stop, book.lights, maps, state
                )
                if motion.trouble[world] != _NO_TROUBLE:
                    continue
                distance, lead_speed, lead_length = _look_ahead(
                    world, agent, end_shape, scene.motion, scene.body, state, line
                )
                _move(world, agent, distance, lead_speed, lead_length, dt, maps.edges, motion)
                _place(world, agent, traits, motion, state.paths, shapes, line)


@device_function
def _find_way(
    world: int,
    agent: int,
    frame: int,
    first_stop: int,
    lights: LightBook,
    maps: IdmMaps,
    state: IdmState,
) -> int:
    """Prolong an agent's route and put up its red lights' stop polygons; returns how many."""
    motion, edges = state.motion, maps.edges
    capacity = motion.s_m.shape[1]
    plan_route(world, agent, frame, lights, maps, motion, state.paths)
    first_corner = capacity * OUTLINE_CORNERS + BOX_CORNERS * (first_stop - capacity)
    return write_stop_shapes(
        *(world, agent, frame, first_stop, first_corner),
        *(lights, edges, maps.areas, motion, state.shapes),
    )


@device_function
def _drop_far_agents(
    world: int, scene_motion: ActorMotion, traits: AgentTraits, motion: AgentMotion
) -> None:
    """Forget agents more than 100 m from the ego's centre, for good."""
    for agent in range(traits.count[world]):
        dx = motion.x[world, agent] - scene_motion.x[world, 0]
        dy = motion.y[world, agent] - scene_motion.y[world, 0]
        if math.sqrt(dx * dx + dy * dy) > RADIUS_M:
            traits.alive[world, agent] = False


@device_function
def _look_ahead(
    world: int,
    agent: int,
    end_shape: int,
    scene_motion: ActorMotion,
    body: EgoBody,
    state: IdmState,
    line: FloatArray,
) -> tuple[float, float, float]:
    """Distance to what stands nearest on the agent's path, its speed along ours, its length.

    On a free road the path's end is a standing car half our length long.
    """
    traits, motion, paths, shapes = state
    capacity = traits.alive.shape[1]
    row = world * capacity + agent
    s_m = clamp_progress(row, motion.s_m[world, agent], paths)
    length = write_line_ahead(row, s_m, paths, world, line)
    wide = WideLine(line, length, 0.5 * traits.width_m[world, agent], 0.0)
    if not widened_line_hits(world, wide, agent, shapes):
        motion.trouble[world] = _OFF_ITS_PATH
    candidates = Candidates(traits.alive, traits.count[world], capacity, end_shape)
    nearest, distance = nearest_on_line(world, agent, candidates, wide, False, shapes)
    if nearest < 0:
        rest = path_end_m(row, paths) - motion.s_m[world, agent]
        return rest, 0.0, 0.5 * traits.length_m[world, agent]
    yaw = motion.yaw_rad[world, agent]
    if nearest < capacity:
        turn = principal_angle(motion.yaw_rad[world, nearest] - yaw)
        return distance, motion.speed_mps[world, nearest] * math.cos(turn), 0.0
    if nearest == capacity:
        turn = principal_angle(scene_motion.yaw_rad[world, 0] - yaw)
        speed = math.hypot(body.vx_mps[world], body.vy_mps[world])
        return distance, speed * math.cos(turn), 0.0
    return distance, 0.0, 0.0


@device_function
def _move(
    world: int,
    agent: int,
    distance_m: float,
    lead_speed_mps: float,
    lead_length_m: float,
    dt: float,
    edges: RoadEdges,
    motion: AgentMotion,
) -> None:
    """Advance along the path; the limit of the route's last edge is the speed to strive for."""
    limit = edges.speed_limit_mps[motion.edge[world, agent, motion.num_edges[world, agent] - 1]]
    if limit > 0.0:
        motion.desired_mps[world, agent] = limit
    progress, speed = idm_step(
        motion.speed_mps[world, agent],
        motion.desired_mps[world, agent],
        distance_m,
        lead_speed_mps,
        lead_length_m,
        MIN_GAP_M,
        HEADWAY_S,
        MAX_ACCELERATION_MPS2,
        MAX_BRAKING_MPS2,
        dt,
    )
    motion.s_m[world, agent] += progress
    motion.speed_mps[world, agent] = speed


@device_function
def _place(
    world: int,
    agent: int,
    traits: AgentTraits,
    motion: AgentMotion,
    paths: Paths,
    shapes: Shapes,
    line: FloatArray,
) -> None:
    """Write the agent's pose and its footprint, stretched ahead along its path by v T."""
    row = world * traits.alive.shape[1] + agent
    s_m, half = motion.s_m[world, agent], 0.5 * traits.length_m[world, agent]
    x, y, yaw = pose_on_path(row, clamp_progress(row, s_m, paths), paths)
    motion.x[world, agent], motion.y[world, agent] = x, y
    motion.yaw_rad[world, agent] = yaw
    ahead = half + motion.speed_mps[world, agent] * HEADWAY_S
    length = write_line_between(
        row,
        clamp_progress(row, s_m - half, paths),
        clamp_progress(row, s_m + ahead, paths),
        paths,
        world,
        line,
    )
    first = shapes.ring[world, agent, FIRST]
    width = traits.width_m[world, agent]
    write_box(world, first, x, y, yaw, traits.length_m[world, agent], width, shapes)
    split = first + BOX_CORNERS
    end = write_outline(world, split, line, length, 0.5 * width, shapes)
    if end > first + OUTLINE_CORNERS:
        motion.trouble[world] = _OUTLINE_TOO_LONG
        return
    close_shape(world, agent, split, end, shapes)
