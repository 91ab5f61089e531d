"""Each of the seven scenario types, seen from the scene: the thing happens, then it is over."""

import dataclasses
import logging
import math
from collections.abc import Iterator, Mapping

import numpy as np
import pytest

from sim_adapters.embedded.settings import EmbeddedSettings
from sim_adapters.embedded.simulator import EmbeddedSimulator
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario, ScenarioTrigger
from sim_adapters.scene.state import ActorKind, LightState
from sim_adapters.world.pedestrian_state import PedestrianSettings
from sim_adapters.world.scenarios.state import Phase
from sim_adapters.world.statics import StaticSettings
from sim_adapters.world.traffic.settings import TrafficSettings
from tests.embedded.lane_routes import follow, scenario_along_lanes

TRIGGER_ROW = 12


@pytest.fixture(scope="module")
def simulator(town_maps: MapBank) -> EmbeddedSimulator:
    """One world with nobody in it but the ego."""
    return EmbeddedSimulator(
        town_maps,
        1,
        EmbeddedSettings(
            traffic=TrafficSettings(num_vehicles=0),
            pedestrians=PedestrianSettings(num_pedestrians=0),
            statics=StaticSettings(parked_share=0.0, furniture_share=0.0),
            max_vehicles=14,
            max_pedestrians=6,
            max_statics=8,
            max_route_points=512,
            warm_up_s=0.0,
        ),
    )


def _with_trigger(
    scenario: Scenario,
    scenario_type: str,
    parameters: Mapping[str, str] | None = None,
    row: int = TRIGGER_ROW,
) -> Scenario:
    """The scenario with one more trigger."""
    route, number = scenario.route, len(scenario.triggers) + 1
    trigger = ScenarioTrigger(
        f"{scenario_type}_{number}",
        scenario_type,
        float(route.x[row]),
        float(route.y[row]),
        float(route.z[row]),
        float(route.yaw_rad[row]),
        dict(parameters or {}),
    )
    return dataclasses.replace(scenario, triggers=(*scenario.triggers, trigger))


def _start(simulator: EmbeddedSimulator, scenario_type: str, **parameters: str) -> Scenario:
    """Reset to the first route of Town02 on which the scenario can be played."""
    for choice in range(12):
        plain = scenario_along_lanes(simulator.maps, choice=choice)
        scenario = _with_trigger(plain, scenario_type, parameters)
        simulator.reset(np.array([0]), [scenario])
        if simulator.scripts.triggers.kind[0, 0]:
            return scenario
    raise AssertionError(f"{scenario_type} has no room on any route")


def _drive(
    simulator: EmbeddedSimulator, scenario: Scenario, *, seconds: float, cruise_mps: float = 7.0
) -> Iterator[Phase]:
    """Follow the route at a steady speed; yields the script's phase after every step."""
    for _ in range(round(seconds / 0.1)):
        simulator.step(*follow(scenario.route, simulator.scene, cruise_mps))
        yield Phase(simulator.scripts.triggers.phase[0, 0])


def _slots_of(simulator: EmbeddedSimulator, kind: ActorKind) -> list[int]:
    traits = simulator.scene.traits
    slots = np.flatnonzero(traits.valid[0] & (traits.kind[0] == kind))
    return [int(slot) for slot in slots if slot != 0]


def _route_gap_m(simulator: EmbeddedSimulator, scenario: Scenario, slot: int) -> float:
    """From an actor to the route line."""
    motion, route = simulator.scene.motion, scenario.route
    return float(np.hypot(route.x - motion.x[0, slot], route.y - motion.y[0, slot]).min())


def test_begun_triggers_are_those_that_the_ego_has_reached(simulator: EmbeddedSimulator) -> None:
    scenario = _start(simulator, "ControlLoss")
    assert simulator.begun_triggers().tolist() == [0]
    for phase in _drive(simulator, scenario, seconds=20.0):
        assert simulator.begun_triggers().tolist() == [int(phase != Phase.WAITING)]
    assert simulator.begun_triggers().tolist() == [1]
    assert not simulator.held_up().any()  # it has no time limit


def test_control_loss_disturbs_the_ego_over_three_places(simulator: EmbeddedSimulator) -> None:
    scenario = _start(simulator, "ControlLoss")
    motion, route, drivetrain = simulator.scene.motion, scenario.route, simulator.drivetrain
    disturbed: dict[int, list[float]] = {14: [], 48: [], 74: []}  # [m] ahead of the trigger
    phases = []
    for phase in _drive(simulator, scenario, seconds=35.0):
        phases.append(phase)
        steer, throttle = float(drivetrain.steer_noise[0]), float(drivetrain.throttle_noise[0])
        if phase == Phase.READY:
            assert len(_slots_of(simulator, ActorKind.DEBRIS)) == 3
        if steer == 0.0:
            assert throttle == 0.0
            continue
        x, y = motion.x[0, 0], motion.y[0, 0]
        row = int(np.argmin((route.x - x) ** 2 + (route.y - y) ** 2)) - TRIGGER_ROW
        place = min(disturbed, key=lambda ahead: abs(ahead - row))
        assert abs(place - row) <= 4  # 2 m, and one step further at 7 m/s
        disturbed[place].append(steer)
        # A mean of either sign, and at most sqrt(3) standard deviations of a uniform draw
        assert abs(abs(steer) - 0.055) < 0.015 * math.sqrt(3.0) + 1e-9
        assert abs(abs(throttle) - 0.03) < 0.01 * math.sqrt(3.0) + 1e-9
    for steering in disturbed.values():
        assert len(steering) >= 2
        assert len({value > 0.0 for value in steering}) == 1  # one side a place
    assert phases[-1] == Phase.OVER
    assert drivetrain.steer_noise[0] == 0.0
    assert not _slots_of(simulator, ActorKind.DEBRIS)


def test_stretches_of_control_loss_that_overlap_disturb_at_all_their_places(
    simulator: EmbeddedSimulator,
) -> None:
    """The second stretch has begun while the ego passes the first one's last debris, at 74 m."""
    scenario = _with_trigger(_start(simulator, "ControlLoss"), "ControlLoss", {}, TRIGGER_ROW + 55)
    simulator.reset(np.array([0]), [scenario])
    motion, route = simulator.scene.motion, scenario.route
    disturbed_m = []
    for _ in _drive(simulator, scenario, seconds=35.0):
        if simulator.drivetrain.steer_noise[0] != 0.0:
            away2 = (route.x - motion.x[0, 0]) ** 2 + (route.y - motion.y[0, 0]) ** 2
            disturbed_m.append(int(np.argmin(away2)) - TRIGGER_ROW)
    for place_m in (14, 48, 74, 55 + 14, 55 + 48, 55 + 74):
        assert sum(abs(row - place_m) <= 2 for row in disturbed_m) >= 2


def test_hard_break_stops_the_vehicle_ahead(simulator: EmbeddedSimulator) -> None:
    scenario = _start(simulator, "HardBreakRoute")
    speeds = []
    for phase in _drive(simulator, scenario, seconds=7.0):
        for slot in _slots_of(simulator, ActorKind.CAR):
            speeds.append(float(simulator.traffic.places.speed_mps[0, slot]))
            assert _route_gap_m(simulator, scenario, slot) < 1.0
        assert phase != Phase.OVER
    assert speeds[0] > 2.0
    assert speeds[-1] == 0.0


@pytest.mark.parametrize("direction", ["right", "left"])
def test_pedestrian_steps_out_from_behind_a_prop(
    simulator: EmbeddedSimulator, direction: str
) -> None:
    scenario = _start(simulator, "DynamicObjectCrossing", distance="40", direction=direction)
    motion, route = simulator.scene.motion, scenario.route
    gaps, ego_gap = [], np.inf
    for phase in _drive(simulator, scenario, seconds=16.0):
        for slot in _slots_of(simulator, ActorKind.PEDESTRIAN):
            gaps.append(_route_gap_m(simulator, scenario, slot))
            along = np.hypot(motion.x[0, slot] - motion.x[0, 0], motion.y[0, slot] - motion.y[0, 0])
            ego_gap = min(ego_gap, along) if phase == Phase.ACTING and gaps[-1] < 1.0 else ego_gap
        for prop in _slots_of(simulator, ActorKind.STATIC):
            assert _route_gap_m(simulator, scenario, prop) > 2.0  # beside the lane
            dx = motion.x[0, prop] - route.x[TRIGGER_ROW]
            dy = motion.y[0, prop] - route.y[TRIGGER_ROW]
            yaw = route.yaw_rad[TRIGGER_ROW]
            left = math.cos(yaw) * dy - math.sin(yaw) * dx
            assert (left > 0.0) == (direction == "left")
    assert gaps[0] > 2.0  # waits beside the lane
    assert min(gaps) < 0.6  # crosses the route, whose points are a metre apart
    assert 1.0 < ego_gap < 16.0  # in front of the ego, at short notice
    assert not _slots_of(simulator, ActorKind.PEDESTRIAN)
    assert not _slots_of(simulator, ActorKind.STATIC)


def test_cyclist_crosses_after_the_junction(simulator: EmbeddedSimulator) -> None:
    scenario = _start(simulator, "VehicleTurningRoute")
    inside = np.flatnonzero(scenario.route.in_junction[TRIGGER_ROW:]) + TRIGGER_ROW
    gaps, rows = [], []
    for _ in _drive(simulator, scenario, seconds=35.0):
        for slot in _slots_of(simulator, ActorKind.BICYCLE):
            motion, route = simulator.scene.motion, scenario.route
            squared = (route.x - motion.x[0, slot]) ** 2 + (route.y - motion.y[0, slot]) ** 2
            gaps.append(math.sqrt(squared.min()))
            rows.append(int(np.argmin(squared)))
    assert min(gaps) < 0.5
    assert gaps[0] > 2.0
    assert rows[int(np.argmin(gaps))] > inside[0]  # behind the stop line, where the ego turns


@pytest.mark.parametrize(
    "scenario_type", ["SignalizedJunctionLeftTurn", "SignalizedJunctionRightTurn"]
)
def test_stream_passes_while_the_ego_has_green(
    simulator: EmbeddedSimulator, scenario_type: str
) -> None:
    scenario = _start(simulator, scenario_type, flow_speed="8")
    triggers, streams = simulator.scripts.triggers, simulator.scripts.streams
    motion, lights = simulator.scene.motion, simulator.scene.lights
    passed: set[int] = set()
    began_s = np.inf
    for phase in _drive(simulator, scenario, seconds=40.0, cruise_mps=2.0):
        now_s = simulator.scene.clocks.elapsed_s[0]
        began_s = min(began_s, now_s) if phase != Phase.WAITING else began_s
        if phase not in (Phase.WAITING, Phase.OVER) and streams.own_light[0, 0] >= 0:
            wanted = LightState.RED if now_s - began_s < 4.9 else LightState.GREEN
            if not 4.8 < now_s - began_s < 5.3:
                assert lights.state[0, streams.own_light[0, 0]] == wanted
            if now_s - began_s > 0.25 and not 4.8 < now_s - began_s < 5.3:
                left_s = lights.remaining_s[0, streams.own_light[0, 0]]
                # TrafficLightFreezer: five seconds are counted down, then ten thousand begin
                assert left_s == pytest.approx(max(5.0 - now_s + began_s, 0.0), abs=0.11) or (
                    wanted == LightState.GREEN and left_s > 9_000.0
                )
        for slot in _slots_of(simulator, ActorKind.CAR):
            dx = motion.x[0, slot] - triggers.meeting_x[0, 0]
            dy = motion.y[0, slot] - triggers.meeting_y[0, 0]
            if math.hypot(dx, dy) < 6.0:  # oncoming cars pass beside an ego that goes straight on
                passed.add(int(simulator.scene.traits.actor_id[0, slot]))
    assert len(passed) >= 2


def test_a_stream_heeds_others_once_a_car_of_it_has_touched_anybody(
    simulator: EmbeddedSimulator,
) -> None:
    scenario = _start(simulator, "SignalizedJunctionRightTurn", flow_speed="8")
    motion, traffic, streams = (
        simulator.scene.motion,
        simulator.traffic,
        simulator.scripts.streams,
    )
    overrides, slot, cars = traffic.overrides, 4, np.zeros(0, np.int64)
    for _ in _drive(simulator, scenario, seconds=20.0, cruise_mps=2.0):
        is_ours = simulator.scene.traits.valid[0] & overrides.keeps_path[0]
        cars = np.flatnonzero(is_ours & (overrides.script[0] == 0))
        if cars.size > 1:
            break
    (car, *others) = cars
    assert not streams.is_touched[0, 0]
    assert overrides.heeds_nobody[0, [car, *others]].all()
    for table in (motion, simulator.scene.traits, traffic.places, traffic.drivers, overrides):
        for array in table:
            array[0, slot] = array[0, car]  # a car of another script, in the way of the first
    overrides.script[0, slot] = 3
    next(_drive(simulator, scenario, seconds=0.1))
    assert streams.is_touched[0, 0]
    assert not overrides.heeds_nobody[0, [car, *others]].any()


def test_nobody_gets_before_an_ego_that_waits_for_a_stream(simulator: EmbeddedSimulator) -> None:
    scenario = _start(simulator, "SignalizedJunctionRightTurn", flow_speed="8")
    motion, traits, maps = simulator.scene.motion, simulator.scene.traits, simulator.maps
    for phase in _drive(simulator, scenario, seconds=20.0, cruise_mps=4.0):
        if phase == Phase.READY:
            break
    traffic, yaw, slot = simulator.traffic, motion.yaw_rad[0, 0], 13
    assert not traits.valid[0, slot]
    (car, *_) = np.flatnonzero(traffic.overrides.keeps_path[0])  # of the stream
    for table in (motion, traits, traffic.places, traffic.drivers, traffic.overrides):
        for array in table:
            array[0, slot] = array[0, car]
    x, y = motion.x[0, 0] + 10.0 * np.cos(yaw), motion.y[0, 0] + 10.0 * np.sin(yaw)
    motion.x[0, slot], motion.y[0, slot], motion.yaw_rad[0, slot] = x, y, yaw
    point = np.argmin((maps.points.x - x) ** 2 + (maps.points.y - y) ** 2)
    traffic.places.path[0, slot] = maps.points.lane[point]
    traffic.places.s_m[0, slot] = maps.points.s_m[point]
    traffic.overrides.keeps_path[0, slot] = False
    assert next(_drive(simulator, scenario, seconds=0.1)) == Phase.READY
    assert not traits.valid[0, slot]


def test_crossing_vehicle_runs_its_red_light(simulator: EmbeddedSimulator) -> None:
    scenario = _start(simulator, "OppositeVehicleRunningRedLight")
    triggers, streams = simulator.scripts.triggers, simulator.scripts.streams
    motion, lights = simulator.scene.motion, simulator.scene.lights
    runner_at, ego_at, light = None, None, None
    for step, _ in enumerate(_drive(simulator, scenario, seconds=30.0)):
        for slot in (0, *_slots_of(simulator, ActorKind.CAR)):
            dx = motion.x[0, slot] - triggers.meeting_x[0, 0]
            dy = motion.y[0, slot] - triggers.meeting_y[0, 0]
            if math.hypot(dx, dy) > 4.0:
                continue
            if slot == 0:
                ego_at = step if ego_at is None else ego_at
            elif runner_at is None:
                runner_at, light = step, lights.state[0, streams.stream_light[0, 0]]
    assert runner_at is not None
    assert ego_at is not None
    assert light == LightState.RED
    assert abs(runner_at - ego_at) < 30  # within 3 s of one another


def test_all_scripts_end(simulator: EmbeddedSimulator) -> None:
    for scenario_type in ("ControlLoss", "HardBreakRoute", "DynamicObjectCrossing"):
        scenario = _start(simulator, scenario_type)
        phases = list(_drive(simulator, scenario, seconds=32.0))
        assert phases[0] == Phase.WAITING
        assert phases[-1] == Phase.OVER


def test_trigger_on_the_bridge_above_is_not_reached(simulator: EmbeddedSimulator) -> None:
    scenario = _start(simulator, "ControlLoss")
    simulator.scripts.triggers.z[0, 0] += 6.0
    assert set(_drive(simulator, scenario, seconds=8.0)) == {Phase.WAITING}


def test_unplayable_trigger_is_named(
    simulator: EmbeddedSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    plain = scenario_along_lanes(simulator.maps, length_m=30.0, choice=2)
    scenario = _with_trigger(plain, "SignalizedJunctionLeftTurn")
    with caplog.at_level(logging.WARNING):
        simulator.reset(np.array([0]), [scenario])
    assert "SignalizedJunctionLeftTurn_1 is not played: no junction" in caplog.text


@pytest.mark.parametrize(
    ("scenario_type", "parameters", "message"),
    [
        ("ParkingExit", {}, "ParkingExit"),
        ("DynamicObjectCrossing", {"distance": "far"}, "distance='far'"),
        ("DynamicObjectCrossing", {"blocker_model": "static.prop.ufo"}, "'ufo'"),
        ("DynamicObjectCrossing", {"direction": "rigth"}, "'rigth', expected left or right"),
    ],
)
def test_bad_triggers_are_refused(
    simulator: EmbeddedSimulator, scenario_type: str, parameters: dict[str, str], message: str
) -> None:
    scenario = _with_trigger(scenario_along_lanes(simulator.maps), scenario_type, parameters)
    with pytest.raises(ValueError, match=message):
        simulator.reset(np.array([0]), [scenario])


def test_more_triggers_than_places_are_refused(simulator: EmbeddedSimulator) -> None:
    scenario = _with_trigger(scenario_along_lanes(simulator.maps), "ControlLoss")
    many = dataclasses.replace(scenario, triggers=scenario.triggers * 33)
    with pytest.raises(ValueError, match="max_triggers"):
        simulator.reset(np.array([0]), [many])
