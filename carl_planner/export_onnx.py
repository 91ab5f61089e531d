"""Write a policy as ONNX: `python -m carl_planner.export_onnx checkpoint=PATH output=policy.onnx`.

The file's inputs are the observation's entries under their own names, and random numbers for a
policy that draws; its output is the action that the policy drives with. It is checked against torch
before it is kept.
"""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from torch import Tensor, nn

from carl_planner.checkpoint import CheckpointError, write_atomically
from carl_planner.command_errors import hydra_command
from carl_planner.policy import ActorCritic
from carl_planner.policy_files import LoadedPolicy, load_policy
from carl_planner.publish import checkpoint_of

log = logging.getLogger(__name__)
CRITIC_ONLY = "value_measurements"  # what the actor doesn't see is no input of the file
DRAWS = "draws"  # (N, actions) random numbers in [0, 1), input of a policy that draws
OUTPUT = "action"
OPSET = 17
MAX_DIFFERENCE = 1e-4  # of an action in [-1, 1], between torch and the file


class DecidedAction(nn.Module):
    """What a policy decides as a function of named tensors in a fixed order."""

    def __init__(self, policy: ActorCritic, names: Sequence[str]) -> None:
        super().__init__()
        self.policy, self.names = policy, tuple(names)

    def forward(self, *entries: Tensor) -> Tensor:
        """Shape (N, actions), in [-1, 1]."""
        named = dict(zip(self.names, entries, strict=True))
        return self.policy.drive(named, named.get(DRAWS))


def export_onnx(loaded: LoadedPolicy, path: Path, *, seed: int = 0) -> float:
    """Write the file and return the largest difference from torch on random observations.

    Args:
        loaded: The policy, on the CPU.
        path: Of the file; replaced if it is there.
        seed: Of the observations.

    Raises:
        CheckpointError: the file answers otherwise than torch, and isn't kept.
    """
    importlib.import_module("onnx")  # torch would wrap the missing package in an error of its own
    spec = dict(loaded.observation_spec)
    if loaded.policy.draws:
        spec[DRAWS] = {"shape": loaded.policy.action_space_low.shape, "dtype": "float32"}
    names = [name for name in spec if name != CRITIC_ONLY]
    module = DecidedAction(loaded.policy, names).eval()
    with TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using the legacy", DeprecationWarning)
        written = Path(folder) / "policy.onnx"
        torch.onnx.export(
            module,
            tuple(random_observation(spec, names, 2, seed).values()),
            str(written),
            input_names=names,
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "batch"} for name in (*names, OUTPUT)},
            opset_version=OPSET,
            dynamo=False,  # the other exporter needs onnxscript
        )
        model = written.read_bytes()
    observation = random_observation(spec, names, 3, seed + 1)
    with torch.no_grad():
        expected = module(*observation.values()).numpy()
    found = run_onnx(model, observation)
    difference = float(np.abs(found - expected).max())
    if not difference <= MAX_DIFFERENCE:
        raise CheckpointError(
            f"the ONNX file's actions differ from torch's by {difference:.2g}, expected at most "
            f"{MAX_DIFFERENCE}: nothing was written"
        )
    write_atomically(path, model)
    return difference


def run_onnx(model: bytes, observation: Mapping[str, Tensor]) -> NDArray[np.float32]:
    """Actions (N, actions) of an ONNX file, by onnx's reference implementation."""
    import onnx  # pyright: ignore[reportMissingImports]
    from onnx.reference import ReferenceEvaluator  # pyright: ignore[reportMissingImports]

    parsed = onnx.load_model_from_string(model)
    onnx.checker.check_model(parsed)
    inputs = {name: entry.numpy() for name, entry in observation.items()}
    (actions,) = ReferenceEvaluator(parsed).run([OUTPUT], inputs)
    return np.asarray(actions)


def random_observation(
    spec: Mapping[str, Any], names: Sequence[str], num_rows: int, seed: int
) -> dict[str, Tensor]:
    """Inputs of a policy's shapes: bytes in 0 ... 255, floats in [-1, 1], draws in [0, 1)."""
    rng = np.random.default_rng(seed)
    observation = {}
    for name in names:
        shape, dtype = (num_rows, *spec[name]["shape"]), np.dtype(spec[name]["dtype"])
        values = rng.integers(0, 256, shape) if dtype == np.uint8 else rng.uniform(-1.0, 1.0, shape)
        values = rng.uniform(size=shape) if name == DRAWS else values
        observation[name] = torch.from_numpy(values.astype(dtype))
    return observation


@hydra_command("export_onnx")
def main(config: DictConfig) -> None:
    """The command."""
    path = Path(config.checkpoint)
    path = checkpoint_of(path) if path.is_dir() else path
    output = Path(config.output or path.with_suffix(".onnx").name)
    difference = export_onnx(load_policy(path, trust=config.trust), output, seed=config.seed)
    log.info("%s: its actions are torch's within %.1g", output, difference)


if __name__ == "__main__":
    main()
