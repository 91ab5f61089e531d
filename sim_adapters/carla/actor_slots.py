"""Which actor slot a live actor has: the nearest ones, each keeping its slot while it stays."""

from __future__ import annotations

import logging

import numpy as np
from numpy.typing import NDArray

EGO_SLOT = 0

_logger = logging.getLogger(__name__)


class LiveSlots:
    """Slots 1 and up of one world; 0 is the ego's.

    An actor gets a slot within `enter_m` of the ego and keeps it until it is `leave_m` away or
    gone, so that what looks back at a slot (history, collisions) sees one actor.

    Args:
        num_slots: Slots of the world, the ego's included.
        enter_m: A little more than the observation sees.
        leave_m: Larger, so that nobody flickers at the edge.
    """

    def __init__(self, num_slots: int, *, enter_m: float, leave_m: float) -> None:
        self.enter_m, self.leave_m = enter_m, leave_m
        self._slot_of: dict[int, int] = {}
        self._free = list(range(num_slots - 1, EGO_SLOT, -1))
        self._complained = False

    def clear(self) -> None:
        """Forget everybody."""
        self._free.extend(self._slot_of.values())
        self._free.sort(reverse=True)
        self._slot_of.clear()

    def slot(self, actor_id: int) -> int:
        """Slot of an actor, -1 if it has none."""
        return self._slot_of.get(actor_id, -1)

    def assign(self, ids: NDArray[np.int64], distances_m: NDArray[np.float64]) -> NDArray[np.int64]:
        """Slots of all actors but the ego, -1 for those without one, (N,).

        Args:
            ids: Of the actors that a scene shows.
            distances_m: To the ego.
        """
        staying = set(ids[distances_m < self.leave_m].tolist())
        for actor_id in [known for known in self._slot_of if known not in staying]:
            self._free.append(self._slot_of.pop(actor_id))
        slots = np.array([self._slot_of.get(int(actor_id), -1) for actor_id in ids], np.int64)
        newcomers = np.flatnonzero((slots < 0) & (distances_m < self.enter_m))
        for row in newcomers[np.argsort(distances_m[newcomers], kind="stable")]:
            if not self._free:
                self._complain(len(newcomers))
                break
            slots[row] = self._slot_of[int(ids[row])] = self._free.pop()
        return slots

    def _complain(self, num_newcomers: int) -> None:
        if not self._complained:
            self._complained = True
            _logger.warning(
                "%d actors near the ego find no free slot and stay unseen: raise "
                "simulator.max_actors",
                num_newcomers,
            )
