"""Runs of the training command, in this process or another, and what they logged."""

import contextlib
import io
import logging
import os
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from carl_planner.metrics import read_metrics
from carl_planner.train import main

HERE = Path(__file__).parent


class CommandResult(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def train_command(folder: Path, *overrides: str) -> list[str]:
    """The command with the toy configs; a resumed run trusts the toy environment."""
    if any(word.startswith("resume=") for word in overrides):
        overrides = (*overrides, *(() if "trust=[]" in overrides else ("trust=[point_goal_env]",)))
    return [
        *(sys.executable, "-m", "carl_planner.train", "--config-dir", str(HERE / "toy_configs")),
        *(f"hydra.run.dir={folder}", *overrides),
    ]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}


def train(folder: Path, *overrides: str, check: bool = True) -> CommandResult:
    """Run the command in this process, which saves importing torch once more."""
    out, errors = io.StringIO(), io.StringIO()
    code = 0
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        patch.setattr(sys, "argv", ["carl-train", *train_command(folder, *overrides)[3:]])
        try:
            main()
        except SystemExit as error:
            code = 1
            errors.write(str(error))
        finally:  # hydra's handlers write to this command's output
            for handler in root.handlers:
                handler.close()
            root.handlers[:] = handlers
            root.setLevel(level)
    result = CommandResult(code, out.getvalue(), errors.getvalue())
    if check:
        assert code == 0, result.stdout + result.stderr
    return result


def losses(folder: Path) -> list[dict[str, float]]:
    """Logged lines without timings, which no two runs share."""
    return [
        {name: value for name, value in line.items() if not name.startswith("time/")}
        for line in read_metrics(folder)
    ]
