"""The raster's grids compile for a GPU, which takes NVVM but no GPU: pip install '.[gpu]'."""

from __future__ import annotations

import importlib
import re
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numba import typeof

from tests.observation.bev_helpers import allocate, make_observer
from tests.observation.observation_scenes import straight_road_bank

HOPPER = (9, 0)  # compute capability


@pytest.mark.skipif(find_spec("numba_cuda") is None, reason="numba-cuda is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_grid_compiles_and_contracts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    grids = importlib.import_module("sim_adapters.grid_kernels")
    nvvm = importlib.import_module("numba.cuda.cudadrv.nvvm")
    if not nvvm.is_available():
        pytest.skip("NVVM is not installed")
    dispatcher = importlib.import_module("numba.cuda.dispatcher")
    card = SimpleNamespace(compute_capability=HOPPER)
    monkeypatch.setattr(dispatcher, "get_current_device", lambda: card)
    compiled: dict[str, str] = {}

    def compile_only(kernel: Any, blocks: tuple[int, int], threads: int, *arguments: Any) -> None:
        types = tuple(typeof(argument) for argument in arguments)
        name = kernel.function.__name__
        with grids.without_contraction():
            compiled[name], _ = grids.cuda.compile_ptx(kernel.function, types, cc=HOPPER)
        if name == "place_windows_grid":
            compiled["contracted"], _ = grids.cuda.compile_ptx(kernel.function, types, cc=HOPPER)

    monkeypatch.setattr(grids, "check_device", lambda device: None)
    monkeypatch.setattr(grids, "on_device", lambda array: array)
    monkeypatch.setattr(grids, "as_device_array", lambda tensor: tensor.numpy())
    monkeypatch.setattr(grids.GridKernel, "launch", compile_only)
    observer = make_observer("carl_bev")
    rows = {k: torch.from_numpy(v) for k, v in allocate(observer.stored_space, 1).items()}
    out = {k: torch.from_numpy(v) for k, v in allocate(observer.space, 1).items()}
    observer.device_painter(straight_road_bank(), torch.device("cpu")).paint(rows, out)
    num_fused = {name: len(re.findall(r"\bfma\.", ptx)) for name, ptx in compiled.items()}
    assert {"place_windows_grid", "warp_grid", "paint_shapes_grid"} < set(num_fused)
    # What is left of them are the polynomials of sines and cosines, which ask for them
    assert 0 < num_fused["place_windows_grid"] < num_fused["contracted"]
    assert num_fused["warp_grid"] == 0  # integers
    assert np.all(out["bev"].numpy() == 0)  # cleared, then nothing was launched
