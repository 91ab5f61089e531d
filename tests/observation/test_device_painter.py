"""The raster's CUDA kernels in numba's simulator, which runs them thread by thread as Python.

    NUMBA_ENABLE_CUDASIM=1 NUMBA_DISABLE_JIT=1 python -m pytest -m gpu_sim

Both variables must be set before numba is imported; `test_gpu_simulator.py` starts that command.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numba.core import config

from carl_planner.rollout_buffer import make_storage
from sim_adapters.driving.worlds import ObservationRows
from sim_adapters.observation.bev import BevObserver
from sim_adapters.scene.history import make_history, record_history
from sim_adapters.scene.map_bank import MapBank
from tests.observation.bev_helpers import allocate, busy_scene, make_observer
from tests.observation.observation_scenes import layers_of, straight_road_bank
from tests.observation.test_bev_kernels import GOLDEN, golden_rows

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _in_the_simulator() -> None:
    if not (config.ENABLE_CUDASIM and config.DISABLE_JIT):
        pytest.fail("set NUMBA_ENABLE_CUDASIM=1 and NUMBA_DISABLE_JIT=1 before python starts")


def small_town_of_noise(pixels_per_meter: float) -> MapBank:
    """200x200 map pixels by chance around x = 60 m, cut off within the picture of most egos."""
    plane = np.random.default_rng(5).integers(0, 256, (200, 200)).astype(np.uint8)
    plane[:, 60:100] = 0
    plane[:8], plane[-8:], plane[:, :8], plane[:, -8:] = 0, 0, 0, 0
    maps = straight_road_bank(pixels_per_meter)
    origin = (60.0 - 100.0 / pixels_per_meter, -math.pi * 25.0 / pixels_per_meter)
    return replace(maps, layers=layers_of(plane, pixels_per_meter, origin))


def painted_twice(
    observer: BevObserver, rows: dict[str, np.ndarray], maps: MapBank
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Observations painted by the CPU's functions and by the grids."""
    number = len(rows["pose"])
    ours, theirs = allocate(observer.space, number), allocate(observer.space, number)
    observer.paint(rows, maps, theirs)
    painter = observer.device_painter(maps, CPU)
    painter.paint(
        {name: torch.from_numpy(array) for name, array in rows.items()},
        {name: torch.from_numpy(array) for name, array in ours.items()},
    )
    return ours, theirs


def rows_of_busy_scene(observer: BevObserver, maps: MapBank, steps: int) -> dict[str, np.ndarray]:
    """Two drivers, `steps` steps of constant speed after the start."""
    scene, memory = busy_scene(2, max_yaw_rad=3.0)
    memory = replace(memory, history=make_history(scene, observer.history_steps))
    assert memory.history is not None
    for step in range(steps):
        scene.motion.x[:] += 0.1 * scene.motion.vx_mps
        scene.motion.y[:] += 0.1 * scene.motion.vy_mps
        scene.lights.state[:] = step // 6
        record_history(scene, memory.signs.shown_stop, memory.history)
    rows = allocate(observer.stored_space, 2)
    observer.gather(scene, memory, maps, rows)
    return rows


@pytest.mark.gpu_sim
def test_grids_paint_the_golden_picture_to_the_last_pixel() -> None:
    observer, rows, maps = golden_rows("carl_bev_64")
    ours, _ = painted_twice(observer, rows, maps)
    with np.load(GOLDEN / "carl_bev_64.npz") as saved:
        np.testing.assert_array_equal(ours["bev"], saved["bev"])
    for name in ("measurements", "value_measurements"):
        np.testing.assert_array_equal(ours[name], rows[name])


@pytest.mark.gpu_sim
@pytest.mark.parametrize("changes", [{"interpolation": "nearest"}, {"size_px": 50}])
def test_grids_paint_what_the_cpu_paints_where_the_map_ends(changes: dict[str, Any]) -> None:
    observer = make_observer("carl_bev_64", **changes)  # 50 rows are no whole number of bands
    maps = small_town_of_noise(2.0)
    ours, theirs = painted_twice(observer, rows_of_busy_scene(observer, maps, 0), maps)
    np.testing.assert_array_equal(ours["bev"], theirs["bev"])
    assert (theirs["bev"].reshape(2, 10, -1).max(axis=2) > 0).any(axis=0).sum() >= 8


@pytest.mark.gpu_sim
def test_a_rollout_of_bare_rows_is_painted_as_it_is_acted_on_and_learned_from() -> None:
    observer, maps = make_observer("carl_bev_64", size_px=32), small_town_of_noise(2.0)
    scene, memory = busy_scene(2)
    rows = ObservationRows(observer, 2, "scene")
    env = SimpleNamespace(
        stored_space=observer.stored_space,
        single_observation_space=observer.space,
        num_envs=2,
        hand_over_painting=partial(rows.hand_over_painting, maps),
    )
    storage = make_storage("scene", env, num_steps=2, device=CPU, paint_on="gpu")
    rows.bind(storage.rows)
    pictures = []
    for t in range(3):
        scene.motion.x[:] += 1.0
        scene.motion.yaw_rad[:] += 0.3
        if t:
            rows.advance()
        returned = rows.draw(scene, memory, maps)
        assert returned.keys() == observer.stored_space.keys()
        drawn = allocate(observer.space, 2)
        observer.paint(returned, maps, drawn)
        acted_on = storage.current(t, returned)
        np.testing.assert_array_equal(acted_on["bev"].numpy(), drawn["bev"])
        pictures.append(drawn["bev"])
    learned_from = storage.fetch(torch.tensor([5, 0, 3]))["bev"].numpy()  # t * 2 + driver
    expected = np.stack([pictures[2][1], pictures[0][0], pictures[1][1]])
    np.testing.assert_array_equal(learned_from, expected)


@pytest.mark.gpu_sim
def test_grids_paint_several_painters_of_a_channel_in_their_order() -> None:
    # Roach's: snapshots of the past, a thick route line, stop lines under a stop sign
    observer = make_observer("roach_bev", size_px=64, ego_px_from_bottom=12)
    maps = small_town_of_noise(5.0)
    ours, theirs = painted_twice(observer, rows_of_busy_scene(observer, maps, 17), maps)
    np.testing.assert_array_equal(ours["bev"], theirs["bev"])
    assert theirs["bev"][:, 3:].any()
