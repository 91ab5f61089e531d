"""Episode settings: how long a tick is and who starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sim_adapters.carla.headless import wire_values as values

FREE_RUNNING_TICK_S = 0.05  # without a fixed step, in wall time
SHORTEST_TICK_S, LONGEST_TICK_S = 1e-4, 10.0


@dataclass(frozen=True)
class EpisodeSettings:
    """What `World.apply_settings` changes; fields without effect are kept for reading back.

    Args:
        is_synchronous: Ticks come from clients only.
        fixed_delta_s: Length of a tick; None: 0.05 s.
        is_without_rendering: Of no effect: nothing is ever rendered.
        others: All fields after the fixed step, as the client sent them.
    """

    is_synchronous: bool = False
    fixed_delta_s: float | None = None
    is_without_rendering: bool = True
    others: tuple[Any, ...] = (True, 0.01, 10, 0.0, True, 3000.0, 2000.0, True)

    @property
    def tick_s(self) -> float:
        """Length of a tick."""
        return self.fixed_delta_s or FREE_RUNNING_TICK_S

    @classmethod
    def from_wire(cls, fields: Any) -> EpisodeSettings:
        """Settings as the client sends them."""
        synchronous, no_rendering, delta, *others = values.items(fields, 3)
        step = values.optional(delta)
        step_s = None if step is None else values.number(step)
        if step_s and not SHORTEST_TICK_S <= step_s <= LONGEST_TICK_S:
            raise values.BadValueError(
                f"fixed_delta_seconds must be {SHORTEST_TICK_S:g} to {LONGEST_TICK_S:g} s, or 0 "
                f"for {FREE_RUNNING_TICK_S:g} s; got {step_s:g}"
            )
        checked = [
            value if isinstance(value, bool) else values.number(value) for value in others[:8]
        ]
        kept = (*checked, *cls.others[len(checked) :])
        return cls(values.flag(synchronous), step_s or None, values.flag(no_rendering), kept)

    def to_wire(self) -> list[Any]:
        """The same, outwards."""
        step = [False] if self.fixed_delta_s is None else [True, self.fixed_delta_s]
        substeps = self.others[2]
        others = [*self.others[:2], int(substeps), *self.others[3:]]
        return [self.is_synchronous, self.is_without_rendering, step, *others]
