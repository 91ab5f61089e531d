"""A worker that reads a map: started, its time bounded, and why a document is no use.

The limit is one of CPU time: a document that hangs CARLA's parser burns it, a machine with other
work to do does not. Kernels that the worker compiles first are taken out by `cpu_limit`.
"""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

PARSE_CPU_LIMIT_S = 120.0  # the slowest supported town takes below 15 s on one core
_WALL_PER_CPU = 60.0  # a worker that neither works nor ends is given up at last
_PACKAGE_ROOT = Path(__file__).parents[2]


class UnusableMapError(ValueError):
    """The document is no map that can be used; the message is the reason."""


def run_map_worker(
    arguments: Sequence[str], document: bytes, *, cpu_limit_s: float = PARSE_CPU_LIMIT_S
) -> bytes:
    """What a worker module writes to standard output when it is given the document.

    Args:
        arguments: Module and its arguments.
        document: OpenDRIVE text.
        cpu_limit_s: CPU time [s] that the worker may take, rounded up to whole seconds.

    Raises:
        UnusableMapError: the parser hangs, crashes or refuses.
        RuntimeError: the worker itself fails.
    """
    limit_s = max(math.ceil(cpu_limit_s), 1)
    search_path = [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]
    child = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, search_path))},
    )
    with child:
        try:
            _, hard = resource.prlimit(child.pid, resource.RLIMIT_CPU)
            resource.prlimit(child.pid, resource.RLIMIT_CPU, (limit_s, hard))
            output, errors = child.communicate(document, limit_s * _WALL_PER_CPU)
        except subprocess.TimeoutExpired:
            child.kill()
            reason = f"CARLA's parser did not end within {limit_s * _WALL_PER_CPU:g} s"
            raise UnusableMapError(reason) from None
        except BaseException:  # Ctrl-C leaves no worker behind
            child.kill()
            raise
    if child.returncode == -signal.SIGXCPU:
        raise UnusableMapError(f"CARLA's parser did not finish within {limit_s} s of CPU time")
    messages = errors.decode(errors="replace").strip()
    if child.returncode == UNUSABLE_STATUS:
        raise UnusableMapError(messages.splitlines()[-1] if messages else "no reason")
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise UnusableMapError(f"CARLA's parser was ended by {name}")
    if child.returncode > 0:
        raise RuntimeError(f"{arguments[0]} failed:\n{messages}")
    return output


# The worker's side: what bounds it, and how it ends when its document is no usable map

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
