"""Files that are written whole or not at all; the learner's checkpoints have their own words."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4


def write_atomically(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that readers, a crash or a full disk find the old one or the new one.

    Args:
        path: Its folder is made if it is missing.
        content: All of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
