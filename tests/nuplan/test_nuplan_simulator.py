"""NuplanSimulator beside the contract of all simulators: exact replay, lights, clocks, errors."""

import dataclasses

import numpy as np
import pytest

from sim_adapters.nuplan.scenario_log import LoggedLight, TrackType
from sim_adapters.nuplan.scenario_source import logged_scenario
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import copy_arrays
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorKind, LightState
from tests.nuplan.hand_made_logs import Box, make_log, make_nuplan_maps

NUM_STEPS = 40
EAST, PARKING = -1.75, -4.75


def _frames(lead_x: float = 40.0) -> list[list[Box]]:
    """Cars driving off, a cyclist who vanishes, a pedestrian and a cone, out of type order."""
    frames = []
    for k in range(60):
        frame: list[Box] = [
            ("cone", TrackType.TRAFFIC_CONE, 70.0, PARKING, 0.0, 0.0),
            ("lead", TrackType.VEHICLE, lead_x + 0.4 * k, EAST, 0.0, 4.0),
            ("walker", TrackType.PEDESTRIAN, 60.0, PARKING + 0.1 * k, 1.5, 1.0),
            ("second", TrackType.VEHICLE, lead_x + 20.0 + 0.4 * k, EAST, 0.0, 4.0),
        ]
        if k < 20:
            frame.insert(1, ("cyclist", TrackType.BICYCLE, 30.0, EAST, 0.1, 2.0))
        frames.append(frame)
    return frames


def _scenario(seed: int) -> Scenario:
    lights = [{101: LoggedLight.GREEN}] * 10 + [{101: LoggedLight.RED}]
    log = make_log(start_x=10.0 + seed, frames=_frames(40.0 + seed), lights=lights)
    return logged_scenario(log, seed=seed)


def _drive(simulator: NuplanSimulator, num_steps: int = NUM_STEPS, *, first_step: int = 0) -> None:
    """Wave the steering and pulse the pedals, the same in every world."""
    for k in range(first_step, first_step + num_steps):
        steer = np.full(simulator.scene.num_agents, 0.02 * np.sin(0.3 * k))
        simulator.step(steer, np.full(steer.size, 0.5 if k % 20 < 15 else -0.4))


def _assert_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return make_nuplan_maps()


def test_replay_shows_each_frame_sorted_by_type(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 1, max_actors=8)
    simulator.reset(np.arange(1), [_scenario(0)])
    traits, motion = simulator.scene.traits, simulator.scene.motion
    kinds = [ActorKind.CAR] * 3 + [ActorKind.PEDESTRIAN, ActorKind.BICYCLE, ActorKind.STATIC]
    assert traits.kind[0, :7].tolist() == [*kinds, ActorKind.NONE]
    assert motion.x[0, 1:4].tolist() == [40.0, 60.0, 60.0]
    _drive(simulator, 25)
    assert traits.kind[0, :6].tolist() == [*kinds[:4], ActorKind.STATIC, ActorKind.NONE]
    assert motion.x[0, 1] == 40.0 + 0.4 * 25
    assert motion.y[0, 3] == PARKING + 0.1 * 25
    assert motion.x[0, 5] == 0.0
    assert traits.half_length_m[0, 1] == 2.0
    assert traits.actor_id[0, 1:5].tolist() == [3, 5, 4, 1]  # track rows + 1, order of appearance


def test_lights_are_the_logged_ones_of_the_frame(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 1, max_actors=8)
    simulator.reset(np.arange(1), [_scenario(0)])
    assert simulator.scene.lights.state[0, 0] == LightState.GREEN
    _drive(simulator, 9)
    assert simulator.scene.lights.state[0, 0] == LightState.GREEN
    _drive(simulator, 1)
    assert simulator.scene.lights.state[0, 0] == LightState.RED


def test_unknown_connectors_and_states_are_dark(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 1, max_actors=8)
    log = make_log(lights=[{999: LoggedLight.RED, 101: LoggedLight.UNKNOWN}])
    simulator.reset(np.arange(1), [logged_scenario(log)])
    assert simulator.scene.lights.state[0, 0] == LightState.OFF


def test_episode_ends_at_the_last_frame_but_one(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 1, max_actors=8)
    simulator.reset(np.arange(1), [logged_scenario(make_log(num_frames=10))])
    assert simulator.scene.clocks.time_limit_s[0] == pytest.approx(0.8)
    _drive(simulator, 8)
    assert simulator.scene.clocks.elapsed_s[0] == pytest.approx(0.8)


def test_route_is_the_logged_path_of_the_centre(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 1, max_actors=8)
    simulator.reset(np.arange(1), [logged_scenario(make_log(num_frames=101, speed_mps=5.0))])
    routes = simulator.scene.routes
    assert routes.num_points[0] == 101
    assert routes.x[0, [0, 100]] == pytest.approx([11.461, 61.461])
    assert routes.percent[0, 50] == pytest.approx(50.0)


def test_standing_human_leaves_no_nan_in_the_route(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 1, max_actors=8)
    simulator.reset(np.arange(1), [logged_scenario(make_log(speed_mps=0.0))])
    assert not simulator.scene.routes.percent.any()


def test_scene_keeps_its_arrays_and_rows_grow_for_long_logs(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 2, max_actors=8, max_route_points=400)
    before = simulator.scene
    simulator.reset(np.arange(2), [_scenario(1), _scenario(2)])
    world_0 = copy_arrays(simulator.book.boxes)
    simulator.reset(np.array([1]), [logged_scenario(make_log(num_frames=400, frames=_frames()))])
    assert simulator.scene is before
    kept = world_0["x"].shape[1]
    np.testing.assert_array_equal(simulator.book.boxes.x[0, :kept], world_0["x"][0])
    assert simulator.book.timeline.time_us.shape[1] >= 400


def test_what_does_not_fit_is_refused_by_name(maps: MapBank) -> None:
    simulator = NuplanSimulator(maps, 1, max_actors=3)
    with pytest.raises(ValueError, match=r"5 road users at once.*max_actors=5"):
        simulator.reset(np.arange(1), [_scenario(0)])
    scenario = logged_scenario(make_log(num_frames=400))
    with pytest.raises(ValueError, match="max_route_points=400"):
        simulator.reset(np.arange(1), [scenario])
    with pytest.raises(ValueError, match="no log"):
        simulator.reset(np.arange(1), [dataclasses.replace(scenario, log=None)])
    small = logged_scenario(make_log())
    with pytest.raises(ValueError, match="Nowhere"):
        simulator.reset(np.arange(1), [dataclasses.replace(small, town="Nowhere")])
    with pytest.raises(ValueError, match="no polygons"):
        NuplanSimulator(dataclasses.replace(maps, vector=None), 1)
