"""Scripted scenarios: starts them when the ego reaches their trigger points, and plays them.

The types and what they need are in `state.py`. What stands on a route from its start in CARLA
(props, debris, cyclists) is set up when the ego comes into view of its trigger.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import LaneGrid, Lanes, MapRanges, Signals
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, Clocks, Contacts
from sim_adapters.world.dynamics import Drivetrain
from sim_adapters.world.scenarios.control_loss import disturb_ego
from sim_adapters.world.scenarios.crossers import (
    enter_phase,
    give_space,
    place_crosser,
    place_prop,
    step_crosser,
    take_prop,
)
from sim_adapters.world.scenarios.state import (
    DEBRIS_PLACES,
    Blockers,
    Crossers,
    Debris,
    Phase,
    ScenarioKind,
    ScriptBook,
    Triggers,
)
from sim_adapters.world.scenarios.stream_cars import direct_cars, fill_further, send_due
from sim_adapters.world.scenarios.streams import (
    HARD_BREAK_S,
    brake_those_ahead,
    clear_ahead,
    clear_own_way,
    direct_junction,
    follow_ego,
    keep_clear,
    next_car,
    run_red_light,
    start_stream,
)
from sim_adapters.world.signals import SignalPlan
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.spawn import Cast
from sim_adapters.world.traffic.state import Overrides, Places
from sim_adapters.world.vehicle_catalogue import DIRT_DEBRIS

# ScenarioTriggerer: the route point at the ego is within 2 m of the trigger; a fast ego passes
# several metres between two steps
TRIGGER_BEFORE_M, TRIGGER_BEHIND_M, TRIGGER_BESIDE_M = 2.0, 4.0, 5.0
IN_VIEW_M, OUT_OF_VIEW_M = 120.0, 160.0
_NONE, _CONTROL_LOSS, _HARD_BREAK, _OBJECT_CROSSING, _VEHICLE_TURNING = (
    int(ScenarioKind.NONE),
    int(ScenarioKind.CONTROL_LOSS),
    int(ScenarioKind.HARD_BREAK),
    int(ScenarioKind.OBJECT_CROSSING),
    int(ScenarioKind.VEHICLE_TURNING),
)
_WAITING, _READY, _ACTING, _OVER = (
    int(Phase.WAITING),
    int(Phase.READY),
    int(Phase.ACTING),
    int(Phase.OVER),
)
_STATIC, _DEBRIS = int(ActorKind.STATIC), int(ActorKind.DEBRIS)
_RUNNER = int(ScenarioKind.RED_LIGHT_RUNNER)


class Junctions(NamedTuple):
    """What scripts of junctions read beside the lanes."""

    ranges: MapRanges
    grid: LaneGrid
    signals: Signals
    contacts: Contacts  # of the egos, (E, K)


@device_function
def is_at_trigger(dx: float, dy: float, dz: float, yaw_rad: float) -> bool:
    """Whether the ego has come to a trigger point.

    Args:
        dx: From the trigger to the ego's centre, with dy and dz [m].
        dy: See dx.
        dz: See dx.
        yaw_rad: The route's direction at the trigger.
    """
    ahead = math.cos(yaw_rad) * dx + math.sin(yaw_rad) * dy
    left = math.cos(yaw_rad) * dy - math.sin(yaw_rad) * dx
    is_beside = -TRIGGER_BEFORE_M < ahead < TRIGGER_BEHIND_M and abs(left) < TRIGGER_BESIDE_M
    return is_beside and abs(dz) < SAME_LEVEL_M


@device_function
def _set_up(
    motion: ActorMotion,
    traits: ActorTraits,
    triggers: Triggers,
    crossers: Crossers,
    blockers: Blockers,
    debris: Debris,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """Stand what is there before the ego comes; what finds no slot is tried again."""
    kind, is_done = triggers.kind[world, row], True
    if kind == _CONTROL_LOSS:
        for place in range(DEBRIS_PLACES):
            if debris.slot[world, row, place] < 0:
                pose = (
                    debris.x[world, row, place],
                    debris.y[world, row, place],
                    debris.z[world, row, place],
                    debris.yaw_rad[world, row, place],
                )
                debris.slot[world, row, place] = place_prop(
                    motion, traits, layout, world, row, DIRT_DEBRIS, _DEBRIS, pose
                )
            is_done = is_done and debris.slot[world, row, place] >= 0
    elif kind == _OBJECT_CROSSING:
        pose = (
            blockers.x[world, row],
            blockers.y[world, row],
            triggers.z[world, row],
            blockers.yaw_rad[world, row],
        )
        blockers.slot[world, row] = place_prop(
            motion, traits, layout, world, row, blockers.prop[world, row], _STATIC, pose
        )
        is_done = blockers.slot[world, row] >= 0
    elif kind == _VEHICLE_TURNING:
        is_done = place_crosser(motion, traits, triggers, crossers, layout, world, row)
    triggers.is_set_up[world, row] = is_done


@device_function
def _take_down(
    motion: ActorMotion,
    traits: ActorTraits,
    triggers: Triggers,
    blockers: Blockers,
    debris: Debris,
    world: int,
    row: int,
) -> None:
    """Take away what was set up for a trigger that the ego did not come to."""
    for place in range(DEBRIS_PLACES):
        take_prop(motion, traits, world, row, debris.slot[world, row, place])
        debris.slot[world, row, place] = -1
    take_prop(motion, traits, world, row, blockers.slot[world, row])
    blockers.slot[world, row] = -1
    take_prop(motion, traits, world, row, triggers.slot[world, row])
    triggers.slot[world, row] = -1
    triggers.is_set_up[world, row] = False


@device_function
def _start(
    motion: ActorMotion,
    traits: ActorTraits,
    places: Places,
    overrides: Overrides,
    lanes: Lanes,
    clocks: Clocks,
    book: ScriptBook,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """The ego is at the trigger; a pedestrian without a slot is tried again in the next step."""
    triggers, streams, crossers = book.triggers, book.streams, book.crossers
    kind = triggers.kind[world, row]
    if kind == _OBJECT_CROSSING:
        if not place_crosser(motion, traits, triggers, crossers, layout, world, row):
            return
        space_m = crossers.space_m[world, row]
        give_space(motion, traits, places, overrides, lanes, layout, world, space_m)
    triggers.began_s[world, row] = clocks.elapsed_s[world]
    enter_phase(triggers, world, row, _READY, clocks.elapsed_s[world])
    if kind not in (_CONTROL_LOSS, _HARD_BREAK, _OBJECT_CROSSING, _VEHICLE_TURNING):
        clear_own_way(motion, traits, overrides, streams, triggers, layout, world, row)
        keep_clear(motion, traits, places, overrides, lanes, streams, layout, world, row)
        start_stream(lanes, clocks, triggers, streams, world, row)


@device_function
def _is_due(motion: ActorMotion, triggers: Triggers, world: int, row: int) -> bool:
    """Whether anything is to be done for a trigger that the ego has not come to."""
    dx = motion.x[world, 0] - triggers.x[world, row]
    dy = motion.y[world, 0] - triggers.y[world, row]
    away2 = dx * dx + dy * dy
    if not triggers.is_set_up[world, row]:
        return away2 < IN_VIEW_M * IN_VIEW_M
    reach_m = math.hypot(TRIGGER_BEHIND_M, TRIGGER_BESIDE_M)
    return away2 < reach_m * reach_m or away2 > OUT_OF_VIEW_M * OUT_OF_VIEW_M


@device_function
def _wait(
    motion: ActorMotion,
    traits: ActorTraits,
    places: Places,
    overrides: Overrides,
    lanes: Lanes,
    clocks: Clocks,
    book: ScriptBook,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """Before the trigger: set up in view of it, start at it."""
    triggers, blockers, debris = book.triggers, book.blockers, book.debris
    dx = motion.x[world, 0] - triggers.x[world, row]
    dy = motion.y[world, 0] - triggers.y[world, row]
    dz = motion.z[world, 0] - triggers.z[world, row]
    if not triggers.is_set_up[world, row]:
        _set_up(motion, traits, triggers, book.crossers, blockers, debris, layout, world, row)
    elif math.hypot(dx, dy) > OUT_OF_VIEW_M:
        _take_down(motion, traits, triggers, blockers, debris, world, row)
    if is_at_trigger(dx, dy, dz, triggers.yaw_rad[world, row]):
        _start(motion, traits, places, overrides, lanes, clocks, book, layout, world, row)


@device_function
def _break_hard(
    motion: ActorMotion,
    traits: ActorTraits,
    overrides: Overrides,
    triggers: Triggers,
    book: ScriptBook,
    layout: SlotLayout,
    world: int,
    row: int,
    now_s: float,
) -> None:
    """Vehicles ahead brake; if there is none, one appears at the ego's speed and does."""
    until_s = triggers.began_s[world, row] + HARD_BREAK_S
    count = brake_those_ahead(motion, traits, overrides, layout, world, until_s)
    if triggers.phase[world, row] == _READY:
        enter_phase(triggers, world, row, _ACTING, now_s)
        if count == 0:
            streams = book.streams
            streams.due[world, row] = 0
            streams.due_m[world, row] = streams.source_m[world, row]
    if now_s >= until_s:
        enter_phase(triggers, world, row, _OVER, now_s)


@device_function
def _step_junction(
    cast: Cast,
    junctions: Junctions,
    clocks: Clocks,
    plan: SignalPlan,
    book: ScriptBook,
    layout: SlotLayout,
    world: int,
    row: int,
    dt: float,
) -> None:
    """One step of a stream, or of the one vehicle that runs its red light."""
    motion, traits, places, overrides = cast.motion, cast.traits, cast.places, cast.overrides
    triggers, streams, lanes = book.triggers, book.streams, cast.lanes
    follow_ego(
        junctions.grid, cast.points, lanes, motion, clocks, triggers, streams, world, row, dt
    )
    direct_junction(
        junctions.ranges, junctions.signals, clocks, plan, triggers, streams, world, row
    )
    is_over = triggers.phase[world, row] == _OVER
    nearest_m = direct_cars(
        motion, traits, junctions.contacts, overrides, streams, layout, world, row, is_over
    )
    if is_over:
        return
    keep_clear(motion, traits, places, overrides, lanes, streams, layout, world, row)
    if triggers.phase[world, row] == _READY:  # the ego has not come to the junction
        clear_ahead(motion, traits, overrides, triggers, layout, world, row)
    if triggers.kind[world, row] == _RUNNER:
        now_s = clocks.elapsed_s[world]
        run_red_light(motion, traits, places, overrides, triggers, streams, world, row, now_s)
    else:
        next_car(streams, world, row, nearest_m)


@range_kernel
def step_scenarios_range(
    first: int,
    last: int,
    cast: Cast,
    junctions: Junctions,
    clocks: Clocks,
    drivetrain: Drivetrain,
    plan: SignalPlan,
    book: ScriptBook,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Start and play the scripts of worlds `first` to `last`; one driver a world, in slot 0."""
    motion, traits, places, overrides = cast.motion, cast.traits, cast.places, cast.overrides
    lanes = cast.lanes
    triggers, streams, blockers, debris = book.triggers, book.streams, book.blockers, book.debris
    for world in range(first, last):
        now_s = clocks.elapsed_s[world]
        drivetrain.steer_noise[world] = drivetrain.throttle_noise[world] = 0.0
        for row in range(triggers.kind.shape[1]):
            kind, phase = triggers.kind[world, row], triggers.phase[world, row]
            if kind == _NONE or phase == _OVER:
                continue
            if phase == _WAITING:
                # Looked at here: handing all structs to a function costs more than the look
                if _is_due(motion, triggers, world, row):
                    _wait(
                        motion, traits, places, overrides, lanes, clocks, book, layout, world, row
                    )
                    while streams.due[world, row] >= 0:  # a way full of cars from the start
                        send_due(cast, clocks, triggers, streams, layout, world, row, 0.0)
                        fill_further(lanes, streams, world, row)
            elif kind == _CONTROL_LOSS:
                disturb_ego(motion, clocks, drivetrain, triggers, debris, world, row, dt)
                if triggers.phase[world, row] == _OVER:
                    _take_down(motion, traits, triggers, blockers, debris, world, row)
            elif kind in (_OBJECT_CROSSING, _VEHICLE_TURNING):
                if step_crosser(
                    motion, traits, overrides, triggers, book.crossers, layout, world, row, now_s,
                    dt,
                ):  # fmt: skip
                    take_prop(motion, traits, world, row, blockers.slot[world, row])
                    enter_phase(triggers, world, row, _OVER, now_s)
            elif kind == _HARD_BREAK:
                _break_hard(motion, traits, overrides, triggers, book, layout, world, row, now_s)
            else:
                _step_junction(cast, junctions, clocks, plan, book, layout, world, row, dt)
            if streams.due[world, row] >= 0:
                speed_mps = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
                send_due(cast, clocks, triggers, streams, layout, world, row, speed_mps)
