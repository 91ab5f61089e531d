"""Action columns and signs are converted at the edge, once."""

import numpy as np
import pytest

from sim_adapters.action_layout import ActionLayout


def decode(layout: ActionLayout, actions: list[list[float]]) -> tuple[list[float], list[float]]:
    steer, acceleration = np.zeros(len(actions)), np.zeros(len(actions))
    layout.decode(np.array(actions, np.float32), steer, acceleration)
    return steer.tolist(), acceleration.tolist()


def test_carla_steers_right_with_positive_numbers() -> None:
    assert decode(ActionLayout(), [[0.5, -0.25]]) == ([-0.5], [-0.25])


def test_nuplan_puts_acceleration_first_and_steers_left() -> None:
    layout = ActionLayout(steer_index=1, acceleration_index=0, steer_right_positive=False)
    assert decode(layout, [[0.5, -0.25]]) == ([-0.25], [0.5])


def test_actions_are_clipped_to_the_box() -> None:
    assert decode(ActionLayout(), [[3.0, -7.0]]) == ([-1.0], [-1.0])


@pytest.mark.parametrize(
    "layout",
    [ActionLayout(), ActionLayout(1, 0, steer_right_positive=False)],
)
def test_encode_undoes_decode(layout: ActionLayout) -> None:
    actions = np.array([[0.25, -0.5], [-1.0, 1.0]], np.float32)
    steer, acceleration = np.zeros(2), np.zeros(2)
    layout.decode(actions, steer, acceleration)
    np.testing.assert_array_equal(layout.encode(steer, acceleration), actions)


def test_one_column_for_both_is_refused() -> None:
    with pytest.raises(ValueError, match="one must be 0 and the other 1"):
        ActionLayout(0, 0)
