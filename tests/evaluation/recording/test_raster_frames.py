from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.drivers.policy_driver import PolicyDriver
from evaluation.recording.episode import pack_episode, unpack_episode
from evaluation.recording.folder import EpisodeFolder
from evaluation.recording.packing import RasterFrames, deflate_frame
from evaluation.recording.recorder import DriveRecorder
from evaluation.rollout.benchmark import make_tasks
from evaluation.rollout.episode_rollout import run_episodes
from evaluation.viewer.page_file import pack_layers, write_page
from tests.evaluation.fake_drive import MetreAStep, no_reward, straight_scenario
from tests.evaluation.recording.drives import small_drive
from tests.evaluation.recording.test_recorder import MAPS, ChangingWorlds
from tests.evaluation.viewer.browser import Browser, needs_chromium

VIEW = {
    "channels": ["road", "vehicles_now"],
    "size_px": 8,
    "pixels_per_meter": 1.0,
    "ego_px_from_bottom": 2.0,
}


def frames() -> list[np.ndarray]:
    """Road everywhere; in the second frame a car in the upper left corner."""
    first, second = np.zeros((2, 2, 8, 8), np.uint8)
    first[0] = second[0] = 255
    second[1, :2, :2] = 127
    return [first, second]


def kept() -> RasterFrames:
    return RasterFrames(VIEW, (0, 10), tuple(deflate_frame(frame) for frame in frames()))


def test_frames_come_back_bit_by_bit():
    again = unpack_episode(pack_episode(replace(small_drive(), raster=kept()))).raster
    assert again.view == VIEW
    assert again.steps == (0, 10)
    for index, frame in enumerate(frames()):
        np.testing.assert_array_equal(again.frame(index), frame)


def test_a_drive_without_a_raster_has_none():
    assert unpack_episode(pack_episode(small_drive())).raster == RasterFrames()


def test_large_rasters_are_pooled_and_keep_thin_lines():
    raster = np.zeros((1, 256, 256), np.uint8)
    raster[0, :, 101] = 200
    view = {**VIEW, "channels": ["road"], "size_px": 128}
    small = RasterFrames(view, (0,), (deflate_frame(raster),)).frame(0)
    np.testing.assert_array_equal(small[0, :, 50], 200)
    assert small.sum() == 128 * 200


class Watching(MetreAStep, PolicyDriver):
    """Is shown its own place."""

    with_values, values = False, None

    def act(self, worlds):
        rasters = np.zeros((worlds.num_envs, 2, 8, 8), np.uint8)
        rasters[:] = worlds.passed[:, None, None, None]
        worlds.seen = {"bev": rasters}
        return super().act(worlds)


@pytest.mark.parametrize("num_worlds", [1, 2])
def test_the_recorder_keeps_a_frame_a_second_of_each_drive(num_worlds):
    worlds, episodes = ChangingWorlds(num_worlds), []
    recorder = DriveRecorder(worlds.scene, MAPS, episodes.append, {"planner": "p"}, raster=VIEW)
    scenarios = [straight_scenario("1", 25), straight_scenario("2", 15), straight_scenario("3", 40)]
    run_episodes(worlds, Watching(), make_tasks(scenarios, [0]), no_reward, recorder=recorder)
    rasters = {episode.about["route"]: episode.raster for episode in episodes}
    assert [rasters[route].steps for route in "123"] == [(0, 10, 20), (0, 10), (0, 10, 20, 30)]
    for raster in rasters.values():
        # A metre a step: what was shown in step k was drawn at k metres
        assert [raster.frame(i)[0, 0, 0] for i in range(len(raster.steps))] == list(raster.steps)


@needs_chromium
def test_the_page_shows_the_frame_of_the_moment(tmp_path: Path):
    folder = EpisodeFolder(tmp_path)
    folder.write(replace(small_drive(), raster=kept()))
    road = np.array([[-10.0, -2.0], [60.0, -2.0], [60.0, 6.0], [-10.0, 6.0]])
    picture = pack_layers(
        "Flatland", {"road": [road]}, stop_lines=np.zeros((0, 5)), stop_signs=np.zeros((0, 3))
    )
    (folder.path / "Flatland.town").write_bytes(picture)
    page = write_page([tmp_path], tmp_path / "view.html")
    script = """
        const canvas = () => document.getElementById("raster");
        const corner = () => [...canvas().getContext("2d").getImageData(0, 0, 1, 1).data];
        const at = async (timeS) => {
          viewer.seek(timeS);
          await painted();
          await new Promise((done) => setTimeout(done, 300));
          return corner();
        };
        click("toggle-seen");
        found.channels = [...document.getElementById("raster-channel").options].map((o) => o.text);
        found.before = await at(0.5);
        found.after = await at(1.5);
        found.size = canvas().width;
        choose("raster-channel", "vehicles_now");
        found.alone = corner();
        found.before_alone = await at(0.5);
    """
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        found = browser.run(script)
        assert found["channels"] == ["all channels", "road", "vehicles now"]
        assert found["size"] == 8
        assert found["before"] == [88, 92, 100, 255]  # road
        red, green, blue, _ = found["after"]
        assert green > red
        assert green > blue  # a car
        assert found["alone"] == [127, 127, 127, 255]
        assert found["before_alone"] == [0, 0, 0, 255]
        # Chromium advises those who read a canvas back, as this test does
        assert [problem for problem in browser.problems if "readback" not in problem] == []
