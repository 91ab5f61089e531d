"""The raster observation: where things stand, what each channel shows, what a row keeps."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hydra.errors import InstantiationException

from sim_adapters.observation.bev import BevObserver
from sim_adapters.observation.channels import MapLayer, StopSign
from sim_adapters.observation.spec import BevView, pixel_column, pixel_row, speed_code, yellow_code
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.named_arrays import iterate_arrays
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch
from tests.observation.bev_helpers import (
    allocate,
    busy_scene,
    end_approach_at_junction,
    extent,
    make_observer,
    observe,
)
from tests.observation.observation_scenes import (
    LANE_Y,
    STOP_LINE_X,
    set_actor,
    straight_road_bank,
    straight_scene,
)

BANK = straight_road_bank()
CARL_VIEW = BevView(256, 2.0, 100.0)
TRUE_HALF = (2.0, 1.0, 0.75)


def carl_planes(
    scene: SceneBatch, memory: EpisodeMemory, observer: BevObserver | None = None
) -> dict[str, np.ndarray]:
    """Planes of the first driver by channel name."""
    observer = make_observer("carl_bev") if observer is None else observer
    frames, _ = observe(observer, scene, memory, BANK)
    return dict(zip(observer.channel_names, frames[0], strict=True))


def test_the_ego_stands_where_carl_put_it():
    assert pixel_row(CARL_VIEW, 0.0) == pytest.approx(255 * 156 / 256)  # 155.4
    assert pixel_column(CARL_VIEW, 0.0) == pytest.approx(127.5)
    assert pixel_row(CARL_VIEW, 78.0) == pytest.approx(0.0)
    assert pixel_column(CARL_VIEW, -64.0) == pytest.approx(255.0)


def test_speed_and_light_codes_are_carl_s():
    assert [speed_code(v) for v in (0.0, 10.0, 100 / 3, 50.0)] == [136, 172, 255, 255]
    assert [yellow_code(s) for s in (math.inf, 3.0, 1.5, 0.0)] == [170, 170, 212, 255]


def test_channels_and_their_order_are_those_of_the_released_policies():
    observer = make_observer("carl_bev")
    expected = "road route markings vehicles pedestrians light_lines stop_sign speed_limits"
    assert observer.channel_names == (*expected.split(), "statics", "shoulder")
    assert observer.space["bev"].shape == (10, 256, 256)


def test_a_vehicle_ahead_to_the_right_is_above_and_right_of_the_ego():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 20.0, -LANE_Y - 10.0, 0.0, 0.0, TRUE_HALF)
    first, last, left, right = extent(carl_planes(scene, memory)["vehicles"])
    scale = 2.0 * 255 / 256
    row, column = 155.39 - 20 * scale, 127.5 + 10 * scale
    assert last == round(row + 2 * scale)
    # Half a metre of speed line stands before the box, even when the car does not move.
    assert first == round(row - 2.5 * scale)
    assert (left, right) == (round(column - scale), round(column + scale))


def test_box_area_is_that_of_the_vehicle():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.STATIC, 20.0, 20.0, 0.6, 0.0, (10.0, 6.0, 1.0))
    plane = carl_planes(scene, memory)["statics"]
    area_m2 = np.count_nonzero(plane) / (2.0 * 255 / 256) ** 2
    # A filled polygon includes its outline: half a pixel (0.25 m) more on each side of 32 x 2 m.
    assert area_m2 == pytest.approx((20.0 + 0.5) * (12.0 + 0.5), rel=0.03)


def test_small_things_are_drawn_at_least_1_6_m_wide():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.STATIC, 20.0, 20.0, 0.0, 0.0, (0.1, 0.1, 0.5))
    first, last, left, right = extent(carl_planes(scene, memory)["statics"])
    assert last - first == right - left == round(1.6 * 2.0)


def test_a_moving_vehicle_carries_its_speed_as_value_and_as_line():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 20.0, 0.0, 0.0, 10.0, TRUE_HALF)
    plane = carl_planes(scene, memory)["vehicles"]
    assert set(np.unique(plane)) == {0, 172}
    first, last, _, _ = extent(plane)
    scale = 2.0 * 255 / 256
    assert last - first == pytest.approx((4.0 + 10.0) * scale, abs=1.0)


def test_lights_of_a_vehicle_overwrite_its_speed_code():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 20.0, 0.0, 0.0, 0.0, TRUE_HALF, lights=1 | 2 | 8)
    plane = carl_planes(scene, memory)["vehicles"]
    assert {111, 44, 22} <= set(np.unique(plane)) <= {0, 136, 22, 44, 111}
    left_blinker, middle = np.argwhere(plane == 44)[:, 1], np.argwhere(plane == 136)[:, 1]
    assert left_blinker.mean() < middle.mean()


def test_actors_on_another_level_or_out_of_range_are_left_out():
    scene, memory = straight_scene()
    set_actor(scene, 0, 1, ActorKind.CAR, 20.0, 0.0)
    scene.motion.z[0, 1] = 8.5
    set_actor(scene, 0, 2, ActorKind.CAR, 129.0, 0.0)
    set_actor(scene, 0, 3, ActorKind.DEBRIS, 15.0, 0.0)
    planes = carl_planes(scene, memory)
    assert not planes["vehicles"].any()
    assert not planes["statics"].any()


def test_the_route_shows_in_junctions_only():
    scene, memory = straight_scene()
    scene.motion.x[0, 0], memory.route.index[:] = 60.0, 80
    first, last, left, right = extent(carl_planes(scene, memory)["route"])
    scale = 2.0 * 255 / 256  # junction from x = 100 to 120, discs of radius 3 px around the points
    assert first == pytest.approx(155.39 - 60 * scale - 3, abs=1)
    assert last == pytest.approx(155.39 - 40 * scale + 3, abs=1)
    assert right - left == 6


def test_road_and_shoulder_are_separate_channels():
    scene, memory = straight_scene()
    scene.motion.y[0, 0] = 0.0
    planes = carl_planes(scene, memory)
    columns = np.flatnonzero(planes["road"][155] > 127)
    assert (columns.max() - columns.min()) / (2.0 * 255 / 256) == pytest.approx(7.0, abs=0.6)
    shoulder = np.flatnonzero(planes["shoulder"][155] > 127)
    assert shoulder.min() < columns.min()
    assert shoulder.max() > columns.max()


def test_markings_are_full_or_broken_and_absent_in_junctions():
    scene, memory = straight_scene()
    scene.motion.x[0, 0] = 60.0
    plane = carl_planes(scene, memory)["markings"]
    assert set(np.unique(plane)) == {0, 127, 255}
    scale = 2.0 * 255 / 256
    inside = slice(round(155.39 - 58 * scale), round(155.39 - 42 * scale))
    assert not plane[inside].any()


@pytest.mark.parametrize(
    ("state", "remaining_s", "value"),
    [
        (LightState.RED, 9.0, 255),
        (LightState.YELLOW, 1.5, 212),
        (LightState.GREEN, 9.0, 80),
        (LightState.OFF, 9.0, 0),
    ],
)
def test_the_stop_line_has_the_colour_of_its_light(
    state: LightState, remaining_s: float, value: int
):
    scene, memory = straight_scene()
    end_approach_at_junction(scene)
    scene.motion.x[0, 0], memory.route.index[:] = 60.0, 80
    scene.lights.state[0, 0], scene.lights.remaining_s[0, 0] = state, remaining_s
    plane = carl_planes(scene, memory)["light_lines"]
    assert plane.max() == value
    if value:
        rows, columns = np.nonzero(plane)
        scale = 2.0 * 255 / 256
        assert rows.mean() == pytest.approx(155.39 - (STOP_LINE_X - 60.0) * scale, abs=0.6)
        # 0.8 of a 3.5 m lane, and two pixels of round end on either side
        assert columns.max() - columns.min() == pytest.approx(0.8 * 3.5 * scale + 4, abs=1)


def test_only_lights_whose_approach_the_route_takes_are_shown():
    scene, memory = straight_scene()
    end_approach_at_junction(scene)
    scene.motion.x[0, 0], memory.route.index[:] = 60.0, 80
    scene.routes.lane[0] = np.where(scene.routes.lane[0] >= 0, 1, -1)  # the oncoming lane
    assert not carl_planes(scene, memory)["light_lines"].any()


def test_a_light_disappears_twenty_points_after_its_road_has_ended():
    scene, memory = straight_scene()
    end_approach_at_junction(scene)  # the last matching point is x = 100, index 120
    scene.motion.x[0, 0] = 110.0
    memory.route.index[:] = 139
    assert carl_planes(scene, memory)["light_lines"].any()
    memory.route.index[:] = 140
    assert not carl_planes(scene, memory)["light_lines"].any()


@pytest.mark.parametrize(
    ("points_between", "shown_at"),
    [
        # Points 0 to 50 and 71 to 120 are on the light's road: two passes of it, which end at 50
        # and 120. At point 69 the first is 19 points behind, from there on the second is ahead
        (20, {0: True, 30: True, 50: True, 69: True, 139: True, 140: False}),
        # Two passes 130 points apart: nothing is shown between them
        (130, {0: True, 69: True, 70: False, 80: False, 81: True, 249: True}),
    ],
)
def test_a_light_is_shown_on_each_pass_of_the_route(points_between: int, shown_at: dict[int, bool]):
    scene, memory = straight_scene()
    scene.motion.x[0, 0] = 60.0
    lane = scene.routes.lane[0]
    lane[:] = -1
    lane[:51], lane[51 + points_between : 101 + points_between] = 0, 0
    for index, is_shown in shown_at.items():
        memory.route.index[:] = index
        shown = carl_planes(scene, memory)["light_lines"].any()
        assert shown == is_shown, f"at point {index}"


@pytest.mark.parametrize(("gap_m", "is_shown"), [(10, False), (11, True)])
def test_ten_metres_without_its_road_do_not_part_a_pass(gap_m: int, is_shown: bool):
    # The road's points are 0 to 50 and 50 + gap to 249. One pass ends at 249, of two the first
    # at 50, which at point 60 is still in view
    scene, memory = straight_scene()
    scene.motion.x[0, 0], memory.route.index[:] = 60.0, 60
    scene.routes.lane[0, 51 : 50 + gap_m] = -1
    assert carl_planes(scene, memory)["light_lines"].any() == is_shown


@pytest.mark.parametrize(("start_x", "is_shown"), [(300.0 + 4.8, True), (300.0 + 40.0, False)])
def test_the_lane_one_car_length_behind_the_start_counts_as_route(start_x: float, is_shown: bool):
    # The light's road ends at x = 300; cars are 4.892 m long, and no point of the route is on it
    scene, memory = straight_scene()
    scene.motion.x[0, 0], memory.route.index[:] = 90.0, 10
    scene.routes.x[0] += start_x - scene.routes.x[0, 0]
    scene.routes.lane[:] = -1
    assert carl_planes(scene, memory)["light_lines"].any() == is_shown
    memory.route.index[:] = 19
    assert not carl_planes(scene, memory)["light_lines"].any()


def test_the_stop_sign_is_a_square_of_its_longer_side():
    scene, memory = straight_scene()
    assert not carl_planes(scene, memory)["stop_sign"].any()
    memory.signs.shown_stop[0] = 0
    first, last, left, right = extent(carl_planes(scene, memory)["stop_sign"])
    side = 3.0 * 2.0 * 255 / 256  # corners are rounded, so a side may lose or gain a pixel
    assert (last - first, right - left) == pytest.approx((side, side), abs=1.0)


def test_speed_limit_signs_carry_their_limit():
    scene, memory = straight_scene()
    plane = carl_planes(scene, memory)["speed_limits"]
    assert set(np.unique(plane)) == {0, 172}  # 10 m/s
    assert extent(plane)[1] - extent(plane)[0] == 4


def test_a_mirrored_scene_gives_the_mirrored_picture():
    scene, memory = busy_scene(1)
    scene.traits.lights[:] &= ~np.uint8(2 | 4)  # blinkers have sides
    observer = make_observer("carl_bev")
    frames, _ = observe(observer, scene, memory, BANK)
    mirrored_maps = straight_road_bank()
    plane_rows = BANK.layers.origin_y[0], 240
    # y -> -y: flip the canvas' rows and put its first row where the last one was
    tiles = BANK.layers.tiles.reshape(15, -1, 16, 16)[::-1, :, ::-1]
    layers = BANK.layers._replace(
        tiles=np.ascontiguousarray(tiles).reshape(-1),
        origin_y=np.array([-(plane_rows[0] + (plane_rows[1] - 1) / 2.0)]),
    )
    signs = BANK.signs._replace(y=-BANK.signs.y)
    posts = BANK.limit_posts._replace(y=-BANK.limit_posts.y)
    lines = BANK.stop_lines._replace(y=-BANK.stop_lines.y)
    signals = BANK.signals._replace(y=-BANK.signals.y)
    mirrored_maps = replace(
        BANK, layers=layers, signs=signs, limit_posts=posts, stop_lines=lines, signals=signals
    )
    for array in (scene.motion.y, scene.motion.yaw_rad, scene.motion.vy_mps, scene.routes.y):
        array *= -1.0
    mirrored, _ = observe(observer, scene, memory, mirrored_maps)
    different = np.count_nonzero(mirrored != frames[..., ::-1])
    # Rounding half a pixel is not symmetric, so outlines may move by one
    assert different < 0.05 * np.count_nonzero(frames)


@pytest.mark.parametrize("name", ["carl_bev", "carl_bev_64"])
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_stored_rows_redraw_the_same_pixels(name: str, interpolation: str):
    scene, memory = busy_scene(5)
    observer = make_observer(name, interpolation=interpolation)
    seen, painted = allocate(observer.space, 5), allocate(observer.space, 2)
    observer.observe(scene, memory, BANK, seen)
    rows = allocate(observer.stored_space, 5)
    observer.gather(scene, memory, BANK, rows)
    chosen = {key: array[[3, 1]] for key, array in rows.items()}
    scene.motion.x[:] = 0.0  # rows stand alone
    observer.paint(chosen, BANK, painted)
    for key, array in painted.items():
        np.testing.assert_array_equal(array, seen[key][[3, 1]])


def test_worlds_together_draw_what_each_draws_alone():
    together, memory = busy_scene(3)
    observer = make_observer("carl_bev")
    frames, _ = observe(observer, together, memory, BANK)
    for world in range(3):
        alone, alone_memory = straight_scene(1, 64)
        copies = [(alone, together), (alone_memory, memory)]
        for one, many in copies:
            pairs = zip(iterate_arrays(one), iterate_arrays(many), strict=True)
            for (_, array), (_, source) in pairs:
                array[...] = source[world : world + 1] if source.shape != array.shape else source
        alone.ego.world[:] = 0
        frame, _ = observe(observer, alone, alone_memory, BANK)
        np.testing.assert_array_equal(frame[0], frames[world])


def test_a_stored_row_is_small_enough_for_carl_s_batch():
    rows = allocate(make_observer("carl_bev").stored_space, 1)
    row_bytes = sum(array.nbytes for array in rows.values())
    assert row_bytes < 8192  # 65,536 rows below 0.54 GB; as pixels they are 43 GB


def test_more_actors_than_a_row_holds_is_an_error_that_says_what_to_do():
    scene, memory = busy_scene(2)
    observer = make_observer("carl_bev", max_actors=10)
    with pytest.raises(ValueError, match=r"45 in range.*max_actors is 10: raise it to 45"):
        observe(observer, scene, memory, BANK)


def test_a_bank_of_another_scale_is_refused():
    scene, memory = straight_scene()
    with pytest.raises(ValueError, match=r"needs 2\.0: load the MapBank with that scale"):
        observe(make_observer("carl_bev"), scene, memory, straight_road_bank(5.0))


class GrayPlane:
    """A painter from outside: fills its plane with one value."""

    def paint(self, view, rows, maps, frames, channel, fresh, brush) -> None:
        frames[:, channel] = 9 if fresh else np.maximum(frames[:, channel], 9)


def test_a_channel_can_be_any_painter_or_several_on_top_of_each_other():
    scene, memory = busy_scene(1)
    channels = {"gray": GrayPlane(), "signs": [StopSign(), GrayPlane()]}
    planes = carl_planes(scene, memory, make_observer("carl_bev", channels=channels))
    assert set(np.unique(planes["gray"])) == {9}
    assert set(np.unique(planes["signs"])) == {9, 255}


def test_a_fifth_map_layer_is_refused():
    names = ("DRIVING", "PARKING", "SHOULDER", "SIDEWALK", "CROSSWALK")
    channels = {name: MapLayer(layers=[name]) for name in names}
    with pytest.raises(InstantiationException, match="CROSSWALK: more than 4 map layers"):
        make_observer("carl_bev", channels=channels)


def test_the_small_form_shows_the_same_channels_at_one_pixel_a_metre():
    scene, memory = busy_scene(1)
    small = make_observer("carl_bev_64")
    assert small.channel_names == make_observer("carl_bev").channel_names
    planes = carl_planes(scene, memory, small)
    assert planes["road"].shape == (64, 64)
    assert all(planes[name].any() for name in ("road", "vehicles", "markings", "shoulder"))
