"""Configuration shared by all tests."""

import os
from collections.abc import Sequence
from importlib.util import find_spec

import pytest
from hypothesis import settings

# One thread a process, set before torch starts its pool: sums keep one order in this process and
# in the commands it starts, and a busy machine is not made busier.
os.environ["OMP_NUM_THREADS"] = "1"

# Kernels compile inside the first example, and a run must not depend on luck
settings.register_profile("kernels", deadline=None, derandomize=True)
settings.load_profile("kernels")


NO_DEVKIT = "nuplan-devkit is not on the PYTHONPATH"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--no-skips`, for runs whose point is that everything runs."""
    parser.addoption("--no-skips", action="store_true", help="fail where a test is skipped")


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Skip what is marked `nuplan` where the devkit is not importable."""
    if find_spec("nuplan") is None:
        for item in items:
            if item.get_closest_marker("nuplan") is not None:
                item.add_marker(pytest.mark.skip(reason=NO_DEVKIT))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line how to run what was skipped for want of the devkit."""
    skipped = terminalreporter.stats.get("skipped", [])
    number = sum(NO_DEVKIT in str(report.longrepr) for report in skipped)
    if number:
        terminalreporter.write_line(
            f"{number} nuplan-devkit tests skipped: "
            "make test-nuplan NUPLAN_DEVKIT_ROOT=PATH runs them"
        )


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run with `--no-skips` in which something was skipped."""
    if session.config.getoption("--no-skips"):
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.stats.get("skipped"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
