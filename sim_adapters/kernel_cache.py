"""Where compiled kernels are kept on disk, and that numba asks our locator which are old.

Imported by the package before any kernel is defined; numba itself is not imported here.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
import tempfile
import threading
from functools import lru_cache
from pathlib import Path

CACHE_ROOT_VARIABLE = "CARL_PLANNER_CACHE"
LOCATORS_VARIABLE = "NUMBA_CACHE_LOCATOR_CLASSES"
# Ours for our kernels; it declines everybody else's, who get numba's own in their usual order. The
# last takes what found no folder that can be written.
LOCATORS = ",".join(
    (
        "sim_adapters.kernel_locator.KernelCacheLocator",
        "UserProvidedCacheLocator",
        "InTreeCacheLocator",
        "UserWideCacheLocator",
        "IPythonCacheLocator",
        "sim_adapters.kernel_locator.UnkeptKernelLocator",
    )
)


def cache_root() -> Path:
    """Folder of all that can be rebuilt (kernels, maps); `CARL_PLANNER_CACHE` moves it."""
    if chosen := os.environ.get(CACHE_ROOT_VARIABLE):
        return Path(chosen)
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "carl_planner"


def kernel_folder() -> Path:
    """Folder of the compiled kernels: numba's own setting goes first."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or cache_root() / "kernels")


def writable_cache(name: str) -> Path:
    """Folder `name` of `cache_root()`, made; one of this process alone where it cannot be written.

    That one goes with the process, and a warning says so, once.
    """
    folder = cache_root() / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
    else:
        if os.access(folder, os.W_OK | os.X_OK):
            return folder
        reason = "it is not writable"
    with _unkept_lock:  # towns are read by several threads
        return _unkept_cache(folder, reason)


_unkept_lock = threading.Lock()


@lru_cache
def _unkept_cache(folder: Path, reason: str) -> Path:
    stand_in = Path(tempfile.mkdtemp(prefix="carl_planner-"))
    atexit.register(shutil.rmtree, stand_in, ignore_errors=True)
    logging.getLogger(__name__).warning(
        "what is made once is not kept in %s (%s): set %s to a folder that can be written",
        *(folder, reason, CACHE_ROOT_VARIABLE),
    )
    return stand_in


def use_kernel_locator() -> None:
    """Let numba find kernels through our locator, unless the user chose others."""
    if LOCATORS_VARIABLE in os.environ:
        return
    os.environ[LOCATORS_VARIABLE] = LOCATORS
    if "numba" in sys.modules:  # has read its environment already
        sys.modules["numba"].config.CACHE_LOCATOR_CLASSES = LOCATORS


def ensure_home() -> None:
    """Give a process without HOME one: CARLA's library dies of its absence while it is imported.

    A user whom the system does not know, as in a container, gets the root folder: nothing can be
    written there, as opposed to a folder for temporary files, where strangers could leave kernels.
    """
    if "HOME" not in os.environ:
        try:
            os.environ["HOME"] = str(Path.home())
        except RuntimeError:
            os.environ["HOME"] = os.sep


ensure_home()
use_kernel_locator()
