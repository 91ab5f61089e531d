"""CaRL's nuPlan raster: equal to OpenCV, in its own orientation, redrawn bit by bit."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import shapely

from sim_adapters.driving.worlds import allocate
from sim_adapters.observation.nuplan_bev import NuplanBevObserver
from sim_adapters.observation.nuplan_view import speed_value
from sim_adapters.observation.polygon_fill import (
    draw_polyline,
    fill_corners,
    fill_polygon,
    flush_fill,
    make_fill_bits,
)
from sim_adapters.scene.map_areas import AreaKind
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch, empty_scene
from tests.nuplan.hand_made_logs import make_nuplan_maps
from tests.observation.nuplan_opencv import OpenCvPicture
from tests.observation.nuplan_scraps import EAST, NORTH, nuplan_memory, scrap_maps, scrap_scene
from tests.scene.hand_made_map import make_scene

SIZE = 64
BITS = make_fill_bits(SIZE)
ROAD, ROUTE, BOUNDARIES, LIGHTS, STOP_LINES, SPEED_LIMITS, VEHICLES, WALKERS, EGO = range(9)
# Where random corners lie: inside, across the edges, far outside, in a few pixels
RANGES = ((0, SIZE), (-60, SIZE + 60), (-1000, 1000), (20, 28))


def observe(observer: NuplanBevObserver, scene: SceneBatch, maps: MapBank) -> dict:
    drawn = allocate(observer.space, scene.num_agents)
    observer.observe(scene, nuplan_memory(scene), maps, drawn)
    return drawn


@pytest.mark.parametrize("limits", RANGES)
def test_concave_polygons_equal_fill_poly(limits: tuple[int, int]):
    rng = np.random.default_rng(3)
    for _ in range(400):
        corners = rng.integers(*limits, (rng.integers(3, 14), 2)).astype(np.int32)
        x, y = corners.T.astype(np.int64)
        expected, drawn = np.zeros((2, SIZE, SIZE), np.uint8)
        cv2.fillPoly(expected, [corners], 255)
        fill_polygon(drawn, BITS, x, y, len(corners), 255)
        flush_fill(drawn, BITS, 255)
        np.testing.assert_array_equal(drawn, expected, err_msg=str(corners.tolist()))


@pytest.mark.parametrize("limits", RANGES)
def test_polylines_and_boxes_equal_opencv(limits: tuple[int, int]):
    rng = np.random.default_rng(4)
    for _ in range(400):
        corners = rng.integers(*limits, (rng.integers(2, 9), 2)).astype(np.int32)
        expected, drawn = np.zeros((2, SIZE, SIZE), np.uint8)
        cv2.polylines(expected, [corners], False, 80)
        x, y = corners.T.astype(np.int64)
        draw_polyline(drawn, x, y, len(corners), 80)
        np.testing.assert_array_equal(drawn, expected, err_msg=str(corners.tolist()))
        angle, sides = rng.uniform(0.0, 6.3), rng.uniform(0.2, 12.0, 2)
        ahead = np.array([np.cos(angle), np.sin(angle)]) * sides[0]
        left = np.array([-np.sin(angle), np.cos(angle)]) * sides[1]
        box = corners[0] + np.array([ahead + left, left - ahead, -ahead - left, ahead - left])
        pixels = box.astype(np.int32)
        cv2.fillConvexPoly(expected, pixels, 190)
        fill_corners(drawn, pixels[:, 0].astype(np.int64), pixels[:, 1].astype(np.int64), 190)
        np.testing.assert_array_equal(drawn, expected, err_msg=str(pixels.tolist()))


@pytest.mark.parametrize("stop_lines", [False, True])
def test_whole_pictures_equal_those_drawn_with_opencv(stop_lines: bool):
    maps = scrap_maps(5)
    scene = scrap_scene(maps, 6)
    drawn = observe(NuplanBevObserver(stop_lines=stop_lines), scene, maps)["bev"]
    for world in range(scene.num_worlds):
        expected = OpenCvPicture(scene, world, maps, stop_lines=stop_lines).frame
        for channel in range(9):
            np.testing.assert_array_equal(drawn[world, channel], expected[channel])
    shown = drawn.any(axis=(0, 2, 3))
    assert shown.tolist() == [stop_lines or channel != STOP_LINES for channel in range(9)]


def test_overlapping_lights_and_limits_are_drawn_as_carls_tree_lists_them():
    """All centre lines are folded into 20 m, so that many lie over one another."""
    maps = scrap_maps(9)
    scene = scrap_scene(maps, 10, num_worlds=12)
    scene.motion.x[:, 0], scene.motion.y[:, 0] = EAST + 200.0, NORTH + 200.0
    assert maps.vector is not None
    lines = maps.vector.baselines
    folded = lines._replace(x=EAST + 190.0 + lines.x % 20.0, y=NORTH + 190.0 + lines.y % 20.0)
    maps = replace(maps, vector=maps.vector._replace(baselines=folded))
    drawn = observe(NuplanBevObserver(), scene, maps)["bev"]
    in_file_order = 0
    for world in range(scene.num_worlds):
        picture = OpenCvPicture(scene, world, maps, stop_lines=False)
        np.testing.assert_array_equal(drawn[world, LIGHTS], picture.frame[LIGHTS])
        np.testing.assert_array_equal(drawn[world, SPEED_LIMITS], picture.frame[SPEED_LIMITS])
        picture.frame[:] = 0
        picture.draw_map(sorted(picture.near))
        in_file_order += int((drawn[world, LIGHTS] != picture.frame[LIGHTS]).sum())
    assert in_file_order > 100  # the orders can be told apart here


def test_the_tree_lists_a_part_of_a_map_in_the_order_of_the_whole():
    rng = np.random.default_rng(11)
    corners = rng.uniform(0.0, 4000.0, (3000, 2))
    shapes = shapely.box(*corners.T, *(corners + rng.uniform(1.0, 90.0, (3000, 2))).T)
    tree = shapely.STRtree(shapes)
    everything = tree.query(shapely.box(-10.0, -10.0, 5000.0, 5000.0))
    place = np.argsort(everything)
    for x, y in rng.uniform(0.0, 4000.0, (200, 2)):
        found = tree.query(shapely.box(x, y, x + 128.0, y + 128.0), predicate="intersects")
        assert (np.diff(place[found]) > 0).all()


def test_of_two_lights_on_one_place_the_tree_says_which_is_seen():
    """Two connectors over one another: the tree lists the eastern of two boxes of one leaf last.

    The western connector comes later in the file and would hide the other.
    """
    maps = make_nuplan_maps()
    vector = maps.vector
    assert vector is not None
    signal = maps.rules.signal.copy()
    signal[4] = 1  # the westbound connector gets a light, too, and the eastbound one's centre line
    lines, eastbound = vector.baselines, slice(*vector.baselines.first_point[1:3])
    westbound = slice(*lines.first_point[4:6])
    x, y = lines.x.copy(), lines.y.copy()
    x[westbound], y[westbound] = x[eastbound], y[eastbound]
    place = {"x": np.zeros(2)}
    maps = replace(
        maps,
        rules=maps.rules._replace(signal=signal),
        signals=maps.signals._replace(**place),
        ranges=maps.ranges._replace(signal=np.array([0, 2], np.int32)),
        vector=vector._replace(baselines=lines._replace(x=x, y=y)),
    )
    kind = vector.areas.kind
    rows = [*np.flatnonzero(kind == AreaKind.ROADBLOCK)]
    rows += [*np.flatnonzero(kind == AreaKind.ROADBLOCK_CONNECTOR)]
    boxes = shapely.box(*vector.areas.bounds[rows].T)
    listed = [rows[i] for i in shapely.STRtree(boxes).query(shapely.box(-1e4, -1e4, 1e4, 1e4))]
    blocks = vector.edges.roadblock
    last = 0 if listed.index(blocks[1]) > listed.index(blocks[4]) else 1
    scene = empty_scene(1, 4, num_lights=2, num_route_points=2)
    scene.motion.x[0, 0], scene.motion.y[0, 0] = 90.0, -1.75
    scene.traits.valid[0, 0], scene.traits.kind[0, 0] = True, ActorKind.CAR
    for red in (0, 1):
        scene.lights.state[0, red], scene.lights.state[0, 1 - red] = (
            LightState.RED,
            LightState.GREEN,
        )
        bev = observe(NuplanBevObserver(), scene, maps)["bev"][0]
        assert bev[LIGHTS, 128, 140] == (255 if red == last else 80)


def test_areas_of_several_parts_are_drawn_whole():
    """A car park 10 m ahead of the ego in two parts, the second with a hole, which is filled."""
    maps = scrap_maps(5)
    assert maps.vector is not None
    carparks = np.flatnonzero(maps.vector.areas.kind == AreaKind.CARPARK)
    first_ring = maps.vector.areas.first_ring
    parts = np.diff(first_ring)[carparks]
    assert parts.max() == 3  # two exteriors and a hole
    row = int(carparks[parts.argmax()])
    scene = scrap_scene(maps, 6, num_worlds=1)
    picture = OpenCvPicture(scene, 0, maps, stop_lines=False)
    areas, ring = maps.vector.areas, int(first_ring[row]) + 1  # the second part
    corners = slice(areas.first_corner[ring], areas.first_corner[ring + 1])
    centre_x, centre_y = areas.x[corners].mean(), areas.y[corners].mean()
    scene.motion.x[0, 0], scene.motion.y[0, 0] = centre_x, centre_y
    bev = observe(NuplanBevObserver(), scene, maps)["bev"][0]
    picture = OpenCvPicture(scene, 0, maps, stop_lines=False)
    np.testing.assert_array_equal(bev[ROAD], picture.frame[ROAD])
    assert bev[ROAD, 128, 100] == 255  # the ego stands in the hole of the second part


def road_scene(y: float = -1.75) -> SceneBatch:
    """An ego at (50, y) that drives east on the hand-made road."""
    scene = make_scene(1, 4)
    scene.motion.x[0, 0], scene.motion.y[0, 0] = 50.0, y
    scene.traits.valid[0, 0], scene.traits.kind[0, 0] = True, ActorKind.CAR
    scene.traits.half_length_m[0, 0], scene.traits.half_width_m[0, 0] = 2.588, 1.1485
    return scene


def add_actor(scene: SceneBatch, slot: int, kind: ActorKind, x: float, y: float, speed: float):
    scene.motion.x[0, slot], scene.motion.y[0, slot] = x, y
    scene.motion.vx_mps[0, slot] = speed
    scene.traits.valid[0, slot], scene.traits.kind[0, slot] = True, kind
    scene.traits.half_length_m[0, slot] = scene.traits.half_width_m[0, slot] = 1.0


def test_forward_is_right_and_left_is_down():
    scene, maps = road_scene(), make_nuplan_maps()
    add_actor(scene, 1, ActorKind.CAR, 70.0, -1.75, 15.0)  # 20 m ahead
    add_actor(scene, 2, ActorKind.PEDESTRIAN, 50.0, 8.25, 2.0)  # 10 m to the left
    add_actor(scene, 3, ActorKind.STATIC, 50.0, -11.75, 0.0)  # 10 m to the right
    bev = observe(NuplanBevObserver(), scene, maps)["bev"][0]
    assert bev[EGO, 128, 100] == 127  # at rest
    # 15 of 30 m/s: 127.5 * 0.5 + 127.5 = 191.25; 2 of 4 m/s likewise
    assert bev[VEHICLES, 128, 140] == 191
    assert bev[WALKERS, 148, 100] == 191
    assert bev[WALKERS, 108, 100] == 127
    # The lane's boundaries are 1.75 m = 3.5 px away: rows 131.5 and 124.5, truncated
    assert np.flatnonzero(bev[BOUNDARIES, :, 130]).tolist() == [124, 131, 138]


def test_columns_span_fifty_metres_behind_to_seventy_eight_ahead():
    scene, maps = road_scene(), make_nuplan_maps()
    for slot, x in ((1, 50.0 - 49.9), (2, 50.0 + 77.9), (3, 50.0 + 78.1)):
        add_actor(scene, slot, ActorKind.CAR, x, -1.75, 30.0)
    vehicles = observe(NuplanBevObserver(), scene, maps)["bev"][0, VEHICLES]
    columns = np.flatnonzero(vehicles[128] == 255)
    # 2 m boxes: columns -1.8 to 2.2 and 253.8 to 257.8; the third's centre is outside
    assert columns.tolist() == [0, 1, 2, 253, 254, 255]


def test_lights_and_limits_have_their_gray_values():
    scene, maps = road_scene(), make_nuplan_maps(speed_limit_mps=15.0)
    scene.motion.x[0, 0] = 90.0
    drawn = {}
    for state in LightState:
        scene.lights.state[0, 0] = state
        bev = observe(NuplanBevObserver(), scene, maps)["bev"][0]
        drawn[state] = bev[LIGHTS, 128, 140]  # on the connector, 20 m ahead
        assert bev[SPEED_LIMITS, 128, 140] == 191
        assert not bev[STOP_LINES].any()
    assert drawn == {
        LightState.RED: 255,
        LightState.YELLOW: 170,
        LightState.GREEN: 80,
        LightState.OFF: 0,
    }


@pytest.mark.parametrize(
    ("speed", "most", "value"),
    [(0.0, 30.0, 127), (30.0, 30.0, 255), (99.0, 30.0, 255), (1.0, 4.0, 159), (np.nan, 30.0, 255)],
)
def test_speeds_have_carls_gray_values(speed: float, most: float, value: int):
    assert speed_value(speed, most) == value


def test_speed_lines_reach_a_second_ahead_of_the_front():
    scene, maps = road_scene(), make_nuplan_maps()
    add_actor(scene, 1, ActorKind.CAR, 60.0, -1.75, 6.0)
    plain = observe(NuplanBevObserver(), scene, maps)["bev"][0, VEHICLES]
    lined = observe(NuplanBevObserver(speed_lines=True), scene, maps)["bev"][0, VEHICLES]
    # 60 + 1 (half length) + 6 m = 17 m ahead of the ego: column 134
    assert np.flatnonzero(plain[128]).max() == 122
    assert np.flatnonzero(lined[128]).max() == 134


def test_stored_rows_repaint_to_the_same_pixels():
    maps = scrap_maps(7)
    scene = scrap_scene(maps, 8, num_worlds=3)
    observer = NuplanBevObserver(speed_lines=True)
    first = observe(observer, scene, maps)
    rows = allocate(observer.stored_space, 3)
    observer.gather(scene, nuplan_memory(scene), maps, rows)
    again = allocate(observer.space, 2)
    other = NuplanBevObserver(speed_lines=True)
    other.paint({name: array[[2, 0]] for name, array in rows.items()}, maps, again)
    for name, array in again.items():
        np.testing.assert_array_equal(array, first[name][[2, 0]], err_msg=name)


def test_a_full_row_is_an_error_that_says_what_to_raise():
    maps = scrap_maps(7)
    scene = scrap_scene(maps, 8, num_worlds=1)
    with pytest.raises(ValueError, match=r"observation\.max_boxes is 3: raise it to"):
        observe(NuplanBevObserver(max_boxes=3), scene, maps)


def test_measurements_are_the_last_action_and_the_centres_motion():
    scene, maps = road_scene(), make_nuplan_maps()
    scene.ego.throttle[0], scene.ego.brake[0], scene.ego.steer[0] = 0.0, 0.25, 0.5
    scene.body.vx_mps[0], scene.body.vy_mps[0] = 8.0, 0.0
    scene.body.ax_mps2[0], scene.body.ay_mps2[0] = 1.0, 0.125
    scene.body.yaw_rate_radps[0], scene.body.yaw_acceleration_radps2[0] = 0.2, 0.1
    scene.body.tyre_angle_rad[0], scene.body.tyre_rate_radps[0] = 0.3, -0.4
    drawn = observe(NuplanBevObserver(), scene, maps)
    # vy = 1.461 * 0.2; ax = 1 + 1.461 * (0.2^2 + 0.1), as the devkit shifts accelerations
    expected = [-0.25, 0.5, 8.0, 0.2922, 1.20454, 0.125, 0.3, -0.4, 0.2, 0.1]
    np.testing.assert_allclose(drawn["measurements"][0], expected, rtol=1e-6)
    assert drawn["value_measurements"][0].tolist() == [1.0, 1.0, 1.0, 1.0]
