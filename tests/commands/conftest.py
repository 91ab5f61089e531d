"""Runs the project's commands as a user does, in processes of their own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
sys.path.insert(0, str(HERE))

from command_result import CommandResult  # noqa: E402

Runner = Callable[..., CommandResult]


def environment() -> dict[str, str]:
    """Of commands: no kernel is compiled, a few steps of small worlds are fast enough in Python."""
    paths = (REPOSITORY, HERE / "user_folder", HERE.parent / "carl_planner")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONWARNINGS": "ignore::RuntimeWarning",
        "NUMBA_DISABLE_JIT": "1",
        "OMP_NUM_THREADS": "1",
    }


@pytest.fixture(scope="session")
def host() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(HERE / "command_host.py")],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process


@pytest.fixture
def run_command(host: subprocess.Popen[str], tmp_path: Path) -> Runner:
    """`run_command(module, *arguments)`: the command in the test's folder."""

    def run(module: str, *arguments: str) -> CommandResult:
        assert host.stdin is not None
        assert host.stdout is not None
        request = {"module": module, "arguments": arguments, "folder": str(tmp_path)}
        host.stdin.write(json.dumps(request) + "\n")
        host.stdin.flush()
        return CommandResult(**json.loads(host.stdout.readline()))

    return run
