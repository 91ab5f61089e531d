"""Background traffic of all worlds: what a reset and a step consist of.

A step is: see (lane lists, leaders, wishes), decide who may enter junctions, change lanes, plan
every acceleration from what was seen and move, then let vehicles appear and vanish. Everybody sees
the old state, so the order of slots changes nothing. Each part is a kernel over a range of worlds.
"""

from __future__ import annotations

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import SceneBatch
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic_body import remove_vehicle
from sim_adapters.world.traffic_junctions import arbitrate_range
from sim_adapters.world.traffic_lane_change import change_lanes_range
from sim_adapters.world.traffic_perception import see_traffic_range
from sim_adapters.world.traffic_plan import move_traffic_range
from sim_adapters.world.traffic_population import populate_range
from sim_adapters.world.traffic_settings import TrafficSettings
from sim_adapters.world.traffic_state import TrafficState


def traffic_arguments(
    scene: SceneBatch,
    maps: MapBank,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> tuple[SceneBatch, MapBank, TrafficState, TrafficSettings, SlotLayout]:
    """Arguments of reset and step after (first_world, last_world)."""
    return scene, maps, traffic, settings, layout


def step_traffic_range(
    first_world: int,
    last_world: int,
    scene: SceneBatch,
    maps: MapBank,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> None:
    """One step of the traffic of worlds [first_world, last_world), in place.

    `scene.lights` are the states that hold during the step, `clocks.elapsed_s` its beginning.
    """
    worlds = (first_world, last_world)
    motion, traits, lights, clocks = scene.motion, scene.traits, scene.lights, scene.clocks
    places, drivers, progress = traffic.places, traffic.drivers, traffic.progress
    overrides, occupancy, sight = traffic.overrides, traffic.occupancy, traffic.sight
    see_traffic_range(
        *worlds, maps.ranges, maps.grid, maps.points, maps.lanes, maps.rules, motion, traits,
        lights, clocks, places, drivers, progress, overrides, occupancy, sight, traffic.map,
        settings, layout,
    )  # fmt: skip
    if settings.changes_lanes:
        change_lanes_range(
            *worlds, maps.ranges, maps.points, maps.lanes, maps.links, motion, traits, clocks,
            places, drivers, progress, overrides, traffic.tally, occupancy, sight, traffic.map,
            layout, scene.step_s,
        )  # fmt: skip
    arbitrate_range(
        *worlds, maps.ranges, maps.points, maps.lanes, maps.rules, traits, clocks, places,
        progress, overrides, occupancy, traffic.reservations, sight, traffic.map, layout,
    )  # fmt: skip
    move_traffic_range(
        *worlds, maps.ranges, maps.points, maps.lanes, maps.links, maps.rules, motion, traits,
        lights, clocks, places, drivers, progress, overrides, traffic.tally, sight, traffic.map,
        layout, scene.step_s,
    )  # fmt: skip
    if settings.around_ego:
        _populate(first_world, last_world, scene, maps, traffic, settings, layout, False)


def reset_traffic_range(
    first_world: int,
    last_world: int,
    scene: SceneBatch,
    maps: MapBank,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> None:
    """Start the traffic of worlds [first_world, last_world) anew.

    The ego (and whatever else has a place) must be in the scene already; nobody starts near it.
    """
    # The lists are cleared by the lanes of the present town, and the last one was another.
    for lists in (traffic.occupancy, traffic.reservations):
        lists.head[first_world:last_world] = -1
        lists.num_nodes[first_world:last_world] = 0
    for world in range(first_world, last_world):
        for slot in range(layout.first_vehicle, layout.first_pedestrian):
            remove_vehicle(scene.motion, scene.traits, world, slot)
        traffic.progress.generation[world] = 0
        for counter in traffic.tally:
            counter[world] = 0
    _populate(first_world, last_world, scene, maps, traffic, settings, layout, True)


def _populate(
    first_world: int,
    last_world: int,
    scene: SceneBatch,
    maps: MapBank,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    is_reset: bool,
) -> None:
    """Call the population kernel."""
    populate_range(
        first_world, last_world, maps.grid, maps.points, maps.lanes, maps.links, scene.motion,
        scene.traits, scene.clocks, traffic.places, traffic.drivers, traffic.progress,
        traffic.overrides, traffic.tally, traffic.map, settings, layout, scene.step_s, is_reset,
    )  # fmt: skip
