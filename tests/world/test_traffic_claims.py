"""Who waits long at a junction without lights gets in between the vehicles of a stream."""

from pathlib import Path

import numpy as np
import pytest

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.world.traffic.right_of_way import IMPATIENCE_S
from sim_adapters.world.traffic.settings import TrafficSettings
from sim_adapters.world.traffic.spawn import Cast, spawn_vehicle
from sim_adapters.world.traffic.state import CURRENT
from tests.world.town_traffic import TownTraffic, make_town_traffic

CROSSING = Path(__file__).parents[1] / "data" / "crossing.xodr"
SETTINGS = TrafficSettings(obeys_lights=False, obeys_signs=False)
INSIDE, NEXT, WAITING = 1, 2, 3  # slots: two vehicles of a stream, and who wants to cross it
Way = tuple[int, int, int]  # lanes: approach, junction, exit


def crossing_ways(maps: MapBank) -> tuple[Way, Way]:
    """Two ways straight through the junction that cross each other."""
    lanes, links = maps.lanes, maps.links

    def after(lane: int) -> int:
        return int(links.successor[links.successor_first[lane]])

    for lane in np.flatnonzero(lanes.junction >= 0):
        first, last = links.conflict_first[lane], links.conflict_first[lane + 1]
        for other in links.conflict[first:last]:
            ends = [
                int(links.predecessor[links.predecessor_first[inner]]) for inner in (lane, other)
            ]
            if ends[0] != ends[1] and after(lane) != after(other):
                return (ends[0], int(lane), after(lane)), (ends[1], int(other), after(other))
    raise AssertionError("no two ways cross")


def put(run: TownTraffic, slot: int, way: Way, *, ahead: int, to_line_m: float, v: float) -> None:
    """Place a vehicle: `ahead` of its way's lanes are behind it, its bumper before the line."""
    traffic, maps = run.traffic, run.maps
    lanes = way[ahead:]
    cast = Cast(
        run.scene.motion, run.scene.traits, traffic.places, traffic.drivers, traffic.progress,
        traffic.overrides, maps.points, maps.lanes, maps.links, traffic.map,
    )  # fmt: skip
    spawn_vehicle(cast, 0, slot, np.uint64(1), 0, lanes[0], 0.0, v)
    half_m = run.scene.traits.half_length_m[0, slot]
    traffic.places.s_m[0, slot] = maps.lanes.length_m[lanes[0]] - to_line_m - half_m
    traffic.places.path[0, slot, CURRENT : CURRENT + len(lanes)] = lanes
    traffic.progress.reserved_to[0, slot] = CURRENT if ahead else 0


@pytest.mark.parametrize(("waited_s", "stream_goes_on"), [(1.0, True), (IMPATIENCE_S + 5.0, False)])
def test_a_stream_lets_in_who_has_waited_long(waited_s: float, stream_goes_on: bool) -> None:
    run = make_town_traffic([str(CROSSING)], [1], SETTINGS, [3])
    stream, crossing = crossing_ways(run.maps)
    middle_m = run.maps.lanes.length_m[stream[1]] / 2.0
    put(run, INSIDE, stream, ahead=1, to_line_m=middle_m, v=8.0)
    put(run, NEXT, stream, ahead=0, to_line_m=12.0, v=8.0)
    put(run, WAITING, crossing, ahead=0, to_line_m=1.0, v=0.0)
    run.traffic.progress.standing_s[0, WAITING] = waited_s
    run.step()
    assert run.traffic.progress.reserved_to[0, WAITING] == 0  # somebody is inside
    assert (run.traffic.progress.reserved_to[0, NEXT] > 0) == stream_goes_on
    if not stream_goes_on:
        for _ in range(60):
            run.step()
        assert run.traffic.progress.reserved_to[0, WAITING] > 0
