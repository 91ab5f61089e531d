"""torchrun with a short end: the reason alone is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SAYS_WHY = """
import os, time
if os.environ["RANK"] != "0":
    time.sleep(60.0)
raise SystemExit("error: the reason")
"""
DIES = """
import os, signal, time
if os.environ["RANK"] != "0":
    time.sleep(60.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("script", "status", "last"),
    [
        (SAYS_WHY, 1, "error: the reason"),
        (DIES, 1, "error: rank 0 ended with status -9 (signal 9)"),
        ("", 0, None),
    ],
)
def test_only_the_reason_is_printed(
    tmp_path: Path, script: str, status: int, last: str | None
) -> None:
    path = tmp_path / "script.py"
    path.write_text(script)
    words = ["--standalone", "--nproc_per_node=2", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "carl_planner.launch", *words],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert done.stderr.splitlines() == ([last] if last else [])
