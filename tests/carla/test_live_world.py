"""One live world on the headless server: episodes, traffic, scenarios, and what goes wrong."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Callable, Iterator

import carla
import numpy as np
import pytest

from sim_adapters.carla.background_traffic import LiveTrafficSettings
from sim_adapters.carla.frames import to_carla_transform
from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.carla.scene_reader import UNKNOWN_LIMIT_MPS
from sim_adapters.carla.servers import LiveServer, ServerSettings
from sim_adapters.carla.session import LiveSession
from sim_adapters.carla.simulator import CarlaSimulator, LiveWorldSettings
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario, ScenarioTrigger
from sim_adapters.scene.state import ActorKind, LightState
from tests.commands.command_result import CROSSING
from tests.embedded.lane_routes import follow, scenario_along_lanes

TRIGGER_ROW = 14
WORLD = np.array([0])


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town01", "Town02"])


@pytest.fixture(scope="module")
def simulator(maps: MapBank, server: HeadlessServer) -> Iterator[CarlaSimulator]:
    settings = ServerSettings(kind="running", first_port=server.port, call_timeout_s=30.0)
    live = LiveServer(settings, 0, 1, town="Town01", step_s=0.1)
    simulator = CarlaSimulator(
        maps,
        live,
        traffic=LiveTrafficSettings(num_vehicles=6),
        settings=LiveWorldSettings(max_actors=32, warm_up_s=1.0),
    )
    yield simulator
    session = simulator.session
    simulator.close()
    if session is not None:
        session.client.load_world("Town01")  # as other tests expect it


def _scenario(maps: MapBank, choice: int, *types: str, **parameters: str) -> Scenario:
    plain = scenario_along_lanes(maps, "Town01", choice=choice)
    route = plain.route
    place = [float(part[TRIGGER_ROW]) for part in (route.x, route.y, route.z, route.yaw_rad)]
    triggers = tuple(ScenarioTrigger(kind, kind, *place, parameters) for kind in types)
    return dataclasses.replace(plain, triggers=triggers)


def _start(simulator: CarlaSimulator, kind: str, **parameters: str) -> Scenario:
    """Reset to the first route on which the scenario can be played."""
    for choice in range(20):
        scenario = _scenario(simulator.maps, choice, kind, **parameters)
        simulator.reset(WORLD, [scenario])
        assert simulator.scripts is not None
        if simulator.scripts._waiting:
            return scenario
    raise AssertionError(f"{kind} has no room on any route")


def _drive(
    simulator: CarlaSimulator, scenario: Scenario, seconds: float, *, cruise_mps: float = 7.0
) -> Iterator[None]:
    for _ in range(round(seconds / 0.1)):
        simulator.step(*follow(scenario.route, simulator.scene, cruise_mps))
        yield


def _ego_speed(simulator: CarlaSimulator) -> float:
    motion = simulator.scene.motion
    return math.hypot(motion.vx_mps[0, 0], motion.vy_mps[0, 0])


def _slots(simulator: CarlaSimulator, *kinds: ActorKind) -> np.ndarray:
    traits = simulator.scene.traits
    slots = np.flatnonzero(traits.valid[0] & np.isin(traits.kind[0], kinds))
    return slots[slots != 0]


def test_an_episode_begins_with_a_standing_ego_among_traffic(simulator: CarlaSimulator) -> None:
    scenario = _scenario(simulator.maps, 3)
    simulator.reset(WORLD, [scenario])
    scene, route = simulator.scene, scenario.route
    assert scene.motion.x[0, 0] == pytest.approx(route.x[0], abs=0.05)
    assert scene.motion.y[0, 0] == pytest.approx(route.y[0], abs=0.05)
    assert scene.motion.yaw_rad[0, 0] == pytest.approx(route.yaw_rad[0], abs=0.01)
    assert _ego_speed(simulator) < 0.1
    assert scene.ego.brake[0] == 1.0
    assert scene.ego.speed_limit_mps[0] == pytest.approx(30.0 / 3.6)  # until the first sign
    assert scene.clocks.elapsed_s[0] == pytest.approx(1.0)
    assert not scene.clocks.failed[0]
    assert scene.traits.half_length_m[0, 0] == pytest.approx(2.446, abs=1e-3)
    cars = _slots(simulator, ActorKind.CAR)
    assert len(cars) >= 3
    before = scene.motion.x[0, cars] + scene.motion.y[0, cars]
    for _ in range(20):
        simulator.step(np.zeros(1), np.array([-1.0]))
    moved = np.abs(scene.motion.x[0, cars] + scene.motion.y[0, cars] - before)
    assert (moved > 3.0).sum() >= 2  # the TrafficManager drives them
    assert not scene.motion.x[0][~scene.traits.valid[0]].any()


def test_steering_left_turns_left(simulator: CarlaSimulator) -> None:
    simulator.reset(WORLD, [_scenario(simulator.maps, 3)])
    yaw = simulator.scene.motion.yaw_rad[0, 0]
    for _ in range(15):
        simulator.step(np.array([0.3]), np.array([0.6]))
    assert simulator.scene.motion.yaw_rad[0, 0] > yaw + 0.02
    assert simulator.scene.motion.yaw_rate_radps[0, 0] > 0.0
    assert simulator.scene.ego.steer[0] == pytest.approx(0.3)
    assert simulator.scene.ego.throttle[0] == pytest.approx(0.6)


def test_a_pedestrian_crosses_and_is_gone_afterwards(simulator: CarlaSimulator) -> None:
    scenario = _start(simulator, "DynamicObjectCrossing", distance="20")
    speeds, props, kinds = [], 0, set()
    for _ in _drive(simulator, scenario, 14.0):
        walkers = _slots(simulator, ActorKind.PEDESTRIAN)
        props = max(props, len(_slots(simulator, ActorKind.STATIC)))
        motion = simulator.scene.motion
        speeds += np.hypot(motion.vx_mps[0, walkers], motion.vy_mps[0, walkers]).tolist()
        kinds |= set(simulator.scene.traits.kind[0].tolist())
        contacts = simulator.scene.contacts.other_slot[0]
        if len(speeds) > 5 and (len(walkers) == 0 or np.isin(contacts, walkers).any()):
            break
    assert props == 1
    assert speeds[0] == 0.0  # stands at the kerb
    assert max(speeds) == pytest.approx(2.0, abs=0.01)


def test_control_loss_adds_noise_to_the_controls(simulator: CarlaSimulator) -> None:
    scenario = _start(simulator, "ControlLoss")
    pedals, debris = set(), 0
    for _ in _drive(simulator, scenario, 8.0, cruise_mps=50.0):
        pedals.add(round(float(simulator.scene.ego.throttle[0]), 4))
        debris = max(debris, len(_slots(simulator, ActorKind.DEBRIS)))
    assert debris == 3
    assert len(pedals) > 4  # the driver's own pedal is always 0.7
    assert max(abs(pedal - 0.7) for pedal in pedals) <= 0.1 + 1e-4


def test_cars_ahead_brake_hard_and_drive_on(simulator: CarlaSimulator) -> None:
    scenario = _start(simulator, "HardBreakRoute")
    assert simulator.traffic is not None
    assert simulator.session is not None
    route = scenario.route
    row = TRIGGER_ROW + 25
    pose = to_carla_transform(
        route.x[row], route.y[row], route.z[row] + 0.2, float(route.yaw_rad[row])
    )
    assert simulator.traffic.send(pose, carla.Vector3D(), [], 6.0)
    seen_slow = 0
    for _ in _drive(simulator, scenario, 9.0, cruise_mps=5.0):
        running = simulator.scripts._running if simulator.scripts is not None else []
        if running:
            held = [simulator.reader.slots.slot(car) for car in running[0]._cars]  # pyright: ignore
            motion = simulator.scene.motion
            speed = np.hypot(motion.vx_mps[0, held], motion.vy_mps[0, held])
            seen_slow += int(len(held) > 0 and speed.max() < 0.2)
    assert seen_slow > 5


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_a_stream_drives_through_the_junction_on_green(
    simulator: CarlaSimulator, side: str
) -> None:
    scenario = _start(simulator, f"SignalizedJunction{side}Turn", flow_speed="10")
    own, shown, sent = -1, set(), set()
    for _ in _drive(simulator, scenario, 9.0, cruise_mps=4.0):
        running = simulator.scripts._running if simulator.scripts is not None else []
        if running:
            stream = running[0]
            own = stream._own_light  # pyright: ignore[reportAttributeAccessIssue]
            shown.add(int(simulator.scene.lights.state[0, own]))
            sent.add(stream._has_sent)  # pyright: ignore[reportAttributeAccessIssue]
    assert own >= 0
    assert LightState.RED in shown  # the stream's head start
    assert LightState.GREEN in shown
    assert True in sent


def test_one_car_runs_its_red_light_into_the_egos_green(simulator: CarlaSimulator) -> None:
    scenario = _start(simulator, "OppositeVehicleRunningRedLight")
    own, theirs, was_sent = set(), set(), []
    for _ in _drive(simulator, scenario, 32.0):
        running = simulator.scripts._running if simulator.scripts is not None else []
        for script in running:
            state = simulator.scene.lights.state[0]
            own.add(int(state[script._own_light]))  # pyright: ignore[reportAttributeAccessIssue]
            theirs.add(int(state[script._their_light]))  # pyright: ignore[reportAttributeAccessIssue]
            was_sent.append(script._has_sent)  # pyright: ignore[reportAttributeAccessIssue]
    assert LightState.GREEN in own
    assert LightState.RED in theirs
    assert not was_sent[0]  # waits until it would meet the ego
    assert was_sent[-1]


def test_a_bicycle_crosses_where_the_ego_turns(simulator: CarlaSimulator) -> None:
    scenario = _start(simulator, "VehicleTurningRoute")
    speeds = []
    for _ in _drive(simulator, scenario, 40.0, cruise_mps=5.0):  # cars may stand ahead for a while
        riders = _slots(simulator, ActorKind.BICYCLE)
        motion = simulator.scene.motion
        speeds += np.hypot(motion.vx_mps[0, riders], motion.vy_mps[0, riders]).tolist()
        if speeds and max(speeds) > 1.0:
            break
    assert speeds[0] == 0.0
    assert max(speeds) > 1.0


def test_a_start_that_is_taken_gives_the_episode_up(
    simulator: CarlaSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    scenario = _scenario(simulator.maps, 4)
    simulator.reset(WORLD, [_scenario(simulator.maps, 3)])
    session = simulator.session
    assert session is not None
    blueprint = session.world.get_blueprint_library().find("vehicle.carlamotors.firetruck")
    route = scenario.route
    pose = to_carla_transform(route.x[0], route.y[0], route.z[0], float(route.yaw_rad[0]))
    truck = session.world.spawn_actor(blueprint, pose)
    session.tick()
    with caplog.at_level(logging.WARNING):
        simulator.reset(WORLD, [scenario])
    assert simulator.scene.clocks.failed[0]
    assert "cannot be spawned at its start" in caplog.text
    assert scenario.scenario_id in caplog.text
    simulator.step(np.zeros(1), np.ones(1))  # stays failed until its reset
    assert simulator.scene.clocks.failed[0]
    truck.destroy()
    simulator.reset(WORLD, [scenario])
    assert not simulator.scene.clocks.failed[0]


def test_an_ego_that_vanishes_gives_the_episode_up(
    simulator: CarlaSimulator, caplog: pytest.LogCaptureFixture
) -> None:
    simulator.reset(WORLD, [_scenario(simulator.maps, 3)])
    assert simulator.ego is not None
    assert simulator.session is not None
    simulator.session.destroy([simulator.ego.id])
    with caplog.at_level(logging.WARNING):
        simulator.step(np.zeros(1), np.ones(1))
    assert simulator.scene.clocks.failed[0]
    assert "the ego has vanished" in caplog.text
    simulator.reset(WORLD, [_scenario(simulator.maps, 3)])
    assert not simulator.scene.clocks.failed[0]


def test_a_missing_speed_limit_falls_back_and_is_said_once(
    simulator: CarlaSimulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    simulator.reset(WORLD, [_scenario(simulator.maps, 3)])
    reader, ego = simulator.reader, simulator.ego
    assert reader is not None
    assert ego is not None

    class WithoutLimit:
        get_control: Callable[[], carla.VehicleControl] = ego.get_control

        @staticmethod
        def get_speed_limit() -> None:
            return None

    with caplog.at_level(logging.INFO):
        reader._write_ego(WithoutLimit())  # pyright: ignore[reportArgumentType]
        reader._write_ego(WithoutLimit())  # pyright: ignore[reportArgumentType]
    assert simulator.scene.ego.speed_limit_mps[0] == UNKNOWN_LIMIT_MPS
    assert caplog.text.count("no speed limit") == 1


def test_another_town_is_loaded_when_a_scenario_asks_for_it(
    simulator: CarlaSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    managers, load = [], LiveSession.load

    def note_and_load(session: LiveSession, town: str) -> bool:
        managers.append(simulator.traffic)
        return load(session, town)

    monkeypatch.setattr(LiveSession, "load", note_and_load)
    scenario = scenario_along_lanes(simulator.maps, "Town02", choice=2)
    simulator.reset(WORLD, [scenario])
    assert managers == [None]  # no TrafficManager outlives its world
    assert simulator.traffic is not None
    scene = simulator.scene
    assert scene.clocks.map_index[0] == 1
    assert scene.motion.x[0, 0] == pytest.approx(scenario.route.x[0], abs=0.05)
    assert simulator.reader is not None
    assert simulator.reader.lights.num_matched == simulator.reader.lights.num_lights > 0
    assert (scene.lights.state[0, : simulator.reader.lights.num_lights] <= LightState.GREEN).all()
    simulator.step(np.zeros(1), np.ones(1))
    assert not scene.clocks.failed[0]


def test_cars_without_a_slot_stay_cars_of_the_traffic(
    maps: MapBank, server: HeadlessServer, simulator: CarlaSimulator
) -> None:
    """With a scene of the ego and two more, the other four must not be replaced by new ones."""
    simulator.close()  # CARLA's library ticks all TrafficManagers of a process together
    settings = ServerSettings(kind="running", first_port=server.port, call_timeout_s=30.0)
    live = LiveServer(settings, 0, 1, town="Town01", step_s=0.1)
    traffic = LiveTrafficSettings(num_vehicles=6, radius_m=300.0, despawn_m=500.0)
    simulator = CarlaSimulator(
        maps, live, traffic=traffic, settings=LiveWorldSettings(max_actors=3, warm_up_s=0.2)
    )
    scenario = _scenario(maps, 0)
    simulator.reset(WORLD, [scenario])
    for _ in _drive(simulator, scenario, 3.0, cruise_mps=0.0):
        pass
    assert simulator.session is not None
    assert len(simulator.session.world.get_actors().filter("vehicle.*")) == 1 + 6
    simulator.close()


def test_a_town_that_the_server_lacks_is_generated_from_its_file(server: HeadlessServer) -> None:
    settings = ServerSettings(kind="running", first_port=server.port, call_timeout_s=30.0)
    live = LiveServer(settings, 0, 1, town=str(CROSSING), step_s=0.1)
    simulator = CarlaSimulator(
        load_map_bank([str(CROSSING)]), live, town_files={CROSSING.stem: str(CROSSING)}
    )
    simulator.prepare(CROSSING.stem)
    session = simulator.session
    assert session is not None
    assert session.world.get_map().to_opendrive() == CROSSING.read_text()
    simulator.close()
    session.client.load_world("Town01")
