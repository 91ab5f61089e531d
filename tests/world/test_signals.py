"""Junction cycles: who is green when, and that the numbers left are the numbers seen."""

import numpy as np
import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import LightState, SceneBatch, empty_scene
from sim_adapters.world.signals import (
    SignalPlan,
    empty_signal_plan,
    light_phase,
    reset_signals_range,
    update_lights_range,
)

TIMES = (10.0, 3.0, 2.0)  # CARLA's green, yellow and all-red seconds


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town02"])


def _lights(
    maps: MapBank, seed: int, *, random_start: bool, worlds: int = 2
) -> tuple[SceneBatch, SignalPlan]:
    scene = empty_scene(worlds, 1, num_lights=maps.max_lights, num_route_points=2)
    scene.clocks.seed[:] = seed
    plan = empty_signal_plan(worlds, maps)
    reset_signals_range(0, worlds, plan, maps.groups, maps.ranges, scene.clocks, random_start)
    _update(scene, plan, maps)
    return scene, plan


def _update(scene: SceneBatch, plan: SignalPlan, maps: MapBank) -> None:
    update_lights_range(
        0,
        scene.num_worlds,
        scene.lights,
        plan,
        maps.signals,
        maps.groups,
        maps.ranges,
        scene.clocks,
    )


def test_second_arm_of_three_follows_the_first() -> None:
    # Arm 1 of 3 is green from 15 to 25 s, yellow to 28 s, then red until 60 s
    assert light_phase(0.0, 1, 3, *TIMES) == (LightState.RED, 15.0)
    assert light_phase(15.0, 1, 3, *TIMES) == (LightState.GREEN, 10.0)
    assert light_phase(26.0, 1, 3, *TIMES) == (LightState.YELLOW, 2.0)
    assert light_phase(28.0, 1, 3, *TIMES) == (LightState.RED, 32.0)
    assert light_phase(60.0, 1, 3, *TIMES) == (LightState.GREEN, 10.0)


def test_a_single_arm_is_red_for_the_gap_only() -> None:
    assert light_phase(13.5, 0, 1, *TIMES) == (LightState.RED, 1.5)
    assert light_phase(15.0, 0, 1, *TIMES) == (LightState.GREEN, 10.0)


@pytest.mark.parametrize("seconds", np.arange(0.0, 45.0, 0.7))
def test_at_most_one_arm_is_not_red(seconds: float) -> None:
    states = [light_phase(seconds, phase, 3, *TIMES)[0] for phase in range(3)]
    assert sum(state != LightState.RED for state in states) <= 1


def test_time_left_is_when_the_state_changes() -> None:
    for seconds in np.arange(0.0, 60.0, 0.5):
        state, left_s = light_phase(seconds, 2, 4, *TIMES)
        assert light_phase(seconds + left_s - 1e-6, 2, 4, *TIMES)[0] == state
        assert light_phase(seconds + left_s + 1e-6, 2, 4, *TIMES)[0] != state


def test_carlas_reset_shows_the_first_arm_green_everywhere(maps: MapBank) -> None:
    scene, _ = _lights(maps, 7, random_start=False)
    first_arm = maps.signals.phase == 0
    np.testing.assert_array_equal(scene.lights.state[0][first_arm], LightState.GREEN)
    np.testing.assert_array_equal(scene.lights.state[0][~first_arm], LightState.RED)


def test_random_start_depends_on_the_seed_alone(maps: MapBank) -> None:
    scene, plan = _lights(maps, 7, random_start=True)
    other, _ = _lights(maps, 8, random_start=True)
    np.testing.assert_array_equal(scene.lights.state[0], scene.lights.state[1])
    assert (scene.lights.remaining_s[0] != other.lights.remaining_s[0]).any()
    assert len(set(plan.offset_s[0])) == maps.groups.num_phases.size


def test_forced_light_returns_to_its_cycle(maps: MapBank) -> None:
    scene, plan = _lights(maps, 7, random_start=False)
    red = int(np.flatnonzero(scene.lights.state[0] == LightState.RED)[0])
    plan.forced_state[0, red], plan.forced_until_s[0, red] = LightState.GREEN, 5.0
    plan.forced_change_s[0, red] = 7.0  # it may be renewed until then
    scene.clocks.elapsed_s[:] = 2.0
    _update(scene, plan, maps)
    assert scene.lights.state[0, red] == LightState.GREEN
    assert scene.lights.remaining_s[0, red] == 5.0
    assert scene.lights.state[1, red] == LightState.RED
    scene.clocks.elapsed_s[:] = 5.0
    _update(scene, plan, maps)
    assert scene.lights.state[0, red] == LightState.RED


@pytest.mark.kernel
def test_light_kernel_equals_its_python_self() -> None:
    for seconds in np.arange(0.0, 50.0, 1.3):
        ours = light_phase(seconds, 1, 3, *TIMES)
        assert ours == pytest.approx(light_phase.py_func(seconds, 1, 3, *TIMES), abs=1e-12)
