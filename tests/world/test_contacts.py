"""Contacts: depth and normal by hand, newness, levels, and a response that settles."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_adapters.scene.geometry import boxes_overlap
from sim_adapters.scene.state import ActorKind, SceneBatch, empty_scene
from sim_adapters.world.contacts import (
    ContactState,
    empty_contact_state,
    penetration,
    remove_fallen_range,
    touch_actors_range,
)
from sim_adapters.world.dynamics import Drivetrain, drive_ego_range, empty_drivetrain


def _two_boxes(kind: ActorKind, x: float, *, z: float = 0.0) -> SceneBatch:
    """Ego of 4 x 2 m at the origin heading east, another such box at x."""
    scene = empty_scene(1, 3, num_lights=1, num_route_points=2)
    scene.traits.valid[0, :2] = True
    scene.traits.kind[0, :2] = ActorKind.CAR, kind
    scene.traits.half_length_m[0, :2] = 2.0
    scene.traits.half_width_m[0, :2] = 1.0
    scene.traits.half_height_m[0, :2] = 0.75
    scene.traits.actor_id[0, :2] = 10, 11
    scene.motion.x[0, 1] = x
    scene.motion.z[0, 1] = z
    return scene


def _touch(scene: SceneBatch, cars: Drivetrain, state: ContactState) -> list[int]:
    touch_actors_range(0, 1, scene.motion, scene.traits, scene.ego, scene.contacts, cars, state)
    return [int(slot) for slot in scene.contacts.other_slot[0] if slot != -1]


def test_depth_and_normal_of_a_rear_end_contact() -> None:
    depth, normal_x, normal_y = penetration(3.7, 0.2, 0.0, 2.0, 1.0, 0.0, 2.0, 1.0)
    assert depth == pytest.approx(0.3)  # 2 + 2 - 3.7
    assert (normal_x, normal_y) == (1.0, 0.0)


def test_normal_points_to_the_other_box_on_either_side() -> None:
    _, _, left = penetration(0.0, 1.9, 0.0, 2.0, 1.0, 0.0, 2.0, 1.0)
    _, _, right = penetration(0.0, -1.9, 0.0, 2.0, 1.0, 0.0, 2.0, 1.0)
    assert (left, right) == (1.0, -1.0)


@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(-3, 3), st.floats(-3, 3))
def test_depth_is_positive_exactly_when_boxes_overlap(
    dx: float, dy: float, yaw_a: float, yaw_b: float
) -> None:
    depth, normal_x, normal_y = penetration(dx, dy, yaw_a, 2.2, 0.9, yaw_b, 1.8, 0.7)
    if abs(depth) > 1e-9:
        overlap = boxes_overlap(0.0, 0.0, yaw_a, 2.2, 0.9, dx, dy, yaw_b, 1.8, 0.7)
        assert overlap == (depth > 0.0)
    assert math.hypot(normal_x, normal_y) == pytest.approx(1.0)


def test_contact_is_reported_once_while_it_lasts() -> None:
    scene = _two_boxes(ActorKind.CAR, 3.9)
    cars, state = empty_drivetrain(1), empty_contact_state(scene)
    assert _touch(scene, cars, state) == [1]
    assert (scene.contacts.x[0, 0], scene.contacts.y[0, 0]) == (0.0, 0.0)
    assert _touch(scene, cars, state) == []
    assert state.touching_id[0, 1] == 11
    scene.motion.x[0, 1] = 8.0
    assert _touch(scene, cars, state) == []
    scene.motion.x[0, 1] = 3.8
    assert _touch(scene, cars, state) == [1]


def test_new_actor_in_the_same_slot_is_a_new_contact() -> None:
    scene = _two_boxes(ActorKind.CAR, 3.9)
    cars, state = empty_drivetrain(1), empty_contact_state(scene)
    _touch(scene, cars, state)
    scene.traits.actor_id[0, 1] = 12
    assert _touch(scene, cars, state) == [1]


@pytest.mark.parametrize(
    ("kind", "z"), [(ActorKind.DEBRIS, 0.0), (ActorKind.CAR, 5.0), (ActorKind.CAR, -2.6)]
)
def test_debris_and_other_levels_are_not_touched(kind: ActorKind, z: float) -> None:
    scene = _two_boxes(kind, 3.0, z=z)
    assert _touch(scene, empty_drivetrain(1), empty_contact_state(scene)) == []


def test_ego_that_keeps_pushing_a_wall_stands_before_it() -> None:
    scene = _two_boxes(ActorKind.STATIC, 12.0)
    cars, state = empty_drivetrain(1), empty_contact_state(scene)
    steer, full = np.zeros(1), np.ones(1)
    num_contacts, speed_at_impact = 0, 0.0
    for _ in range(80):
        drive_ego_range(0, 1, scene.motion, scene.ego, cars, steer, full, 0.1)
        new = _touch(scene, cars, state)
        num_contacts += len(new)
        speed_at_impact = float(scene.motion.vx_mps[0, 0]) if new else speed_at_impact
    assert num_contacts == 1
    assert speed_at_impact > 5.0  # the scene of that step still shows the impact
    assert scene.motion.x[0, 0] == pytest.approx(8.0, abs=0.3)  # 12 - 2 - 2
    assert cars.speed_mps[0] < 1.0


def test_hitting_a_standing_car_halves_the_closing_speed() -> None:
    scene = _two_boxes(ActorKind.CAR, 3.9)
    cars, state = empty_drivetrain(1), empty_contact_state(scene)
    scene.motion.vx_mps[0, 0] = cars.speed_mps[0] = 8.0
    _touch(scene, cars, state)
    assert cars.speed_mps[0] == pytest.approx(4.0)


def test_being_hit_from_behind_pushes_the_ego_forward() -> None:
    scene = _two_boxes(ActorKind.CAR, -3.9)
    cars, state = empty_drivetrain(1), empty_contact_state(scene)
    scene.motion.vx_mps[0, 1] = 6.0
    assert _touch(scene, cars, state) == [1]
    assert cars.speed_mps[0] == pytest.approx(3.0)
    assert scene.motion.x[0, 0] > 0.0


def test_a_standing_ego_that_is_run_into_shows_the_speed_it_is_knocked_to() -> None:
    scene = _two_boxes(ActorKind.CAR, 0.5)
    scene.motion.y[0, 1], scene.motion.yaw_rad[0, 1] = 2.9, -math.pi / 2.0  # from the left
    scene.motion.vy_mps[0, 1] = -20.0
    _touch(scene, empty_drivetrain(1), empty_contact_state(scene))
    assert scene.motion.vy_mps[0, 0] == pytest.approx(-10.0)  # half of it, as of equal masses
    assert scene.motion.vx_mps[0, 0] == pytest.approx(0.0)


@pytest.mark.parametrize("kind", [ActorKind.CAR, ActorKind.PEDESTRIAN])
def test_a_standing_ego_that_is_only_touched_stands(kind: ActorKind) -> None:
    scene = _two_boxes(kind, 3.0)
    scene.motion.vx_mps[0, 1] = 0.0 if kind == ActorKind.CAR else -2.0
    _touch(scene, empty_drivetrain(1), empty_contact_state(scene))
    assert scene.motion.vx_mps[0, 0] == 0.0


def test_pedestrian_is_reported_then_taken_away() -> None:
    scene = _two_boxes(ActorKind.PEDESTRIAN, 3.0)
    cars, state = empty_drivetrain(1), empty_contact_state(scene)
    assert _touch(scene, cars, state) == [1]
    assert scene.traits.kind[0, 1] == ActorKind.PEDESTRIAN  # the detector still sees who it was
    remove_fallen_range(0, 1, scene.motion, scene.traits, state)
    assert not scene.traits.valid[0, 1]
    assert scene.motion.x[0, 1] == 0.0


@pytest.mark.kernel
def test_penetration_kernel_equals_its_python_self() -> None:
    arguments = (1.5, -0.8, 0.4, 2.2, 0.9, -1.1, 1.8, 0.7)
    np.testing.assert_allclose(penetration(*arguments), penetration.py_func(*arguments), atol=1e-12)
