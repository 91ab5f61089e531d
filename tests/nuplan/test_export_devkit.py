"""An exported set in the devkit's own hands: it finds the scenarios and joins the lanes.

Needs the devkit (`make test-nuplan`).
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sim_adapters.nuplan.export.data_set import write_filter
from tests.nuplan.exported_set import LOCATION, ExportedSet, export_small_set

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportedSet:
    return export_small_set(tmp_path_factory.mktemp("exported"))


def test_the_devkit_finds_the_scenarios_that_the_filter_names(
    exported: ExportedSet, tmp_path: Path
) -> None:
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer
    from nuplan.planning.scenario_builder.nuplan_db.nuplan_scenario_builder import (
        NuPlanScenarioBuilder,
    )
    from nuplan.planning.scenario_builder.scenario_filter import ScenarioFilter
    from nuplan.planning.utils.multithreading.worker_sequential import Sequential

    write_filter(tmp_path / "filter.yaml", [exported.log], max_per_type=None)
    values = yaml.safe_load((tmp_path / "filter.yaml").read_text())
    builder = NuPlanScenarioBuilder(
        data_root=str(exported.root / "logs"),
        map_root=str(exported.root / "maps"),
        sensor_root="",
        db_files=None,
        map_version="nuplan-maps-v1.0",
    )
    named = {key: value for key, value in values.items() if not key.startswith("_")}
    scenarios = builder.get_scenarios(ScenarioFilter(**named), Sequential())
    assert {one.token for one in scenarios} == set(values["scenario_tokens"])
    assert {one.scenario_type for one in scenarios} == set(values["scenario_types"])
    route = scenarios[0].get_route_roadblock_ids()
    api = scenarios[0].map_api
    layers = (SemanticMapLayer.ROADBLOCK, SemanticMapLayer.ROADBLOCK_CONNECTOR)
    for roadblock in route:
        assert any(api.get_map_object(roadblock, layer) is not None for layer in layers)


def test_the_devkits_map_joins_lanes_as_the_network_does(exported: ExportedSet) -> None:
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer
    from nuplan.common.maps.nuplan_map.map_factory import get_maps_api

    api = get_maps_api(str(exported.root / "maps"), "nuplan-maps-v1.0", LOCATION)
    api.initialize_all_layers()
    first_lane, first_connector = 100_000, 200_000
    for row, connector in enumerate(exported.network.connectors):
        found = api.get_map_object(str(first_connector + row), SemanticMapLayer.LANE_CONNECTOR)
        assert found.has_traffic_lights() == (connector.signal >= 0)
        assert len(found.stop_lines) == 1
        (before,), (after,) = found.incoming_edges, found.outgoing_edges
        assert before.id == str(first_lane + connector.from_lane)
        assert after.id == str(first_lane + connector.to_lane)
    for row in range(len(exported.network.lanes)):
        lane = api.get_map_object(str(first_lane + row), SemanticMapLayer.LANE)
        path = lane.baseline_path.discrete_path
        for state in path[1:-1]:  # its ends lie on the border
            (owner,) = api.get_all_map_objects(state.point, SemanticMapLayer.LANE)
            assert owner.id == lane.id
