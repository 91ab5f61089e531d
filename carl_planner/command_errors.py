"""How a command ends when what it was given is to blame: one clear message, no stack trace.

Errors that no input explains travel on as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import InstantiationException

from carl_planner.checkpoint import CheckpointError
from carl_planner.ppo import NonFiniteLossError

log = logging.getLogger(__name__)

# What this project raises for bad files, values and options, for a full disk and for NaN.
INPUT_ERRORS = (CheckpointError, NonFiniteLossError, OSError, ValueError)


@contextmanager
def input_errors_reported() -> Iterator[None]:
    """End the process with status 1 and one message where its input is to blame."""
    try:
        yield
    except (InstantiationException, *INPUT_ERRORS) as error:
        log.debug("traceback", exc_info=True)
        raise SystemExit(
            f"error: {input_error_message(error)}\n(hydra.verbose=true shows the stack trace)"
        ) from error


def input_error_message(error: Exception) -> str:
    """The message of the error itself, without what hydra wraps around it.

    Where a component got a keyword that it does not know, hydra's own words are kept: they name
    the component and its place in the config.
    """
    cause: BaseException | None = error
    while isinstance(cause, InstantiationException):
        cause = cause.__cause__
    return str(cause if isinstance(cause, INPUT_ERRORS) else error)
