"""A folder into which one run drives at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FILE = "lock"


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold an existing folder; the system lets go of it when this process ends, however that is.

    Raises:
        ValueError: another run holds it; their evaluators would write the same records.
    """
    with (folder / LOCK_FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                f"another run is driving into {folder}: wait for it, or choose another output="
            ) from error
        yield
