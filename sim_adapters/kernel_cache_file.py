"""KernelCacheFile: numba's cache of one function, safe for processes that compile at once.

Numba picks the next free number for a new specialisation and then writes the index. Two processes
that save different specialisations of a function at the same time (ranks, servers, test workers
with a cold cache) pick the same number: one's machine code is then filed under the other's
argument types, and whoever loads it fails or computes nonsense. So saving holds a lock, and every
entry says which kernel it is.

Processes that need the same kernel would each compile it, for minutes. So whoever compiles holds a
claim, for which the others wait; a claim ends with the process that holds it. A kernel's compiler
claims the kernels that it calls, never those that call it, so two processes cannot wait for each
other.

A cache outlives the checkout that filled it. An index names the classes of its kernels' arguments,
and a class may have moved since; so an index of other sources is not opened, and one that cannot
be read is written anew.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
from filelock import FileLock, Timeout
from numba.core import caching

from sim_adapters.kernel_cache import CACHE_ROOT_VARIABLE, kernel_folder

LOCK_FILE = ".lock"
CLAIM_S = 600.0  # then one compiles for oneself: the other may have been stopped

_logger = logging.getLogger(__name__)


class KernelCacheFile(caching.IndexDataCacheFile):
    """Index and data files of one function, in numba's format but for the entries' labels."""

    def __init__(self, cache_path: str, filename_base: str, source_stamp: Any) -> None:
        super().__init__(cache_path, filename_base, source_stamp)
        # Stands before the index; numba unpickles what follows only if it finds the same
        self._version = f"{numba.__version__} {source_stamp!r}"
        self._claimed_file = Path(cache_path) / f"{filename_base}.lock"

    @functools.cached_property
    def _claim(self) -> FileLock:
        return FileLock(self._claimed_file, fallback_to_soft=False)

    def holds(self, key: Any) -> bool:
        """Whether there is a specialisation for `key`, though it may prove unreadable."""
        return key in self._load_index()

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Be the process that compiles this function; another's work is waited for first."""
        held = self._acquire(0.0)
        if held is None:
            _logger.info(
                "%s is being compiled by another process, waiting", self._claimed_file.stem
            )
            held = self._acquire(CLAIM_S)
        try:
            yield
        finally:
            if held:
                self._claim.release()

    def _acquire(self, timeout_s: float) -> bool | None:
        """Whether the claim is held; None if another process holds it, False if there is none."""
        try:
            self._claim.acquire(timeout=timeout_s)
        except Timeout:
            return None
        except (OSError, NotImplementedError):  # nowhere to write, or no locks there
            return False
        return True

    def save(self, key: Any, data: Any) -> None:
        """Keep one specialisation; a kernel that cannot be kept is only compiled again next time.

        Args:
            key: Signature, processor and hash of the function's code.
            data: The compiled specialisation, as numba reduces it.
        """
        try:
            with FileLock(Path(self._cache_path) / LOCK_FILE):
                super().save(key, (self._source_stamp, key, data))
        except OSError as error:  # a full disk, say; the kernel itself is there
            warn_once(error.strerror or str(error), str(kernel_folder()))

    def load(self, key: Any) -> Any:
        """The specialisation kept for `key`; None if there is none of these sources."""
        try:
            entry = super().load(key)
        except Exception:  # as in `_load_index`
            return None
        if not isinstance(entry, tuple) or len(entry) != 3:
            return None
        stamp, kept_key, data = entry
        return data if stamp == self._source_stamp and kept_key == key else None

    def _load_index(self) -> dict[Any, str]:
        """Names of the data files by key; none if the index cannot be read."""
        try:
            return super()._load_index()
        except Exception:  # truncated, or of classes that have moved
            return {}


@functools.cache
def warn_once(reason: str, folder: str) -> None:
    """Say why kernels are not kept, once a process: there are hundreds of them."""
    _logger.warning(
        "compiled kernels are not kept in %s: %s; every start compiles for minutes, so set %s to a "
        "folder that can be written",
        folder,
        reason,
        CACHE_ROOT_VARIABLE,
    )


def use_locked_cache_files() -> None:
    """Let numba keep every function's cache this way; call it before the first kernel."""
    caching.IndexDataCacheFile = KernelCacheFile
