"""One process of a ProcessPool: makes one world and drives it as the parent says.

The process ends when it is told to, when its world is lost, when its parent's end of the pipe is
closed, and when its parent dies.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from typing import NamedTuple

import numpy as np

from sim_adapters.scene.named_arrays import SharedArrays, iterate_arrays
from sim_adapters.scene.scenario import Scenario
from sim_adapters.simulator import Simulator

STEER, ACCELERATION = "steer", "acceleration"  # names of the parent's arrays of actions
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux

MakeWorld = Callable[[int], Simulator]


class WorldLostError(RuntimeError):
    """What a world stands on (server, licence, file system) died or does not answer.

    A simulator in a pool raises it to have its process replaced; any other exception ends the run.
    """


class Reset(NamedTuple):
    """Parent to worker: start this scenario in that row of the batch."""

    row: int
    scenario: Scenario


class Step(NamedTuple):
    """Parent to worker: drive one step with the actions of that row."""

    row: int


class Close(NamedTuple):
    """Parent to worker: release everything and end."""


class Done(NamedTuple):
    """Worker to parent: the world is made, or the row is written."""


class Lost(NamedTuple):
    """Worker to parent: the world is lost, this process ends."""

    reason: str


class Failed(NamedTuple):
    """Worker to parent: an error that another process would meet as well."""

    error: Exception  # a ValueError stays one
    details: str


def serve(
    connection: Connection, number: int, make_world: MakeWorld, shared: SharedArrays, log_level: int
) -> None:
    """Main function of the process.

    Args:
        connection: To the parent.
        number: Of this process in its pool.
        make_world: Called once with `number`.
        shared: All rows of the scene, and the actions.
        log_level: Of this process' log, which goes to stderr.
    """
    # Ctrl-C and a batch system's SIGTERM reach the whole group: the parent decides what they mean
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _die_with_parent()
    logging.basicConfig(level=log_level, format=f"[world process {number}] %(message)s")
    world: Simulator | None = None
    try:
        world = make_world(number)
        connection.send(Done())
        _obey(connection, world, shared)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the parent is gone
    except WorldLostError as error:
        _report(connection, Lost(str(error)))
    except Exception as error:
        details = traceback.format_exc()
        plain = ValueError(str(error)) if isinstance(error, ValueError) else RuntimeError(details)
        _report(connection, Failed(plain, details))
    finally:
        if world is not None:
            world.close()


def _obey(connection: Connection, world: Simulator, shared: SharedArrays) -> None:
    views = shared.views()
    steer, acceleration = views[STEER], views[ACCELERATION]
    # The driver's place in the batch is the parent's business
    own = {name: array for name, array in iterate_arrays(world.scene) if name != "ego.world"}
    every = [(source, views[name]) for name, source in own.items()]
    moving = [(source, views[n]) for n, source in own.items() if not n.startswith("routes.")]
    first = np.zeros(1, np.int64)
    while not isinstance(message := connection.recv(), Close):
        row = message.row
        if isinstance(message, Reset):
            world.reset(first, [message.scenario])
        else:
            world.step(steer[row : row + 1], acceleration[row : row + 1])
        for source, rows in every if isinstance(message, Reset) else moving:
            rows[row] = source[0]
        connection.send(Done())


def _report(connection: Connection, message: Lost | Failed) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):
        connection.send(message)


def _die_with_parent() -> None:
    """Have the kernel end this process when its parent's main thread ends, however that happens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        parent = parent_process()
        if parent is not None and parent.pid != os.getppid():
            raise SystemExit("the parent ended before this process had begun")
