"""Options of the evaluate command that cannot be meant are refused before anything is loaded."""

import pytest
from hydra import compose, initialize_config_module

from evaluation.evaluate import check_options


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["planner=idm", "simulator=carla"], "longest6_official"),
        (["planner=idm", "seeds=0"], "at least one"),
        (["planner=policy"], "needs checkpoint=PATH"),
        (["planner=nobody"], "choose one of"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(overrides: list[str], message: str) -> None:
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("evaluate", overrides)
    with pytest.raises(ValueError, match=message):
        check_options(config)
