"""A kernel that was cached before an edit of what it uses in another file must see the edit."""

import gc
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import sim_adapters
from sim_adapters.kernel_locator import KEPT_VERSIONS, KernelCacheLocator
from sim_adapters.source_files import code_digest, imported_files, module_file, source_files

NONE: frozenset[str] = frozenset()
CALLEE = """
from sim_adapters.kernels import device_function
@device_function
def gain():
    return {value}
"""
CALLER = """
from package.callee import gain
from sim_adapters.kernels import device_function
@device_function
def doubled():
    return 2 * gain()
"""
BYSTANDER = """
from sim_adapters.kernels import device_function
@device_function
def one():
    return 1
"""
MAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from package.bystander import one
from package.caller import doubled
def hits(kernel):
    return sum(kernel.for_python.stats.cache_hits.values())
print(doubled(), one(), hits(doubled), hits(one))
"""


def run_caller(folder: Path) -> list[int]:
    """Results of the two kernels, then how often each was found in the cache."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["NUMBA_CACHE_DIR"] = str(folder / "cache")
    command = [sys.executable, "-c", MAIN, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [int(word) for word in done.stdout.split()]


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "caller.py").write_text(CALLER)
    (folder / "callee.py").write_text(CALLEE.format(value=3))
    (folder / "bystander.py").write_text(BYSTANDER)
    yield folder
    sys.modules.pop("package", None)  # each test has a package of that name elsewhere
    for cached in (source_files, code_digest, module_file):
        cached.cache_clear()


def test_an_edited_callee_compiles_its_caller_again_and_nothing_else(package: Path) -> None:
    assert run_caller(package.parent) == [6, 1, 0, 0]
    assert run_caller(package.parent) == [6, 1, 1, 1]  # both from the disk
    (package / "callee.py").write_text(CALLEE.format(value=5))
    assert run_caller(package.parent) == [10, 1, 0, 1]
    (package / "callee.py").write_text(CALLEE.format(value=3))
    assert run_caller(package.parent) == [6, 1, 1, 1]  # an edit undone costs nothing


def test_another_checkout_of_the_same_sources_compiles_nothing(package: Path) -> None:
    assert run_caller(package.parent) == [6, 1, 0, 0]
    other = package.parent / "elsewhere"
    shutil.copytree(package, other / "package")
    shutil.copytree(package.parent / "cache", other / "cache")
    assert run_caller(other) == [6, 1, 1, 1]


def test_old_versions_do_not_pile_up(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(package.parent / "cache"))
    monkeypatch.syspath_prepend(str(package.parent))

    def doubled() -> None:
        """Stands for the kernel, which need not be compiled to be given a folder."""

    doubled.__module__ = "package.caller"
    made = []
    for value in range(KEPT_VERSIONS + 3):
        (package / "callee.py").write_text(CALLEE.format(value=value))
        for cached in (source_files, code_digest):
            cached.cache_clear()
        locator = KernelCacheLocator.from_function(doubled, str(package / "caller.py"))
        assert locator is not None
        made.append(Path(locator.get_cache_path()))
        os.utime(made[-1], (value, value))
    assert len(set(made)) == len(made)
    assert set(made[0].parent.iterdir()) == set(made[-KEPT_VERSIONS:])


def test_stamp_follows_imports_of_imports(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(package.parent))
    packages = frozenset({"package"})
    (package / "top.py").write_text("from package import caller\n")
    top = str(package / "top.py")
    assert str(package / "caller.py") in imported_files(top, packages)
    digest = code_digest(top, packages)
    (package / "callee.py").write_text(CALLEE.format(value=7))
    for cached in (source_files, code_digest):
        cached.cache_clear()
    assert code_digest(top, packages) != digest


def test_threads_may_read_sources_at_the_same_time() -> None:
    files = [str(file) for file in sorted(Path(sim_adapters.__file__).parent.rglob("*.py"))]

    def yield_to_others(phase: str, info: dict[str, int]) -> None:
        time.sleep(0.0)

    threshold = gc.get_threshold()
    gc.callbacks.append(yield_to_others)  # as hypothesis has one: other threads run within a parse
    gc.set_threshold(1_000)
    try:
        with ThreadPoolExecutor(8) as pool:
            at_once = list(pool.map(lambda file: imported_files.__wrapped__(file, NONE), files))
    finally:
        gc.callbacks.remove(yield_to_others)
        gc.set_threshold(*threshold)
    assert at_once == [NONE] * len(files)
