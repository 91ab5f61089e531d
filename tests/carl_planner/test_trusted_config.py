"""A stranger's checkpoint calls nothing but the networks of this project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from gymnasium import spaces
from hydra.utils import instantiate
from omegaconf import OmegaConf

from carl_planner.checkpoint import Checkpoint, CheckpointError, save_checkpoint, space_of
from carl_planner.policy import ActorCritic
from carl_planner.policy_files import load_policy
from carl_planner.trusted_config import trusted_node

SPEC = {
    "vector": {"shape": [4], "dtype": "float32"},
    "measurements": {"shape": [3], "dtype": "float32"},
    "value_measurements": {"shape": [2], "dtype": "float32"},
}
POLICY: dict[str, Any] = {
    "_target_": "carl_planner.policy.ActorCritic",
    "features": {
        "_target_": "carl_planner.features.VectorFeatures",
        "_partial_": True,
        "widths": "${network.widths}",
    },
    "head_widths": "${network.widths}",
    "layer_norm": False,
}
CONFIG: dict[str, Any] = {
    "policy": POLICY,
    "network": {"widths": [8]},
    "unrelated": "${oc.env:HOME}",  # a resolver where nothing is built from
}


def touch(marker: Path, path_class: str = "pathlib.Path") -> dict[str, Any]:
    """A node that makes the file `marker` when it is instantiated."""
    return {
        "_target_": f"{path_class}.touch",
        "_args_": [{"_target_": path_class, "_args_": [str(marker)]}],
    }


def attacks(marker: Path) -> dict[str, Mapping[str, Any]]:
    """Configs of strangers."""
    evil = touch(marker)
    hidden = {"_target_": "collections.OrderedDict", "value": evil}
    return {
        "plain": {"policy": evil},
        "an interpolation of the whole policy": {"policy": "${evil}", "evil": evil},
        "an interpolation of an argument": {"policy": POLICY | {"cnn": "${evil}"}, "evil": evil},
        "an interpolated name": {
            "policy": evil | {"_target_": "${name}"},
            "name": "pathlib.Path.touch",
        },
        "a name put together": {
            "policy": evil | {"_target_": "${module}.touch"},
            "module": "pathlib.Path",
        },
        "an escaped interpolation": {"policy": POLICY | {"cnn": r"\${evil}"}, "evil": evil},
        "an entry of a list": {"policy": POLICY | {"head_widths": [evil]}},
        "an entry of a list in a list": {"policy": POLICY | {"head_widths": [[evil]]}},
        "a positional argument": {"policy": POLICY | {"_args_": [evil]}},
        "a partial": {"policy": POLICY | {"features": evil | {"_partial_": True}}},
        "an argument of a stranger": {"policy": POLICY | {"features": hidden}},
        "what a trusted module imports": {
            "policy": touch(marker, "carl_planner.checkpoint.Path"),
        },
        "a module that a trusted one imports": {
            "policy": touch(marker, "carl_planner.policy_files.io.os.pathlib.Path"),
        },
        "what a trusted class inherits": {
            "policy": POLICY | {"_target_": "carl_planner.policy.ActorCritic.register_module"},
        },
        "another function of this project": {
            "policy": {
                "_target_": "carl_planner.checkpoint.write_atomically",
                "path": {"_target_": "pathlib.Path", "_args_": [str(marker)]},
                "data": "",
            },
        },
        "a resolver": {"policy": POLICY | {"head_widths": "${oc.decode:'[8]'}"}},
        "a resolver behind a node": {
            "policy": POLICY | {"head_widths": "${widths}"},
            "widths": "${oc.decode:'[8]'}",
        },
        "a resolver of a hidden name": {
            "policy": POLICY | {"head_widths": "${${name}:'[8]'}"},
            "name": "oc.decode",
        },
        "a circle": {"policy": "${policy}"},
        "no policy": {"policy": None},
    }


@pytest.mark.parametrize("name", attacks(Path()))
def test_a_strangers_config_is_refused_and_calls_nothing(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    config = CONFIG | dict(attacks(marker)[name])
    path = tmp_path / "stranger.pt"
    save_checkpoint(path, Checkpoint({}, config, {}, SPEC, {"shape": [2]}))
    with pytest.raises(CheckpointError):
        load_policy(path)
    assert not marker.exists()


def test_nothing_is_imported_before_the_package_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "strangers_module.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = OmegaConf.create({"policy": {"_target_": "strangers_module.Network"}})
    with pytest.raises(CheckpointError, match=r"add trust=\[strangers_module\]"):
        trusted_node(config, "policy", ["carl_planner"])
    assert not marker.exists()
    with pytest.raises(CheckpointError, match="cannot be imported"):
        trusted_node(config, "policy", ["carl_planner", "strangers_module"])
    assert marker.exists(), "who is trusted is imported"


def test_a_configs_own_interpolations_are_followed() -> None:
    config = OmegaConf.create(CONFIG)
    policy = trusted_node(config, "policy", ["carl_planner"])
    assert policy == POLICY | {
        "features": POLICY["features"] | {"widths": [8]},
        "head_widths": [8],
    }
    assert trusted_node(config, "policy.action_layout", ["carl_planner"]) is None


def test_a_checkpoint_of_this_project_builds_its_policy(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    resolved = trusted_node(OmegaConf.create(CONFIG), "policy", ["carl_planner"])
    policy: ActorCritic = instantiate(
        resolved,
        observation_space=space_of(SPEC),
        action_space=spaces.Box(-1.0, 1.0, (2,)),
    )
    save_checkpoint(path, Checkpoint(policy.state_dict(), CONFIG, {}, SPEC, {"shape": [2]}))
    loaded = load_policy(path)
    for name, tensor in policy.state_dict().items():
        torch.testing.assert_close(loaded.policy.state_dict()[name], tensor)
