"""KernelCacheLocator: a compiled kernel is as old as the files it was compiled from.

Numba recompiles a kernel when its own file has changed, but not when a function or a constant that
it takes from another file has: a stale kernel would outlive the edit. This locator stamps a kernel
with its file and all files of the same packages that it imports, directly or not. So an edit
compiles what depends on it and nothing else.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba.core.caching import UserProvidedCacheLocator

from sim_adapters.kernel_cache import kernel_folder
from sim_adapters.kernel_cache_file import use_locked_cache_files
from sim_adapters.kernel_interrupts import hold_signals_while_compiling

KERNEL_PACKAGES = ("sim_adapters", "evaluation", "rewards")
# Numba imports this file once, before the first kernel
hold_signals_while_compiling()
use_locked_cache_files()


class KernelCacheLocator(UserProvidedCacheLocator):
    """Keeps kernels of this project, and of files that import it, in `kernel_folder()`."""

    def __init__(self, py_func: Callable[..., Any], py_file: str) -> None:
        self._py_file = py_file
        self._package = py_func.__module__.partition(".")[0]
        subfolder = self.get_suitable_cache_subpath(py_file)
        self._cache_path = str(kernel_folder() / subfolder)

    def get_source_stamp(self) -> bytes:
        """Hash over the file and what it imports."""
        return source_stamp(self._py_file, frozenset({*KERNEL_PACKAGES, self._package}))

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


@functools.cache
def source_stamp(path: str, packages: frozenset[str]) -> bytes:
    """Hash over a file and all files of `packages` that it imports, directly or not."""
    seen, waiting = {path}, [path]
    while waiting:
        new = imported_files(waiting.pop(), packages) - seen
        seen |= new
        waiting.extend(new)
    digest = hashlib.sha256()
    for file in sorted(seen):
        digest.update(file.encode())
        digest.update(Path(file).read_bytes())
    return digest.digest()


@functools.cache
def imported_files(path: str, packages: frozenset[str]) -> frozenset[str]:
    """Files of `packages` that the imports of a file name."""
    found: set[str | None] = set()
    for node in ast.walk(ast.parse(Path(path).read_bytes())):
        if isinstance(node, ast.Import):
            found |= {module_file(alias.name, packages) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            file = module_file(node.module, packages)
            found.add(file)
            if file is not None and file.endswith("__init__.py"):  # its names may be modules
                names = (f"{node.module}.{alias.name}" for alias in node.names)
                found |= {module_file(name, packages) for name in names}
    return frozenset(file for file in found if file is not None)


@functools.cache
def module_file(name: str, packages: frozenset[str]) -> str | None:
    """Source file of a module of these packages, None if there is no such module."""
    if name.partition(".")[0] not in packages:
        return None
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return spec.origin if spec is not None and spec.has_location else None
