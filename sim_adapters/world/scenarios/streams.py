"""Plays scenarios in which vehicles drive through the ego's junction.

As scenario_runner plays them: the junction is cleared and stays so, the stream's cars drive at a
constant speed and heed nobody until one of them has hit somebody. The ego is shown red for five
seconds, then green like the stream; all others are shown red. A red-light runner stands before the
junction and starts when the ego is near.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import device_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind, Lanes
from sim_adapters.scene.state import ActorMotion, ActorTraits, Clocks, LightState
from sim_adapters.world.scenarios.crossers import arrives_soon, ego_distance_m, enter_phase
from sim_adapters.world.scenarios.state import (
    CLEAR_LANES,
    STREAM_LANES,
    Phase,
    ScenarioKind,
    Streams,
    Triggers,
)
from sim_adapters.world.scenarios.stream_cars import (
    DRAW_CAR,
    Cast,
    Roads,
    appear_on_path,
    direct_cars,
    draw_gap,
    fill_path,
    put_on_script,
    send_car,
)
from sim_adapters.world.signals import SignalPlan
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.state import CURRENT, Overrides
from sim_adapters.world.vehicle_catalogue import VEHICLE_NAMES

OWN_RED_S = 5.0  # JunctionLeftTurn._green_light_delay
TIMEOUT_S = 240.0  # then a stream ends as a scenario timeout
END_M = 10.0  # driven after the junction
RUNNER_REACTION_S, RUNNER_NOTICE_M = 2.2, 12.0  # OppositeVehicleJunction
LIGHTS_HOLD_S = 1.0  # after a script's last step
FRONT_M, FRONT_BESIDE_M = 60.0, 8.0  # of the ego's way to the junction, freed at the trigger
HARD_BREAK_S = 10.0
HARD_BREAK_REACH_M = 60.0
_GREEN, _RED = int(LightState.GREEN), int(LightState.RED)
_MEETING, _LEAVING, _OVER = (
    int(Phase.MEETING),
    int(Phase.LEAVING),
    int(Phase.OVER),
)
_RUNNER, _RIGHT_TURN = int(ScenarioKind.RED_LIGHT_RUNNER), int(ScenarioKind.RIGHT_TURN)
_DRIVING = int(LaneKind.DRIVING)
_EMERGENCY = np.array(
    [
        VEHICLE_NAMES.index(name)
        for name in (
            "carlamotors.firetruck",
            "dodge.charger_police",
            "dodge.charger_police_2020",
            "ford.ambulance",
        )
    ]
)


@device_function
def force_lights(
    plan: SignalPlan,
    roads: Roads,
    streams: Streams,
    world: int,
    row: int,
    map_index: int,
    own_state: int,
    stream_state: int,
    until_s: float,
) -> None:
    """Set all lights of the script's junction until a time: other arms are red."""
    first, last = roads.ranges.signal[map_index], roads.ranges.signal[map_index + 1]
    group = streams.group[world, row]
    for light in range(last - first):
        if group < 0 or roads.signals.group[first + light] != group:
            continue
        state = _RED
        if light == streams.stream_light[world, row]:
            state = stream_state
        if light == streams.own_light[world, row]:
            state = own_state
        plan.forced_state[world, light] = state
        plan.forced_until_s[world, light] = until_s


@device_function
def is_listed(streams: Streams, lanes: Lanes, world: int, row: int, lane: int) -> bool:
    """Whether a lane belongs to what the script keeps free of other traffic."""
    junction = streams.junction[world, row]
    if junction >= 0 and lanes.junction[lane] == junction:
        return True
    is_found = False
    for index in range(STREAM_LANES):
        is_found |= streams.path[world, row, index] == lane
    for index in range(CLEAR_LANES):
        is_found |= streams.clear[world, row, index] == lane
    return is_found


@device_function
def keep_clear(
    roads: Roads, cast: Cast, streams: Streams, layout: SlotLayout, world: int, row: int
) -> None:
    """Take other traffic off the junction and the stream's way."""
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not cast.traits.valid[world, slot] or cast.overrides.keeps_path[world, slot]:
            continue
        lane = int(cast.places.path[world, slot, CURRENT])
        if is_listed(streams, roads.lanes, world, row, lane):
            clear_slot(cast.motion, cast.traits, world, slot)


@device_function
def clear_own_way(
    cast: Cast, streams: Streams, triggers: Triggers, layout: SlotLayout, world: int, row: int
) -> None:
    """At the trigger: nobody ahead of the ego, and space after the junction."""
    motion, traits = cast.motion, cast.traits
    yaw, exit_yaw = triggers.yaw_rad[world, row], streams.exit_yaw_rad[world, row]
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot] or cast.overrides.keeps_path[world, slot]:
            continue
        heading = motion.yaw_rad[world, slot]
        dx = motion.x[world, slot] - motion.x[world, 0]
        dy = motion.y[world, slot] - motion.y[world, 0]
        ahead = math.cos(yaw) * dx + math.sin(yaw) * dy
        left = math.cos(yaw) * dy - math.sin(yaw) * dx
        is_before = 0.0 < ahead < FRONT_M and abs(left) < FRONT_BESIDE_M
        is_before = is_before and math.cos(heading - yaw) > 0.7
        dx = motion.x[world, slot] - streams.exit_x[world, row]
        dy = motion.y[world, slot] - streams.exit_y[world, row]
        ahead = math.cos(exit_yaw) * dx + math.sin(exit_yaw) * dy
        left = math.cos(exit_yaw) * dy - math.sin(exit_yaw) * dx
        is_after = -5.0 < ahead < streams.exit_space_m[world, row] and abs(left) < FRONT_BESIDE_M
        is_after = is_after and math.cos(heading - exit_yaw) > 0.7
        if is_before or is_after:
            clear_slot(motion, traits, world, slot)


@device_function
def start_stream(
    roads: Roads,
    cast: Cast,
    clocks: Clocks,
    triggers: Triggers,
    streams: Streams,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """What happens when the ego reaches the trigger of a junction scenario."""
    seed, kind = clocks.seed[world], triggers.kind[world, row]
    clear_own_way(cast, streams, triggers, layout, world, row)
    keep_clear(roads, cast, streams, layout, world, row)
    draw_gap(streams, seed, world, row)
    if kind == _RIGHT_TURN:
        fill_path(roads, cast, streams, layout, seed, world, row)


@device_function
def follow_ego(
    roads: Roads,
    cast: Cast,
    triggers: Triggers,
    streams: Streams,
    world: int,
    row: int,
    map_index: int,
    now_s: float,
    dt: float,
) -> None:
    """Phases by the ego's way: into the junction, out of it, ten metres on."""
    motion, phase = cast.motion, triggers.phase[world, row]
    if phase == _LEAVING:
        speed = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
        streams.left_m[world, row] += speed * dt
        if streams.left_m[world, row] > END_M:
            enter_phase(triggers, world, row, _OVER, now_s)
        return
    point = nearest_lane_point(
        roads.grid, roads.points, roads.lanes, map_index, motion.x[world, 0], motion.y[world, 0],
        motion.z[world, 0], _DRIVING,
    )  # fmt: skip
    is_inside = point >= 0 and roads.lanes.junction[roads.points.lane[point]] >= 0
    if phase != _MEETING and is_inside:
        enter_phase(triggers, world, row, _MEETING, now_s)
    elif phase == _MEETING and not is_inside:
        streams.left_m[world, row] = 0.0
        enter_phase(triggers, world, row, _LEAVING, now_s)


@device_function
def step_stream(
    roads: Roads,
    cast: Cast,
    clocks: Clocks,
    plan: SignalPlan,
    triggers: Triggers,
    streams: Streams,
    layout: SlotLayout,
    world: int,
    row: int,
    dt: float,
) -> None:
    """Play one step of a stream, or of the one vehicle that runs its red light."""
    now_s, map_index = clocks.elapsed_s[world], clocks.map_index[world]
    follow_ego(roads, cast, triggers, streams, world, row, map_index, now_s, dt)
    since_s = now_s - triggers.began_s[world, row]
    is_runner = triggers.kind[world, row] == _RUNNER
    if triggers.phase[world, row] != _OVER and since_s > TIMEOUT_S:
        triggers.is_timed_out[world, row] = not is_runner
        enter_phase(triggers, world, row, _OVER, now_s)
    is_over = triggers.phase[world, row] == _OVER
    nearest_m = direct_cars(cast, streams, layout, world, row, is_over)
    if is_over:
        return
    keep_clear(roads, cast, streams, layout, world, row)
    has_head_start = since_s < OWN_RED_S and not is_runner
    force_lights(
        plan, roads, streams, world, row, map_index, _RED if has_head_start else _GREEN,
        _RED if is_runner else _GREEN, now_s + LIGHTS_HOLD_S,
    )  # fmt: skip
    if is_runner:
        run_red_light(roads, cast, triggers, streams, layout, clocks.seed[world], world, row, now_s)
    elif nearest_m > streams.next_gap_m[world, row]:
        send_car(
            roads, cast, streams, layout, clocks.seed[world], world, row, 0,
            float(streams.source_m[world, row]),
        )  # fmt: skip


@device_function
def run_red_light(
    roads: Roads,
    cast: Cast,
    triggers: Triggers,
    streams: Streams,
    layout: SlotLayout,
    seed: np.uint64,
    world: int,
    row: int,
    now_s: float,
) -> None:
    """Let the waiting vehicle go when the ego is near; gone when it should be across."""
    motion, traits = cast.motion, cast.traits
    if triggers.slot[world, row] < 0:  # it stands there from the trigger on
        model = int(_EMERGENCY[int(uniform(seed, 0, row, DRAW_CAR) * _EMERGENCY.shape[0])])
        slot = appear_on_path(
            roads, cast, streams, layout, seed, world, row, 0,
            float(streams.source_m[world, row]), model, 0.0,
        )  # fmt: skip
        if slot < 0:
            return
        put_on_script(cast.places, cast.overrides, streams, world, row, 0, slot, 0.0)
        triggers.slot[world, row] = slot
        triggers.actor_id[world, row] = traits.actor_id[world, slot]
    slot = int(triggers.slot[world, row])
    if traits.actor_id[world, slot] != triggers.actor_id[world, row]:
        return
    speed_mps = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
    distance_m = ego_distance_m(triggers, motion, world, row)
    if streams.newest[world, row] < 0:
        if arrives_soon(distance_m, speed_mps, RUNNER_REACTION_S, RUNNER_NOTICE_M):
            streams.newest[world, row] = 0
            streams.started_s[world, row] = now_s
            cast.overrides.scripted_speed_mps[world, slot] = streams.speed_mps[world, row]
            cast.places.speed_mps[world, slot] = streams.speed_mps[world, row]
    elif now_s - streams.started_s[world, row] > streams.crossing_s[world, row]:
        clear_slot(motion, traits, world, slot)


@device_function
def brake_those_ahead(
    motion: ActorMotion,
    traits: ActorTraits,
    overrides: Overrides,
    layout: SlotLayout,
    world: int,
    until_s: float,
) -> int:
    """Let all vehicles ahead of the ego, going its way, brake hard; how many there are."""
    x, y, z = motion.x[world, 0], motion.y[world, 0], motion.z[world, 0]
    yaw, count = motion.yaw_rad[world, 0], 0
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot] or abs(motion.z[world, slot] - z) > 2.5:
            continue
        dx, dy = motion.x[world, slot] - x, motion.y[world, slot] - y
        ahead = math.cos(yaw) * dx + math.sin(yaw) * dy
        left = math.cos(yaw) * dy - math.sin(yaw) * dx
        is_ahead = 0.0 < ahead < HARD_BREAK_REACH_M and abs(left) < 2.0 + 0.15 * ahead
        if is_ahead and math.cos(motion.yaw_rad[world, slot] - yaw) > 0.8:
            overrides.brake_until_s[world, slot] = until_s
            count += 1
    return count
