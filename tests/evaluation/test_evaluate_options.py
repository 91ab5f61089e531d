"""Options of the evaluate command that cannot be meant are refused before anything is loaded."""

import inspect
from pathlib import Path

import pytest
from hydra import compose, initialize_config_module
from hydra.utils import get_object, instantiate

from carl_planner.run_folder import locked_folder
from evaluation.drivers.driver import driver_config, driver_words, own_drivers
from evaluation.drivers.policy_driver import policy_driver
from evaluation.evaluate import check_options, evaluate


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["driver=idm", "simulator=carla"], "longest6_official"),
        (["driver=idm", "seeds=0"], "at least one"),
        (["driver=policy"], "needs checkpoint=PATH"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(overrides: list[str], message: str) -> None:
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("evaluate", overrides)
    with pytest.raises(ValueError, match=message):
        check_options(config)


def test_two_evaluations_do_not_write_into_one_folder(tmp_path: Path) -> None:
    with initialize_config_module("configs", version_base="1.3"):
        config = compose("evaluate", ["driver=idm", "benchmark=demo", f"output={tmp_path}"])
    with locked_folder(tmp_path), pytest.raises(ValueError, match="another run writes into"):
        evaluate(config)


def test_a_policy_needs_a_checkpoint() -> None:
    with pytest.raises(ValueError, match="needs checkpoint=PATH"):
        policy_driver(None)


@pytest.mark.parametrize(
    ("words", "now"),
    [
        (["planner=idm", "seeds=2"], ["driver=idm", "seeds=2"]),
        (
            ["planner=blind_follower", "speed_mps=8"],
            ["driver=blind_follower", "driver.speed_mps=8"],
        ),
        (["benchmark=val14", "planner=idm"], ["benchmark=val14", "driver=nuplan/idm"]),
        (["benchmark=val14", "planner=policy"], ["benchmark=val14", "driver=policy"]),
        (["--config-dir", "mine", "driver=mine"], ["--config-dir", "mine", "driver=mine"]),
    ],
)
def test_words_of_before_are_understood(words: list[str], now: list[str]) -> None:
    assert driver_words(words) == now


@pytest.mark.parametrize("name", own_drivers().split(", "))
def test_every_driver_is_named_and_its_yaml_sets_every_option(name: str) -> None:
    node = driver_config(name)
    options = inspect.signature(get_object(node._target_)).parameters
    assert options.keys() == node.keys() - {"_target_"}
    if name != "policy":
        assert instantiate(node).name == node.name == name.removeprefix("nuplan/")
