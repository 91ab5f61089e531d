"""SharedArrays: named arrays in memory that several processes see.

The memory is an anonymous file of `multiprocessing` (`RawArray`): it has no name, so nothing is
left behind however a process ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from multiprocessing.context import SpawnContext
from typing import Any, NamedTuple

import numpy as np

_ALIGNMENT = 64  # bytes, a cache line


class ArraySpec(NamedTuple):
    """Where one array lies."""

    offset: int
    shape: tuple[int, ...]
    dtype: str


class SharedArrays:
    """Copies of some arrays in shared memory; goes to a spawned process as an argument.

    Args:
        arrays: First contents, by name.
        context: Of the processes that will share them.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], context: SpawnContext) -> None:
        self._specs: dict[str, ArraySpec] = {}
        size = 0
        for name, array in arrays.items():
            self._specs[name] = ArraySpec(size, array.shape, array.dtype.str)
            size += -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT
        self._memory = context.RawArray("B", max(size, 1))
        for name, view in self.views().items():
            view[...] = arrays[name]

    def views(self) -> dict[str, np.ndarray]:
        """The arrays; writing into them is seen by all processes."""
        return {
            name: np.ndarray(spec.shape, spec.dtype, self._memory, spec.offset)
            for name, spec in self._specs.items()
        }


def rebuild(struct: Any, arrays: Mapping[str, np.ndarray], prefix: str = "") -> Any:
    """The same struct over other arrays, named as `iterate_arrays` names them."""
    if isinstance(struct, np.ndarray):
        return arrays[prefix]
    if not (is_dataclass(struct) or hasattr(struct, "_fields")):
        return struct
    names = [f.name for f in fields(struct)] if is_dataclass(struct) else struct._fields
    parts = {
        name: rebuild(getattr(struct, name), arrays, f"{prefix}.{name}" if prefix else name)
        for name in names
    }
    return type(struct)(**parts)
