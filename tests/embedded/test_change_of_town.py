"""A world that is reset to another town must not remember the lanes of the last one."""

import numpy as np

from sim_adapters.embedded.settings import EmbeddedSettings
from sim_adapters.embedded.simulator import EmbeddedSimulator
from sim_adapters.scene.map_bank import MapBank
from tests.embedded.lane_routes import scenario_along_lanes


def test_lane_lists_of_the_last_town_are_forgotten(town_maps: MapBank):
    simulator = EmbeddedSimulator(town_maps, 1, EmbeddedSettings(warm_up_s=0.0))
    world, standing = np.array([0]), np.zeros(1)
    simulator.reset(world, [scenario_along_lanes(town_maps, "Town01")])
    for _ in range(100):  # until somebody has asked for the way through a junction
        simulator.step(standing, standing)
    tables = (simulator.traffic.occupancy, simulator.traffic.reservations)
    assert all(table.num_nodes[0] > 0 for table in tables)
    simulator.reset(world, [scenario_along_lanes(town_maps, "Town02")])
    # Left over, they would join the lists of the new town's lanes into rings without an end.
    for table in tables:
        assert table.num_nodes[0] == 0
        assert (table.head[0] == -1).all()


def test_lane_lists_are_forgotten_where_a_state_of_another_town_is_loaded(town_maps: MapBank):
    """A resumed training met such a ring in its first steps and stood still."""
    settings = EmbeddedSettings(warm_up_s=0.0)
    saved_in, loaded_into = (EmbeddedSimulator(town_maps, 1, settings) for _ in range(2))
    world, standing = np.array([0]), np.zeros(1)
    for simulator, town in ((saved_in, "Town01"), (loaded_into, "Town02")):
        simulator.reset(world, [scenario_along_lanes(town_maps, town)])
        for _ in range(100):
            simulator.step(standing, standing)
    loaded_into.load_state_dict(saved_in.state_dict())
    for table in (loaded_into.traffic.occupancy, loaded_into.traffic.reservations):
        assert (table.head[0] == -1).all()
    for _ in range(50):
        for simulator in (saved_in, loaded_into):
            simulator.step(standing, standing)
    for ours, theirs in zip(saved_in.scene.motion, loaded_into.scene.motion, strict=True):
        np.testing.assert_array_equal(ours, theirs)
