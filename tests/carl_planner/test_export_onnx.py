"""ONNX files of every kind of policy answer as torch does."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hydra import compose, initialize_config_module
from hydra.utils import instantiate

from carl_planner import export_onnx as export_module
from carl_planner.checkpoint import CheckpointError, describe_space
from carl_planner.export_onnx import DRAWS, OUTPUT, export_onnx, random_observation, run_onnx
from carl_planner.policy_files import LoadedPolicy

PAIRS = [
    ("mlp", "vector"),
    ("set_encoder", "vector_driver"),
    ("set_encoder policy.draws=true", "vector_driver"),
    ("small_cnn", "carl_bev_64"),
    ("roach", "roach_bev"),
]


@pytest.fixture
def onnx() -> ModuleType:
    return pytest.importorskip("onnx", reason="onnx is not installed: pip install -e '.[onnx]'")


def fresh_policy(policy: str, observation: str) -> LoadedPolicy:
    with initialize_config_module("configs", version_base="1.3"):
        words = f"policy={policy} observation={observation}".split()
        config = compose("train", words)
    space = instantiate(config.observation).space
    torch.manual_seed(0)
    network = instantiate(
        config.policy,
        observation_space=space,
        action_space=spaces.Box(-1.0, 1.0, (2,), np.float32),
    )
    return LoadedPolicy(network.eval(), describe_space(space), None, {})


@pytest.mark.parametrize(("policy", "observation"), PAIRS)
def test_file_answers_as_torch_under_the_observations_names(
    policy: str, observation: str, tmp_path: Path, onnx: ModuleType
) -> None:
    loaded = fresh_policy(policy, observation)
    path = tmp_path / "policy.onnx"
    assert export_onnx(loaded, path) < 1e-4
    names = [entry.name for entry in onnx.load(path).graph.input]
    drawn = {DRAWS} if loaded.policy.draws else set()
    assert set(names) == (set(loaded.observation_spec) - {"value_measurements"}) | drawn
    for rows in (1, 5):  # any number of rows
        spec = loaded.observation_spec | {DRAWS: {"shape": (2,), "dtype": "float32"}}
        seen = random_observation(spec, names, rows, seed=7)
        with torch.no_grad():
            expected = loaded.policy.drive(seen, seen.get(DRAWS)).numpy()
        np.testing.assert_allclose(run_onnx(path.read_bytes(), seen), expected, atol=1e-4)


def test_command_exports_the_shipped_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, onnx: ModuleType
) -> None:
    path = tmp_path / "driver.onnx"
    words = ["export_onnx", "checkpoint=pretrained/driver", f"output={path}"]
    monkeypatch.setattr(sys, "argv", words)
    export_module.main()
    assert [entry.name for entry in onnx.load(path).graph.output] == [OUTPUT]


@pytest.mark.usefixtures("onnx")
def test_file_that_answers_otherwise_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = export_module.run_onnx
    monkeypatch.setattr(export_module, "run_onnx", lambda *given: right(*given) + 0.01)
    with pytest.raises(CheckpointError, match=r"differ from torch.s by 0\.01"):
        export_onnx(fresh_policy("mlp", "vector"), tmp_path / "policy.onnx")
    assert list(tmp_path.iterdir()) == []


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    words = ["export_onnx", "checkpoint=pretrained/driver", f"output={tmp_path / 'driver.onnx'}"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit, match="onnx is not installed: pip install"):
        export_module.main()
    assert list(tmp_path.iterdir()) == []
