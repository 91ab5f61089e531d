"""Struct arrays survive the way through a flat dictionary."""

import numpy as np
import pytest

from sim_adapters.scene.named_arrays import copy_arrays, restore_arrays
from sim_adapters.scene.state import SceneBatch, empty_scene


def make_scene(num_worlds: int = 2) -> SceneBatch:
    return empty_scene(num_worlds, 3, num_lights=4, num_route_points=5)


def test_names_are_dotted_and_values_are_copies() -> None:
    scene = make_scene()
    state = copy_arrays(scene, "scene")
    scene.motion.x[0, 1] = 7.0
    assert state["scene.motion.x"][0, 1] == 0.0


def test_restore_writes_in_place() -> None:
    scene, other = make_scene(), make_scene()
    other.clocks.elapsed_s[:] = 3.5
    kept = scene.clocks.elapsed_s
    restore_arrays(scene, copy_arrays(other))
    np.testing.assert_array_equal(kept, [3.5, 3.5])


def test_a_missing_array_is_named() -> None:
    state = copy_arrays(make_scene())
    del state["ego.gear"]
    with pytest.raises(ValueError, match=r"ego\.gear"):
        restore_arrays(make_scene(), state)


def test_another_number_of_worlds_is_refused() -> None:
    with pytest.raises(ValueError, match="same num_envs"):
        restore_arrays(make_scene(3), copy_arrays(make_scene(2)))
