"""GAE worked by hand, with gamma 0.5 and lambda 0.5 so that numbers stay short."""

import numpy as np

from carl_planner.rollout_buffer import generalized_advantages


def advantages(terminated: list[bool], truncated: list[bool], final: list[float]) -> np.ndarray:
    column = lambda values, dtype: np.array(values, dtype).reshape(-1, 1)  # noqa: E731
    return generalized_advantages(
        column([1, 2, 3], np.float32),
        column([4, 2, 1, 8], np.float32),
        column(terminated, bool),
        column(truncated, bool),
        column(final, np.float32),
        gamma=0.5,
        gae_lambda=0.5,
    ).ravel()


def test_running_episode_bootstraps_with_the_value_after_the_rollout() -> None:
    # delta = 1 + 1 - 4, 2 + 0.5 - 2, 3 + 4 - 1 = -2, 0.5, 6; decay 0.25
    # A2 = 6, A1 = 0.5 + 1.5 = 2, A0 = -2 + 0.5 = -1.5
    result = advantages([False] * 3, [False] * 3, [0, 0, 0])
    np.testing.assert_allclose(result, [-1.5, 2.0, 6.0])


def test_terminated_step_sees_no_value_beyond_it() -> None:
    # delta1 = 2 - 2 = 0 and nothing flows back from step 2: A1 = 0, A0 = -2
    result = advantages([False, True, False], [False] * 3, [0, 0, 0])
    np.testing.assert_allclose(result, [-2.0, 0.0, 6.0])


def test_truncated_step_uses_the_value_of_its_final_observation() -> None:
    # delta1 = 2 + 0.5 * 10 - 2 = 5, cut from step 2: A0 = -2 + 0.25 * 5 = -0.75
    result = advantages([False] * 3, [False, True, False], [0, 10, 0])
    np.testing.assert_allclose(result, [-0.75, 5.0, 6.0])


def test_truncated_step_without_bootstrap_equals_a_terminated_one() -> None:
    cut = advantages([False] * 3, [False, True, False], [0, 0, 0])
    ended = advantages([False, True, False], [False] * 3, [0, 0, 0])
    np.testing.assert_array_equal(cut, ended)


def test_step_both_terminated_and_truncated_is_terminated() -> None:
    both = advantages([False, True, False], [False, True, False], [0, 10, 0])
    ended = advantages([False, True, False], [False] * 3, [0, 0, 0])
    np.testing.assert_array_equal(both, ended)
