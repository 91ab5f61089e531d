"""KernelCacheLocator: a compiled kernel is as old as the files it was compiled from.

Numba recompiles a kernel when its own file has changed, but not when a function or a constant that
it takes from another file has: a stale kernel would outlive the edit. This locator stamps a kernel
with its file and all files of the same packages that it imports, directly or not. So an edit
compiles what depends on it and nothing else, and since the stamp is of contents, not of places,
every checkout of the same sources finds the same kernels.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import UserProvidedCacheLocator

from sim_adapters.compile_display import show_compilation
from sim_adapters.kernel_cache import kernel_folder
from sim_adapters.kernel_cache_file import use_locked_cache_files
from sim_adapters.kernel_interrupts import hold_signals_while_compiling
from sim_adapters.source_files import code_digest, imported_files

KERNEL_PACKAGES = ("sim_adapters", "evaluation", "rewards")
KEPT_VERSIONS = 6  # of a module's kernels: enough for a few checkouts and what was just undone
# Numba imports this file once, before the first kernel
hold_signals_while_compiling()
show_compilation()
use_locked_cache_files()


class KernelCacheLocator(UserProvidedCacheLocator):
    """Keeps kernels of this project, and of files that import it, in `kernel_folder()`."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file = py_file
        package = py_func.__module__.partition(".")[0]
        self._digest = code_digest(py_file, frozenset({*KERNEL_PACKAGES, package}))
        self._versions = kernel_folder() / py_func.__module__
        self._cache_path = str(self._versions / self._digest[:16])

    def get_source_stamp(self) -> str:
        """Hash over the file and what it imports."""
        return self._digest

    def ensure_cache_path(self) -> None:
        """Make the folder of this version of the module; the oldest versions make room for it."""
        is_new = not Path(self._cache_path).is_dir()
        super().ensure_cache_path()
        if is_new:
            versions = sorted(self._versions.iterdir(), key=_modified_s, reverse=True)
            for old in versions[KEPT_VERSIONS:]:
                shutil.rmtree(old, ignore_errors=True)

    def get_disambiguator(self) -> str:
        """Nothing: the name says which kernel it is, and an edit above it must not leave a file."""
        return ""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> KernelCacheLocator | None:
        """A locator, or None for functions that are not ours."""
        if not Path(py_file).is_file():
            return None
        package = py_func.__module__.partition(".")[0]
        if package not in KERNEL_PACKAGES and not imported_files(
            py_file, frozenset(KERNEL_PACKAGES)
        ):
            return None
        locator = cls(py_func, py_file)
        try:
            locator.ensure_cache_path()
        except OSError:  # nowhere to write: numba's own locators may know a place
            return None
        return locator


class UnkeptKernelLocator(KernelCacheLocator):
    """For a machine on which no folder can be written: every process compiles for itself."""

    def ensure_cache_path(self) -> None:
        """Make nothing: saving a kernel then fails, which is told once."""

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> UnkeptKernelLocator | None:
        """A locator for every function that has a file."""
        return cls(py_func, py_file) if Path(py_file).is_file() else None


def _modified_s(folder: Path) -> float:
    """When a kernel was last kept there; another process may have removed it meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return folder.stat().st_mtime
    return 0.0
