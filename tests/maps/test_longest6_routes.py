"""The 36 routes of longest6 against CARLA's own planner; needs a copy of the files.

CARL_ROUTES_DIR=FOLDER pytest tests/maps/test_longest6_routes.py
"""

import os
from pathlib import Path

import numpy as np
import pytest

from sim_adapters.maps.route_scenarios import load_scenarios, missed_triggers
from sim_adapters.scene.map_bank import MapBank

pytestmark = pytest.mark.skipif(
    "CARL_ROUTES_DIR" not in os.environ, reason="CARL_ROUTES_DIR is not set"
)

# Lengths [m] by GlobalRoutePlanner(1 m) of CARLA 0.9.16 on the same maps, routes 0 to 35
CARLA_LENGTH_M = (
    *(1186.6, 1069.8, 923.0, 773.3, 970.8, 709.5, 1042.6, 1000.6, 874.0, 874.0, 1013.0, 918.1),
    *(2495.1, 1846.1, 1521.5, 1915.3, 2032.7, 1589.2, 2314.5, 2116.6, 2901.1, 1914.6, 2586.2),
    *(3162.6, 2239.6, 1640.0, 1334.7, 1056.1, 1146.1, 1682.5, 2626.7, 1946.9, 2985.0, 2335.7),
    *(1515.2, 1809.7),
)
# CARLA's planner goes round the block here, because a waypoint inside a junction snaps to a lane
# that the route cannot drive. Ours picks the lane that leads on: these routes are shorter.
DETOURS = {18: 2117.4, 20: 1908.9, 23: 2488.3}
# Triggers beside these routes (presumably on the detours): no car on the route passes them
NUM_MISSED_TRIGGERS = {18: 1, 20: 5, 23: 5}


def test_longest6_routes_have_carlas_lengths_and_lose_no_trigger(towns: MapBank) -> None:
    path = Path(os.environ["CARL_ROUTES_DIR"]) / "longest6_v2.xml"
    scenarios = load_scenarios(path, towns)
    assert len(scenarios) == 36
    assert sum(len(scenario.triggers) for scenario in scenarios) == 429
    for scenario in scenarios:
        number = int(scenario.scenario_id.split("_")[1])
        expected_m = DETOURS.get(number, CARLA_LENGTH_M[number])
        assert scenario.route.length_m == pytest.approx(expected_m, rel=0.01), number
        missed = missed_triggers(scenario.route, scenario.triggers)
        assert len(missed) == NUM_MISSED_TRIGGERS.get(number, 0), number
        steps = np.hypot(np.diff(scenario.route.x), np.diff(scenario.route.y))
        assert steps.max() < 1.05
        assert steps.min() > 0.9
