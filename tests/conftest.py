"""Configuration shared by all tests."""

import os

import pytest
from hypothesis import settings

# One thread a process, set before torch starts its pool: sums keep one order in this process and
# in the commands it starts, and a busy machine is not made busier.
os.environ["OMP_NUM_THREADS"] = "1"

# Kernels compile inside the first example, and a run must not depend on luck
settings.register_profile("kernels", deadline=None, derandomize=True)
settings.load_profile("kernels")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--no-skips`, for runs whose point is that everything runs."""
    parser.addoption("--no-skips", action="store_true", help="fail where a test is skipped")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run with `--no-skips` in which something was skipped."""
    if session.config.getoption("--no-skips"):
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None and reporter.stats.get("skipped"):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
