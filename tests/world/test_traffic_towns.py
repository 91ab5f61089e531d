"""Traffic worth driving in: all towns, no ego, nobody hits, runs a red light or stands for ever."""

import numpy as np
import pytest

from sim_adapters.scene.named_arrays import copy_arrays
from sim_adapters.world.traffic.settings import TrafficSettings
from tests.world.town_traffic import drive, make_town_traffic

TOWNS = [f"Town0{i}" for i in range(1, 8)] + ["Town10HD", "Town15"]
MIXED = TrafficSettings(truck_share=0.15, two_wheeler_share=0.1)


@pytest.mark.parametrize("settings", [TrafficSettings(), MIXED], ids=["cars", "mixed kinds"])
def test_all_towns_drive_100_km_and_300_crossings_without_a_fault(
    settings: TrafficSettings,
) -> None:
    vehicles = [20 if town == "Town02" else 60 for town in TOWNS]
    run = make_town_traffic(TOWNS, list(range(len(TOWNS))), settings, vehicles)
    assert run.scene.traits.valid.sum(axis=1).tolist() == vehicles
    record = drive(run, 400.0)  # a jam must last 180 s to be seen
    assert record.km > 100.0
    assert record.crossings > 300
    assert record.faults() == []
    assert run.traffic.tally.lane_changes.sum() > 20


def test_without_the_lights_the_same_traffic_is_at_fault() -> None:
    settings = TrafficSettings(obeys_lights=False)
    run = make_town_traffic(["Town01", "Town02"], [0, 1], settings, [60, 20])
    record = drive(run, 60.0)
    assert any("red lights run" in fault for fault in record.faults())


def test_worlds_together_drive_as_worlds_alone() -> None:
    together = make_town_traffic(["Town02"] * 3, [7, 8, 9], MIXED, [20, 20, 20])
    alone = make_town_traffic(["Town02"], [8], MIXED, [20])
    for _ in range(200):
        together.step()
        alone.step()
    expected = copy_arrays(alone.scene.motion)
    for name, array in copy_arrays(together.scene.motion).items():
        np.testing.assert_array_equal(array[1], expected[name][0])
    assert not np.array_equal(together.scene.motion.x[0], together.scene.motion.x[1])
