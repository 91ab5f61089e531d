"""Roach's form of the raster: what its history channels show of the past."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from sim_adapters.observation.bev import BevObserver
from sim_adapters.scene.history import SceneHistory, make_history, record_history, restart_history
from sim_adapters.scene.map_layers import LayerBit
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import ActorKind, LightState, SceneBatch
from tests.observation.bev_helpers import allocate, busy_scene, extent, make_observer, observe
from tests.observation.observation_scenes import (
    LANE_Y,
    STOP_SIGN_X,
    set_actor,
    straight_road_bank,
    straight_scene,
)
from tests.scene.hand_made_map import start_drive

MOMENTS = ("15_steps_ago", "10_steps_ago", "5_steps_ago", "now")
BANK = straight_road_bank(5.0)


def remembering(
    scene: SceneBatch, memory: EpisodeMemory, observer: BevObserver
) -> tuple[EpisodeMemory, SceneHistory]:
    """The memory with the history that the observer looks at, still empty."""
    history = make_history(scene, observer.history_steps)
    return replace(memory, history=history), history


def test_roach_s_form_has_fifteen_channels_and_needs_its_history():
    observer = make_observer("roach_bev")
    assert observer.space["bev"].shape == (15, 192, 192)
    scene, memory = straight_scene()
    with pytest.raises(ValueError, match=r"make the memory with observer\.history_steps"):
        observe(observer, scene, memory, BANK)


def roach_planes(
    scene: SceneBatch, memory: EpisodeMemory, observer: BevObserver
) -> dict[str, np.ndarray]:
    """Planes of the first driver by channel name."""
    frames, _ = observe(observer, scene, memory, BANK)
    return dict(zip(observer.channel_names, frames[0], strict=True))


def test_roach_s_history_shows_past_places_in_the_present_frame():
    observer = make_observer("roach_bev")
    scene, memory = straight_scene()
    memory, history = remembering(scene, memory, observer)
    for step in range(20):  # the other car passes 1 m a step, the ego stands
        set_actor(scene, 0, 1, ActorKind.CAR, step - 5.0, LANE_Y, 0.0, 10.0)
        scene.lights.state[0, 0] = LightState.RED if step < 12 else LightState.GREEN
        record_history(scene, memory.signs.shown_stop, history)
    planes = roach_planes(scene, memory, observer)
    middles = []
    for moment in MOMENTS:
        rows, _ = np.nonzero(planes[f"vehicles_{moment}"])
        middles.append(rows.mean())
    moved = -np.diff(middles) / (5.0 * 191 / 192)
    np.testing.assert_allclose(moved, 5.0, atol=0.25)


def test_a_reset_forgets_the_past():
    observer = make_observer("roach_bev")
    scene, memory = straight_scene()
    memory, history = remembering(scene, memory, observer)
    set_actor(scene, 0, 1, ActorKind.CAR, 10.0, LANE_Y)
    record_history(scene, memory.signs.shown_stop, history)
    set_actor(scene, 0, 1, ActorKind.CAR, -5.0, LANE_Y)
    restart_history(np.array([0]), scene, memory.signs.shown_stop, history)
    planes = roach_planes(scene, memory, observer)
    np.testing.assert_array_equal(planes["vehicles_15_steps_ago"], planes["vehicles_now"])


def test_an_actor_that_took_over_a_slot_has_no_past():
    observer = make_observer("roach_bev")
    scene, memory = straight_scene()
    memory, history = remembering(scene, memory, observer)
    set_actor(scene, 0, 1, ActorKind.CAR, 10.0, LANE_Y)
    for _ in range(16):
        record_history(scene, memory.signs.shown_stop, history)
    scene.traits.actor_id[0, 1] += 1
    record_history(scene, memory.signs.shown_stop, history)
    planes = roach_planes(scene, memory, observer)
    assert planes["vehicles_now"].any()
    assert not planes["vehicles_15_steps_ago"].any()


def test_roach_s_stop_sign_shows_when_it_was_in_force():
    observer = make_observer("roach_bev")
    scene, memory = straight_scene()
    scene.lights.state[:] = LightState.OFF
    memory, history = remembering(scene, memory, observer)
    scene.motion.x[0, 0] = STOP_SIGN_X - 10.0
    for step in range(16):  # in force from step 3 to 7, so 12 to 8 steps before the last one
        memory.signs.shown_stop[0] = 0 if 3 <= step <= 7 else -1
        record_history(scene, memory.signs.shown_stop, history)
    planes = roach_planes(scene, memory, observer)
    shown = {moment: bool(planes[f"signals_{moment}"].any()) for moment in MOMENTS}
    assert shown == {
        "15_steps_ago": False,
        "10_steps_ago": True,
        "5_steps_ago": False,
        "now": False,
    }
    first, last, left, right = extent(planes["signals_10_steps_ago"])
    scale = 5.0 * 191 / 192  # a square of 3 m, 10 m ahead of where the ego is now
    assert (last - first, right - left) == pytest.approx((3.0 * scale, 3.0 * scale), abs=1.0)
    assert (first + last) / 2 == pytest.approx((152.0 - 50.0) * 191 / 192, abs=1.0)


def test_a_past_stop_sign_is_drawn_where_the_present_ego_sees_it():
    observer = make_observer("roach_bev")
    scene, memory = straight_scene()
    scene.lights.state[:] = LightState.OFF
    memory, history = remembering(scene, memory, observer)
    memory.signs.shown_stop[0] = 0
    for step in range(16):
        scene.motion.x[0, 0] = STOP_SIGN_X - 20.0 + 0.5 * step
        record_history(scene, memory.signs.shown_stop, history)
    planes = roach_planes(scene, memory, observer)
    for moment in MOMENTS[:-1]:
        np.testing.assert_array_equal(planes[f"signals_{moment}"], planes["signals_now"])


def test_a_reset_forgets_past_stop_signs():
    observer = make_observer("roach_bev")
    scene, memory = straight_scene(2)
    scene.lights.state[:] = LightState.OFF
    scene.motion.x[:, 0] = STOP_SIGN_X - 10.0
    memory, history = remembering(scene, memory, observer)
    memory.signs.shown_stop[:] = 0
    for _ in range(16):
        record_history(scene, memory.signs.shown_stop, history)
    memory.signs.shown_stop[:] = -1
    restart_history(np.array([1]), scene, memory.signs.shown_stop, history)
    frames, _ = observe(observer, scene, memory, BANK)
    past = observer.channel_names.index("signals_15_steps_ago")
    assert frames[0, past].any()
    assert not frames[1, past].any()


def test_stored_rows_redraw_the_same_past():
    observer = make_observer("roach_bev")
    scene, memory = busy_scene(2)
    memory, history = remembering(scene, memory, observer)
    for step in range(17):
        memory.signs.shown_stop[:] = np.where(step % 6 < 3, 0, -1)
        scene.motion.x[:] += 0.1 * scene.motion.vx_mps
        record_history(scene, memory.signs.shown_stop, history)
    frames, rows = observe(observer, scene, memory, BANK)
    history.shown_stop[:] = -1  # rows stand alone
    painted = allocate(observer.space, 1)
    observer.paint({key: array[[1]] for key, array in rows.items()}, BANK, painted)
    np.testing.assert_array_equal(painted["bev"][0], frames[1])


@pytest.mark.parametrize(
    ("bit", "value"), [(LayerBit.DRIVING, 255), (LayerBit.PARKING, 0), (LayerBit.SHOULDER, 0)]
)
def test_roach_s_road_is_where_lanes_are_driven(bit: LayerBit, value: int):
    observer, bank = make_observer("roach_bev"), straight_road_bank(5.0)
    scene, memory = straight_scene()
    memory, _ = remembering(scene, memory, observer)
    bank.layers.tiles[:] = int(bit)
    frames, _ = observe(observer, scene, memory, bank)
    assert frames[0, observer.channel_names.index("road"), 96, 96] == value


def test_roach_looks_for_stop_signs_twenty_metres_ahead():
    # At (180, -1.75); CaRL's raster shows it from fifty metres on
    with initialize_config_module("configs", version_base="1.3"):
        settings = instantiate(compose("detector/roach").detector)
    drive = start_drive(x=100.0, settings=settings)
    shown = drive.memory.signs.shown_stop
    drive.step(159.5)
    assert shown[0] == -1
    drive.step(160.5)
    assert shown[0] == 0
