"""Plays scenarios in which vehicles drive through the ego's junction.

As scenario_runner plays them: the junction is cleared and stays so, the stream's cars drive at a
constant speed and heed nobody until one of them has hit somebody. The ego is shown red for five
seconds, then green like the stream; all others are shown red. A red-light runner stands before the
junction and starts when the ego is near.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import device_function
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import (
    LaneGrid,
    LaneKind,
    LanePoints,
    Lanes,
    MapRanges,
    Signals,
)
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
from sim_adapters.world.scenarios.stream_cars import draw_gap, fill_further
from sim_adapters.world.signals import SignalPlan
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.state import CURRENT, Overrides, Places

OWN_RED_S = 5.0  # JunctionLeftTurn._green_light_delay
TIMEOUT_S = 240.0  # then a stream ends as a scenario timeout
END_M = 10.0  # driven after the junction
RUNNER_REACTION_S, RUNNER_NOTICE_M = 2.2, 12.0  # OppositeVehicleJunction
LIGHTS_HOLD_S = 1.0  # after a script's last step
HELD_S = 10_000.0  # what a held light says to have left (TrafficLightFreezer's duration)
FRONT_M, FRONT_BESIDE_M = 60.0, 8.0  # of the ego's way to the junction that is kept free
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


class HeldLights(NamedTuple):
    """What a script shows at its junction; arms beside its own and the stream's have red."""

    own: int  # LightState
    stream: int
    until_s: float  # of the episode, if it is not renewed
    change_s: float  # when the lights say that they will change


@device_function
def force_lights(
    plan: SignalPlan,
    ranges: MapRanges,
    signals: Signals,
    streams: Streams,
    world: int,
    row: int,
    map_index: int,
    held: HeldLights,
) -> None:
    """Set all lights of the script's junction."""
    first, last = ranges.signal[map_index], ranges.signal[map_index + 1]
    group = streams.group[world, row]
    for light in range(last - first):
        if group < 0 or signals.group[first + light] != group:
            continue
        state = _RED
        if light == streams.stream_light[world, row]:
            state = held.stream
        if light == streams.own_light[world, row]:
            state = held.own
        plan.forced_state[world, light] = state
        plan.forced_until_s[world, light] = held.until_s
        plan.forced_change_s[world, light] = held.change_s


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
    motion: ActorMotion,
    traits: ActorTraits,
    places: Places,
    overrides: Overrides,
    lanes: Lanes,
    streams: Streams,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """Take other traffic off the junction and the stream's way."""
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot] or overrides.keeps_path[world, slot]:
            continue
        if is_listed(streams, lanes, world, row, int(places.path[world, slot, CURRENT])):
            clear_slot(motion, traits, world, slot)


@device_function
def clear_own_way(
    motion: ActorMotion,
    traits: ActorTraits,
    overrides: Overrides,
    streams: Streams,
    triggers: Triggers,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """At the trigger: nobody ahead of the ego, and space after the junction."""
    clear_ahead(motion, traits, overrides, triggers, layout, world, row)
    exit_yaw = streams.exit_yaw_rad[world, row]
    exit_x, exit_y = streams.exit_x[world, row], streams.exit_y[world, row]
    space_m = streams.exit_space_m[world, row]
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot] or overrides.keeps_path[world, slot]:
            continue
        x, y, heading = motion.x[world, slot], motion.y[world, slot], motion.yaw_rad[world, slot]
        ahead, beside = along_and_beside(x - exit_x, y - exit_y, exit_yaw)
        is_after = -5.0 < ahead < space_m and beside < FRONT_BESIDE_M
        if is_after and math.cos(heading - exit_yaw) > 0.7:
            clear_slot(motion, traits, world, slot)


@device_function
def clear_ahead(
    motion: ActorMotion,
    traits: ActorTraits,
    overrides: Overrides,
    triggers: Triggers,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """Take traffic off the ego's way to the junction: who overtakes would wait there for ever.

    BackgroundActivity removes who is before the ego at the trigger (`_clear_ego_entry`) and lets
    nobody past it until the junction.
    """
    yaw = triggers.yaw_rad[world, row]
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot] or overrides.keeps_path[world, slot]:
            continue
        ahead, beside = along_and_beside(
            motion.x[world, slot] - motion.x[world, 0],
            motion.y[world, slot] - motion.y[world, 0],
            yaw,
        )
        is_ahead = 0.0 < ahead < FRONT_M and beside < FRONT_BESIDE_M
        if is_ahead and math.cos(motion.yaw_rad[world, slot] - yaw) > 0.7:
            clear_slot(motion, traits, world, slot)


@device_function
def along_and_beside(dx: float, dy: float, yaw_rad: float) -> tuple[float, float]:
    """How far (dx, dy) leads in a direction, and how far to either side of it."""
    cos_yaw, sin_yaw = math.cos(yaw_rad), math.sin(yaw_rad)
    return cos_yaw * dx + sin_yaw * dy, abs(cos_yaw * dy - sin_yaw * dx)


@device_function
def start_stream(
    lanes: Lanes, clocks: Clocks, triggers: Triggers, streams: Streams, world: int, row: int
) -> None:
    """Draw the first gap; a way that is full of cars from the start begins to be filled."""
    kind = triggers.kind[world, row]
    draw_gap(streams, clocks.seed[world], world, row)
    streams.filled_m[world, row] = 0.0
    if kind == _RIGHT_TURN:
        fill_further(lanes, streams, world, row)
    elif kind == _RUNNER:
        triggers.slot[world, row] = -1


@device_function
def follow_ego(
    grid: LaneGrid,
    points: LanePoints,
    lanes: Lanes,
    motion: ActorMotion,
    clocks: Clocks,
    triggers: Triggers,
    streams: Streams,
    world: int,
    row: int,
    dt: float,
) -> None:
    """Phases by the ego's way: into the junction, out of it, ten metres on."""
    phase, now_s = triggers.phase[world, row], clocks.elapsed_s[world]
    if phase == _LEAVING:
        speed = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
        streams.left_m[world, row] += speed * dt
        if streams.left_m[world, row] > END_M:
            enter_phase(triggers, world, row, _OVER, now_s)
        return
    point = nearest_lane_point(
        grid, points, lanes, clocks.map_index[world], motion.x[world, 0], motion.y[world, 0],
        motion.z[world, 0], _DRIVING,
    )  # fmt: skip
    is_inside = point >= 0 and lanes.junction[points.lane[point]] >= 0
    if phase != _MEETING and is_inside:
        enter_phase(triggers, world, row, _MEETING, now_s)
    elif phase == _MEETING and not is_inside:
        streams.left_m[world, row] = 0.0
        enter_phase(triggers, world, row, _LEAVING, now_s)


@device_function
def direct_junction(
    ranges: MapRanges,
    signals: Signals,
    clocks: Clocks,
    plan: SignalPlan,
    triggers: Triggers,
    streams: Streams,
    world: int,
    row: int,
) -> None:
    """End the script when its time is up, else set the junction's lights."""
    now_s, kind = clocks.elapsed_s[world], triggers.kind[world, row]
    since_s = now_s - triggers.began_s[world, row]
    if triggers.phase[world, row] != _OVER and since_s > TIMEOUT_S:
        triggers.is_timed_out[world, row] = kind != _RUNNER
        enter_phase(triggers, world, row, _OVER, now_s)
    if triggers.phase[world, row] == _OVER:
        return
    is_first = since_s < OWN_RED_S and kind != _RUNNER
    own = _RED if is_first else _GREEN
    change_s = triggers.began_s[world, row] + OWN_RED_S if is_first else now_s + HELD_S
    theirs = _RED if kind == _RUNNER else _GREEN
    held = HeldLights(own, theirs, now_s + LIGHTS_HOLD_S, change_s)
    force_lights(plan, ranges, signals, streams, world, row, clocks.map_index[world], held)


@device_function
def next_car(streams: Streams, world: int, row: int, nearest_m: float) -> None:
    """Say that a stream's next car is due when the newest is far enough from the source."""
    if nearest_m > streams.next_gap_m[world, row]:
        streams.due[world, row] = 0
        streams.due_m[world, row] = streams.source_m[world, row]


@device_function
def run_red_light(
    motion: ActorMotion,
    traits: ActorTraits,
    places: Places,
    overrides: Overrides,
    triggers: Triggers,
    streams: Streams,
    world: int,
    row: int,
    now_s: float,
) -> None:
    """Let the waiting vehicle go when the ego is near; gone when it should be across."""
    slot = int(triggers.slot[world, row])
    if slot < 0:  # it stands there from the trigger on
        streams.due[world, row] = 0
        streams.due_m[world, row] = streams.source_m[world, row]
        return
    if traits.actor_id[world, slot] != triggers.actor_id[world, row]:
        return
    speed_mps = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
    distance_m = ego_distance_m(triggers, motion, world, row)
    if streams.newest[world, row] < 0:
        if arrives_soon(distance_m, speed_mps, RUNNER_REACTION_S, RUNNER_NOTICE_M):
            streams.newest[world, row] = 0
            streams.started_s[world, row] = now_s
            overrides.scripted_speed_mps[world, slot] = streams.speed_mps[world, row]
            places.speed_mps[world, slot] = streams.speed_mps[world, row]
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
