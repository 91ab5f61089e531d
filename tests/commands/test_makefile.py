"""What `make` says where it cannot start."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
OTHER_VERSION = """#!/bin/sh
exec {python} -c "import sys; sys.version_info = (3, 13, 0); exec(sys.argv[1])" "$2"
"""


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_another_python_is_refused_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder)
    python = tmp_path / "python3.13"
    python.write_text(OTHER_VERSION.format(python=sys.executable))
    python.chmod(0o755)
    made = subprocess.run(
        ["make", "look", f"PYTHON={python}"], cwd=folder, capture_output=True, text=True
    )
    assert made.returncode != 0
    first, *rest = made.stderr.splitlines()
    assert first.startswith(f"error: Python 3.11 or 3.12 is needed, {python} is 3.13")
    assert len(rest) == 1  # make's own
    assert not (folder / ".venv").exists()
