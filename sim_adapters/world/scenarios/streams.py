"""Plays scenarios in which vehicles drive through the ego's junction, and vehicles that brake hard.

Streams are background vehicles with a given path and speed that heed no light and no priority. The
lights of the junction are set so that the meeting happens, as scenario_runner does: green for the
ego (after a moment of red) and for the stream, red for everybody else.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import device_function
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.map_bank import LaneLinks, LanePoints, Lanes, MapRanges, Signals
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, Clocks, LightState
from sim_adapters.world.pedestrian_state import lane_place
from sim_adapters.world.scenarios.crossers import (
    LEFT_BEHIND_M,
    MOVING_MPS,
    PATIENCE_S,
    ego_distance_m,
    enter_phase,
    last_free_slot,
)
from sim_adapters.world.scenarios.state import STREAM_LANES, Phase, ScenarioKind, Streams, Triggers
from sim_adapters.world.signals import SignalPlan
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.spawn import place_is_free, spawn_vehicle
from sim_adapters.world.traffic.state import CURRENT, Drivers, Overrides, Places, Progress
from sim_adapters.world.vehicle_catalogue import FIRST_VEHICLE_OF_KIND, VEHICLE_HALF_LENGTH_M

OWN_RED_S = 5.0  # a stream has this head start over an ego that can still stop
CAN_STOP_M = 35.0  # further than this from the meeting point the ego can be shown red
NEAR_M = 12.0  # the ego is in the junction
HARD_BREAK_S = 10.0
HARD_BREAK_REACH_M = 60.0
RUNNER_CLEARS_M = 15.0  # vehicles this near to the ego are not taken out of the runner's way
_GREEN, _RED = int(LightState.GREEN), int(LightState.RED)
_READY, _ACTING, _MEETING, _OVER = (
    int(Phase.READY),
    int(Phase.ACTING),
    int(Phase.MEETING),
    int(Phase.OVER),
)
_RUNNER = int(ScenarioKind.RED_LIGHT_RUNNER)
_FIRST_CAR = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR])
_LAST_CAR = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR + 1])
_DRAW_GAP, _DRAW_CAR = 2401, 2402


@device_function
def force_lights(
    plan: SignalPlan,
    signals: Signals,
    ranges: MapRanges,
    streams: Streams,
    world: int,
    row: int,
    map_index: int,
    own_state: int,
    stream_state: int,
    until_s: float,
) -> None:
    """Set all lights of the script's junction until a time: other arms are red."""
    first, last = ranges.signal[map_index], ranges.signal[map_index + 1]
    group = streams.group[world, row]
    for light in range(last - first):
        if group < 0 or signals.group[first + light] != group:
            continue
        state = _RED
        if light == streams.stream_light[world, row]:
            state = stream_state
        if light == streams.own_light[world, row]:
            state = own_state
        plan.forced_state[world, light] = state
        plan.forced_until_s[world, light] = until_s


@device_function
def spawn_on_path(
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    table: TrafficMap,
    motion: ActorMotion,
    traits: ActorTraits,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
    clocks: Clocks,
    streams: Streams,
    layout: SlotLayout,
    world: int,
    row: int,
    draw: int,
    speed_mps: float,
) -> int:
    """A car at the script's source with a free place around it; its slot, or -1."""
    slot = last_free_slot(traits, world, layout.first_vehicle, layout.first_pedestrian)
    lane, s_m = int(streams.path[world, row, 0]), float(streams.source_m[world, row])
    if slot < 0 or lane < 0:
        return -1
    seed = clocks.seed[world]
    share = uniform(seed, draw, row, _DRAW_CAR)
    model = _FIRST_CAR + int(share * (_LAST_CAR - _FIRST_CAR))
    x, y, z, yaw = lane_place(points, lanes, lane, s_m, 0.0)
    half = VEHICLE_HALF_LENGTH_M[model]
    if not place_is_free(traits, motion, world, x, y, z, yaw, half, speed_mps):
        return -1
    spawn_vehicle(
        points, lanes, links, table, motion, traits, places, drivers, progress, overrides, world,
        slot, seed, model, lane, s_m, speed_mps,
    )  # fmt: skip
    return slot


@device_function
def _send(
    places: Places, overrides: Overrides, streams: Streams, world: int, row: int, slot: int
) -> None:
    """Give a new car the script's path and speed; it heeds nobody but who is ahead of it."""
    path = places.path[world, slot]
    path[CURRENT + 1 :] = -1
    for index in range(1, STREAM_LANES):
        path[CURRENT + index] = streams.path[world, row, index]
    overrides.ignores_lights[world, slot] = True
    overrides.ignores_junctions[world, slot] = True
    overrides.keeps_path[world, slot] = True
    overrides.scripted_speed_mps[world, slot] = streams.speed_mps[world, row]


@device_function
def _clear_the_way(
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
    """Take background vehicles off the lanes before the junction that the runner comes through."""
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot] or overrides.keeps_path[world, slot]:
            continue
        dx = motion.x[world, slot] - motion.x[world, 0]
        dy = motion.y[world, slot] - motion.y[world, 0]
        if math.hypot(dx, dy) < RUNNER_CLEARS_M:
            continue
        current = places.path[world, slot, CURRENT]
        for index in range(STREAM_LANES):
            lane = streams.path[world, row, index]
            if lane < 0 or lanes.junction[lane] >= 0:
                break
            if lane == current:
                clear_slot(motion, traits, world, slot)
                break


@device_function
def _direct_junction(
    ranges: MapRanges,
    signals: Signals,
    plan: SignalPlan,
    triggers: Triggers,
    streams: Streams,
    world: int,
    row: int,
    map_index: int,
    now_s: float,
    distance_m: float,
) -> None:
    """Bring the script's phase up to date and set the junction's lights."""
    since_s = now_s - triggers.since_s[world, row]
    phase, is_runner = triggers.phase[world, row], triggers.kind[world, row] == _RUNNER
    own_state = _GREEN
    if (phase == _MEETING and distance_m > LEFT_BEHIND_M) or since_s > PATIENCE_S:
        enter_phase(triggers, world, row, _OVER, now_s)
        return
    if phase != _MEETING and distance_m < NEAR_M:
        enter_phase(triggers, world, row, _MEETING, now_s)
    elif phase == _READY and not is_runner:
        if since_s < OWN_RED_S and distance_m > CAN_STOP_M:
            own_state = _RED
        else:
            enter_phase(triggers, world, row, _ACTING, now_s)
    stream_state = _RED if is_runner else _GREEN
    force_lights(
        plan, signals, ranges, streams, world, row, map_index, own_state, stream_state,
        now_s + 1.0,
    )  # fmt: skip


@device_function
def step_stream(
    points: LanePoints,
    lanes: Lanes,
    links: LaneLinks,
    ranges: MapRanges,
    signals: Signals,
    table: TrafficMap,
    motion: ActorMotion,
    traits: ActorTraits,
    places: Places,
    drivers: Drivers,
    progress: Progress,
    overrides: Overrides,
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
    now_s, speed = clocks.elapsed_s[world], streams.speed_mps[world, row]
    distance = ego_distance_m(triggers, motion, world, row)
    _direct_junction(
        ranges, signals, plan, triggers, streams, world, row, clocks.map_index[world], now_s,
        distance,
    )  # fmt: skip
    if triggers.phase[world, row] == _OVER or now_s < streams.next_s[world, row]:
        return
    if triggers.kind[world, row] == _RUNNER:
        if triggers.slot[world, row] >= 0:
            return
        _clear_the_way(motion, traits, places, overrides, lanes, streams, layout, world, row)
        ego_speed = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
        arrival_s = distance / ego_speed if ego_speed > MOVING_MPS else np.inf
        if arrival_s > streams.meeting_m[world, row] / speed:
            return
    tick = round(now_s / dt)
    slot = spawn_on_path(
        points, lanes, links, table, motion, traits, places, drivers, progress, overrides, clocks,
        streams, layout, world, row, tick, speed,
    )  # fmt: skip
    if slot < 0:
        return
    _send(places, overrides, streams, world, row, slot)
    triggers.slot[world, row] = slot
    triggers.actor_id[world, row] = traits.actor_id[world, slot]
    smallest, largest = streams.smallest_gap_m[world, row], streams.largest_gap_m[world, row]
    gap_m = smallest + (largest - smallest) * uniform(clocks.seed[world], tick, row, _DRAW_GAP)
    streams.next_s[world, row] = now_s + gap_m / speed


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
