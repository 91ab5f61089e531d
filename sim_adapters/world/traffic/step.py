"""Background traffic of all worlds: what a reset and a step consist of.

A step is: see (lane lists, leaders, wishes), decide who may enter junctions, change lanes, plan
every acceleration from what was seen and move, then let vehicles appear and vanish. Everybody sees
the old state, so the order of slots changes nothing. Each part is a kernel over a range of worlds.
"""

from __future__ import annotations

from typing import NamedTuple

from sim_adapters.kernels import range_kernel
from sim_adapters.scene.map_bank import (
    LaneGrid,
    LaneLinks,
    LanePoints,
    LaneRules,
    Lanes,
    MapBank,
    MapRanges,
)
from sim_adapters.scene.state import ActorMotion, ActorTraits, Clocks, Lights, SceneBatch
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.junctions import arbitrate_range
from sim_adapters.world.traffic.lane_change import change_lanes_range
from sim_adapters.world.traffic.perception import see_traffic_range
from sim_adapters.world.traffic.plan import move_traffic_range
from sim_adapters.world.traffic.population import populate_range
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.state import TrafficState


class TrafficTown(NamedTuple):
    """The lane graph that traffic drives on."""

    ranges: MapRanges
    grid: LaneGrid
    points: LanePoints
    lanes: Lanes
    links: LaneLinks
    rules: LaneRules


class TrafficScene(NamedTuple):
    """What traffic reads and writes of the scene."""

    motion: ActorMotion
    traits: ActorTraits
    lights: Lights
    clocks: Clocks


TrafficArguments = tuple[
    TrafficTown, TrafficScene, TrafficState, TrafficSettings, SlotLayout, float
]


def traffic_town(maps: MapBank) -> TrafficTown:
    """The lane graph of all towns."""
    return TrafficTown(maps.ranges, maps.grid, maps.points, maps.lanes, maps.links, maps.rules)


def traffic_scene(scene: SceneBatch) -> TrafficScene:
    """The arrays of a scene that traffic works on."""
    return TrafficScene(scene.motion, scene.traits, scene.lights, scene.clocks)


def traffic_arguments(
    scene: SceneBatch,
    maps: MapBank,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> TrafficArguments:
    """Arguments of reset and step after (first_world, last_world)."""
    return traffic_town(maps), traffic_scene(scene), traffic, settings, layout, scene.step_s


@range_kernel
def step_traffic_range(
    first_world: int,
    last_world: int,
    town: TrafficTown,
    scene: TrafficScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    step_s: float,
) -> None:
    """One step of the traffic of worlds [first_world, last_world), in place.

    `scene.lights` are the states that hold during the step, `clocks.elapsed_s` its beginning.
    """
    see_traffic_range(
        first_world, last_world, town.ranges, town.grid, town.points, town.lanes, town.rules,
        scene.motion, scene.traits, scene.lights, scene.clocks, traffic.places, traffic.drivers,
        traffic.progress, traffic.overrides, traffic.occupancy, traffic.sight, traffic.map,
        settings, layout,
    )  # fmt: skip
    if settings.changes_lanes:
        change_lanes_range(
            first_world, last_world, town.ranges, town.points, town.lanes, town.links,
            scene.motion, scene.traits, scene.clocks, traffic.places, traffic.drivers,
            traffic.progress, traffic.overrides, traffic.tally, traffic.occupancy, traffic.sight,
            traffic.map, layout, step_s,
        )  # fmt: skip
    arbitrate_range(
        first_world, last_world, town.ranges, town.points, town.lanes, town.rules, scene.traits,
        scene.clocks, traffic.places, traffic.progress, traffic.overrides, traffic.occupancy,
        traffic.reservations, traffic.sight, traffic.map, layout,
    )  # fmt: skip
    move_traffic_range(
        first_world, last_world, town.ranges, town.points, town.lanes, town.links, town.rules,
        scene.motion, scene.traits, scene.lights, scene.clocks, traffic.places, traffic.drivers,
        traffic.progress, traffic.overrides, traffic.tally, traffic.sight, traffic.map, layout,
        step_s,
    )  # fmt: skip
    if settings.around_ego:
        populate_range(
            first_world, last_world, town.grid, town.points, town.lanes, town.links, scene.motion,
            scene.traits, scene.clocks, traffic.places, traffic.drivers, traffic.progress,
            traffic.overrides, traffic.tally, traffic.map, settings, layout, step_s, False,
        )  # fmt: skip


@range_kernel
def reset_traffic_range(
    first_world: int,
    last_world: int,
    town: TrafficTown,
    scene: TrafficScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    step_s: float,
) -> None:
    """Start the traffic of worlds [first_world, last_world) anew.

    The ego (and whatever else has a place) must be in the scene already; nobody starts near it.
    """
    tally = traffic.tally
    for world in range(first_world, last_world):
        # The lists are cleared by the lanes of the present town, and the last one was another.
        traffic.occupancy.head[world, :] = -1
        traffic.occupancy.num_nodes[world] = 0
        traffic.reservations.head[world, :] = -1
        traffic.reservations.num_nodes[world] = 0
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            clear_slot(scene.motion, scene.traits, world, slot)
        traffic.progress.generation[world, :] = 0
        tally.crossings[world] = tally.red_entries[world] = tally.lane_changes[world] = 0
        tally.removed_stuck[world] = tally.removed_at_dead_end[world] = 0
        tally.distance_m[world] = 0.0
    populate_range(
        first_world, last_world, town.grid, town.points, town.lanes, town.links, scene.motion,
        scene.traits, scene.clocks, traffic.places, traffic.drivers, traffic.progress,
        traffic.overrides, traffic.tally, traffic.map, settings, layout, step_s, True,
    )  # fmt: skip
