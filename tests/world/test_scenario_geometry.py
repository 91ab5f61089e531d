"""Which vehicles a junction offers to a scenario, on real junctions of Town05."""

import math

import numpy as np
import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.router import Router
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario, ScenarioTrigger
from sim_adapters.world.scenarios.geometry import crossing_lane, junctions_ahead, passing_lane
from sim_adapters.world.scenarios.resolution import resolve_triggers
from sim_adapters.world.scenarios.state import empty_script_book

# East along the main road of a T-junction whose stem comes in from the left: the opposite lanes
# run beside ours, nobody's way meets it.
START, END = (-25.9, -208.6, 0.0), (113.7, -204.7, 0.0)


@pytest.fixture(scope="module")
def town05() -> MapBank:
    return load_map_bank(["Town05"])


@pytest.fixture(scope="module")
def past_the_stem(town05: MapBank) -> Scenario:
    route = Router(town05).trace("Town05", np.array([START, END]))
    trigger = {
        "x": float(route.x[20]),
        "y": float(route.y[20]),
        "z": float(route.z[20]),
        "yaw_rad": float(route.yaw_rad[20]),
        "parameters": {},
    }
    kinds = ("SignalizedJunctionLeftTurn", "OppositeVehicleRunningRedLight")
    triggers = tuple(ScenarioTrigger(kind, kind, **trigger) for kind in kinds)
    return Scenario("Town05_T", "Town05", route, 1, triggers)


def test_oncoming_vehicles_pass_where_nobody_meets_us(
    town05: MapBank, past_the_stem: Scenario
) -> None:
    route = past_the_stem.route
    first, last = junctions_ahead(route, 20)[0]
    own = np.unique(route.lane[first : last + 1]).tolist()
    oncoming_rad = float(route.yaw_rad[first]) + math.pi
    assert crossing_lane(town05, oncoming_rad, own) == -1
    passing = passing_lane(town05, oncoming_rad, own)
    rows = slice(town05.lanes.first_point[passing], town05.lanes.first_point[passing + 1])
    assert town05.lanes.junction[passing] == town05.lanes.junction[own[0]]
    assert np.cos(town05.points.yaw_rad[rows] - oncoming_rad).min() > 0.9  # straight past us
    gap_m = np.hypot(
        town05.points.x[rows][:, None] - route.x, town05.points.y[rows][:, None] - route.y
    )
    assert 3.0 < gap_m.min() < 20.0


def test_stream_is_played_beside_our_way_but_a_runner_has_to_meet_it(
    town05: MapBank, past_the_stem: Scenario
) -> None:
    book = empty_script_book(1, 2)
    refused = resolve_triggers(past_the_stem, town05, book, 0)
    assert [name for name, _ in refused] == ["OppositeVehicleRunningRedLight"]
    assert book.triggers.kind[0, 0] != 0
    assert book.triggers.kind[0, 1] == 0
    assert np.count_nonzero(book.streams.path[0, 0] >= 0) >= 3  # before, in and after the junction
