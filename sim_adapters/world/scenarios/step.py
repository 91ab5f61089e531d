"""Scripted scenarios: starts them when the ego reaches their trigger points, and plays them.

The types and what they need are in `state.py`; a trigger that cannot start yet because all
slots are taken tries again in the next step while the ego is near.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.lane_lookup import SAME_LEVEL_M
from sim_adapters.scene.map_bank import LaneLinks, LanePoints, Lanes, MapRanges, Signals
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, Clocks
from sim_adapters.world.dynamics import Drivetrain
from sim_adapters.world.scenarios.control_loss import disturb_ego
from sim_adapters.world.scenarios.crossers import (
    enter_phase,
    place_blocker,
    place_crosser,
    step_crosser,
)
from sim_adapters.world.scenarios.state import (
    Blockers,
    Crossers,
    Debris,
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


@device_function
def is_reached(triggers: Triggers, motion: ActorMotion, world: int, row: int) -> bool:
    """Whether the ego is at a trigger point."""
    dx = triggers.x[world, row] - motion.x[world, 0]
    dy = triggers.y[world, row] - motion.y[world, 0]
    is_level = abs(triggers.z[world, row] - motion.z[world, 0]) < SAME_LEVEL_M
    return is_level and dx * dx + dy * dy < TRIGGER_RADIUS_M * TRIGGER_RADIUS_M


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
    debris: Debris,
    streams: Streams,
    layout: SlotLayout,
    dt: float,
) -> None:
    """Start and play the scripts of worlds `first` to `last`; one driver a world, in slot 0."""
    for world in range(first, last):
        now_s = clocks.elapsed_s[world]
        drivetrain.steer_noise[world] = drivetrain.throttle_noise[world] = 0.0
        for row in range(triggers.kind.shape[1]):
            kind, phase = triggers.kind[world, row], triggers.phase[world, row]
            if kind == _NONE or phase == _OVER:
                continue
            if phase == _WAITING:
                if is_reached(triggers, motion, world, row):
                    _start(motion, traits, clocks, triggers, crossers, blockers, layout, world, row)
            elif kind == _CONTROL_LOSS:
                disturb_ego(
                    motion, traits, clocks, drivetrain, triggers, blockers, debris, world, row, dt
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
