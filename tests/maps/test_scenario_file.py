"""Leaderboard 1's scenario files, read for routes over the hand-written crossing."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from evaluation.rollout.benchmark import trace_scenarios
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.maps.router import Router
from sim_adapters.maps.scenario_file import read_scenario_file, triggers_on_route
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route

# Traffic keeps right: the west road leads in at y = -1.75, our frame; CARLA's y is +1.75
WEST, NORTH, EAST = (-150.0, -1.75, 0.0), (1.75, 50.0, 0.0), (50.0, -1.75, 0.0)


def event(x: float, y: float = 1.75, yaw: float = 0.0) -> dict[str, dict[str, str]]:
    """In CARLA's frame; the files write numbers as strings."""
    pose = {"x": x, "y": y, "z": 0.5, "yaw": yaw, "pitch": 0}
    return {"transform": {name: str(value) for name, value in pose.items()}}


def write(folder: Path, **events: list[dict[str, dict[str, str]]]) -> Path:
    entries = [
        {"scenario_type": kind, "available_event_configurations": found}
        for kind, found in events.items()
    ]
    path = folder / "scenarios.json"
    path.write_text(json.dumps({"available_scenarios": [{"crossing": entries}]}))
    return path


def route_to(crossing: MapBank, goal: tuple[float, float, float]) -> Route:
    return Router(crossing).trace("crossing", np.array([WEST, goal]))


def types_on(route: Route, path: Path) -> list[str]:
    triggers, _ = triggers_on_route(route, read_scenario_file(path)["crossing"])
    return [trigger.scenario_type for trigger in triggers]


def test_event_is_mirrored_into_our_frame(tmp_path: Path) -> None:
    (place,) = read_scenario_file(write(tmp_path, Scenario3=[event(-80, 1.75, 90)]))["crossing"]
    assert (place.x, place.y, place.z) == (-80.0, -1.75, 0.5)
    assert place.yaw_rad == pytest.approx(-np.pi / 2)


def test_route_gets_the_events_that_it_passes_in_their_direction(
    crossing: MapBank, tmp_path: Path
) -> None:
    here, beside = event(-80), event(-60, 4.0)  # 2.25 m beside the lane's centre
    against, tilted = event(-40, 1.75, 180), event(-30, 1.75, 11)
    path = write(tmp_path, Scenario1=[here, beside, against, tilted])
    route = route_to(crossing, EAST)
    triggers, _ = triggers_on_route(route, read_scenario_file(path)["crossing"])
    (trigger,) = triggers
    assert trigger.name == "ControlLoss_1"
    assert (trigger.x, trigger.y) == pytest.approx((-80.0, -1.75), abs=0.6)


@pytest.mark.parametrize(
    ("kind", "straight_on", "to_the_left"),
    [
        ("Scenario4", [], ["VehicleTurningRoute"]),
        ("Scenario7", ["OppositeVehicleRunningRedLight"], ["OppositeVehicleRunningRedLight"]),
        ("Scenario8", [], ["SignalizedJunctionLeftTurn"]),
        ("Scenario9", [], []),
    ],
)
def test_junction_events_depend_on_the_next_turn(
    crossing: MapBank, tmp_path: Path, kind: str, straight_on: list[str], to_the_left: list[str]
) -> None:
    path = write(tmp_path, **{kind: [event(-40)]})
    assert types_on(route_to(crossing, EAST), path) == straight_on
    assert types_on(route_to(crossing, NORTH), path) == to_the_left


def test_one_event_starts_at_a_place(crossing: MapBank, tmp_path: Path) -> None:
    path = write(tmp_path, Scenario1=[event(-80), event(-79)], Scenario3=[event(-80), event(-50)])
    types = types_on(route_to(crossing, EAST), path)
    assert len(types) == 2
    assert types[0] in ("ControlLoss", "DynamicObjectCrossing")
    assert types[1] == "DynamicObjectCrossing"
    assert types == types_on(route_to(crossing, EAST), path)


def test_evaluation_adds_events_and_names_those_without_counterpart(
    crossing: MapBank, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, Scenario3=[event(-80)], Scenario10=[event(-40)])
    spec = RouteSpec("7", "crossing", np.array([WEST, EAST]))
    with caplog.at_level(logging.WARNING):
        (scenario,) = trace_scenarios([spec], crossing, str(path))
    assert [trigger.name for trigger in scenario.triggers] == ["DynamicObjectCrossing_1"]
    assert "route 7: no counterpart here of 1 Scenario10: not played" in caplog.text


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"available_scenarios": {}, "x"',
        '{"available_scenarios": [{"Town01": [{"scenario_type": "Scenario99"}]}]}',
        '{"available_scenarios": [{"Town01": [{"scenario_type": "Scenario1", '
        '"available_event_configurations": [{"transform": {"x": "nan"}}]}]}]}',
    ],
)
def test_broken_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"broken\.json is no leaderboard 1 scenario file"):
        read_scenario_file(path)
