"""Which junction lanes are reserved by whom: one linked list a lane, rebuilt every step."""

from __future__ import annotations

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.map_bank import Lanes
from sim_adapters.scene.state import ActorTraits
from sim_adapters.world.slots import SlotLayout
from sim_adapters.world.traffic.state import (
    CURRENT,
    PATH_LANES,
    Places,
    Reservations,
    TrafficState,
)

CLEAR_MARGIN_M = 0.7  # a tail this far past a meeting place has cleared it


@inlined_function
def add_reservation(
    table: Reservations, world: int, first_lane: int, lane: int, slot: int, offset_m: float
) -> None:
    """Note that `slot` holds the right to cross `lane`, whose start is `offset_m` ahead of it."""
    node = table.num_nodes[world]
    if node >= table.next.shape[1]:
        return
    table.num_nodes[world] = node + 1
    table.lane[world, node] = lane
    table.slot[world, node] = slot
    table.offset_m[world, node] = offset_m
    table.next[world, node] = table.head[world, lane - first_lane]
    table.head[world, lane - first_lane] = node


@inlined_function
def reserve_way(
    lanes: Lanes,
    places: Places,
    table: Reservations,
    world: int,
    slot: int,
    half_length_m: float,
    first_lane: int,
    reserved_to: int,
) -> None:
    """Enter all junction lanes up to path index `reserved_to` that the tail has not left."""
    path, base = places.path[world, slot], -places.s_m[world, slot]
    index = CURRENT
    while index > 0 and path[index - 1] >= 0 and base > -half_length_m - CLEAR_MARGIN_M:
        index -= 1
        base -= lanes.length_m[path[index]]
    while index <= max(reserved_to, CURRENT) and path[index] >= 0:
        if lanes.junction[path[index]] >= 0:
            add_reservation(table, world, first_lane, path[index], slot, base)
        base += float(lanes.length_m[path[index]])
        index += 1


@inlined_function
def collect_reservations(
    lanes: Lanes,
    traits: ActorTraits,
    traffic: TrafficState,
    layout: SlotLayout,
    world: int,
    first_lane: int,
) -> None:
    """Rebuild the lists of reserved junction lanes of one world."""
    places, table = traffic.places, traffic.reservations
    for node in range(table.num_nodes[world]):
        table.head[world, table.lane[world, node] - first_lane] = -1
    table.num_nodes[world] = 0
    for slot in range(layout.first_vehicle, layout.first_pedestrian):
        if not traits.valid[world, slot]:
            continue
        reserved_to = traffic.progress.reserved_to[world, slot]
        if traffic.overrides.ignores_junctions[world, slot]:
            # Others must expect it: it takes every junction within four seconds
            reach = places.s_m[world, slot] + 4.0 * places.speed_mps[world, slot]
            reserved_to = CURRENT
            while reserved_to < PATH_LANES - 1 and places.path[world, slot, reserved_to + 1] >= 0:
                reach -= lanes.length_m[places.path[world, slot, reserved_to]]
                if reach < 0.0:
                    break
                reserved_to += 1
        half = traits.half_length_m[world, slot]
        reserve_way(lanes, places, table, world, slot, half, first_lane, reserved_to)
