"""Background traffic of all worlds: what a reset and a step consist of.

A step is: see (lane lists, leaders, wishes), decide who may enter junctions, change lanes, plan
every acceleration from what was seen and move, then let vehicles appear and vanish. Everybody sees
the old state, so the order of slots changes nothing. Each part is a kernel over a range of worlds.
"""

from __future__ import annotations

from sim_adapters.kernels import range_kernel
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import SceneBatch
from sim_adapters.world.handles import LaneGraph, WorldScene, lane_graph, world_scene
from sim_adapters.world.slots import SlotLayout, clear_slot
from sim_adapters.world.traffic.junctions import arbitrate_range
from sim_adapters.world.traffic.lane_change import change_lanes_range
from sim_adapters.world.traffic.perception import see_traffic_range
from sim_adapters.world.traffic.plan import move_traffic_range
from sim_adapters.world.traffic.population import populate_range
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.state import TrafficState

TrafficArguments = tuple[LaneGraph, WorldScene, TrafficState, TrafficSettings, SlotLayout, float]


def traffic_arguments(
    scene: SceneBatch,
    maps: MapBank,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
) -> TrafficArguments:
    """Arguments of reset and step after (first_world, last_world)."""
    return lane_graph(maps), world_scene(scene), traffic, settings, layout, scene.step_s


@range_kernel
def step_traffic_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
    traffic: TrafficState,
    settings: TrafficSettings,
    layout: SlotLayout,
    step_s: float,
) -> None:
    """One step of the traffic of worlds [first_world, last_world), in place.

    `scene.lights` are the states that hold during the step, `clocks.elapsed_s` its beginning.
    """
    see_traffic_range(first_world, last_world, roads, scene, traffic, settings, layout)
    if settings.changes_lanes:
        change_lanes_range(first_world, last_world, roads, scene, traffic, layout, step_s)
    arbitrate_range(first_world, last_world, roads, scene, traffic, layout)
    move_traffic_range(first_world, last_world, roads, scene, traffic, layout, step_s)
    if settings.around_ego:
        populate_range(
            first_world, last_world, roads, scene, traffic, settings, layout, step_s, False
        )


@range_kernel
def reset_traffic_range(
    first_world: int,
    last_world: int,
    roads: LaneGraph,
    scene: WorldScene,
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
    populate_range(first_world, last_world, roads, scene, traffic, settings, layout, step_s, True)
