"""Decorator of CUDA kernels, the loops over frames that a GPU runs.

The scalar functions that they call are those of the CPU: numba compiles a kernel of `kernels.py`
for the device when a grid kernel calls it. Products and sums are not contracted into one rounding
(`fma`), as they are not on the CPU, so that both draw the same picture.

Nothing imports this module before a GPU is asked for; NUMBA_ENABLE_CUDASIM=1 NUMBA_DISABLE_JIT=1
runs grid kernels as the Python that they are, for tests.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numba import cuda as numba_cuda
from numba.core import config
from torch import Tensor

_numba_config: Any = config  # whose names come from the environment
cuda: Any = numba_cuda  # its stubs tell a type checker less than nothing
_compiling = threading.RLock()
# Acting for a few worlds fills no GPU, and numba would say so at every launch
warnings.filterwarnings("ignore", ".*will likely result in GPU under-utilization")


def is_simulated() -> bool:
    """Whether grid kernels run in numba's simulator, on the CPU."""
    return bool(_numba_config.ENABLE_CUDASIM)


def check_device(device: torch.device) -> None:
    """Make sure that grid kernels can run there.

    Raises:
        ValueError: there is no GPU, no numba-cuda, or the device is none; says what to do.
    """
    if is_simulated():
        if not _numba_config.DISABLE_JIT:
            raise ValueError(
                "NUMBA_ENABLE_CUDASIM=1 runs CUDA kernels as Python: set NUMBA_DISABLE_JIT=1 too"
            )
        return
    if device.type != "cuda":
        raise ValueError(
            f"pictures are to be painted on a GPU, but this run's device is {device}: use "
            "ppo.paint_on=cpu, or device=cuda on a machine with a GPU"
        )
    if not cuda.is_available():
        raise ValueError(
            "numba finds no CUDA: pip install 'carl-planner[gpu]' brings what it needs beside the "
            "driver; or paint on the CPU with ppo.paint_on=cpu"
        )
    cuda.select_device(device.index if device.index is not None else torch.cuda.current_device())


def on_device(array: np.ndarray) -> Any:
    """A copy of an array for grid kernels, on the selected device."""
    return array if is_simulated() else cuda.to_device(np.ascontiguousarray(array))


def as_device_array(tensor: Tensor) -> Any:
    """A tensor's own memory as grid kernels take it."""
    return tensor.numpy() if is_simulated() else cuda.as_cuda_array(tensor)


class GridKernel:
    """A CUDA kernel, launched in torch's present stream."""

    def __init__(self, function: Callable[..., None]) -> None:
        # Without link-time optimisation NVVM's own options reach all of the code
        options = {} if is_simulated() else {"lto": False}
        self.function = function
        self._kernel: Any = cuda.jit(**options)(function)

    def launch(self, num_blocks: tuple[int, int], num_threads: int, *arguments: Any) -> None:
        """Run it on a grid of (x, y) blocks; returns before it is done."""
        if min(num_blocks) < 1:
            return
        with without_contraction():
            self._kernel[num_blocks, num_threads, _torch_stream()](*arguments)


def grid_kernel(function: Callable[..., None]) -> GridKernel:
    """Make a function over a grid a CUDA kernel."""
    return GridKernel(function)


@contextmanager
def without_contraction() -> Iterator[None]:
    """Compile CUDA kernels such that a product and a sum are rounded each."""
    if is_simulated():
        yield
        return
    from numba.cuda.cudadrv import nvvm

    with _compiling:
        compile_ir = nvvm.compile_ir

        def compile_apart(llvmir: Any, **options: Any) -> Any:
            return compile_ir(llvmir, **{**options, "fma": False})

        nvvm.compile_ir = compile_apart
        try:
            yield
        finally:
            nvvm.compile_ir = compile_ir


def _torch_stream() -> Any:
    if is_simulated():
        return 0
    handle = torch.cuda.current_stream().cuda_stream
    return cuda.external_stream(handle) if handle else 0
