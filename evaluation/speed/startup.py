"""How long a new process takes to its first step, with and without compiled kernels on disk."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

from evaluation.speed.stopwatch import Measurement

FIRST_STEP = """
import numpy as np
from sim_adapters.gymnasium_envs import make_embedded_vec
env = make_embedded_vec(2, ["experiment=demo"])
env.reset(seed=0)
env.step(np.zeros((2, 2), np.float32))
"""


def seconds_to_first_step(kernel_folder: str) -> float:
    """Wall time of a process that imports, composes, resets two worlds and steps once."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": kernel_folder}
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", FIRST_STEP], check=True, env=environment)
    return time.perf_counter() - start


def measure_compile() -> list[Measurement]:
    """Cold start once (kernels compiled), then warm starts (kernels loaded); maps are cached."""
    with tempfile.TemporaryDirectory() as folder:
        cold = seconds_to_first_step(folder)
        warm = sorted(seconds_to_first_step(folder) for _ in range(3))
    return [
        Measurement("compile_s.cold", cold, "s", cold, cold, note="to the first step"),
        Measurement("compile_s.warm", warm[1], "s", warm[0], warm[2], note="to the first step"),
    ]
