"""KernelCacheLocator: a compiled kernel is as old as the files it was compiled from.

Numba recompiles a kernel when its own file has changed, but not when a function or a constant that
it takes from another file has: a stale kernel would outlive the edit. This locator stamps a kernel
with its file and all files of the same packages that it imports, directly or not. So an edit
compiles what depends on it and nothing else, and since the stamp is of contents, not of places,
every checkout of the same sources finds the same kernels.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numba
from filelock import FileLock, Timeout
from numba.core import caching, event
from numba.core.caching import UserProvidedCacheLocator

from sim_adapters.compile_display import show_compilation
from sim_adapters.kernel_cache import CACHE_ROOT_VARIABLE, kernel_folder
from sim_adapters.source_files import code_digest, imported_files

# KernelCacheFile: numba's cache of one function, safe for processes that compile at once.
#
# Numba picks the next free number for a new specialisation and then writes the index. Two processes
# that save different specialisations of a function at the same time (ranks, servers, test workers
# with a cold cache) pick the same number: one's machine code is then filed under the other's
# argument types, and whoever loads it fails or computes nonsense. So saving holds a lock, and every
# entry says which kernel it is.
#
# Processes that need the same kernel would each compile it, for minutes. So whoever compiles holds
# a claim, for which the others wait; a claim ends with the process that holds it. A kernel's
# compiler claims the kernels that it calls, never those that call it, so two processes cannot wait
# for each other.
#
# A cache outlives the checkout that filled it. An index names the classes of its kernels'
# arguments, and a class may have moved since; so an index of other sources is not opened, and one
# that cannot be read is written anew.

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


# While a kernel is compiled, signals wait and the garbage collector rests.
#
# LLVM hands machine code to numba through a callback from C. Python runs the handler of a signal
# that came meanwhile inside that callback, drops what it raises, and the kernel fails with "no
# compiled object yet" in place of KeyboardInterrupt or of a test's timeout.
#
# The compiler makes millions of small objects that live until it is done: collecting in between
# costs an eighth of its time and frees nothing.

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
_COMPILING = "numba:compiler_lock"


class SignalHold(event.Listener):
    """Keeps the signals of the main thread from the first lock of the compiler to its last."""

    def __init__(self) -> None:
        self._depth = 0  # a kernel's compilation compiles the kernels that it calls
        self._handlers: dict[int, Callable[..., Any]] = {}
        self._held: list[tuple[int, FrameType | None]] = []
        self._collects = False

    def on_start(self, event: event.Event) -> None:
        """Put the handlers aside."""
        del event
        if threading.current_thread() is not threading.main_thread():
            return  # handlers run in the main thread only
        self._depth += 1
        if self._depth > 1:
            return
        self._collects = gc.isenabled()
        gc.disable()
        for number in _SIGNALS:
            handler = signal.getsignal(number)
            if callable(handler):  # else ignored, or the end of the process
                self._handlers[number] = handler
                signal.signal(number, self._hold)

    def on_end(self, event: event.Event) -> None:
        """Put them back and call those whose signal came."""
        del event
        if threading.current_thread() is not threading.main_thread():
            return
        self._depth -= 1
        if self._depth > 0:
            return
        if self._collects:
            gc.enable()
        handlers, self._handlers = self._handlers, {}
        held, self._held = self._held, []
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in held:
            handlers[number](number, frame)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        self._held.append((number, frame))


def hold_signals_while_compiling() -> None:
    """Register the hold with numba; call it once a process."""
    event.register(_COMPILING, SignalHold())


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
