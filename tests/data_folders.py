"""Published files that are not part of this repository: where tests find them."""

import os
from pathlib import Path

import pytest

_SHARED = Path(__file__).parents[2] / "shared" / "data"  # beside the checkout


def data_folder(variable: str, name: str) -> Path:
    """The folder that an environment variable names, else ../shared/data/`name` if it is there.

    Skips the test, or all tests of the module that asks, if there is neither. A variable that names
    no folder is an error: who sets it wants the tests to run.
    """
    given = os.environ.get(variable)
    folder = Path(given) if given else _SHARED / name
    if folder.is_dir():
        return folder
    if given:
        raise FileNotFoundError(f"{variable}={given} is no folder")
    pytest.skip(f"set {variable}=FOLDER or provide ../shared/data/{name}", allow_module_level=True)
