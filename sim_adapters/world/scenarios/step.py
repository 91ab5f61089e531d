"""Scripted scenarios: starts them when the ego reaches their trigger points, and plays them.

The types and what they need are in `state.py`. What stands on a route from its start in CARLA
(props, debris, cyclists) is set up when the ego comes into view of its trigger.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.state import ActorKind, ActorMotion, Clocks
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
    Phase,
    ScenarioKind,
    ScriptBook,
    Triggers,
)
from sim_adapters.world.scenarios.stream_cars import Cast, Roads, appear_on_path
from sim_adapters.world.scenarios.streams import (
    HARD_BREAK_S,
    brake_those_ahead,
    start_stream,
    step_stream,
)
from sim_adapters.world.signals import SignalPlan
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.vehicle_catalogue import DIRT_DEBRIS, FIRST_VEHICLE_OF_KIND

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
_CAR_MODEL = int(FIRST_VEHICLE_OF_KIND[ActorKind.CAR])


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
def _set_up(cast: Cast, book: ScriptBook, layout: SlotLayout, world: int, row: int) -> None:
    """Stand what is there before the ego comes; what finds no slot is tried again."""
    motion, traits, triggers = cast.motion, cast.traits, book.triggers
    kind, is_done = triggers.kind[world, row], True
    if kind == _CONTROL_LOSS:
        debris = book.debris
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
        blockers = book.blockers
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
        is_done = place_crosser(motion, traits, triggers, book.crossers, layout, world, row)
    triggers.is_set_up[world, row] = is_done


@device_function
def _take_down(cast: Cast, book: ScriptBook, world: int, row: int) -> None:
    """Take away what was set up for a trigger that the ego did not come to."""
    motion, traits = cast.motion, cast.traits
    for place in range(DEBRIS_PLACES):
        take_prop(motion, traits, world, row, book.debris.slot[world, row, place])
        book.debris.slot[world, row, place] = -1
    take_prop(motion, traits, world, row, book.blockers.slot[world, row])
    book.blockers.slot[world, row] = -1
    take_prop(motion, traits, world, row, book.triggers.slot[world, row])
    book.triggers.slot[world, row] = -1
    book.triggers.is_set_up[world, row] = False


@device_function
def _start(
    roads: Roads,
    cast: Cast,
    clocks: Clocks,
    book: ScriptBook,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """The ego is at the trigger; a pedestrian without a slot is tried again in the next step."""
    triggers, kind = book.triggers, book.triggers.kind[world, row]
    if kind == _OBJECT_CROSSING:
        crossers = book.crossers
        if not place_crosser(cast.motion, cast.traits, triggers, crossers, layout, world, row):
            return
        give_space(
            cast.motion, cast.traits, cast.places, cast.overrides, roads.lanes, layout, world,
            crossers.space_m[world, row],
        )  # fmt: skip
    triggers.began_s[world, row] = clocks.elapsed_s[world]
    enter_phase(triggers, world, row, _READY, clocks.elapsed_s[world])
    if kind not in (_CONTROL_LOSS, _HARD_BREAK, _OBJECT_CROSSING, _VEHICLE_TURNING):
        start_stream(roads, cast, clocks, triggers, book.streams, layout, world, row)


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
    roads: Roads,
    cast: Cast,
    clocks: Clocks,
    book: ScriptBook,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """Before the trigger: set up in view of it, start at it."""
    triggers, motion = book.triggers, cast.motion
    dx = motion.x[world, 0] - triggers.x[world, row]
    dy = motion.y[world, 0] - triggers.y[world, row]
    dz = motion.z[world, 0] - triggers.z[world, row]
    if not triggers.is_set_up[world, row]:
        _set_up(cast, book, layout, world, row)
    elif math.hypot(dx, dy) > OUT_OF_VIEW_M:
        _take_down(cast, book, world, row)
    if is_at_trigger(dx, dy, dz, triggers.yaw_rad[world, row]):
        _start(roads, cast, clocks, book, layout, world, row)


@device_function
def _break_hard(
    roads: Roads,
    cast: Cast,
    clocks: Clocks,
    book: ScriptBook,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """Vehicles ahead brake; if there is none, one appears at the ego's speed and does."""
    motion, triggers, now_s = cast.motion, book.triggers, clocks.elapsed_s[world]
    until_s = triggers.since_s[world, row] + HARD_BREAK_S
    count = brake_those_ahead(motion, cast.traits, cast.overrides, layout, world, until_s)
    if triggers.phase[world, row] == _READY:
        triggers.phase[world, row] = _ACTING
        triggers.since_s[world, row] = now_s
        if count == 0:
            appear_on_path(
                roads, cast, book.streams, layout, clocks.seed[world], world, row, 0,
                float(book.streams.source_m[world, row]), _CAR_MODEL,
                math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0]),
            )  # fmt: skip
    if now_s >= until_s:
        triggers.phase[world, row] = _OVER


@range_kernel
def step_scenarios_range(
    first: int,
    last: int,
    roads: Roads,
    cast: Cast,
    clocks: Clocks,
    drivetrain: Drivetrain,
    plan: SignalPlan,
    book: ScriptBook,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Start and play the scripts of worlds `first` to `last`; one driver a world, in slot 0."""
    triggers = book.triggers
    for world in range(first, last):
        now_s = clocks.elapsed_s[world]
        drivetrain.steer_noise[world] = drivetrain.throttle_noise[world] = 0.0
        for row in range(triggers.kind.shape[1]):
            kind, phase = triggers.kind[world, row], triggers.phase[world, row]
            if kind == _NONE or phase == _OVER:
                continue
            if phase == _WAITING:
                # Looked at here: handing all structs to a function costs more than the look
                if _is_due(cast.motion, triggers, world, row):
                    _wait(roads, cast, clocks, book, layout, world, row)
            elif kind == _CONTROL_LOSS:
                disturb_ego(cast.motion, clocks, drivetrain, triggers, book.debris, world, row, dt)
                if triggers.phase[world, row] == _OVER:
                    _take_down(cast, book, world, row)
            elif kind in (_OBJECT_CROSSING, _VEHICLE_TURNING):
                step_crosser(
                    cast.motion, cast.traits, cast.overrides, triggers, book.crossers,
                    book.blockers, layout, world, row, now_s, dt,
                )  # fmt: skip
            elif kind == _HARD_BREAK:
                _break_hard(roads, cast, clocks, book, layout, world, row)
            else:
                step_stream(
                    roads, cast, clocks, plan, triggers, book.streams, layout, world, row, dt
                )
