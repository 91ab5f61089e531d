"""A world that is reset to another town must not remember the lanes of the last one."""

import numpy as np

from sim_adapters.embedded.simulator import EmbeddedSimulator
from sim_adapters.scene.map_bank import MapBank
from tests.embedded.lane_routes import scenario_along_lanes


def test_lane_lists_of_the_last_town_are_forgotten(town_maps: MapBank):
    simulator = EmbeddedSimulator(town_maps, 1, warm_up_s=0.0)
    world, standing = np.array([0]), np.zeros(1)
    simulator.reset(world, [scenario_along_lanes(town_maps, "Town01")])
    simulator.step(standing, standing)
    occupancy = simulator.traffic.occupancy
    assert occupancy.num_nodes[0] > 0
    simulator.reset(world, [scenario_along_lanes(town_maps, "Town02")])
    # Left over, they would join the lists of the new town's lanes into rings without an end.
    assert occupancy.num_nodes[0] == 0
    assert (occupancy.head[0] == -1).all()
