"""EmbeddedSimulator beside the contract of all simulators: starts, traffic, what it refuses."""

import dataclasses

import numpy as np
import pytest

from sim_adapters.embedded.settings import EmbeddedSettings, with_declared_floats
from sim_adapters.embedded.simulator import EmbeddedSimulator
from sim_adapters.embedded.world_start import contiguous_runs
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import copy_arrays
from sim_adapters.scene.scenario import ScenarioTrigger
from sim_adapters.world.pedestrian_state import PedestrianSettings
from sim_adapters.world.traffic.settings import TrafficSettings
from tests.embedded.lane_routes import scenario_along_lanes

NUM_STEPS = 60


def _simulator(maps: MapBank, num_worlds: int) -> EmbeddedSimulator:
    return EmbeddedSimulator(
        maps,
        num_worlds,
        EmbeddedSettings(
            traffic=TrafficSettings(num_vehicles=12, radius_m=80.0),
            max_vehicles=14,
            max_pedestrians=9,
            max_statics=8,
            max_route_points=512,
            warm_up_s=0.5,
        ),
    )


def _drive(
    simulator: EmbeddedSimulator, num_steps: int = NUM_STEPS, *, first_step: int = 0
) -> None:
    """Wave the steering and pulse the pedals, the same in every world."""
    num_agents = simulator.scene.num_agents
    for k in range(first_step, first_step + num_steps):
        steer = np.full(num_agents, 0.2 * np.sin(0.3 * k))
        simulator.step(steer, np.full(num_agents, 0.7 if k % 20 < 15 else -0.4))


def _assert_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_another_seed_gives_another_trajectory(town_maps: MapBank) -> None:
    simulator = _simulator(town_maps, 2)
    simulator.reset(np.arange(2), [scenario_along_lanes(town_maps, seed=s) for s in (5, 6)])
    _drive(simulator)
    motion = simulator.scene.motion
    assert (motion.x[0, 1:] != motion.x[1, 1:]).any()


def test_ego_starts_standing_on_the_first_route_point(town_maps: MapBank) -> None:
    simulator = _simulator(town_maps, 1)
    scenario = scenario_along_lanes(town_maps, choice=3)
    simulator.reset(np.array([0]), [scenario])
    scene = simulator.scene
    assert scene.motion.x[0, 0] == scenario.route.x[0]
    assert scene.motion.y[0, 0] == scenario.route.y[0]
    assert scene.motion.yaw_rad[0, 0] == pytest.approx(scenario.route.yaw_rad[0])
    assert scene.ego.brake[0] == 1.0
    assert scene.ego.speed_limit_mps[0] > 2.0
    assert scene.clocks.elapsed_s[0] == pytest.approx(0.5)  # the warm-up
    routes = scene.routes
    num_points = scenario.route.x.size
    assert routes.num_points[0] == num_points
    assert routes.percent[0, 0] == 0.0
    assert routes.percent[0, num_points - 1] == pytest.approx(100.0)
    assert (np.diff(routes.percent[0, :num_points]) > 0.0).all()


def test_traffic_moves_around_the_ego(town_maps: MapBank) -> None:
    simulator = _simulator(town_maps, 1)
    simulator.reset(np.array([0]), [scenario_along_lanes(town_maps, choice=2)])
    traits, motion = simulator.scene.traits, simulator.scene.motion
    assert traits.valid[0, 1:].sum() >= 6
    _drive(simulator, 30)
    speeds = np.hypot(motion.vx_mps[0], motion.vy_mps[0])[1:]
    assert (speeds > 1.0).sum() >= 3
    assert not motion.x[0][~traits.valid[0]].any()
    ids = traits.actor_id[0][traits.valid[0]]
    assert np.unique(ids).size == ids.size


def test_acceleration_is_the_difference_of_velocities(town_maps: MapBank) -> None:
    simulator = _simulator(town_maps, 1)
    simulator.reset(np.array([0]), [scenario_along_lanes(town_maps)])
    for _ in range(10):
        before = simulator.scene.motion.vx_mps[0, 0]
        simulator.step(np.zeros(1), np.ones(1))
    motion = simulator.scene.motion
    assert motion.ax_mps2[0, 0] == pytest.approx((motion.vx_mps[0, 0] - before) / 0.1)


@pytest.mark.parametrize(
    ("num_points", "message"), [(1, "expected two or more"), (600, "max_route_points=600")]
)
def test_unusable_route_is_refused_and_nothing_changes(
    town_maps: MapBank, num_points: int, message: str
) -> None:
    simulator = _simulator(town_maps, 1)
    good = scenario_along_lanes(town_maps)
    simulator.reset(np.array([0]), [good])
    before = copy_arrays(simulator.scene)
    rows = np.resize(np.arange(good.route.x.size), num_points)
    parts = {
        field.name: getattr(good.route, field.name)[rows]
        for field in dataclasses.fields(good.route)
    }
    bad = dataclasses.replace(good, route=dataclasses.replace(good.route, **parts))
    with pytest.raises(ValueError, match=message):
        simulator.reset(np.array([0]), [bad])
    _assert_equal(before, copy_arrays(simulator.scene))


def test_unknown_town_is_refused(town_maps: MapBank) -> None:
    simulator = _simulator(town_maps, 1)
    scenario = dataclasses.replace(scenario_along_lanes(town_maps), town="Town05")
    with pytest.raises(ValueError, match="Town05"):
        simulator.reset(np.array([0]), [scenario])


def test_more_traffic_than_slots_is_refused(town_maps: MapBank) -> None:
    traffic = TrafficSettings(num_vehicles=50)
    with pytest.raises(ValueError, match="max_vehicles"):
        EmbeddedSimulator(town_maps, 1, EmbeddedSettings(traffic=traffic, max_vehicles=40))
    people = PedestrianSettings(num_pedestrians=50)
    with pytest.raises(ValueError, match="max_pedestrians"):
        EmbeddedSimulator(town_maps, 1, EmbeddedSettings(pedestrians=people, max_pedestrians=4))


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ((13, 9, 6), "max_vehicles=14"),
        ((14, 2, 6), "max_pedestrians=3"),
        ((14, 9, 5), "max_statics=6"),
    ],
)
def test_scripted_actors_without_a_slot_are_refused(
    town_maps: MapBank, slots: tuple[int, int, int], message: str
) -> None:
    """Traffic may take 12 vehicle slots; a stream needs 2 more, a crosser and its prop theirs."""
    simulator = EmbeddedSimulator(
        town_maps,
        1,
        EmbeddedSettings(
            traffic=TrafficSettings(num_vehicles=12),
            pedestrians=PedestrianSettings(num_pedestrians=0),
            max_vehicles=slots[0],
            max_pedestrians=slots[1],
            max_statics=slots[2],
        ),
    )
    plain = scenario_along_lanes(town_maps)
    simulator.reset(np.array([0]), [plain])
    trigger = ScenarioTrigger("HardBreakRoute_1", "HardBreakRoute", 0.0, 0.0, 0.0, 0.0)
    scripted = dataclasses.replace(plain, triggers=(trigger,))
    with pytest.raises(ValueError, match=f"set simulator.{message} or more, or"):
        simulator.reset(np.array([0]), [scripted])


def test_integers_in_settings_mean_floats_where_floats_are_declared() -> None:
    """Kernels would be compiled anew for them."""
    settings = with_declared_floats(TrafficSettings(num_vehicles=36, radius_m=110, truck_share=0))
    assert settings == TrafficSettings(num_vehicles=36, radius_m=110.0, truck_share=0.0)
    types = [type(value) for value in settings]
    assert types == [type(value) for value in TrafficSettings()]


def test_runs_cover_exactly_the_named_worlds() -> None:
    assert contiguous_runs(np.array([5, 1, 2, 7, 3])) == [(1, 4), (5, 6), (7, 8)]
    assert contiguous_runs(np.array([], np.int64)) == []
