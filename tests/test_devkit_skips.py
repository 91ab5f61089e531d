"""What tests of nuPlan's devkit do where it is missing: skip, and say in one line how to run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

@pytest.mark.nuplan
@pytest.mark.parametrize("number", [1, 2])
def test_of_the_devkit(number):
    import nuplan

def test_of_anything_else():
    pass

@pytest.mark.skip(reason="for a reason of its own")
def test_that_waits():
    pass
"""
LINE = "2 nuplan-devkit tests skipped: make test-nuplan NUPLAN_DEVKIT_ROOT=PATH runs them"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with this one's conftest.py."""
    shutil.copy(Path(__file__).parent / "conftest.py", tmp_path)
    (tmp_path / "test_it.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = nuplan\n")
    return tmp_path


def run_pytest(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Pytest in the project, which is all that it can import beside what is installed."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project), "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_the_devkit_its_tests_are_skipped_with_one_line(project: Path) -> None:
    run = run_pytest(project)
    assert run.returncode == 0, run.stdout
    assert "1 passed, 3 skipped" in run.stdout
    assert run.stdout.splitlines().count(LINE) == 1


def test_with_the_devkit_they_run_and_nothing_is_said(project: Path) -> None:
    (project / "nuplan").mkdir()
    (project / "nuplan" / "__init__.py").touch()
    run = run_pytest(project, "-m", "nuplan", "--no-skips")
    assert run.returncode == 0, run.stdout
    assert "2 passed" in run.stdout
    assert "nuplan-devkit" not in run.stdout


def test_a_run_without_skips_fails_where_the_devkit_is_missing(project: Path) -> None:
    run = run_pytest(project, "-m", "nuplan", "--no-skips")
    assert run.returncode == 1
    assert "2 skipped" in run.stdout
    assert LINE in run.stdout
