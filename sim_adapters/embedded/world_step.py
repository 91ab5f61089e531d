"""How the embedded worlds start and step: the order of their parts, as two kernels.

A kernel call from Python unpacks every array of every struct, which for a lone world costs more
than the work. So a step is one call, and so are a reset and the warm-up that follows it.
"""

from __future__ import annotations

from typing import NamedTuple

from sim_adapters.array_types import FloatArray
from sim_adapters.kernels import range_kernel
from sim_adapters.scene.map_bank import SignalGroups, Signals
from sim_adapters.scene.state import Contacts
from sim_adapters.world.contacts import ContactState, remove_fallen_range, touch_actors_range
from sim_adapters.world.dynamics import Drivetrain, drive_ego_range
from sim_adapters.world.ego_place import locate_ego_range
from sim_adapters.world.handles import LaneGraph, WorldScene
from sim_adapters.world.pedestrian_state import PedestrianSettings, Walkers
from sim_adapters.world.pedestrians import reset_pedestrians_range, step_pedestrians_range
from sim_adapters.world.scenarios.state import ScriptBook
from sim_adapters.world.scenarios.step import Junctions, step_scenarios_range
from sim_adapters.world.sidewalks import Footways
from sim_adapters.world.signals import SignalPlan, reset_signals_range, update_lights_range
from sim_adapters.world.slots import SlotLayout, passer_by_slots, roadside_slots
from sim_adapters.world.statics import (
    StandingPlaces,
    StandingThings,
    StaticSettings,
    reset_statics_range,
    step_statics_range,
)
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.spawn import Cast
from sim_adapters.world.traffic.state import TrafficState
from sim_adapters.world.traffic.step import reset_traffic_range, step_traffic_range


class Town(NamedTuple):
    """What does not change: the towns and the places where things walk, cross and stand."""

    roads: LaneGraph
    signals: Signals
    groups: SignalGroups
    footways: Footways
    standing_places: StandingPlaces


class Worlds(NamedTuple):
    """What changes from step to step."""

    scene: WorldScene
    contacts: Contacts
    drivetrain: Drivetrain
    signal_plan: SignalPlan
    contact_state: ContactState
    traffic: TrafficState
    walkers: Walkers
    standing_things: StandingThings
    scripts: ScriptBook


class WorldSettings(NamedTuple):
    """Numbers of a run."""

    traffic: TrafficSettings
    pedestrians: PedestrianSettings
    statics: StaticSettings
    layout: SlotLayout
    step_s: float
    warm_up_steps: int  # others move, the ego brakes, before a reset is over
    random_light_start: bool


@range_kernel
def start_worlds_range(
    first: int, last: int, town: Town, worlds: Worlds, settings: WorldSettings
) -> None:
    """Start lights, things, traffic and people of worlds [first, last) and let them warm up.

    The egos, clocks and routes must be in place.
    """
    roads, scene, layout = town.roads, worlds.scene, settings.layout
    motion, clocks, plan, groups = scene.motion, scene.clocks, worlds.signal_plan, town.groups
    reset_signals_range(
        first, last, plan, groups, roads.ranges, clocks, settings.random_light_start
    )
    locate_ego_range(first, last, motion, scene.ego, clocks, roads.grid, roads.points, roads.lanes)
    update_lights_range(first, last, scene.lights, plan, town.signals, groups, roads.ranges, clocks)
    reset_statics_range(
        first, last, scene, worlds.standing_things, town.standing_places, settings.statics,
        roadside_slots(layout),
    )  # fmt: skip
    reset_traffic_range(
        first, last, roads, scene, worlds.traffic, settings.traffic, layout, settings.step_s
    )
    reset_pedestrians_range(
        first, last, roads, scene, worlds.walkers, town.footways, settings.pedestrians,
        passer_by_slots(layout),
    )  # fmt: skip
    for _ in range(settings.warm_up_steps):
        move_others_range(first, last, town, worlds, settings)


@range_kernel
def step_worlds_range(
    first: int,
    last: int,
    town: Town,
    worlds: Worlds,
    settings: WorldSettings,
    steer: FloatArray,
    acceleration: FloatArray,
) -> None:
    """One step of worlds [first, last); (E,) actions as in `Simulator.step`."""
    roads, scene, layout, traffic = town.roads, worlds.scene, settings.layout, worlds.traffic
    motion, traits, clocks, dt = scene.motion, scene.traits, scene.clocks, settings.step_s
    remove_fallen_range(first, last, motion, traits, worlds.contact_state)
    drive_ego_range(first, last, motion, scene.ego, worlds.drivetrain, steer, acceleration, dt)
    locate_ego_range(first, last, motion, scene.ego, clocks, roads.grid, roads.points, roads.lanes)
    step_statics_range(
        first, last, scene, worlds.standing_things, town.standing_places, settings.statics,
        roadside_slots(layout), dt,
    )  # fmt: skip
    cast = Cast(
        motion, traits, traffic.places, traffic.drivers, traffic.progress, traffic.overrides,
        roads.points, roads.lanes, roads.links, traffic.map,
    )  # fmt: skip
    junctions = Junctions(roads.ranges, roads.grid, town.signals, worlds.contacts)
    step_scenarios_range(
        first, last, cast, junctions, clocks, worlds.drivetrain, worlds.signal_plan,
        worlds.scripts, layout, dt,
    )  # fmt: skip
    move_others_range(first, last, town, worlds, settings)
    touch_actors_range(
        first, last, motion, traits, scene.ego, worlds.contacts, worlds.drivetrain,
        worlds.contact_state,
    )  # fmt: skip


@range_kernel
def move_others_range(
    first: int, last: int, town: Town, worlds: Worlds, settings: WorldSettings
) -> None:
    """Traffic, pedestrians, time and lights; with a standing ego this is all that changes."""
    roads, scene, layout, dt = town.roads, worlds.scene, settings.layout, settings.step_s
    step_traffic_range(first, last, roads, scene, worlds.traffic, settings.traffic, layout, dt)
    step_pedestrians_range(
        first, last, roads, scene, worlds.walkers, town.footways, settings.pedestrians,
        passer_by_slots(layout), dt,
    )  # fmt: skip
    for world in range(first, last):
        scene.clocks.elapsed_s[world] += dt
    update_lights_range(
        first, last, scene.lights, worlds.signal_plan, town.signals, town.groups, roads.ranges,
        scene.clocks,
    )  # fmt: skip
