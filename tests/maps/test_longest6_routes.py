"""The 36 routes of longest6 against CARLA's own planner; needs a copy of the files.

CARL_ROUTES_DIR=FOLDER pytest tests/maps/test_longest6_routes.py
"""

import numpy as np
import pytest

from sim_adapters.maps.route_scenarios import load_scenarios, missed_triggers
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Scenario
from tests.data_folders import data_folder

ROUTES_FILE = data_folder("CARL_ROUTES_DIR", "routes") / "longest6_v2.xml"
# Lengths [m] by GlobalRoutePlanner(1 m) of CARLA 0.9.16 on the same maps, routes 0 to 35
CARLA_LENGTH_M = (
    *(1186.6, 1069.8, 923.0, 773.3, 970.8, 709.5, 1042.6, 1000.6, 874.0, 874.0, 1013.0, 918.1),
    *(2495.1, 1846.1, 1521.5, 1915.3, 2032.7, 1589.2, 2314.5, 2116.6, 2901.1, 1914.6, 2586.2),
    *(3162.6, 2239.6, 1640.0, 1334.7, 1056.1, 1146.1, 1682.5, 2626.7, 1946.9, 2985.0, 2335.7),
    *(1515.2, 1809.7),
)


@pytest.fixture(scope="module")
def scenarios(towns: MapBank) -> list[Scenario]:
    return load_scenarios(ROUTES_FILE, towns)


def test_longest6_routes_have_carlas_lengths_and_pass_every_trigger(
    scenarios: list[Scenario],
) -> None:
    assert len(scenarios) == 36
    assert sum(len(scenario.triggers) for scenario in scenarios) == 429
    for scenario in scenarios:
        number = int(scenario.scenario_id.split("_")[1])
        assert scenario.route.length_m == pytest.approx(CARLA_LENGTH_M[number], rel=0.01), number
        assert missed_triggers(scenario.route, scenario.triggers) == [], number
        steps = np.hypot(np.diff(scenario.route.x), np.diff(scenario.route.y))
        assert steps.max() < 1.05
        assert steps.min() > 0.9
