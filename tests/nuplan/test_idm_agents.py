"""Reactive traffic on the hand-made road: who takes part, how they drive, what stops them."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import pytest

from evaluation.nuplan_drivers.yardsticks import ConstantSpeed
from evaluation.val14.rollout import simulate
from sim_adapters.nuplan.idm.traffic import IdmTraffic
from sim_adapters.nuplan.replay import book_with_room, empty_log_book, write_log
from sim_adapters.nuplan.scenario_log import LoggedLight, TrackType
from sim_adapters.nuplan.scenario_source import logged_scenario
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorKind, empty_scene
from tests.nuplan.hand_made_logs import Box, make_log, make_nuplan_maps

EAST = -1.75
GREEN, RED = {101: LoggedLight.GREEN}, {101: LoggedLight.RED}


def _car(name: str, x: float, speed: float, y: float = EAST, yaw: float = 0.0) -> Box:
    return (name, TrackType.VEHICLE, x, y, yaw, speed)


def _start(
    maps: MapBank,
    *frames: Sequence[Box],
    lights: Sequence[dict[int, LoggedLight]] = (),
    ego_x: float = 2.0,
    ego_y: float = 10.0,
) -> NuplanSimulator:
    """A simulator whose ego stands beside the road."""
    log = make_log(start_x=ego_x, y=ego_y, speed_mps=0.0, frames=frames, lights=lights)
    simulator = NuplanSimulator(maps, 1, traffic="idm", max_actors=16)
    simulator.reset(np.arange(1), [logged_scenario(log)])
    return simulator


def _drive(simulator: NuplanSimulator, num_steps: int) -> None:
    for _ in range(num_steps):
        simulator.step(np.zeros(1), np.zeros(1))


def _cars(simulator: NuplanSimulator) -> np.ndarray:
    """x of all cars but the ego."""
    is_car = simulator.scene.traits.kind[0, 1:] == ActorKind.CAR
    return simulator.scene.motion.x[0, 1:][is_car]


def _speed(v: float, v0: float, gap: float, v_lead: float) -> float:
    """One step of the IDM law with nuPlan's constants, written out."""
    wish = 1.0 + 1.5 * v + v * (v - v_lead) / (2.0 * math.sqrt(2.0))
    acceleration = 1.0 - (v / v0) ** 4 - (wish / max(gap, 1.0)) ** 2
    return max(v + 0.1 * min(max(acceleration, -2.0), 1.0), 0.0)


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return make_nuplan_maps(speed_limit_mps=10.0)


def test_free_car_brakes_for_its_path_s_end(maps: MapBank) -> None:
    simulator = _start(maps, [_car("a", 40.0, 5.0)])
    _drive(simulator, 1)
    # 59 m of path to x = 99 (the lane's last vertex is left out), less half a length
    assert _cars(simulator) == pytest.approx([40.5])
    speed = simulator.scene.motion.vx_mps[0, 1]
    assert speed == pytest.approx(_speed(5.0, 10.0, 59.0 - 2.0, 0.0), abs=1e-6)


def test_cars_are_updated_one_after_another(maps: MapBank) -> None:
    """The second car sees the first where it has just gone, by its stretched footprint."""
    first, second = _car("first", 60.0, 8.0), _car("second", 40.0, 8.0)
    simulator = _start(maps, [first, second])
    _drive(simulator, 1)
    lead_speed = _speed(8.0, 10.0, 39.0 - 2.0, 0.0)
    gap = (60.8 - 2.0) - (40.0 + 2.0)
    expected = _speed(8.0, 10.0, gap, lead_speed)
    assert simulator.scene.motion.vx_mps[0, 2] == pytest.approx(expected, abs=1e-6)
    simulator = _start(maps, [second, first])
    _drive(simulator, 1)
    expected = _speed(8.0, 10.0, 58.0 - 42.0, 8.0)  # the other has not moved yet
    assert simulator.scene.motion.vx_mps[0, 1] == pytest.approx(expected, abs=1e-6)


def test_footprint_reaches_ahead_by_speed_times_headway(maps: MapBank) -> None:
    simulator = _start(maps, [_car("a", 40.0, 4.0)])
    _drive(simulator, 1)
    assert simulator.agents is not None
    bounds = simulator.agents.state.shapes.bounds[0, 0]
    speed = simulator.scene.motion.vx_mps[0, 1]
    expected = (38.4, EAST - 1.0, 42.4 + 1.5 * speed, EAST + 1.0)
    assert bounds == pytest.approx(expected)


def test_only_green_lets_a_car_into_the_junction(maps: MapBank) -> None:
    car = [_car("a", 85.0, 8.0)]
    for lights, passes in (([GREEN], True), ([RED], False), ([], False)):
        simulator = _start(maps, car, lights=lights, ego_x=90.0)
        _drive(simulator, 100)
        assert (_cars(simulator)[0] > 105.0) == passes


def test_red_on_the_route_stops_at_the_stop_polygon(maps: MapBank) -> None:
    """The route was chosen on green; then the polygon from x = 98 is a standing leader."""
    car = [_car("a", 70.0, 6.0)]
    simulator = _start(maps, car, lights=[GREEN] * 10 + [RED], ego_x=60.0)
    _drive(simulator, 140)
    assert 90.0 < _cars(simulator)[0] < 98.0 - 2.0


def test_who_takes_part(maps: MapBank) -> None:
    frame: list[Box] = [
        ("cone", TrackType.TRAFFIC_CONE, 30.0, -3.0, 0.0, 0.0),
        ("barrier", TrackType.BARRIER, 32.0, -4.0, 0.0, 0.0),
        _car("driving", 50.0, 5.0),
        _car("on the grass", 50.0, 8.0, 20.0),
        ("cyclist", TrackType.BICYCLE, 20.0, EAST, 0.0, 3.0),
        ("walker", TrackType.PEDESTRIAN, 60.0, 5.0, 0.0, 1.0),
        _car("onto the cone", 30.5, 0.0, -2.6),
    ]
    later = [*frame, _car("late", 10.0, 5.0)]
    simulator = _start(maps, frame, later)
    for _ in range(2):
        kinds = simulator.scene.traits.kind[0]
        expected = [ActorKind.CAR] * 2 + [ActorKind.PEDESTRIAN, ActorKind.STATIC, ActorKind.STATIC]
        assert kinds[:6].tolist() == [*expected, ActorKind.NONE]
        assert simulator.scene.motion.x[0, 3:5].tolist() == [32.0, 30.0]  # barriers before cones
        _drive(simulator, 1)


def test_cars_are_snapped_to_their_lane_s_centre(maps: MapBank) -> None:
    simulator = _start(maps, [_car("a", 50.3, 5.0, EAST + 0.4, yaw=0.2)])
    motion = simulator.scene.motion
    assert (motion.x[0, 1], motion.y[0, 1], motion.yaw_rad[0, 1]) == (50.3, EAST, 0.0)
    assert (motion.vx_mps[0, 1], motion.vy_mps[0, 1]) == (pytest.approx(5.0), 0.0)


def test_far_cars_are_forgotten_after_the_first_frame(maps: MapBank) -> None:
    frame = [_car("near", 50.0, 5.0), _car("far", 190.0, 5.0)]
    simulator = _start(maps, frame)
    assert len(_cars(simulator)) == 2
    _drive(simulator, 1)
    assert len(_cars(simulator)) == 1


def test_desired_speed_without_a_limit_is_that_of_the_car_before(maps: MapBank) -> None:
    assert maps.vector is not None
    limits = np.array([np.nan, np.nan, 7.0, np.nan, np.nan, np.nan, np.nan])
    edges = maps.vector.edges._replace(speed_limit_mps=limits)
    partly = dataclasses.replace(maps, vector=maps.vector._replace(edges=edges))
    west = _car("west", 150.0, 5.0, 1.75, yaw=math.pi)
    frame = [_car("first", 50.0, 5.0), _car("limited", 150.0, 5.0), west]
    simulator = _start(partly, frame, ego_x=80.0)
    assert simulator.agents is not None
    assert simulator.agents.state.motion.desired_mps[0, :3].tolist() == [10.0, 7.0, 7.0]


def test_ego_is_seen_where_it_was(maps: MapBank) -> None:
    """The ego moves in the same step, but agents react to its place before."""
    simulator = _start(maps, [_car("a", 40.0, 5.0)], ego_x=58.0, ego_y=EAST)
    _drive(simulator, 1)
    gap = (58.0 + 1.461 - 2.588) - 42.0
    expected = _speed(5.0, 10.0, gap, 0.0)
    assert simulator.scene.motion.vx_mps[0, 1] == pytest.approx(expected, abs=1e-6)


def test_more_vehicles_than_room_enlarge_it(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 1, traffic="idm", max_actors=60)
    frame = [_car(f"car {i}", 5.0 + 4.5 * i, 0.0, EAST if i < 20 else 1.75) for i in range(40)]
    log = make_log(frames=[frame], speed_mps=0.0, y=20.0)
    simulator.reset(np.arange(1), [logged_scenario(log)])
    assert simulator.agents is not None
    assert simulator.agents.room[0] >= 40
    _drive(simulator, 3)


def _cars_then_walkers() -> list[list[Box]]:
    """Ten cars in the first frame, eight walkers in all others: never more than ten boxes."""
    cars = [_car(f"car {i}", 5.0 + 8.0 * i, 3.0) for i in range(10)]
    walkers: list[Box] = [
        (f"walker {i}", TrackType.PEDESTRIAN, 3.0 * i, 8.0, 0.0, 1.0) for i in range(8)
    ]
    return [cars, walkers]


def test_agents_that_outlive_their_boxes_have_slots_beside_the_replayed(maps: MapBank) -> None:
    log = make_log(num_frames=8, start_x=40.0, y=10.0, speed_mps=0.0, frames=_cars_then_walkers())
    _, tracks = simulate([log, log], maps, ConstantSpeed(), traffic="idm")
    assert tracks.num_boxes.tolist() == [[10] + [18] * 6] * 2
    assert (tracks.type[:, 1:] == TrackType.PEDESTRIAN).sum(axis=2).tolist() == [[8] * 6] * 2


def test_logs_whose_agents_and_objects_lack_slots_are_refused(maps: MapBank) -> None:
    scenario = logged_scenario(make_log(frames=_cars_then_walkers()))
    NuplanSimulator(maps, 1, max_actors=10).reset(np.arange(1), [scenario])
    reactive = NuplanSimulator(maps, 1, traffic="idm", max_actors=17)
    with pytest.raises(ValueError, match=r"18 road users at once.*holds 17: set.*max_actors=18"):
        reactive.reset(np.arange(1), [scenario])


def test_traffic_beyond_the_slots_is_an_error_and_stays_out_of_the_next_world(
    maps: MapBank,
) -> None:
    scene = empty_scene(2, 4, num_lights=maps.max_lights, num_route_points=2)
    log = make_log(frames=[[_car(f"car {i}", 5.0 + 8.0 * i, 3.0) for i in range(5)]])
    book = book_with_room(empty_log_book(2), log)
    write_log(book, 0, log, maps, 0)
    scene.motion.x[0, 0] = -50.0  # the ego, out of their way
    traffic = IdmTraffic(maps, scene)
    with pytest.raises(RuntimeError, match=r"TOO_MANY_ACTORS.*raise simulator\.max_actors"):
        traffic.start(0, 1, book)
    assert scene.traits.valid.tolist() == [[False, True, True, True], [False] * 4]
