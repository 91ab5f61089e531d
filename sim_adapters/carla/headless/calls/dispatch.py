"""Finds the method for a call and turns whatever goes wrong into CARLA's error replies."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from sim_adapters.carla.headless.protocol import Answer, Later
from sim_adapters.carla.headless.wire_values import BadValueError

_logger = logging.getLogger(__name__)
_Function = TypeVar("_Function", bound=Callable[..., Any])
_MOST_ARGUMENTS = 64
_MAX_UNKNOWN_NAMES = 200  # of unknown calls, each is logged once


class CallError(Exception):
    """A call cannot be carried out; the text goes to the client."""


def call(name: str, answer: Answer = Answer.VALUE) -> Callable[[_Function], _Function]:
    """Mark a method as what the RPC `name` does."""

    def mark(function: _Function) -> _Function:
        marks = [*getattr(function, "rpc_calls", ()), (name, answer)]
        function.rpc_calls = marks  # type: ignore[attr-defined]
        return function

    return mark


@dataclass(frozen=True)
class _Call:
    function: Callable[..., Any]
    answer: Answer
    fewest: int
    most: int


class Dispatcher:
    """All calls of some handler objects.

    Args:
        handlers: Objects with methods marked by `call`.
    """

    def __init__(self, handlers: Iterable[object]) -> None:
        self._calls: dict[str, _Call] = {}
        self._unknown: set[str] = set()
        for handler in handlers:
            for _, method in inspect.getmembers(handler, inspect.ismethod):
                for name, answer in getattr(method, "rpc_calls", ()):
                    self._calls[name] = _Call(method, answer, *_argument_range(method))

    @property
    def names(self) -> list[str]:
        """All calls known, sorted."""
        return sorted(self._calls)

    def respond(self, name: str, arguments: list[Any]) -> tuple[Any, Any]:
        """(error, result) of a call as msgpack-RPC answers it."""
        known = self._calls.get(name)
        if known is None:
            self._report_unknown(name)
            return (f"rpclib: server could not find function {name[:100]!r}", None)
        return None, self.answer(known, name, arguments)

    def carry_out(self, name: str, arguments: list[Any]) -> Any:
        """Do a call from inside the server.

        Raises:
            CallError: it cannot be done.
            BadValueError: an argument is wrong.
        """
        known = self._calls[name]
        if len(arguments) < known.fewest:
            raise CallError(f"{name}: expected {known.fewest} arguments, got {len(arguments)}")
        return known.function(*arguments[: known.most])

    def answer(self, known: _Call, name: str, arguments: list[Any]) -> Any:
        """Carry out a known call; surplus arguments of newer clients are ignored."""
        if len(arguments) < known.fewest:
            return known.answer.failure(
                f"{name}: expected {known.fewest} or more arguments, got {len(arguments)}"
            )
        return self._guard(known, name, lambda: known.function(*arguments[: known.most]))

    def _guard(self, known: _Call, name: str, work: Callable[[], Any]) -> Any:
        """The wrapped outcome of `work`; a `Later` gives its own when it is finished."""
        try:
            value = work()
            if isinstance(value, Later):
                return Later(
                    value.work,
                    lambda end: self._guard(known, name, lambda: value.finish(end)),
                )
            return known.answer.success(value)
        except (BadValueError, CallError) as error:
            _logger.debug("%s: %s", name, error)
            return known.answer.failure(f"{name}: {error}")
        except Exception:  # nothing that a client sends may end the server
            _logger.exception("%s failed", name)
            return known.answer.failure(f"{name}: internal error of the headless server")

    def _report_unknown(self, name: str) -> None:
        if name not in self._unknown and len(self._unknown) < _MAX_UNKNOWN_NAMES:
            self._unknown.add(name)
            _logger.warning("unknown call %r", name[:100])


def _argument_range(method: Callable[..., Any]) -> tuple[int, int]:
    """Fewest and most positional arguments that the method takes."""
    parameters = list(inspect.signature(method).parameters.values())
    named = [p for p in parameters if p.kind != inspect.Parameter.VAR_POSITIONAL]
    required = [p for p in named if p.default is inspect.Parameter.empty]
    return len(required), _MOST_ARGUMENTS if len(named) < len(parameters) else len(named)
