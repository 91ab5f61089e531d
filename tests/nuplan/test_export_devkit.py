"""An exported set in the devkit's own hands: it loads, its IDM planner drives, metrics score it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from sim_adapters.nuplan.export.log_summary import tagged_frames, write_filter
from tests.nuplan.exported_set import LOCATION, ExportedSet, export_small_set

pytest.importorskip("nuplan", reason="nuplan-devkit is missing: make test-nuplan runs these")

from nuplan.common.maps.maps_datatypes import SemanticMapLayer
from nuplan.common.maps.nuplan_map.map_factory import get_maps_api
from nuplan.planning.scenario_builder.nuplan_db.nuplan_scenario_builder import (
    NuPlanScenarioBuilder,
)
from nuplan.planning.scenario_builder.scenario_filter import ScenarioFilter
from nuplan.planning.utils.multithreading.worker_sequential import Sequential

from tests.nuplan import devkit_oracle
from tests.nuplan.devkit_runs import read_run

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> ExportedSet:
    small = export_small_set(tmp_path_factory.mktemp("exported"))
    if not tagged_frames(small.log):  # so short a drive may have none of its own
        _tag(small.log, frame=400)
    return small


def _tag(log: Path, frame: int) -> None:
    with closing(sqlite3.connect(log)) as database:
        database.execute(
            "INSERT INTO scenario_tag SELECT 'tag', token, 'low_magnitude_speed', NULL "
            "FROM lidar_pc ORDER BY timestamp LIMIT 1 OFFSET ?",
            (frame,),
        )
        database.commit()


def test_the_devkit_finds_the_scenarios_that_the_filter_names(
    exported: ExportedSet, tmp_path: Path
) -> None:
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


def test_the_devkits_idm_planner_drives_and_is_scored(
    exported: ExportedSet, tmp_path: Path
) -> None:
    token = tagged_frames(exported.log)[0].token
    logs, maps = str(exported.root / "logs"), str(exported.root / "maps")
    folders = ("--data-root", logs, "--map-root", maps, "--out", str(tmp_path))
    runs = ("--tokens", token, "--planners", "idm", "--modes", "nonreactive", "reactive")
    status = devkit_oracle.main([*folders, *runs])
    assert status == 0
    for mode in ("nonreactive", "reactive"):
        run = read_run(tmp_path / f"{token}_idm_{mode}.npz")
        assert 0.0 <= run.final_score <= 1.0
        assert run.ego.num_samples[0] > 100
