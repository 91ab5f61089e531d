"""Scripted scenarios: starts them when the ego reaches their trigger points, and plays them.

The types and what they need are in `scenario_state`; a trigger that cannot start yet because all
slots are taken tries again in the next step while the ego is near.
"""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.counter_rng import uniform
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import LaneLinks, LanePoints, Lanes, MapRanges, Signals
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, Clocks
from sim_adapters.world.dynamics import Drivetrain
from sim_adapters.world.scenarios.crossers import (
    clear_blocker,
    enter_phase,
    place_blocker,
    place_crosser,
    step_crosser,
)
from sim_adapters.world.scenarios.state import (
    Blockers,
    Crossers,
    Phase,
    ScenarioKind,
    Streams,
    Triggers,
)
from sim_adapters.world.scenarios.streams import (
    HARD_BREAK_S,
    brake_those_ahead,
    spawn_on_path,
    step_stream,
)
from sim_adapters.world.signals import SignalPlan
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.map import TrafficMap
from sim_adapters.world.traffic.state import Drivers, Overrides, Places, Progress

TRIGGER_RADIUS_M = 6.0
# scenario_runner's ControlLoss: mean (of either sign) and standard deviation of what is added to
# the controls while the ego's centre is this near to debris
LOSS_STEER, LOSS_STEER_STD = 0.055, 0.015
LOSS_THROTTLE, LOSS_THROTTLE_STD = 0.03, 0.01
LOSS_REACH_M = 2.0
LOSS_END_M = 110.0  # from the trigger
LOSS_LONGEST_S = 60.0
_SPREAD = math.sqrt(12.0)  # of a uniform number with a standard deviation of 1
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
_DRAW_STEER, _DRAW_THROTTLE, _DRAW_STEER_SIDE, _DRAW_THROTTLE_SIDE = 2501, 2502, 2503, 2504


@device_function
def is_reached(triggers: Triggers, motion: ActorMotion, world: int, row: int) -> bool:
    """Whether the ego is at a trigger point."""
    dx = triggers.x[world, row] - motion.x[world, 0]
    dy = triggers.y[world, row] - motion.y[world, 0]
    is_level = abs(triggers.z[world, row] - motion.z[world, 0]) < SAME_LEVEL_M
    return is_level and dx * dx + dy * dy < TRIGGER_RADIUS_M * TRIGGER_RADIUS_M


@device_function
def debris_underneath(
    x: float, y: float, blockers: Blockers, crossers: Crossers, world: int, row: int
) -> int:
    """Which of the three places with debris (x, y) is at, -1 none."""
    reach2 = LOSS_REACH_M * LOSS_REACH_M
    if (blockers.x[world, row] - x) ** 2 + (blockers.y[world, row] - y) ** 2 < reach2:
        return 0
    if (crossers.start_x[world, row] - x) ** 2 + (crossers.start_y[world, row] - y) ** 2 < reach2:
        return 1
    if (crossers.end_x[world, row] - x) ** 2 + (crossers.end_y[world, row] - y) ** 2 < reach2:
        return 2
    return -1


@device_function
def loss_noise(seed: np.uint64, tick: int, row: int, place: int) -> tuple[float, float]:
    """What debris adds to steering and throttle: to one side a place, a little more or less a tick.

    scenario_runner draws from the normal distribution; a uniform one has the same spread.
    """
    if place < 0:
        return 0.0, 0.0
    steer_side = 1.0 if uniform(seed, place, row, _DRAW_STEER_SIDE) < 0.5 else -1.0
    throttle_side = 1.0 if uniform(seed, place, row, _DRAW_THROTTLE_SIDE) < 0.5 else -1.0
    steer = _SPREAD * (uniform(seed, tick, row, _DRAW_STEER) - 0.5)
    throttle = _SPREAD * (uniform(seed, tick, row, _DRAW_THROTTLE) - 0.5)
    return (
        steer_side * LOSS_STEER + LOSS_STEER_STD * steer,
        throttle_side * LOSS_THROTTLE + LOSS_THROTTLE_STD * throttle,
    )


@device_function
def _disturb(
    motion: ActorMotion,
    traits: ActorTraits,
    clocks: Clocks,
    drivetrain: Drivetrain,
    triggers: Triggers,
    crossers: Crossers,
    blockers: Blockers,
    world: int,
    row: int,
    dt: float,
) -> None:
    """Noise on the ego's controls over debris, until it has left the stretch or time is up."""
    now_s, seed = clocks.elapsed_s[world], clocks.seed[world]
    x, y = motion.x[world, 0], motion.y[world, 0]
    since_s = now_s - triggers.since_s[world, row]
    gone_m = math.hypot(triggers.x[world, row] - x, triggers.y[world, row] - y)
    if gone_m > LOSS_END_M or since_s > LOSS_LONGEST_S:
        drivetrain.steer_noise[world] = drivetrain.throttle_noise[world] = 0.0
        clear_blocker(motion, traits, blockers, world, row)
        enter_phase(triggers, world, row, _OVER, now_s)
        return
    place = debris_underneath(x, y, blockers, crossers, world, row)
    steer, throttle = loss_noise(seed, round(now_s / dt), row, place)
    drivetrain.steer_noise[world], drivetrain.throttle_noise[world] = steer, throttle


@device_function
def _start(
    motion: ActorMotion,
    traits: ActorTraits,
    clocks: Clocks,
    triggers: Triggers,
    crossers: Crossers,
    blockers: Blockers,
    layout: SlotLayout,
    world: int,
    row: int,
) -> None:
    """Put a script's actors in place."""
    kind, now_s = triggers.kind[world, row], clocks.elapsed_s[world]
    if kind == _CONTROL_LOSS:
        place_blocker(motion, traits, triggers, blockers, layout, world, row, _DEBRIS)
    elif kind in (_OBJECT_CROSSING, _VEHICLE_TURNING):
        if not place_crosser(motion, traits, triggers, crossers, layout, world, row):
            return
        place_blocker(motion, traits, triggers, blockers, layout, world, row, _STATIC)
    enter_phase(triggers, world, row, _READY, now_s)


@range_kernel
def step_scenarios_range(
    first: int,
    last: int,
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
    drivetrain: Drivetrain,
    plan: SignalPlan,
    triggers: Triggers,
    crossers: Crossers,
    blockers: Blockers,
    streams: Streams,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Start and play the scripts of worlds `first` to `last`; one driver a world, in slot 0."""
    for world in range(first, last):
        now_s = clocks.elapsed_s[world]
        for row in range(triggers.kind.shape[1]):
            kind, phase = triggers.kind[world, row], triggers.phase[world, row]
            if kind == _NONE or phase == _OVER:
                continue
            if phase == _WAITING:
                if is_reached(triggers, motion, world, row):
                    _start(motion, traits, clocks, triggers, crossers, blockers, layout, world, row)
            elif kind == _CONTROL_LOSS:
                _disturb(
                    motion, traits, clocks, drivetrain, triggers, crossers, blockers, world, row, dt
                )  # fmt: skip
            elif kind in (_OBJECT_CROSSING, _VEHICLE_TURNING):
                step_crosser(motion, traits, triggers, crossers, blockers, world, row, now_s, dt)
            elif kind == _HARD_BREAK:
                until_s = triggers.since_s[world, row] + HARD_BREAK_S
                count = brake_those_ahead(motion, traits, overrides, layout, world, until_s)
                if phase == _READY and count == 0:
                    # Nobody to brake: one appears at the ego's speed and brakes from then on
                    ego_mps = math.hypot(motion.vx_mps[world, 0], motion.vy_mps[world, 0])
                    spawn_on_path(
                        points, lanes, links, table, motion, traits, places, drivers, progress,
                        overrides, clocks, streams, layout, world, row, round(now_s / dt), ego_mps,
                    )  # fmt: skip
                triggers.phase[world, row] = _OVER if now_s >= until_s else phase
                if count > 0 and phase == _READY:
                    triggers.phase[world, row] = _ACTING
            else:
                step_stream(
                    points, lanes, links, ranges, signals, table, motion, traits, places, drivers,
                    progress, overrides, clocks, plan, triggers, streams, layout, world, row, dt,
                )  # fmt: skip
