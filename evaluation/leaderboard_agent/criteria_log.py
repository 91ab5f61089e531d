"""CriteriaLog: what running scenarios say to the official criteria, which no tick of a drive shows.

A scenario with a time limit switches the blocked test off and on again, one that sends the ego into
the oncoming lane the wrong-direction test, and some bring a collision test of their own. All of it
is said inside the evaluator's process: scenario_runner's blackboard and its `CollisionTest` are
listened to. Nothing of what they do is changed.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class CriteriaEvent(IntEnum):
    """What was said; the number beside it is 0 or 1 for the switches, else that of the test."""

    BLOCKED_TEST = 0  # switched off (0) or on (1)
    WRONG_WAY_TEST = 1
    COLLISION_TEST_BEGAN = 2  # number 0 is the route's own
    COLLISION_TEST_ENDED = 3


# Of scenario_runner's blackboard; a criterion takes a message off by writing None
_MESSAGES = {
    "AC_SwitchActorBlockedTest": CriteriaEvent.BLOCKED_TEST,
    "AC_SwitchWrongDirectionTest": CriteriaEvent.WRONG_WAY_TEST,
}


class CriteriaLog:
    """Listens from its making until `stop`.

    Args:
        blackboard: `py_trees.blackboard.Blackboard`.
        collision_test: `CollisionTest` of scenario_runner's criteria.
    """

    def __init__(self, blackboard: Any, collision_test: Any) -> None:
        self.tick = 0  # of the agent: what is said now is said after its step
        self._rows: list[tuple[int, int, int]] = []
        self._numbers: dict[int, int] = {}  # of running collision tests by identity
        self._num_tests = 0
        self._originals: list[tuple[Any, str, Callable[..., Any]]] = []
        self._listen(blackboard, "set", self._message)
        self._listen(collision_test, "initialise", self._began)
        self._listen(collision_test, "terminate", self._ended)

    def rows(self) -> NDArray[np.int64]:
        """All that was said, (K, 3): tick of the agent, CriteriaEvent, number."""
        return np.array(self._rows, np.int64).reshape(-1, 3)

    def stop(self) -> None:
        """Leave scenario_runner's classes as they were."""
        for owner, name, original in self._originals:
            setattr(owner, name, original)
        self._originals.clear()

    def _listen(self, owner: Any, name: str, note: Callable[..., None]) -> None:
        original = getattr(owner, name)

        def noted(instance: Any, *args: Any, **kwargs: Any) -> Any:
            note(instance, *args, **kwargs)
            return original(instance, *args, **kwargs)

        self._originals.append((owner, name, original))
        setattr(owner, name, noted)

    def _message(self, board: Any, name: str, value: Any, overwrite: bool = True) -> None:
        del board, overwrite
        if name in _MESSAGES and value is not None:
            self._rows.append((self.tick, _MESSAGES[name], int(value)))

    def _began(self, test: Any) -> None:
        self._numbers[id(test)] = self._num_tests
        self._rows.append((self.tick, CriteriaEvent.COLLISION_TEST_BEGAN, self._num_tests))
        self._num_tests += 1

    def _ended(self, test: Any, new_status: Any) -> None:
        del new_status
        number = self._numbers.pop(id(test), None)  # criteria are terminated more than once
        if number is not None:
            self._rows.append((self.tick, CriteriaEvent.COLLISION_TEST_ENDED, number))
