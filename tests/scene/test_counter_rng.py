"""Counter-based random numbers are uniform, independent and stateless."""

import numpy as np
import pytest

from sim_adapters.scene.counter_rng import mix, uniform


def test_first_outputs_are_splitmix64s() -> None:
    # SplitMix64 seeded with 0: state advances by the golden gamma, the finaliser gives these.
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    gamma = 0x9E3779B97F4A7C15
    found = [int(mix(np.uint64((i * gamma) % 2**64))) for i in range(3)]
    assert found == expected


def test_draws_are_uniform_over_ticks_slots_and_seeds() -> None:
    for draws in (
        [uniform(np.uint64(7), tick, 3, 1) for tick in range(20_000)],
        [uniform(np.uint64(7), 3, slot, 1) for slot in range(20_000)],
        [uniform(np.uint64(seed), 3, 2, 1) for seed in range(20_000)],
    ):
        counts, _ = np.histogram(draws, bins=20, range=(0.0, 1.0))
        chi_squared = float(((counts - 1000.0) ** 2 / 1000.0).sum())
        assert chi_squared < 43.8  # 99.9 % quantile at 19 degrees of freedom
        assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.03


def test_purposes_do_not_share_numbers() -> None:
    first = [uniform(np.uint64(7), tick, 0, 1) for tick in range(5_000)]
    second = [uniform(np.uint64(7), tick, 0, 2) for tick in range(5_000)]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.05


@pytest.mark.kernel
def test_jitted_equals_plain_python() -> None:
    with np.errstate(over="ignore"):
        for tick in range(20):
            plain = uniform.py_func(np.uint64(11), np.uint64(tick), np.uint64(4), np.uint64(9))
            assert uniform(np.uint64(11), tick, 4, 9) == plain
