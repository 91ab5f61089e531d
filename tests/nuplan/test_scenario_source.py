"""Training scenarios drawn from a cache, and CaRL's limits on their tracks."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hydra.utils import instantiate

from sim_adapters.gymnasium_envs import compose_training_config
from sim_adapters.nuplan.log_reader import read_scenarios
from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache
from sim_adapters.nuplan.scenario_cache.file import MapFolder
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.nuplan.scenario_mapping import ScenarioMapping, ScenarioWindow
from sim_adapters.nuplan.scenario_source import CachedScenarios, logged_scenario
from sim_adapters.nuplan.simulator import NuplanSimulator
from sim_adapters.nuplan.simulator_factory import scenario_map_folder
from sim_adapters.nuplan.slot_demand import TrackLimits, nearest_tracks
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.tiny_log import TinyLog, TinyTrack, edit_log, write_log
from tests.scene.hand_made_map import make_map_bank

DRIVES = TinyLog(tags={220: ("changing_lane",), 260: ("stationary",), 300: ("changing_lane",)})
LOST = TinyLog(tags={220: ("changing_lane",)}, route="", seed=1)
STILL = TinyLog(tags={220: ("stationary",)}, seed=2)


@pytest.fixture(scope="module")
def cache(
    tmp_path_factory: pytest.TempPathFactory, tiny_map_root: Path, tiny_maps: MapBank
) -> Path:
    root = tmp_path_factory.mktemp("training")
    for name, log in (("drives", DRIVES), ("lost", LOST), ("still", STILL)):
        write_log(root / "logs" / f"{name}.db", log)
    edit_log(
        root / "logs" / "still.db",
        "UPDATE ego_pose SET x = 664050.0, y = 3996994.75, qx = 0, qy = 0, qz = 0",
    )
    wanted = ScenarioFilter(scenario_types=("changing_lane", "stationary"))
    build_cache(CacheJob((root / "logs",), tiny_map_root, wanted, root / "cache"))
    return root / "cache"


def test_a_worlds_episode_is_a_pure_function_of_the_seed(cache: Path, tiny_maps: MapBank) -> None:
    one, two = (CachedScenarios(tiny_maps, 5, cache=cache) for _ in range(2))
    two.next_scenario(3, 9)
    drawn = [[s.next_scenario(world, 4) for world in range(6)] for s in (one, two)]
    assert [row.scenario_id for row in drawn[0]] == [row.scenario_id for row in drawn[1]]
    assert [row.seed for row in drawn[0]] == [row.seed for row in drawn[1]]
    assert len({row.seed for row in drawn[0]}) == 6


def test_scenarios_are_drawn_uniformly(cache: Path, tiny_maps: MapBank) -> None:
    source = CachedScenarios(tiny_maps, 0, cache=cache)
    drawn = Counter(source.next_scenario(world, 0).scenario_id for world in range(300))
    assert set(drawn) == {DRIVES.frame_token(number) for number in DRIVES.tags}
    assert min(drawn.values()) > 70  # 100 expected, 3.7 standard deviations below


def test_a_scenario_brings_its_log_and_the_humans_way(cache: Path, tiny_maps: MapBank) -> None:
    scenario = CachedScenarios(tiny_maps, 0, cache=cache).next_scenario(0, 0)
    assert scenario.log is not None
    assert scenario.town == "us-nv-las-vegas-strip"
    assert len(scenario.route.x) == scenario.log.num_frames
    np.testing.assert_allclose(
        np.hypot(scenario.route.x - scenario.log.ego.x, scenario.route.y - scenario.log.ego.y),
        1.461,
    )


def test_what_cannot_be_trained_on_is_left_out_and_named(
    cache: Path, tiny_maps: MapBank, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        source = CachedScenarios(tiny_maps, 0, cache=cache)
    assert len(source.tokens) == 3
    assert f"no route on the map: {LOST.frame_token(220)}" in caplog.text
    assert f"moves less than 0.1 m: {STILL.frame_token(220)}" in caplog.text


def test_scenarios_can_be_chosen_by_type_and_kept_without_route(
    cache: Path, tiny_maps: MapBank
) -> None:
    source = CachedScenarios(
        tiny_maps, 0, cache=cache, scenario_types=["changing_lane"], needs_route=False
    )
    assert len(source.tokens) == 3
    assert LOST.frame_token(220) in source.tokens
    with pytest.raises(ValueError, match=r"none of the 5 scenarios .* 0 are of the wanted types"):
        CachedScenarios(tiny_maps, 0, cache=cache, scenario_types=["starting_u_turn"])


def test_mistyped_types_are_refused_and_absent_ones_named(
    cache: Path, tiny_maps: MapBank, caplog: pytest.LogCaptureFixture
) -> None:
    types = ["changing_lane", "starting_u_turn"]
    CachedScenarios(tiny_maps, 0, cache=cache, scenario_types=types)
    assert "holds no scenario of starting_u_turn" in caplog.text
    with pytest.raises(ValueError, match=r"'stationery' is no type .* did you mean stationary\?"):
        CachedScenarios(tiny_maps, 0, cache=cache, scenario_types=["stationery", "changing_lane"])
    with pytest.raises(ValueError, match="'stationary', expected a list of types"):
        CachedScenarios(tiny_maps, 0, cache=cache, scenario_types="stationary")


def test_the_simulator_has_room_for_what_its_cache_holds(
    tmp_path: Path, tiny_map_root: Path
) -> None:
    """Untagged frames last 20 s, 201 frames: `train150k_split.yaml` takes such."""
    tracks = [TinyTrack("vehicle", 20.0 + 3.0 * i, 30.0) for i in range(130)]
    log = TinyLog(duration_s=45.0, tracks=tracks, tags={})
    write_log(tmp_path / "logs" / "a.db", log)
    wanted = ScenarioFilter(scenario_tokens=(log.frame_token(300), log.frame_token(410)))
    build_cache(CacheJob((tmp_path / "logs",), tiny_map_root, wanted, tmp_path / "cache"))
    options = ["experiment=carl_nuplan", f"scenarios.cache={tmp_path}/cache"]
    for changes, num_slots in (
        ([], 120 + 1),  # CaRL's limits of all kinds together
        (["scenarios.track_limits=null"], 130 + 1),
        (["simulator.max_actors=140"], 140 + 1),
    ):
        config = compose_training_config([*options, *changes])
        simulator: NuplanSimulator = instantiate(config.simulator)(num_worlds=2)
        source = instantiate(config.scenarios)(simulator.maps, 0)
        scenarios = [source.next_scenario(world, 0) for world in range(2)]
        simulator.reset(np.arange(2), scenarios)
        assert simulator.scene.num_slots == num_slots
        assert simulator.scene.routes.x.shape == (2, 201)
        assert simulator.scene.routes.num_points.tolist() == [201, 201]
        assert simulator.scene.clocks.time_limit_s.tolist() == pytest.approx([19.9, 19.9])


@pytest.mark.parametrize(("ratio", "num_frames"), [(0.25, 76), (1.0, 301)])
def test_an_episode_ends_before_its_last_frame_at_any_rate(
    ratio: float, num_frames: int, tmp_path: Path, tiny_maps: MapBank
) -> None:
    """15 s at 5 Hz and at 20 Hz: CaRL's episodes end at frame N - 2."""
    path = write_log(tmp_path / "a.db")
    window = ScenarioWindow(15.0, -3.0, ratio)
    mapping = ScenarioMapping({"changing_lane": window})
    wanted = ScenarioFilter(scenario_types=("changing_lane",))
    (log,) = read_scenarios(path, wanted, tiny_maps, mapping=mapping)
    assert log.num_frames == num_frames
    simulator = NuplanSimulator(tiny_maps, 1, max_route_points=num_frames)
    simulator.reset(np.arange(1), [logged_scenario(log)])
    expected = (num_frames - 2) * 0.05 / ratio
    assert simulator.scene.clocks.time_limit_s[0] == pytest.approx(expected)


def test_a_missing_map_is_named_at_once(cache: Path) -> None:
    with pytest.raises(ValueError, match="'us-nv-las-vegas-strip' is not in this MapBank"):
        CachedScenarios(make_map_bank(), 0, cache=cache)


def test_the_nearest_tracks_of_each_kind_stay_nearest_first(tmp_path: Path) -> None:
    # The ego drives from x = 5 at 4 m/s: in the window it goes from 53 to 113
    cars = [TinyTrack("vehicle", x, -1.75) for x in (120.0, 60.0, 90.0)]
    cones = [TinyTrack("traffic_cone", x, -9.0) for x in (100.0, 40.0)]
    path = write_log(tmp_path / "a.db", TinyLog(tracks=(*cars, *cones)))
    (log,) = read_scenarios(path, ScenarioFilter(scenario_types=("changing_lane",)), None)
    kept = nearest_tracks(log, TrackLimits(vehicles=2, static_objects=1))

    def at(frame: int) -> list[float]:
        rows = slice(kept.boxes.first[frame], kept.boxes.first[frame + 1])
        return (kept.boxes.x[rows] - 664_000.0).tolist()

    # Centre at 54.4: 60 is 5.6 m away (and 3.5 aside), 90 is 35.6 m; stored are 90, 60, 120
    assert at(0) == [60.0, 90.0, 40.0]
    assert at(150) == [120.0, 90.0, 100.0]  # centre at 114.4
    assert (np.diff(kept.boxes.first) == 3).all()
    assert kept.boxes.type[:3].tolist() == [TrackType.VEHICLE] * 2 + [TrackType.TRAFFIC_CONE]
    assert nearest_tracks(log, TrackLimits()) is log
    as_stored = nearest_tracks(log, TrackLimits(vehicles=3, static_objects=1))
    assert (as_stored.boxes.x[:3] - 664_000.0).tolist() == [90.0, 60.0, 120.0]


def test_too_many_static_objects_stay_nearest_first_within_their_types(tmp_path: Path) -> None:
    kinds = ("barrier", "traffic_cone", "barrier", "traffic_cone", "generic_object")
    places = (52.0, 90.0, 70.0, 60.0, 200.0)  # the ego's centre is at 54.4 in the first frame
    static = [TinyTrack(kind, x, -9.0) for kind, x in zip(kinds, places, strict=True)]
    path = write_log(tmp_path / "a.db", TinyLog(tracks=static))
    (log,) = read_scenarios(path, ScenarioFilter(scenario_types=("changing_lane",)), None)
    kept = nearest_tracks(log, TrackLimits(static_objects=4)).boxes
    # The devkit sorts by type: cones, then barriers; the generic object is farthest and goes
    assert (kept.x[: kept.first[1]] - 664_000.0).tolist() == [60.0, 90.0, 52.0, 70.0]


def test_limits_hold_for_any_number_of_boxes() -> None:
    with pytest.raises(ValueError, match="vehicles is -1, expected 0 or more"):
        TrackLimits(vehicles=-1)


def test_training_takes_the_maps_that_the_cache_was_made_with(
    cache: Path, tiny_maps: MapBank
) -> None:
    config = compose_training_config(["experiment=carl_nuplan", f"scenarios.cache={cache}"])
    simulator: NuplanSimulator = instantiate(config.simulator)(num_worlds=1)
    assert simulator.maps.towns == tiny_maps.towns


def test_a_folder_of_maps_that_is_named_goes_before_the_cache_s(
    cache: Path, tiny_map_root: Path, tmp_path: Path
) -> None:
    version = "nuplan-maps-v1.0"
    assert scenario_map_folder(None, cache, None) == MapFolder(tiny_map_root, version)
    assert scenario_map_folder(tmp_path, cache, None) == MapFolder(tmp_path, version)
    assert scenario_map_folder(tmp_path, None, "v2") == MapFolder(tmp_path, "v2")
    (tmp_path / "index.json").write_text(
        (cache / "index.json").read_text().replace(str(tiny_map_root), "/moved")
    )
    with pytest.raises(FileNotFoundError, match=r"/moved, .* simulator\.map_root=FOLDER"):
        scenario_map_folder(None, tmp_path, None)
    with pytest.raises(ValueError, match=r"scenarios\.cache is not set"):
        scenario_map_folder(None, None, None)
