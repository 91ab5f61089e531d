"""CUDA kernels without a GPU: what they draw, in numba's simulator, and what they refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from sim_adapters.observation.channels import StopSign
from tests.observation.bev_helpers import make_observer
from tests.observation.observation_scenes import straight_road_bank

ROOT = Path(__file__).parents[2]


class MyStopSign(StopSign):
    """A painter of one's own, which may draw anything."""

    def paint(self, view, rows, maps, frames, channel, fresh, brush) -> None:
        raise NotImplementedError


def test_grids_pass_in_the_simulator() -> None:
    """Numba takes its simulator when it is imported, so this needs a process of its own."""
    simulated = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu_sim", "tests"]
    ignored = ["--ignore=tests/commands", "-p", "no:cacheprovider"]
    run = subprocess.run(
        [*command, *ignored], cwd=ROOT, env=simulated, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert " passed" in run.stdout


def test_a_painter_of_ones_own_says_that_it_is_cpu_only() -> None:
    observer = make_observer("carl_bev_64", channels={"sign": MyStopSign()})
    with pytest.raises(ValueError, match=r"channels\.sign: MyStopSign is CPU only"):
        observer.device_painter(straight_road_bank(), torch.device("cuda", 0))


def test_without_a_gpu_nothing_is_painted_on_one() -> None:
    observer = make_observer("carl_bev_64", channels={"sign": StopSign()})
    with pytest.raises(ValueError, match=r"device is cpu: use ppo\.paint_on=cpu"):
        observer.device_painter(straight_road_bank(), torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_machine_without_cuda_is_told_what_to_install() -> None:
    observer = make_observer("carl_bev_64", channels={"sign": StopSign()})
    with pytest.raises(ValueError, match=r"pip install 'carl-planner\[gpu\]'"):
        observer.device_painter(straight_road_bank(), torch.device("cuda", 0))
