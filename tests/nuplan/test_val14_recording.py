"""What a Val14 run keeps for the viewer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from evaluation.nuplan_metrics import MetricScores
from evaluation.recording.episode import RecordedEpisode
from evaluation.recording.folder import find_episodes, read_episode, town_file
from evaluation.recording.packing import unpack
from evaluation.val14.decisions import CHANNELS, PLAN_POINTS
from sim_adapters.nuplan.scenario_cache.build import CacheJob, build_cache
from sim_adapters.nuplan.scenario_cache.file import open_cache
from sim_adapters.nuplan.scenario_filter import ScenarioFilter
from sim_adapters.scene.state import ActorKind, LightState
from tests.nuplan.policy_files import released_checkpoint
from tests.nuplan.tiny_log import TinyLog, write_log

pytestmark = pytest.mark.usefixtures("own_map_cache")


@pytest.fixture(scope="module")
def cache_folder(tmp_path_factory: pytest.TempPathFactory, tiny_map_root: Path) -> Path:
    root = tmp_path_factory.mktemp("val14")
    write_log(root / "logs" / "tiny.db", TinyLog(tags={210: ("changing_lane",)}))
    wanted = ScenarioFilter(scenario_types=("changing_lane",))
    build_cache(CacheJob((root / "logs",), tiny_map_root, wanted, root / "cache", num_workers=1))
    return root / "cache"


def evaluate(cache_folder: Path, output: Path, *options: str) -> None:
    overrides = [f"cache={cache_folder}", f"output={output}", "mode=nonreactive", *options]
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("evaluate", ["benchmark=val14", "yardsticks=[]", *overrides])
    instantiate(config.benchmark).evaluate(config)


def test_a_replayed_scenario_is_kept_as_the_log_has_it(cache_folder: Path, tmp_path: Path) -> None:
    evaluate(cache_folder, tmp_path, "driver=nuplan/log_replay")
    (path,) = find_episodes(tmp_path)
    assert path.parent.parent.name == "log_replay_nonreactive"
    drive = read_episode(path)
    cache = open_cache(cache_folder)
    (token,) = cache.tokens
    log = cache.read(token)
    assert drive.about["route"] == log.token
    assert drive.about["planner"] == "log_replay, nonreactive"
    assert drive.step_s == pytest.approx(0.1, abs=0.002)
    assert drive.num_steps == log.num_frames - 1

    # The ego's centre lies ahead of its rear axle; nuPlan's Pacifica
    tracks, starts = drive.tracks, drive.tracks.starts
    x, y = tracks.x[: drive.num_steps], tracks.y[: drive.num_steps]
    rear = np.hypot(x - log.ego.x[:-1], y - log.ego.y[:-1])
    np.testing.assert_allclose(rear, 1.461, atol=0.1)  # the tracker keeps to the log so far
    assert tracks.half_length_m[0] == pytest.approx(5.176 / 2, abs=0.005)
    assert drive.driver["route_percent"][-1] == pytest.approx(100.0, abs=2.0)

    # Every box of every frame is one step of one track, where the log has it
    boxes = log.boxes
    for track in range(1, len(tracks.kind)):
        frame = int(tracks.first_step[track])
        here = slice(boxes.first[frame], boxes.first[frame + 1])
        (box,) = np.flatnonzero(boxes.track[here] == tracks.actor_id[track] - 2)
        assert tracks.x[starts[track]] == pytest.approx(boxes.x[here][box], abs=0.01)
        assert tracks.half_width_m[track] == pytest.approx(boxes.width_m[here][box] / 2, abs=0.005)
    assert int(tracks.num_steps[1:].sum()) == boxes.first[log.num_frames - 1]
    assert ActorKind.CAR in tracks.kind[1:]

    # Lights frame by frame; the map around it
    assert len(drive.signals) == len(set(log.lights.connector_fid.tolist()))
    assert set(np.unique(drive.signals)) <= {int(state) for state in LightState}
    about, columns = unpack(path.with_name(town_file(drive.about)).read_bytes())
    assert about["town"] == log.map_name
    assert columns["road.x"].min() < x[0] < columns["road.x"].max()
    assert columns["road.y"].min() < y[0] < columns["road.y"].max()
    assert columns["marking.x"].size > 0

    # What it planned at each frame: the human's way from there on
    assert drive.plan.shape == (drive.num_steps, PLAN_POINTS, 2)
    begins = np.stack([log.ego.x[:-2], log.ego.y[:-2]], axis=1)
    np.testing.assert_allclose(drive.plan[:-1, 0], begins, atol=0.03)
    np.testing.assert_array_equal(drive.plan[-1], drive.plan[-2])  # nothing was planned there
    assert not drive.raster.frames  # it saw no picture
    assert set(drive.driver) == {"speed_mps", "route_percent"}


def test_of_a_policy_what_it_sees_does_and_expects_is_kept(
    cache_folder: Path, tmp_path: Path
) -> None:
    checkpoint = released_checkpoint(tmp_path / "model_best.pth")
    evaluate(cache_folder, tmp_path / "out", f"checkpoint={checkpoint}")
    (path,) = find_episodes(tmp_path / "out")
    drive = read_episode(path)
    assert drive.raster.steps == tuple(range(0, drive.num_steps - 1, 10))
    assert drive.raster.view["channels"] == list(CHANNELS)
    assert drive.raster.view["size_px"] == 128
    metre, bottom = 1.0, 50  # 128 pixels at 1 a metre; the ego stands 14 m behind the middle
    assert drive.raster.view["pixels_per_meter"] == metre
    assert drive.raster.view["ego_px_from_bottom"] == bottom
    first = dict(zip(CHANNELS, drive.raster.frame(0), strict=True))
    row, column = np.nonzero(first["ego"])
    assert abs(column.mean() + 0.5 - 64) <= 1.0  # in the middle, and as long as the Pacifica
    assert abs(128 - row.mean() - 0.5 - bottom) <= 1.0
    assert 5 <= np.ptp(row) + 1 <= 8
    assert 2 <= np.ptp(column) + 1 <= 4
    tracks, starts = drive.tracks, drive.tracks.starts
    here = np.flatnonzero((tracks.first_step == 0) & (tracks.kind == ActorKind.CAR))[1:]
    ahead, left = in_ego_frame(drive, tracks.x[starts[here]], tracks.y[starts[here]])
    seen = (np.abs(left) < 60.0) & (ahead > -45.0) & (ahead < 70.0)
    assert seen.any()
    for forward, aside in zip(ahead[seen], left[seen], strict=True):
        rows = slice(int(128 - bottom - forward) - 1, int(128 - bottom - forward) + 2)
        assert first["vehicles"][rows, int(64 - aside) - 1 : int(64 - aside) + 2].any()
    assert not drive.plan.size  # it acts, and plans nothing
    driver = drive.driver
    assert set(driver) >= {"steer", "throttle", "brake", "value"}
    assert (driver["throttle"] + driver["brake"])[1:].max() > 0.0
    assert np.ptp(driver["value"]) > 0.0


def in_ego_frame(
    drive: RecordedEpisode, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Metres ahead of the ego and to its left at the first step."""
    tracks = drive.tracks
    east, north, yaw = x - tracks.x[0], y - tracks.y[0], tracks.yaw_rad[0]
    cos, sin = np.cos(yaw), np.sin(yaw)
    return cos * east + sin * north, cos * north - sin * east


def test_what_costs_points_is_an_infraction_at_its_worst_moment(
    cache_folder: Path, tmp_path: Path
) -> None:
    evaluate(cache_folder, tmp_path, "driver=nuplan/constant_speed")
    (path,) = find_episodes(tmp_path)
    about = read_episode(path).about
    kinds = {one["kind"] for one in about["infractions"]}
    assert kinds  # straight on at one speed is not perfect on this road
    assert kinds <= set(MetricScores._fields)
    assert about["score"] < 100.0
    assert all(0.0 < one["time_s"] <= about["duration_s"] for one in about["infractions"])
    page = (tmp_path / "view.html").read_text()
    assert about["infractions"][0]["name"] in page
    assert "constant_speed, nonreactive" in page


def test_nothing_is_kept_where_nothing_is_wanted(cache_folder: Path, tmp_path: Path) -> None:
    evaluate(cache_folder, tmp_path, "driver=nuplan/log_replay", "record_episodes=false")
    assert not find_episodes(tmp_path)
    assert not (tmp_path / "view.html").exists()
