"""Which source files a module is made of: what a file that a program has made depends on.

Compiled kernels (`kernel_locator`) and baked maps (`maps/opendrive.py`) are as old as all code that
made them, so their caches are named by a hash over it.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import threading
from pathlib import Path

# CPython 3.11 counts the depth of what all threads parse together: SystemError (gh-106905)
_PARSING = threading.Lock()


@functools.cache
def source_files(path: str, packages: frozenset[str]) -> frozenset[str]:
    """A file and all files of `packages` that it imports, directly or not."""
    seen, waiting = {path}, [path]
    while waiting:
        new = imported_files(waiting.pop(), packages) - seen
        seen |= new
        waiting.extend(new)
    return frozenset(seen)


@functools.cache
def code_digest(path: str, packages: frozenset[str]) -> str:
    """Hash over the contents of `source_files`, the same wherever the project lies."""
    files = source_files(path, packages)
    contents = sorted(hashlib.sha256(Path(file).read_bytes()).digest() for file in files)
    return hashlib.sha256(b"".join(contents)).hexdigest()


@functools.cache
def imported_files(path: str, packages: frozenset[str]) -> frozenset[str]:
    """Files of `packages` that the imports of a file name."""
    found: set[str | None] = set()
    with _PARSING:
        tree = ast.parse(Path(path).read_bytes())
    for node in ast.walk(tree):
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
