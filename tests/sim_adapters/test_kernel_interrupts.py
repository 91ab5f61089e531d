"""A signal during compilation raises what its handler raises, and the kernel is compiled."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = """
import signal
import sys
import numpy as np
from numba.core import codegen
from sim_adapters.kernels import range_kernel

@range_kernel
def sum_roots_range(first: int, last: int, out: np.ndarray) -> None:
    for i in range(first, last):
        out[i] = 1.0 + np.sqrt(i) + np.sin(i) * np.cos(i) ** 3 + np.exp(-i) * np.arctan2(i, 3.0)

def expire(number, frame):
    raise TimeoutError("the time is up")

finalize = codegen.JitEngine.finalize_object

def finalize_with_alarm(engine):
    signal.setitimer(signal.ITIMER_REAL, 1e-4)  # comes while LLVM generates machine code
    return finalize(engine)

signal.signal(signal.SIGALRM, expire)
codegen.JitEngine.finalize_object = finalize_with_alarm
try:
    sum_roots_range(0, 2, np.zeros(2))
except TimeoutError as error:
    print(f"raised: {error}")
codegen.JitEngine.finalize_object = finalize
signal.setitimer(signal.ITIMER_REAL, 0.0)
assert signal.getsignal(signal.SIGALRM) is expire
values = np.zeros(2)
sum_roots_range(0, 2, values)
print(f"computed: {values[0]}")
"""


def test_an_alarm_during_compilation_is_raised_and_the_kernel_works(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path / "kernels")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == ["raised: the time is up", "computed: 1.0"], done.stderr
    assert "no compiled object" not in done.stderr
