"""The detector as a whole: mirrored scenes, worlds side by side, kernels as plain Python."""

import math

import numpy as np
import pytest

from sim_adapters.scene.events import detection as event_detection
from sim_adapters.scene.events.detection import (
    DetectorSettings,
    EventArrays,
    detect_driving_events,
    make_memory,
    reset_memory,
)
from sim_adapters.scene.named_arrays import copy_arrays
from sim_adapters.scene.state import ActorKind, LightState
from tests.scene.hand_made_map import (
    EAST_Y,
    ROUTE_START_X,
    make_map_bank,
    make_scene,
    start_drive,
)

FLIPPED = {"route_lateral_m", "route_heading_error_rad"}


def weave(drive):
    """All facts of a drive that leaves its lane, the road, the light and the sign behind."""
    drive.place(1, ActorKind.TRUCK, 70.0, 1.4, 0.3, 2.0)
    drive.place(2, ActorKind.PEDESTRIAN, 130.0, -3.0, math.pi / 2, 1.5, (0.2, 0.2, 0.9))
    drive.scene.lights.state[:] = LightState.RED
    rows = []
    for tick in range(400):
        x = ROUTE_START_X + 0.5 * tick
        y = EAST_Y - 4.0 * math.sin(x / 13.0)
        yaw = -math.atan(4.0 / 13.0 * math.cos(x / 13.0))
        drive.scene.motion.ax_mps2[0, 0] = 3.0 * math.cos(0.1 * tick)
        drive.scene.motion.ay_mps2[0, 0] = drive.side * 15.0 * math.sin(0.3 * tick)
        drive.scene.contacts.other_slot[0, 0] = 1 if 65 < x < 66 else -1
        drive.scene.contacts.x[0, 0], drive.scene.contacts.y[0, 0] = x, drive.side * y
        events = drive.step(x, y, yaw, speed=5.0)
        rows.append({name: value.item() for name, value in events._asdict().items()})
    return rows


def test_a_mirrored_scene_has_mirrored_facts():
    rows, mirrored = weave(start_drive()), weave(start_drive(mirror=True))
    for tick, (row, other) in enumerate(zip(rows, mirrored, strict=True)):
        for name, value in row.items():
            sign = -1.0 if name in FLIPPED else 1.0
            assert other[name] == pytest.approx(sign * value, abs=1e-9), (tick, name)


def test_the_weaving_drive_meets_every_kind_of_event():
    rows = weave(start_drive())
    for name in (
        "collision",
        "ran_red_light",
        "ran_stop_sign",
        "outside_route_lanes",
        "in_oncoming_lane",
        "ttc_active",
        "left_route_line",
        "in_junction",
    ):
        assert any(row[name] for row in rows), name
        assert not all(row[name] for row in rows), name
    assert sum(row["ran_red_light"] for row in rows) == 1
    assert sum(row["collision"] for row in rows) == 1
    assert sum(row["route_percent_gained"] for row in rows) == pytest.approx(99.5)


def random_traffic(num_worlds):
    rng = np.random.default_rng(3)
    scene = make_scene(num_worlds, 6)
    motion, traits = scene.motion, scene.traits
    motion.x[:] = rng.uniform(60, 130, motion.x.shape)
    motion.y[:] = rng.uniform(-5, 5, motion.x.shape)
    motion.yaw_rad[:, 1:] = rng.uniform(-3, 3, (num_worlds, 5))
    motion.vx_mps[:] = rng.uniform(0, 12, motion.x.shape)
    motion.ax_mps2[:] = rng.uniform(-25, 15, motion.x.shape)
    traits.valid[:], traits.kind[:] = True, rng.integers(1, 9, motion.x.shape)
    traits.half_length_m[:], traits.half_width_m[:], traits.half_height_m[:] = 2.2, 0.9, 0.8
    scene.lights.state[:] = rng.integers(0, 3, (num_worlds, 1))
    return scene


def run_steps(scene, worlds=slice(None), steps=12):
    """Facts and memory of some worlds of a scene after a few steps that drift east."""
    settings, maps = DetectorSettings(), make_map_bank()
    chosen = np.arange(scene.num_agents)[worlds]
    part = make_scene(len(chosen), scene.num_slots)
    for name, array in copy_arrays(scene).items():
        group, field = name.split(".")
        if group != "ego" or field not in ("world", "slot"):
            getattr(getattr(part, group), field)[...] = array[chosen]
    memory, out = make_memory(part, settings), EventArrays.allocate(len(chosen))
    reset_memory(np.arange(len(chosen)), part, memory, maps)
    for _ in range(steps):
        part.motion.x[:, 0] += 0.5
        part.clocks.elapsed_s[:] += 0.1
        detect_driving_events(part, memory, maps, settings, out)
    return copy_arrays(memory) | {k: v.numpy().copy() for k, v in out.events._asdict().items()}


def test_worlds_together_equal_worlds_alone():
    scene = random_traffic(5)
    together = run_steps(scene)
    for world in range(5):
        for name, alone in run_steps(scene, slice(world, world + 1)).items():
            whole = together[name]
            expected = whole[world : world + 1] if len(whole) == 5 else whole
            np.testing.assert_array_equal(alone, expected, err_msg=name)


def test_resetting_one_driver_leaves_the_others_alone():
    scene, maps, settings = random_traffic(3), make_map_bank(), DetectorSettings()
    memory, out = make_memory(scene, settings), EventArrays.allocate(3)
    reset_memory(np.arange(3), scene, memory, maps)
    for _ in range(9):
        scene.motion.x[:, 0] += 1.0
        detect_driving_events(scene, memory, maps, settings, out)
    before = copy_arrays(memory)
    reset_memory(np.array([1]), scene, memory, maps)
    for name, array in copy_arrays(memory).items():
        if len(array) == 3:
            np.testing.assert_array_equal(array[[0, 2]], before[name][[0, 2]], err_msg=name)
    assert memory.rings.num_samples.tolist() == [9, 0, 9]


def test_events_share_the_arrays_memory():
    drive = start_drive()
    events = drive.step(11.2)
    assert events.route_percent.data_ptr() == drive.arrays.route_percent.ctypes.data


@pytest.mark.kernel
def test_range_kernels_equal_their_plain_python_selves(monkeypatch):
    scene = random_traffic(4)
    jitted = run_steps(scene, steps=10)
    for topic in ("route", "ttc", "comfort", "motion"):
        name = f"detect_{topic}_events_range"
        monkeypatch.setattr(event_detection, name, getattr(event_detection, name).py_func)
    for name, plain in run_steps(scene, steps=10).items():
        np.testing.assert_allclose(jitted[name], plain, rtol=1e-12, atol=1e-12, err_msg=name)
