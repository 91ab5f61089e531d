"""The raster's kernels against their plain-Python selves, and golden pictures of made-up scenes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sim_adapters.observation import (
    bev,
    bev_gather,
    light_lines,
    map_warp,
    painting,
    raster,
    raster_lines,
    spec,
)
from sim_adapters.observation.bev import BevObserver
from sim_adapters.scene import history
from sim_adapters.scene.history import make_history, record_history
from sim_adapters.scene.map_bank import MapBank
from tests.observation.bev_helpers import allocate, busy_scene, make_observer, observe
from tests.observation.observation_scenes import straight_road_bank

GOLDEN = Path(__file__).parents[1] / "golden"
KERNEL_MODULES = (
    *(spec, raster_lines, raster, map_warp, light_lines, history, painting),
    *(bev_gather, bev),
)


def use_plain_python(monkeypatch: pytest.MonkeyPatch, modules: tuple[ModuleType, ...]) -> None:
    """Replace every jitted function that a module names by the Python function it was made from."""
    for module in modules:
        for name, function in list(vars(module).items()):
            if hasattr(function, "py_func"):
                monkeypatch.setattr(module, name, function.py_func)


@pytest.mark.kernel
@pytest.mark.parametrize("interpolation", ["bilinear", "nearest"])
def test_jitted_frames_equal_their_plain_python_selves(
    monkeypatch: pytest.MonkeyPatch, interpolation: str
):
    scene, memory = busy_scene(1)
    observer = make_observer("carl_bev_64", interpolation=interpolation)
    maps = straight_road_bank()
    jitted, jitted_rows = observe(observer, scene, memory, maps)
    use_plain_python(monkeypatch, tuple(m for m in KERNEL_MODULES if m is not map_warp))
    for name in (
        "place_window",
        "_fixed",
        "_block_is_empty",
        "_is_inside",
        f"warp_{interpolation}",
        f"warp_{interpolation}_range",
    ):  # packing all of the map in plain Python would take minutes
        monkeypatch.setattr(map_warp, name, getattr(map_warp, name).py_func)
    plain, plain_rows = observe(observer, scene, memory, maps)
    for name, array in jitted_rows.items():
        np.testing.assert_allclose(plain_rows[name], array, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(plain, jitted)


@pytest.mark.parametrize("name", ["carl_bev", "carl_bev_64", "roach_bev"])
def test_golden_pictures_stay_the_same_to_the_last_pixel(name: str):
    # Made by `python -m tests.observation.test_bev_kernels` after looking at them.
    frames = golden_frames(name)
    with np.load(GOLDEN / f"{name}.npz") as saved:
        np.testing.assert_array_equal(frames, saved["bev"])


def golden_rows(name: str) -> tuple[BevObserver, dict[str, np.ndarray], MapBank]:
    """Two drivers of a busy scene, with a past where the observation looks back."""
    observer = make_observer(name)
    assert observer.required_pixels_per_meter is not None
    scene, memory = busy_scene(2)
    memory = replace(memory, history=make_history(scene, observer.history_steps))
    assert memory.history is not None
    memory.signs.shown_stop[1] = -1
    for step in range(17):
        scene.motion.x[:] += 0.1 * scene.motion.vx_mps
        scene.motion.y[:] += 0.1 * scene.motion.vy_mps
        scene.lights.state[:] = step // 6
        record_history(scene, memory.signs.shown_stop, memory.history)
    maps = straight_road_bank(observer.required_pixels_per_meter)
    rows = allocate(observer.stored_space, 2)
    observer.gather(scene, memory, maps, rows)
    return observer, rows, maps


def golden_frames(name: str) -> np.ndarray:
    """What is kept in tests/golden."""
    observer, rows, maps = golden_rows(name)
    out = allocate(observer.space, 2)
    observer.paint(rows, maps, out)
    return out["bev"]


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for golden_name in ("carl_bev", "carl_bev_64", "roach_bev"):
        np.savez_compressed(GOLDEN / f"{golden_name}.npz", bev=golden_frames(golden_name))
