"""Pedestrians keep to sidewalks and crossings, heed lights and cars, and never jump."""

import math
from typing import Any

import numpy as np
import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.map_layers import LayerBit, layer_pixel
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch, empty_scene
from sim_adapters.world.handles import lane_graph, world_scene
from sim_adapters.world.pedestrian_state import (
    GO_STRAIGHT,
    WAIT,
    WALK,
    PedestrianSettings,
    Walkers,
    empty_walkers,
    lane_place,
)
from sim_adapters.world.pedestrian_steps import is_road_clear, is_vehicle_in_the_way
from sim_adapters.world.pedestrians import reset_pedestrians_range, step_pedestrians_range
from sim_adapters.world.sidewalks import Footways, build_sidewalks
from sim_adapters.world.slots import SlotRange

SLOTS = 9  # the ego and eight people
SETTINGS = PedestrianSettings(num_pedestrians=8, crossing_share=1.0)


class Street:
    """One world without traffic; the ego stands at a junction."""

    def __init__(self, maps: MapBank, seed: int = 3) -> None:
        self.maps = maps
        self.scene: SceneBatch = empty_scene(
            1, SLOTS, num_lights=maps.max_lights, num_route_points=2
        )
        self.walkers: Walkers = empty_walkers(1, SLOTS)
        self.footways: Footways = build_sidewalks(maps)
        self.sidewalks, self.crossings = self.footways
        motion, traits = self.scene.motion, self.scene.traits
        motion.x[0, 0] = self.crossings.x[0].mean()
        motion.y[0, 0] = self.crossings.y[0].mean() + 3.0
        motion.z[0, 0] = self.crossings.z[0].mean()
        traits.valid[0, 0], traits.kind[0, 0] = True, ActorKind.CAR
        self.scene.clocks.seed[0] = seed
        self.light(LightState.RED)
        arguments = self._arguments()
        reset_pedestrians_range(0, 1, *arguments)

    def light(self, state: LightState) -> None:
        """Show all lights in one state for long."""
        self.scene.lights.state[0, :] = state
        self.scene.lights.remaining_s[0, :] = 100.0

    def _arguments(self) -> tuple[Any, ...]:
        roads, scene = lane_graph(self.maps), world_scene(self.scene)
        return roads, scene, self.walkers, self.footways, SETTINGS, SlotRange(1, SLOTS)

    def step(self) -> None:
        """0.1 s."""
        arguments: tuple[Any, ...] = (*self._arguments(), 0.1)
        step_pedestrians_range(0, 1, *arguments)
        self.scene.clocks.elapsed_s[0] += 0.1

    def layer(self, slot: int) -> int:
        """Map pixel under an actor."""
        layers, motion = self.maps.layers, self.scene.motion
        column = round((motion.x[0, slot] - layers.origin_x[0]) * layers.pixels_per_meter[0])
        row = round((motion.y[0, slot] - layers.origin_y[0]) * layers.pixels_per_meter[0])
        return layer_pixel(layers, 0, column, row)


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town02"])


def test_every_arm_of_town02_can_be_crossed_at_its_light(maps: MapBank) -> None:
    _, crossings = build_sidewalks(maps)
    # 8 T-junctions with 3 arms each; the carriageway is 8 m and each sidewalk's middle 2.3 m off it
    assert crossings.signal.size == 24
    assert (crossings.signal >= 0).all()
    lengths = np.hypot(crossings.x[:, 0] - crossings.x[:, 1], crossings.y[:, 0] - crossings.y[:, 1])
    np.testing.assert_allclose(lengths, 12.6, atol=0.2)


def test_joined_ends_are_near_one_another(maps: MapBank) -> None:
    sidewalks, _ = build_sidewalks(maps)
    points, lanes = maps.points, maps.lanes
    assert sidewalks.link_lane.size > 0
    for row in range(sidewalks.link_first.size - 1):
        lane, end = divmod(row, 2)
        here = lanes.first_point[lane] if end == 0 else lanes.first_point[lane + 1] - 1
        for link in range(sidewalks.link_first[row], sidewalks.link_first[row + 1]):
            other, its_end = sidewalks.link_lane[link], sidewalks.link_end[link]
            there = lanes.first_point[other] if its_end == 0 else lanes.first_point[other + 1] - 1
            gap = math.hypot(points.x[here] - points.x[there], points.y[here] - points.y[there])
            assert gap < 5.0


def test_people_walk_on_sidewalks_and_cross_only_at_crossings(maps: MapBank) -> None:
    street = Street(maps)
    on_sidewalk, steps_walked, crossed = 0, 0, set()
    for _ in range(900):
        street.step()
        for slot in range(1, SLOTS):
            if not street.scene.traits.valid[0, slot]:
                continue
            mode = street.walkers.mode[0, slot]
            if mode == WALK:
                steps_walked += 1
                on_sidewalk += bool(street.layer(slot) & LayerBit.SIDEWALK)
            crossing = int(street.walkers.crossing[0, slot])
            if mode == GO_STRAIGHT and crossing >= 0:
                crossed.add(crossing)
                ends = [
                    (street.crossings.x[crossing, end], street.crossings.y[crossing, end])
                    for end in (0, 1)
                ]
                x, y = street.scene.motion.x[0, slot], street.scene.motion.y[0, slot]
                to_ends = [math.hypot(x - end_x, y - end_y) for end_x, end_y in ends]
                assert sum(to_ends) < math.dist(*ends) + 2.0  # near the straight line
    assert len(crossed) >= 3
    assert on_sidewalk > 0.97 * steps_walked


def test_nobody_jumps_and_velocity_is_the_way_per_time(maps: MapBank) -> None:
    street = Street(maps)
    motion, traits = street.scene.motion, street.scene.traits
    for _ in range(400):
        before, ids = (motion.x.copy(), motion.y.copy()), traits.actor_id.copy()
        street.step()
        same = traits.valid[0] & (ids[0] == traits.actor_id[0])
        same[0] = False
        dx, dy = motion.x[0] - before[0][0], motion.y[0] - before[1][0]
        assert (np.hypot(dx, dy)[same] < 0.3).all()  # at most 1.8 m/s, a bit more in bends
        np.testing.assert_allclose(motion.vx_mps[0][same], dx[same] / 0.1, atol=1e-9)


def test_people_wait_while_vehicles_have_green(maps: MapBank) -> None:
    street = Street(maps)
    street.light(LightState.GREEN)
    waiting = 0
    for _ in range(600):
        street.step()
        modes = street.walkers.mode[0, 1:]
        crossing = (modes == GO_STRAIGHT) & (street.walkers.crossing[0, 1:] >= 0)
        assert not crossing.any()
        waiting = max(waiting, int((modes == WAIT).sum()))
    assert waiting >= 1
    assert street.walkers.waited_s.max() <= 60.2


def test_red_that_ends_too_soon_is_not_used(maps: MapBank) -> None:
    street = Street(maps)
    street.scene.lights.remaining_s[0, :] = 2.0
    for _ in range(300):
        street.step()
        modes = street.walkers.mode[0, 1:]
        assert not ((modes == GO_STRAIGHT) & (street.walkers.crossing[0, 1:] >= 0)).any()


def _one_car(x: float, y: float, vx: float) -> SceneBatch:
    scene = empty_scene(1, 2, num_lights=1, num_route_points=2)
    scene.traits.valid[0, 1], scene.traits.kind[0, 1] = True, ActorKind.CAR
    scene.traits.half_length_m[0, 1] = 2.0
    scene.motion.x[0, 1], scene.motion.y[0, 1], scene.motion.vx_mps[0, 1] = x, y, vx
    return scene


# Somebody wants to cross from (0, 0) to (0, 8) at 1.4 m/s: 5.7 s and 1 s to spare
@pytest.mark.parametrize(
    ("x", "y", "vx", "is_clear"),
    [
        (-40.0, 4.0, 10.0, False),  # arrives after 3.8 s
        (-90.0, 4.0, 10.0, True),  # arrives after 8.8 s
        (-40.0, 4.0, -10.0, True),  # drives away
        (-40.0, 30.0, 10.0, True),  # on another street
        (0.5, 4.0, 0.0, False),  # stands on the crossing
        (-6.0, 4.0, 0.0, True),  # stands before it
    ],
)
def test_road_is_clear_when_nobody_arrives_in_time(
    x: float, y: float, vx: float, is_clear: bool
) -> None:
    scene = _one_car(x, y, vx)
    assert is_road_clear(scene.motion, scene.traits, 0, 0.0, 0.0, 0.0, 0.0, 8.0, 1.4) == is_clear


def test_car_on_the_bridge_above_does_not_matter() -> None:
    scene = _one_car(-10.0, 4.0, 10.0)
    scene.motion.z[0, 1] = 6.0
    assert is_road_clear(scene.motion, scene.traits, 0, 0.0, 0.0, 0.0, 0.0, 8.0, 1.4)


# Somebody walks north from (0, 0); the car is 4 m long and 2 m wide
@pytest.mark.parametrize(
    ("x", "y", "vx", "is_in_the_way"),
    [
        (0.0, 1.5, 0.0, True),  # stands across the way
        (0.0, 3.0, 0.0, False),  # stands 2 m further on
        (-3.5, 0.5, 5.0, True),  # will be there in 0.3 s
        (-3.5, 0.5, -5.0, False),  # leaves
        (0.0, -2.0, 0.0, False),  # stands behind
    ],
)
def test_nobody_walks_into_a_vehicle(x: float, y: float, vx: float, is_in_the_way: bool) -> None:
    scene = _one_car(x, y, vx)
    scene.traits.half_width_m[0, 1] = 1.0
    motion, traits = scene.motion, scene.traits
    assert is_vehicle_in_the_way(motion, traits, 0, 0, 0.0, 5.0) == is_in_the_way


def test_people_follow_the_ego(maps: MapBank) -> None:
    street = Street(maps)
    motion, traits = street.scene.motion, street.scene.traits
    motion.x[0, 0], motion.y[0, 0] = street.crossings.x[-1].mean(), street.crossings.y[-1].mean()
    for _ in range(200):
        street.step()
    people = traits.valid[0, 1:]
    away = np.hypot(motion.x[0, 1:] - motion.x[0, 0], motion.y[0, 1:] - motion.y[0, 0])
    assert people.sum() >= 6
    assert (away[people] <= SETTINGS.despawn_m + 1.0).all()
    assert (traits.kind[0, 1:][people] == ActorKind.PEDESTRIAN).all()


@pytest.mark.kernel
def test_pedestrian_kernels_equal_their_python_selves(maps: MapBank) -> None:
    scene = _one_car(-40.0, 4.0, 10.0)
    arguments = (scene.motion, scene.traits, 0, 0.0, 0.0, 0.0, 0.0, 8.0, 1.4)
    assert is_road_clear(*arguments) == is_road_clear.py_func(*arguments)
    sidewalks, _ = build_sidewalks(maps)
    lane = int(maps.points.lane[sidewalks.point[40]])
    place = (maps.points, maps.lanes, lane, 2.3, 0.4)
    np.testing.assert_allclose(lane_place(*place), lane_place.py_func(*place), atol=1e-12)
