"""Which message a command ends with, for errors that no start of a command brings about here."""

import itertools
import os
from pathlib import Path

import pytest
from hydra.errors import InstantiationException

from carl_planner.command_errors import input_error_message


def chain(*errors: Exception) -> Exception:
    """The first error, caused by the second, and so on."""
    for error, cause in itertools.pairwise(errors):
        error.__cause__ = cause
    return errors[0]


@pytest.mark.parametrize(
    ("module", "remedy"),
    [
        ("nuplan.common.actor_state", "nuplan is not installed: put a checkout of nuplan-devkit"),
        ("stable_baselines3", "pip install stable-baselines3"),
        ("carla", "pip install carla==0.9.16"),
    ],
)
def test_missing_package_is_named_with_its_remedy(module: str, remedy: str) -> None:
    missing = ModuleNotFoundError(f"No module named {module!r}", name=module)
    error = chain(InstantiationException("Error locating target"), ImportError("x"), missing)
    assert remedy in (input_error_message(error) or "")
    assert remedy in (input_error_message(missing) or "")


def test_missing_module_of_ours_is_no_input_error() -> None:
    error = ModuleNotFoundError("No module named 'sim_adapter'", name="sim_adapter")
    assert input_error_message(error) is None


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    error = PermissionError(13, os.strerror(13), str(tmp_path))
    message = f"{tmp_path}: Permission denied; name another file or folder"
    assert input_error_message(error) == message
