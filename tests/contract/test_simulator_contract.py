"""The Simulator contract, for every kind of simulator: what learner and benchmarks rely on.

A reset touches only the named worlds, a seed gives one trajectory, worlds together equal worlds
alone, slots of nobody hold zeros, and a saved state goes on where it was taken, or says that it
cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from sim_adapters.scene.named_arrays import copy_arrays
from sim_adapters.scene.scenario import Scenario
from sim_adapters.simulator import Simulator
from tests.contract import kinds
from tests.contract.kinds import Kind

NUM_STEPS = 40
Rows = dict[str, np.ndarray]
MAKERS: dict[str, Callable[[Path, pytest.MonkeyPatch], Kind]] = {
    "embedded": lambda folder, patch: kinds.embedded(),
    "headless": lambda folder, patch: kinds.headless(),
    "nuplan_log": lambda folder, patch: kinds.nuplan_batch("log"),
    "nuplan_idm": lambda folder, patch: kinds.nuplan_batch("idm"),
    "own": kinds.own,
    "devkit": lambda folder, patch: kinds.devkit(folder),
}
NEEDS_DEVKIT = [pytest.mark.nuplan, pytest.mark.filterwarnings("ignore")]
CASES = [pytest.param(name, marks=NEEDS_DEVKIT if name == "devkit" else []) for name in MAKERS]


@pytest.fixture(scope="module", params=CASES)
def kind(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kind]:
    with pytest.MonkeyPatch.context() as patch:
        yield MAKERS[request.param](tmp_path_factory.mktemp("contract"), patch)


@pytest.fixture(scope="module")
def three(kind: Kind) -> Iterator[Simulator]:
    """Three worlds, which every test resets."""
    simulator = kind.make(3)
    yield simulator
    simulator.close()
    simulator.close()  # safe to call twice


def start(simulator: Simulator, *scenarios: Scenario) -> None:
    simulator.reset(np.arange(len(scenarios)), scenarios)


def drive(simulator: Simulator, steer: float, first: int = 0, last: int = NUM_STEPS) -> None:
    """Wave the steering and pulse the pedals, the same in every world."""
    for k in range(first, last):
        wheel = np.full(simulator.scene.num_agents, steer * np.sin(0.3 * k))
        simulator.step(wheel, np.full(wheel.size, 0.7 if k % 20 < 15 else -0.4))


def world_rows(arrays: Rows, world: int, left_out: tuple[str, ...] = ()) -> Rows:
    """Arrays of one world; every array of a state and of a scene has worlds in front."""
    names = arrays.keys() - {"ego.world", "scene.ego.world", *left_out}
    return {name: arrays[name][world] for name in names}


def scene_rows(simulator: Simulator, kind: Kind) -> list[Rows]:
    """What each world shows."""
    arrays = copy_arrays(simulator.scene)
    return [world_rows(arrays, world, kind.numbers) for world in range(simulator.scene.num_worlds)]


def assert_equal(one: Rows, other: Rows) -> None:
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


def test_a_reset_touches_only_the_named_worlds(kind: Kind, three: Simulator) -> None:
    start(three, *kind.scenarios)
    drive(three, kind.steer)
    before = three.state_dict()
    three.reset(np.array([1]), [kind.scenarios[2]])
    after = three.state_dict()
    for world in (0, 2):
        assert_equal(world_rows(before, world), world_rows(after, world))
    assert three.scene.clocks.elapsed_s[1] < three.scene.clocks.elapsed_s[0]


def test_the_same_seed_gives_the_same_trajectory(kind: Kind, three: Simulator) -> None:
    """Whatever was driven before: other scenarios in between leave nothing behind."""
    one, two, last = kind.scenarios
    ends = []
    for scenarios in ((one, two, last), (last, one, two), (one, two, last)):
        start(three, *scenarios)
        drive(three, kind.steer)
        ends.append(scene_rows(three, kind))
    for first, again in zip(ends[0], ends[2], strict=True):
        assert_equal(first, again)


def test_worlds_together_equal_worlds_alone(kind: Kind, three: Simulator) -> None:
    one, two, last = kind.scenarios
    three.reset(np.array([2, 0, 1]), [last, one, two])
    drive(three, kind.steer)
    together = scene_rows(three, kind)
    alone = kind.make(1)
    try:
        for world, scenario in enumerate(kind.scenarios):
            start(alone, scenario)
            drive(alone, kind.steer)
            assert_equal(scene_rows(alone, kind)[0], together[world])
    finally:
        alone.close()


def test_hidden_state_together_equals_hidden_state_alone(kind: Kind) -> None:
    if not kind.is_kept:
        return  # it is in other processes
    together = kind.make(3)
    start(together, *kind.scenarios)
    drive(together, kind.steer)
    for world, scenario in enumerate(kind.scenarios):
        alone = kind.make(1)
        start(alone, scenario)
        drive(alone, kind.steer)
        assert_equal(world_rows(alone.state_dict(), 0), world_rows(together.state_dict(), world))


def test_slots_of_nobody_hold_zeros(kind: Kind, three: Simulator) -> None:
    start(three, *kind.scenarios)
    for k in range(0, NUM_STEPS, 5):
        drive(three, kind.steer, k, k + 5)
        nobody = ~three.scene.traits.valid
        assert nobody.any()
        for name, array in copy_arrays(three.scene).items():
            if name.startswith(("motion.", "traits.")):
                assert not array[nobody].any(), f"{name} after step {k + 5}"
        assert three.scene.traits.valid[:, 0].all()  # the drivers themselves


def test_the_scene_keeps_its_arrays(kind: Kind, three: Simulator) -> None:
    x, state = three.scene.motion.x, three.scene.lights.state
    start(three, *kind.scenarios)
    drive(three, kind.steer, 0, 3)
    assert three.scene.motion.x is x
    assert three.scene.lights.state is state


def test_a_saved_state_goes_on_where_it_was_taken_or_is_cut_off(
    kind: Kind, three: Simulator
) -> None:
    start(three, *kind.scenarios)
    drive(three, kind.steer)
    saved = three.state_dict()
    if kind.is_kept:
        drive(three, kind.steer, NUM_STEPS, NUM_STEPS + 20)
        other = kind.make(3)
        other.load_state_dict(saved)
        drive(other, kind.steer, NUM_STEPS, NUM_STEPS + 20)
        assert_equal(three.state_dict(), other.state_dict())
        other.close()
        return
    # What another process holds is gone: the scene is as it was, and the next step is its last
    drive(three, kind.steer, NUM_STEPS, NUM_STEPS + 5)
    three.load_state_dict(saved)
    failed = three.scene.clocks.failed.copy()
    restored = three.state_dict()
    assert failed.all()
    assert_equal(
        {name: array for name, array in saved.items() if name != "clocks.failed"},
        {name: array for name, array in restored.items() if name != "clocks.failed"},
    )
    drive(three, kind.steer, 0, 1)
    assert three.scene.clocks.failed.all()
    start(three, *kind.scenarios)
    assert not three.scene.clocks.failed.any()
