"""Puts numba's disk cache into a folder named by a hash of all kernel sources.

Numba notices a changed kernel file but not a changed callee in another file, so a stale kernel
could outlive an edit. A folder per source state cannot. Every package with kernels imports this
module from its `__init__` before any kernel is defined.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

CACHE_ROOT_VARIABLE = "CARL_PLANNER_CACHE"
KERNEL_PACKAGES = ("sim_adapters", "evaluation")  # side by side, in a checkout or installed


def cache_root() -> Path:
    """Folder of all that can be rebuilt (kernels, maps); `CARL_PLANNER_CACHE` moves it."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "carl_planner"
    return Path(os.environ.get(CACHE_ROOT_VARIABLE, default))


def kernel_source_hash(*package_folders: Path) -> str:
    """Hash over the text of every Python file below the folders, 16 hex digits."""
    digest = hashlib.sha256()
    for folder in package_folders:
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def use_hashed_kernel_cache() -> None:
    """Point numba at the folder of the current sources, unless the user chose one."""
    if "NUMBA_CACHE_DIR" not in os.environ:
        packages = [Path(__file__).parents[1] / name for name in KERNEL_PACKAGES]
        folder = cache_root() / "kernels" / kernel_source_hash(*packages)
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


use_hashed_kernel_cache()
