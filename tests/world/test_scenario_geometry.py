"""Which vehicles a junction offers to a scenario, on a T-junction of Town05."""

import dataclasses

import numpy as np
import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.router import Router
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario, ScenarioTrigger
from sim_adapters.world.scenarios.resolution import resolve_triggers
from sim_adapters.world.scenarios.state import empty_script_book

# East along the main road of a T-junction whose stem comes in from the left: nobody comes from the
# right, and the opposite lanes run beside ours
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


def test_an_arm_that_is_not_there_sends_nobody(town05: MapBank, past_the_stem: Scenario) -> None:
    book = empty_script_book(1, 2)
    refused = resolve_triggers(past_the_stem, town05, book, 0)
    assert [name for name, _ in refused] == ["OppositeVehicleRunningRedLight"]
    assert book.triggers.kind[0].tolist()[1] == 0
    assert np.count_nonzero(book.streams.path[0, 0] >= 0) >= 3  # before, in and after the junction


def test_without_strictness_another_arm_sends_it(town05: MapBank, past_the_stem: Scenario) -> None:
    book = empty_script_book(1, 2)
    assert resolve_triggers(past_the_stem, town05, book, 0, strict=False) == []
    assert np.count_nonzero(book.streams.path[0, 1] >= 0) >= 3


@pytest.mark.parametrize(
    ("aside_m", "above_m", "turned_rad"), [(3.0, 0.0, 0.0), (0.0, 3.0, 0.0), (0.0, 0.0, 0.3)]
)
def test_a_trigger_off_the_route_is_left_out_as_the_leaderboard_leaves_it_out(
    town05: MapBank, past_the_stem: Scenario, aside_m: float, above_m: float, turned_rad: float
) -> None:
    on_route = past_the_stem.triggers[0]
    off = dataclasses.replace(
        on_route,
        x=on_route.x - aside_m * np.sin(on_route.yaw_rad),
        y=on_route.y + aside_m * np.cos(on_route.yaw_rad),
        z=on_route.z + above_m,
        yaw_rad=on_route.yaw_rad + turned_rad,
    )
    scenario = dataclasses.replace(past_the_stem, triggers=(off,))
    ((_, reason),) = resolve_triggers(scenario, town05, empty_script_book(1, 1), 0, strict=False)
    assert "from the route" in reason
