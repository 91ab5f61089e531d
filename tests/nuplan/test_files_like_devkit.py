"""The same files read by nuPlan's devkit and by us: scenarios, poses, boxes, lights, routes, maps.

Needs the devkit (`make test-nuplan`); numbers are equal to the last bit. NUPLAN_PARITY_DATA may
name the folder of an exported data set, which is then compared, too.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import os
import random
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.maps.nuplan_gpkg_layers import area_polygon
from sim_adapters.nuplan.log_candidates import find_candidates
from sim_adapters.nuplan.log_database import LogDatabase
from sim_adapters.nuplan.log_reader import LogReader
from sim_adapters.nuplan.scenario_filter import (
    ScenarioFilter,
    keep_of_log,
    parse_filter,
    select_scenarios,
)
from sim_adapters.nuplan.scenario_log import EgoLog, ScenarioLog
from sim_adapters.nuplan.scenario_mapping import ScenarioMapping
from sim_adapters.scene.map_areas import AreaKind, Polylines
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.tiny_log import TRACKS, TinyLog, edit_log, write_log
from tests.nuplan.tiny_map import LOCATION, VERSIONS, place, write_map

pytestmark = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]

EXPORTED = os.environ.get("NUPLAN_PARITY_DATA")
LOGS = {
    "2021.01.01.a": TinyLog(
        tags={
            210: ("stationary",),
            230: ("changing_lane", "near_multiple_vehicles"),
            290: ("changing_lane",),
            300: ("high_magnitude_speed",),
            90: ("changing_lane",),  # its scene is the log's first but one
        },
        jitter_us=2_000,
    ),
    "2021.01.02.b": TinyLog(
        tags={frame: ("changing_lane",) for frame in range(210, 400, 7)}
        | {380: ("starting_left_turn", "a_type_of_its_own")},
        tracks=TRACKS[::-1],
        jitter_us=20_000,
        route="",
        seed=1,
    ),
    "2021.01.03.c": TinyLog(
        tags={220: ("behind_long_vehicle",), 240: ("stationary_in_traffic",)},
        ego_speed_mps=0.0,
        location="us-ma-boston",
        seed=2,
    ),
}
FILTERS: list[dict[str, Any]] = [
    {},
    {"scenario_types": ["changing_lane", "near_multiple_vehicles", "stationary"]},
    {"scenario_types": ["changing_lane"], "num_scenarios_per_type": 5},
    {"scenario_types": ["changing_lane"], "timestamp_threshold_s": 1.0},
    {"scenario_types": ["changing_lane", "stationary"], "limit_total_scenarios": 6},
    {"limit_total_scenarios": 0.03},
    {"limit_total_scenarios": 0.03, "shuffle": True},
    {"num_scenarios_per_type": 3, "shuffle": True, "timestamp_threshold_s": 2},
    {"map_names": ["us-ma-boston"], "limit_total_scenarios": 30},
    {"log_names": ["2021.01.02.b", "2021.01.03.c"], "num_scenarios_per_type": 4},
    {"scenario_tokens": ["08000000000000e6", "0800000000000122", "08000100000000d9"]},
    {"remove_invalid_goals": True, "limit_total_scenarios": 40},
    {"num_scenarios_per_type": 9, "ego_displacement_minimum_m": 30.0},
    {"num_scenarios_per_type": 9, "ego_start_speed_threshold": 4.05, "speed_noise_tolerance": 0.0},
    {"num_scenarios_per_type": 9, "ego_stop_speed_threshold": 4.001, "speed_noise_tolerance": 0.0},
]


@dataclass(frozen=True)
class DataSet:
    """Files to read.

    Args:
        root: Folder with `logs` and `maps`.
        locations: Maps to compare.
        values: Filter of the scenarios to compare.
    """

    root: Path
    locations: tuple[str, ...]
    values: dict[str, Any]


def make_tiny_set(root: Path) -> DataSet:
    write_map(root / "maps", locations=VERSIONS, crs="EPSG:4326")
    for name, log in LOGS.items():
        write_log(root / "logs" / f"{name}.db", log)
    # One log without indexes and with an invalid goal in two of its scenes
    edit_log(
        root / "logs" / "2021.01.02.b.db",
        "DROP INDEX box_frame",
        "DROP INDEX light_frame",
        "UPDATE scene SET goal_ego_pose_token = NULL WHERE name IN ('scene-002', 'scene-003')",
        "UPDATE traffic_light_status SET status = 'flashing' WHERE rowid % 50 = 0",
        # Another speed for each frame, so that speed thresholds have something to find
        "UPDATE ego_pose SET vx = vx + 0.002 * (rowid % 90)",
    )
    return DataSet(root, (LOCATION, "us-ma-boston"), {"num_scenarios_per_type": 4})


def find_exported_set(root: Path) -> DataSet:
    locations = tuple(sorted(path.name for path in (root / "maps").glob("carla-*")))
    types = sorted(ScenarioMapping().windows)
    return DataSet(root, locations, {"scenario_types": types, "num_scenarios_per_type": 2})


@pytest.fixture(scope="module")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    return make_tiny_set(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module", params=["tiny", *filter(None, [EXPORTED])])
def data_set(request: pytest.FixtureRequest, tiny_set: DataSet) -> DataSet:
    return tiny_set if request.param == "tiny" else find_exported_set(Path(request.param))


@pytest.fixture(scope="module")
def maps(data_set: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MapBank]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CARL_PLANNER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield load_nuplan_maps(data_set.root / "maps", data_set.locations)


def devkit_builder(root: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nuplan.planning.scenario_builder.nuplan_db.nuplan_scenario_builder import (
            NuPlanScenarioBuilder,
        )
        from nuplan.planning.scenario_builder.nuplan_db.nuplan_scenario_utils import (
            ScenarioMapping as DevkitMapping,
        )
    os.environ.setdefault("NUPLAN_DATA_STORE", "local")
    listed = {name: (15.0, -3.0) for name in ScenarioMapping().windows}
    return NuPlanScenarioBuilder(
        data_root=str(root / "logs"),
        map_root=str(root / "maps"),
        sensor_root=str(root),
        db_files=None,
        map_version="nuplan-maps-v1.0",
        scenario_mapping=DevkitMapping(listed, 0.5),
    )


def devkit_scenarios(root: Path, values: dict[str, Any]) -> list[Any]:
    from nuplan.planning.scenario_builder.scenario_filter import ScenarioFilter as DevkitFilter
    from nuplan.planning.utils.multithreading.worker_sequential import Sequential

    names = "scenario_types scenario_tokens log_names map_names num_scenarios_per_type "
    names += "limit_total_scenarios timestamp_threshold_s ego_displacement_minimum_m"
    off: dict[str, Any] = dict.fromkeys(names.split()) | dict.fromkeys(
        ["expand_scenarios", "remove_invalid_goals", "shuffle"], False
    )
    random.seed(0)
    return devkit_builder(root).get_scenarios(DevkitFilter(**off | values), Sequential())


def our_scenarios(root: Path, wanted: ScenarioFilter) -> list[ScenarioLog]:
    paths = [p for p in sorted((root / "logs").glob("*.db")) if wanted.takes_log(p.stem)]
    databases = [LogDatabase(path) for path in paths]
    candidates = [
        candidate
        for database in databases
        for candidate in find_candidates(database, wanted.query()).candidates
    ]
    readers = {database.path: LogReader(database) for database in databases}
    logs = [readers[row.log_path].read(row) for row in select_scenarios(candidates, wanted)]
    for database in databases:
        database.close()
    return [log for log in logs if keep_of_log(log, wanted)]


@pytest.mark.parametrize("values", FILTERS, ids=lambda values: " ".join(values) or "all")
def test_filters_keep_the_same_scenarios(values: dict[str, Any], tiny_set: DataSet) -> None:
    root = tiny_set.root
    if not values:  # every frame is a scenario: names only
        wanted = ScenarioFilter()
        ours = set()
        for path in (root / "logs").glob("*.db"):
            with LogDatabase(path) as database:
                rows = find_candidates(database, wanted.query()).candidates
            ours |= {(row.token, path.stem, row.scenario_type) for row in rows}
    else:
        logs = our_scenarios(root, parse_filter(values, "test"))
        ours = {(log.token, log.log_name, log.scenario_type) for log in logs}
    theirs = devkit_scenarios(root, values)
    assert ours == {(s.token, s.log_name, s.scenario_type) for s in theirs}
    assert len(theirs) > 0


@pytest.fixture(scope="module")
def pairs(data_set: DataSet) -> list[tuple[ScenarioLog, Any]]:
    scenarios = devkit_scenarios(data_set.root, data_set.values)
    theirs = {(s.token, s.log_name): s for s in scenarios}
    logs = our_scenarios(data_set.root, parse_filter(data_set.values, "test"))
    assert len(logs) == len(theirs) > 12
    return [(log, theirs[log.token, log.log_name]) for log in logs]


def ego_row(state: Any) -> list[float]:
    axle, car = state.rear_axle, state.dynamic_car_state
    velocity, acceleration = car.rear_axle_velocity_2d, car.rear_axle_acceleration_2d
    pose = [state.time_us, axle.x, axle.y, axle.heading]
    return [*pose, velocity.x, velocity.y, acceleration.x, acceleration.y]


def assert_same_ego(ours: EgoLog, theirs: Iterable[Any]) -> None:
    """Equal to the last bit, but for the last bit of headings, where scalars round differently."""
    rows = np.array([ego_row(state) for state in theirs]).reshape(-1, 8).T
    np.testing.assert_array_equal(
        np.array(ours)[[0, 1, 2, 4, 5, 6, 7]], rows[[0, 1, 2, 4, 5, 6, 7]]
    )
    np.testing.assert_allclose(ours.yaw_rad, rows[3], rtol=0.0, atol=1e-15)


def test_ego_states_are_those_of_the_devkit(pairs: list[tuple[ScenarioLog, Any]]) -> None:
    for log, scenario in pairs:
        assert log.num_frames == scenario.get_number_of_iterations()
        frames = range(log.num_frames)
        assert_same_ego(log.ego, (scenario.get_ego_state_at_iteration(i) for i in frames))


def test_past_and_future_ego_states_are_those_of_the_devkit(
    pairs: list[tuple[ScenarioLog, Any]],
) -> None:
    for log, scenario in pairs:
        last = log.num_frames - 1
        assert_same_ego(log.past_ego, scenario.get_ego_past_trajectory(0, 5.0, 50))
        assert_same_ego(log.future_ego, scenario.get_ego_future_trajectory(last, 16.0, 160))


def test_boxes_are_those_of_the_devkit_in_its_order(
    pairs: list[tuple[ScenarioLog, Any]],
) -> None:
    from nuplan.common.actor_state.agent import Agent

    for log, scenario in pairs:
        boxes = log.boxes
        for frame in range(0, log.num_frames, 5):
            tracked = scenario.get_tracked_objects_at_iteration(frame).tracked_objects
            theirs = tracked.tracked_objects
            rows = range(boxes.first[frame], boxes.first[frame + 1])
            assert len(rows) == len(theirs)
            for row, other in zip(rows, theirs, strict=True):
                assert log.track_tokens[boxes.track[row]] == other.track_token
                assert boxes.type[row] == other.tracked_object_type.value
                velocity = other.velocity.array if isinstance(other, Agent) else np.zeros(2)
                size = [other.box.length, other.box.width]
                pose = [other.center.x, other.center.y, other.center.heading]
                ours = [column[row] for column in boxes[3:]]
                assert ours == [*pose, *size, *velocity]


def test_lights_and_routes_are_those_of_the_devkit(pairs: list[tuple[ScenarioLog, Any]]) -> None:
    for log, scenario in pairs:
        lights = log.lights
        for frame in range(0, log.num_frames, 10):
            rows = slice(lights.first[frame], lights.first[frame + 1])
            ours = list(zip(lights.connector_fid[rows], lights.state[rows], strict=True))
            theirs = list(scenario.get_traffic_light_status_at_iteration(frame))
            assert ours == [(light.lane_connector_id, light.status.value) for light in theirs]
        route = [word for word in scenario.get_route_roadblock_ids() if word]
        assert [str(fid) for fid in log.route_fids] == route
        assert log.map_name == scenario._map_name


def line_points(lines: Polylines, row: int) -> np.ndarray:
    span = slice(lines.first_point[row], lines.first_point[row + 1])
    return np.column_stack([lines.x[span], lines.y[span], lines.yaw_rad[span]])


def discrete_path(line: Any) -> np.ndarray:
    return np.array([[state.x, state.y, state.heading] for state in line.discrete_path])


def map_api(data_set: DataSet, map_index: int) -> Any:
    from nuplan.common.maps.nuplan_map.map_factory import get_maps_api

    root, location = str(data_set.root / "maps"), data_set.locations[map_index]
    return get_maps_api(root, "nuplan-maps-v1.0", location)


def test_lanes_and_connectors_are_those_of_the_devkit(maps: MapBank, data_set: DataSet) -> None:
    for map_index in range(len(data_set.locations)):
        assert_same_lanes(maps, map_index, map_api(data_set, map_index))


def assert_same_lanes(maps: MapBank, map_index: int, api: Any) -> None:
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer

    vector = maps.vector
    assert vector is not None
    edges, areas = vector.edges, vector.areas
    for row in range(*vector.first_edge[map_index : map_index + 2]):
        kind = SemanticMapLayer.LANE_CONNECTOR if edges.is_connector[row] else SemanticMapLayer.LANE
        other = api.get_map_object(str(edges.fid[row]), kind)
        np.testing.assert_array_equal(
            line_points(vector.baselines, row), discrete_path(other.baseline_path)
        )
        for lines, line in (
            (vector.left_boundaries, other.left_boundary),
            (vector.right_boundaries, other.right_boundary),
        ):
            np.testing.assert_array_equal(line_points(lines, row), discrete_path(line))
        length = vector.baselines.s_m[vector.baselines.first_point[row + 1] - 1]
        assert length == pytest.approx(other.baseline_path.length, abs=1e-9)
        assert shapely.equals(area_polygon(areas, edges.area[row]), other.polygon)
        assert str(areas.fid[edges.roadblock[row]]) == other.get_roadblock_id()
        limit = edges.speed_limit_mps[row]
        assert (None if np.isnan(limit) else limit) == other.speed_limit_mps
        links = maps.links
        after = links.successor[links.successor_first[row] : links.successor_first[row + 1]]
        before = links.predecessor[links.predecessor_first[row] : links.predecessor_first[row + 1]]
        assert [str(fid) for fid in edges.fid[after]] == [e.id for e in other.outgoing_edges]
        assert [str(fid) for fid in edges.fid[before]] == [e.id for e in other.incoming_edges]
        if edges.is_connector[row]:
            assert edges.has_lights[row] == other.has_traffic_lights()
            stops = edges.stop[edges.first_stop[row] : edges.first_stop[row + 1]]
            assert [str(fid) for fid in areas.fid[stops]] == [s.id for s in other.stop_lines]
            crossing = areas.fid[edges.intersection[row]]
            assert str(crossing) == other.parent.intersection.id
        else:
            beside = [maps.lanes.left[row], maps.lanes.right[row]]
            ids = [None if lane < 0 else str(edges.fid[lane]) for lane in beside]
            assert ids == [None if lane is None else lane.id for lane in other.adjacent_edges]


def test_points_lie_in_the_same_areas_as_in_the_devkit(maps: MapBank, data_set: DataSet) -> None:
    for map_index in range(len(data_set.locations)):
        assert_same_areas(maps, map_index, map_api(data_set, map_index))


def assert_same_areas(maps: MapBank, map_index: int, api: Any) -> None:
    from nuplan.common.actor_state.state_representation import Point2D
    from nuplan.common.maps.maps_datatypes import SemanticMapLayer

    vector = maps.vector
    assert vector is not None
    own = slice(*vector.first_area[map_index : map_index + 2])
    kind, fid, bounds = (
        column[own] for column in (vector.areas.kind, vector.areas.fid, vector.areas.bounds)
    )
    polygons = np.array([area_polygon(vector.areas, row) for row in range(own.start, own.stop)])
    parts = ["ROAD_SEGMENT", "INTERSECTION", "GENERIC_DRIVABLE", "CARPARK"]
    drivable = np.isin(kind, [AreaKind[part] for part in parts])
    layers = {
        AreaKind.LANE: SemanticMapLayer.LANE,
        AreaKind.LANE_CONNECTOR: SemanticMapLayer.LANE_CONNECTOR,
        AreaKind.ROADBLOCK: SemanticMapLayer.ROADBLOCK,
        AreaKind.ROADBLOCK_CONNECTOR: SemanticMapLayer.ROADBLOCK_CONNECTOR,
        AreaKind.INTERSECTION: SemanticMapLayer.INTERSECTION,
        AreaKind.STOP_POLYGON: SemanticMapLayer.STOP_LINE,
        AreaKind.CROSSWALK: SemanticMapLayer.CROSSWALK,
        AreaKind.CARPARK: SemanticMapLayer.CARPARK_AREA,
    }
    draws = np.random.default_rng(0)
    anywhere = draws.uniform(bounds[:, :2].min(axis=0), bounds[:, 2:].max(axis=0), (20, 2))
    # Most of a map is nothing: points in the boxes of areas of all kinds, too
    inside = bounds[draws.permutation(len(bounds))[:60]]
    near = draws.uniform(inside[:, :2], inside[:, 2:])
    for x, y in [*anywhere.tolist(), *near.tolist(), place(116.5, -10.0).tolist()]:
        point = Point2D(x, y)
        for area_kind, layer in layers.items():
            theirs = [found.id for found in api.get_all_map_objects(point, layer)]
            rows = np.flatnonzero(kind == area_kind)
            ours = rows[shapely.contains_xy(polygons[rows], x, y)]
            assert [str(number) for number in fid[ours]] == theirs
        is_drivable = shapely.contains_xy(polygons[drivable], x, y).any()
        assert is_drivable == api.is_in_layer(point, SemanticMapLayer.DRIVABLE_AREA)
