"""Runs the project's commands as a user does, in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from command_result import CommandResult, environment  # noqa: E402

Runner = Callable[..., CommandResult]


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


@pytest.fixture(scope="session")
def run_command(host: subprocess.Popen[str], tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """`run_command(module, *arguments, folder=None)`: the command in that or a new folder."""

    def run(module: str, *arguments: str, folder: Path | None = None) -> CommandResult:
        assert host.stdin is not None
        assert host.stdout is not None
        cwd = str(folder or tmp_path_factory.mktemp("command"))
        request = {"module": module, "arguments": arguments, "folder": cwd}
        host.stdin.write(json.dumps(request) + "\n")
        host.stdin.flush()
        return CommandResult(**json.loads(host.stdout.readline()))

    return run
