"""A folder into which one run writes at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_FILE = "lock"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Make and hold a folder; the system lets go of it when this process ends, however that is.

    Raises:
        ValueError: another run holds it; both would write the same files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_FILE, blocking=False)
    try:
        held = lock.acquire()
    except Timeout as error:
        raise ValueError(
            f"another run writes into {folder}: wait for it, or choose another folder"
        ) from error
    with held:
        yield
