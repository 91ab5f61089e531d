"""Files as other tools name and wrap them: loaded, or told what they are and what to do."""

from __future__ import annotations

import gzip
import logging
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hydra.utils import instantiate
from torch import Tensor

from carl_planner.checkpoint import Checkpoint, CheckpointError, load_checkpoint, save_checkpoint
from carl_planner.features import ImageFeatures
from carl_planner.image_encoders import carl_cnn
from carl_planner.policy import ActorCritic
from carl_planner.policy_files import CARL_MARKER, load_policy

SPEC = {
    "vector": {"shape": [4], "dtype": "float32"},
    "measurements": {"shape": [3], "dtype": "float32"},
    "value_measurements": {"shape": [2], "dtype": "float32"},
}
CONFIG = {
    "policy": {
        "_target_": "carl_planner.policy.ActorCritic",
        "features": {
            "_target_": "carl_planner.features.VectorFeatures",
            "_partial_": True,
            "widths": [8],
        },
        "head_widths": [8],
    }
}


@pytest.fixture(scope="module")
def released() -> dict[str, Tensor]:
    """A state dict as CaRL publishes it."""
    torch.manual_seed(0)
    space = spaces.Dict(
        {
            "bev": spaces.Box(0, 255, (10, 256, 256), np.uint8),
            "measurements": spaces.Box(-np.inf, np.inf, (8,), np.float32),
            "value_measurements": spaces.Box(-np.inf, np.inf, (10,), np.float32),
        }
    )
    actions = spaces.Box(-1.0, 1.0, (2,), np.float32)
    policy = ActorCritic(space, actions, features=partial(ImageFeatures, cnn=carl_cnn))
    return dict(policy.state_dict())


def renamed(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {prefix + name: tensor for name, tensor in state.items()}


WRAPPED = {
    "ddp": lambda s: renamed(s, "module."),
    "compiled": lambda s: renamed(s, "_orig_mod."),
    "compiled ddp": lambda s: renamed(s, "module._orig_mod."),
    "compiled within": lambda s: {
        n.replace("features_extractor.", "features_extractor._orig_mod."): t for n, t in s.items()
    },
    "lightning": lambda s: {"state_dict": renamed(s, "policy."), "epoch": 3, "hyper": {"lr": 1.0}},
    "in model": lambda s: {"model": s, "step": 7},
    "in model_state_dict": lambda s: {"model_state_dict": renamed(s, "module."), "optimizer": {}},
    "half precision": lambda s: {n: t.half() for n, t in s.items()},
}


@pytest.mark.parametrize("tool", WRAPPED)
def test_weights_load_under_the_names_of_other_tools(
    tool: str, released: dict[str, Tensor], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    torch.save(WRAPPED[tool](released), tmp_path / "model.pth")
    with caplog.at_level(logging.INFO):
        loaded = load_policy(tmp_path / "model.pth")
    for name, tensor in loaded.policy.state_dict().items():
        torch.testing.assert_close(tensor, released[name], atol=1e-3, rtol=1e-3)
    if tool != "half precision":
        assert "took the weights from" in caplog.text


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("policy_head.0.weight", "policy_head.0.weight is missing"),
        ("features_extractor.state_linear.0.weight", "state_linear.0.weight is missing"),
        ("value_head.0.weight", "value_head.0.weight is missing"),
        ("dist_mu.0.weight", "dist_mu.0.weight is missing"),
        ("action_space_low", "lacks action_space_low"),
        ("dist_sigma.0.bias", "lacks dist_sigma.0.bias"),
        (CARL_MARKER, "holds neither a checkpoint of this project"),
    ],
)
def test_a_state_dict_in_part_names_what_it_lacks(
    name: str, message: str, released: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save({n: t for n, t in released.items() if n != name}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=message):
        load_policy(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dist_mu.0.weight": torch.full((2, 256), torch.nan)}, "NaN or infinite: dist_mu"),
        ({"value_head.0.bias": torch.full((256,), torch.inf)}, "NaN or infinite: value_head"),
        ({"value_head.0.bias": torch.zeros(7)}, r"value_head.0.bias \(7,\) instead of"),
        ({"dist_mu.0.weight": torch.zeros(2)}, "dist_mu.0.weight is torch.Size"),
        ({CARL_MARKER: torch.zeros(1).expand(8, 1 << 20, 5, 5)}, "is torch.Size"),
        ({"another": torch.zeros(2)}, "has beside them another"),
        ({"epoch": 3}, "no weights: epoch"),
        ({"dist_mu.0.bias": torch.zeros(2).to_sparse()}, "no weights: dist_mu.0.bias"),
        ({"dist_mu.0.bias": torch.empty(2, device="meta")}, "no weights: dist_mu.0.bias"),
        ({"dist_mu.0.bias": torch.zeros(2, dtype=torch.int8)}, "as other numbers.*torch.int8"),
        ({"dist_mu.0.bias": torch.zeros(2, dtype=torch.cfloat)}, "as other numbers.*complex64"),
        ({"module.dist_mu.0.bias": torch.zeros(2)}, "holds dist_mu.0.bias twice"),
        ({"value_head.0.weight": torch.zeros(256, 3)}, "3 columns.*looks like a CaRL state dict"),
    ],
)
def test_odd_weights_are_refused_by_name(
    changes: dict[str, Any], message: str, released: dict[str, Tensor], tmp_path: Path
) -> None:
    torch.save(released | changes, tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=message):
        load_policy(tmp_path / "model.pth")


def zipped(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x")


FILES = {
    "empty": (lambda p: p.write_bytes(b""), "is empty"),
    "web page": (lambda p: p.write_text("<!DOCTYPE html><title>confirm</title>"), "is a web page"),
    "bare web page": (lambda p: p.write_text("\n<html><body>"), "is a web page"),
    "lfs": (
        lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "is a Git LFS pointer.*git lfs pull",
    ),
    "text": (lambda p: p.write_text("weights, one day\n"), "is a text file"),
    "yaml": (lambda p: p.write_text("policy:\n  widths: [8, 8]  # größer\n"), "is a text file"),
    "noise": (lambda p: p.write_bytes(bytes(range(256)) * 9), "torch did not write it"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(b"abc")), "compressed with gzip"),
    "hdf5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "is an HDF5 file"),
    "safetensors": (
        lambda p: p.write_bytes((2).to_bytes(8, "little") + b'{"a":{}}'),
        "is a safetensors file",
    ),
    "zip": (lambda p: zipped(p, "a.txt"), "zip archive that torch did not write"),
    "sb3": (lambda p: zipped(p, "data", "policy.pth"), "Stable-Baselines3 archive"),
    "module": (lambda p: torch.save(torch.nn.Linear(2, 2), p), "more than tensors"),
    "path": (lambda p: torch.save({"where": Path("x")}, p), "it holds pathlib.*run code"),
    "list": (lambda p: torch.save([torch.zeros(2)], p), "no format_version in a list"),
    "tensor": (lambda p: torch.save(torch.zeros(2), p), "no format_version in a Tensor"),
    "number": (lambda p: torch.save(3, p), "no format_version in a int"),
    "dict": (lambda p: torch.save({}, p), "no format_version"),
    "keys": (lambda p: torch.save({1: torch.zeros(2)}, p), "no format_version"),
    "folder": (lambda p: p.mkdir(), "is a folder"),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("load", [load_policy, load_checkpoint])
def test_a_file_of_another_kind_is_told_what_it_is(kind: str, load: Any, tmp_path: Path) -> None:
    write, message = FILES[kind]
    write(tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match=message) as error:
        load(tmp_path / "model.pth")
    assert "weights_only" not in str(error.value)
    assert "\n" not in str(error.value)


ODD = {
    "no config": ({"config": None}, "no config"),
    "no observation": ({"observation_spec": None}, "no observation_spec"),
    "a list as policy": ({"policy": []}, "a list as policy"),
    "a text as ranks": ({"ranks": "two"}, "a str as ranks"),
    "an unknown entry": ({"surprise": 1}, "an unknown entry surprise"),
    "no shape": ({"observation_spec": {"vector": {"dtype": "float32"}}}, "vector of"),
    "a shape of words": (
        {"observation_spec": {"vector": {"shape": ["x"], "dtype": "float32"}}},
        "vector of",
    ),
    "a shape of terabytes": (
        {"observation_spec": {"bev": {"shape": [1 << 20, 1 << 20], "dtype": "uint8"}}},
        "bev of",
    ),
    "a dtype": ({"observation_spec": {"vector": {"shape": [4], "dtype": "object"}}}, "vector of"),
    "no actions": ({"action_spec": {}}, "action of"),
    "a config that cannot be read": ({"config": {"policy": "${a.b"}}, "cannot be read"),
    "no policy in the config": ({"config": {}}, "does not say how its policy is built"),
    "a policy of another keyword": (
        {"config": {"policy": CONFIG["policy"] | {"depth": 3}}},
        "cannot be built.*depth",
    ),
    "no weights": ({"policy": {}}, "it lacks"),
    "NaN": ({"policy": {"dist_mu.0.bias": torch.tensor([0.0, torch.nan])}}, "NaN or infinite"),
}


@pytest.mark.parametrize("oddity", ODD)
def test_an_odd_checkpoint_of_our_own_is_refused_with_a_reason(oddity: str, tmp_path: Path) -> None:
    changes, message = ODD[oddity]
    payload: dict[str, Any] = {
        "format_version": 1,
        "policy": {"weight": torch.zeros(2)},
        "config": CONFIG,
        "choices": {},
        "observation_spec": SPEC,
        "action_spec": {"shape": [2]},
        **changes,
    }
    torch.save({k: v for k, v in payload.items() if v is not None}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match=message):
        load_policy(tmp_path / "model.pt")


def test_our_own_weights_load_under_the_names_of_ddp(tmp_path: Path) -> None:
    space = spaces.Dict(
        {n: spaces.Box(-np.inf, np.inf, tuple(e["shape"]), np.float32) for n, e in SPEC.items()}
    )
    policy = instantiate(
        CONFIG["policy"], observation_space=space, action_space=spaces.Box(-1.0, 1.0, (2,))
    )
    state = renamed(dict(policy.state_dict()), "module.")
    save_checkpoint(tmp_path / "m.pt", Checkpoint(state, CONFIG, {}, SPEC, {"shape": [2]}))
    loaded = load_policy(tmp_path / "m.pt").policy.state_dict()
    for name, tensor in policy.state_dict().items():
        torch.testing.assert_close(loaded[name], tensor)
