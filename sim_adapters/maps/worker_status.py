"""What bounds map workers, and how they end when their document is no usable map."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LEFT_OUT_SUFFIX = ".txt"  # beside a bank: a line about each thing of the file that has no effect
UNUSABLE_STATUS = 3  # the reason is the last line of their standard error
MEMORY_LIMIT_BYTES = 4 << 30  # CARLA's towns take below 300 MB


@contextmanager
def map_work() -> Iterator[None]:
    """Bound this process's memory; end it with the reason if the document is no usable map.

    A document of a kilobyte can ask CARLA's parser, or a raster of the town, for terabytes.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = MEMORY_LIMIT_BYTES
    if hard != resource.RLIM_INFINITY:
        allowed = min(allowed, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (allowed, hard))
    try:
        yield
    except (ValueError, RuntimeError) as error:  # RuntimeError: carla.Map's refusal
        _end(str(error))
    except MemoryError:
        _end(f"it needs more than {allowed >> 30} GiB of memory: its roads are too long or too far")


def _end(reason: str) -> None:
    sys.stderr.write(f"{' '.join(reason.split())}\n")
    sys.exit(UNUSABLE_STATUS)
