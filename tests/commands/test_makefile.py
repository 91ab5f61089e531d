"""What `make` says where it cannot start."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
OTHER_VERSION = """#!/bin/sh
exec {python} -c "import sys; sys.version_info = (3, 13, 0); exec(sys.argv[1])" "$2"
"""


needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@needs_make
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


def files_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def clean_cache(tmp_path: Path, **environment: str) -> str:
    """What `make clean-cache` says; its interpreter stands in an environment of its own."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / ".ready").touch()
    python = tmp_path / "venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    kept = {key: text for key, text in os.environ.items() if "CACHE" not in key}
    made = subprocess.run(
        ["make", "clean-cache", f"VENV={tmp_path / 'venv'}"],
        cwd=REPOSITORY,
        env=kept | {"HOME": str(tmp_path / "home"), "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


@needs_make
@pytest.mark.parametrize("moved", [False, True])
def test_clean_cache_removes_the_folder_that_the_readme_names_and_nothing_else(
    tmp_path: Path, moved: bool
) -> None:
    text = " ".join((REPOSITORY / "README.md").read_text().split())
    named = re.search(r"only `~/(\S+)` is written \([^)]*`make clean-cache` removes it", text)
    assert named
    home = tmp_path / "home"
    caches = {False: home / named[1], True: tmp_path / "elsewhere"}
    for folder in (*caches.values(), home / ".cache" / "other", home / "outputs"):
        (folder / "kernels").mkdir(parents=True)
        (folder / "kernels" / "a").touch()
    before = files_below(tmp_path)
    said = clean_cache(tmp_path, **({"CARL_PLANNER_CACHE": str(caches[True])} if moved else {}))
    assert f"removed {caches[moved]}" in said
    assert not caches[moved].exists()
    gone = str((caches[moved] / "kernels" / "a").relative_to(tmp_path))
    assert before - files_below(tmp_path) == {gone}
