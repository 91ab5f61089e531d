import math

import numpy as np
import pytest
from PIL import Image

from evaluation.rollout.recording import Frame, Recording
from evaluation.scoring.episode_result import Infraction, InfractionKind
from evaluation.video.film import MP4_STRIDE, SIZE_PX, VideoFrames, smooth, write_gif, write_mp4
from evaluation.video.panel import heat
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.state import ActorKind
from sim_adapters.scene_picture import style
from sim_adapters.scene_picture.brush import Camera, ribbon_of, rounded_box
from sim_adapters.scene_picture.map_picture import zebra


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town02"])


@pytest.fixture(scope="module")
def frames(maps: MapBank) -> VideoFrames:
    """Half a second along the first long lane, behind another car."""
    long = (maps.lanes.kind == LaneKind.DRIVING) & (maps.lanes.length_m > 60.0)
    first = int(maps.lanes.first_point[np.flatnonzero(long)[0]])
    rows = np.arange(first, first + 50)
    x, y, yaw = (getattr(maps.points, name)[rows] for name in ("x", "y", "yaw_rad"))
    recording = Recording("3", "Town02", 0, 0, 0.1, x, y)
    red = Infraction(InfractionKind.RED_LIGHT, 0.2, 0.0, 0.0, 0.0)
    for step in range(6):
        ego, lead = [x[step], y[step], yaw[step]], [x[step + 20], y[step + 20], yaw[step + 20]]
        frame = Frame(
            time_s=0.1 * (step + 1),
            actors=np.array([[*ego, 2.4, 0.9, 8.0], [*lead, 2.4, 0.9, 8.0]]),
            kinds=np.array([ActorKind.CAR, ActorKind.CAR], np.uint8),
            lights=np.zeros(2, np.uint8),
            signals=np.zeros(maps.max_lights, np.uint8),
            steer=0.1,
            throttle=0.5,
            brake=0.0,
            speed_limit_mps=8.33,
            route_percent=2.0 * step,
            terms={"progress": 0.1, "comfort": 0.75},
            reward=0.075,
            infractions=(red,),
        )
        recording.frames.append(frame)
    return VideoFrames(recording, maps, "trained policy")


def test_ahead_is_up_and_left_is_left():
    camera = Camera(10.0, 5.0, math.pi / 2, (100.0, 200.0), 4.0)  # heading north
    north, west = camera.to_px(np.array([[10.0, 15.0], [0.0, 5.0]]))
    assert north == pytest.approx([100.0, 160.0])
    assert west == pytest.approx([60.0, 200.0])


def test_a_frame_shows_the_ego_and_the_road_under_it(frames):
    picture = np.asarray(frames.draw(0))
    assert picture.shape == (SIZE_PX[1], SIZE_PX[0], 3)
    ego = (np.abs(picture[:, :660].astype(int) - style.EGO).sum(axis=2) < 12).sum()
    road = (np.abs(picture[:, :660].astype(int) - style.ROAD).sum(axis=2) < 12).sum()
    # 4.8 m x 1.8 m at 9 px/m are 700 px, less windscreen and edge
    assert 250 < ego < 800
    assert road > 10_000


def test_the_other_car_is_ahead_of_the_ego(frames):
    picture = np.asarray(frames.draw(0))[:, :660].astype(int)
    rows_of = {}
    for name, colour in (("ego", style.EGO), ("car", style.CAR)):
        rows, _ = np.nonzero(np.abs(picture - colour).sum(axis=2) < 12)
        rows_of[name] = rows.mean()
    # 20 m at 9 px/m
    assert rows_of["ego"] - rows_of["car"] == pytest.approx(180.0, abs=12.0)


def test_videos_hold_every_drawn_frame(frames, tmp_path):
    write_mp4(frames, tmp_path / "drive.mp4")
    assert (tmp_path / "drive.mp4").stat().st_size > 1000
    write_gif(frames, tmp_path / "drive.gif")
    with Image.open(tmp_path / "drive.gif") as gif:
        assert getattr(gif, "n_frames", 1) == 2
    assert len(frames) == 6
    assert MP4_STRIDE == 2


def test_a_rounded_box_is_as_long_and_wide_as_the_actor():
    corners = rounded_box(np.zeros(2), np.array([1.0, 0.0]), 2.4, 0.9)
    assert np.ptp(corners, axis=0) == pytest.approx([4.8, 1.8])
    turned = np.roll(corners, -1, axis=0)
    area = 0.5 * np.sum(corners[:, 1] * turned[:, 0] - corners[:, 0] * turned[:, 1])
    cut = 0.35 * 0.9  # each corner loses half a square of this side
    assert area == pytest.approx(4.8 * 1.8 - 4 * cut**2 / 2)


def test_a_ribbon_has_the_width_of_the_route():
    line = np.stack([np.arange(5.0), np.zeros(5)], axis=1)
    assert np.ptp(ribbon_of(line, 1.5), axis=0) == pytest.approx([4.0, 1.5])
    assert ribbon_of(line[:1], 1.5).shape == (0, 2)


def test_zebra_stripes_lie_across_the_way_of_the_walkers():
    stripes = zebra(np.array([[0.0, 0.0], [8.0, 0.0], [8.0, 3.0], [0.0, 3.0]]))
    assert len(stripes) == 7
    assert np.ptp(stripes[0].points, axis=0) == pytest.approx([0.5, 3.0])


def test_smoothing_the_camera_keeps_a_constant_turn():
    yaw = np.linspace(0.0, 3.0, 40)
    assert smooth(yaw)[10:-10] == pytest.approx(yaw[10:-10])
    assert len(smooth(yaw)) == 40


def test_heat_runs_from_red_to_green():
    assert (heat(0.0), heat(0.5), heat(1.0)) == (style.RED, style.YELLOW, style.GREEN)
