"""Arrays by name: structs as flat {name: array} dictionaries, and memory that processes share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from multiprocessing.context import SpawnContext
from typing import Any, NamedTuple

import numpy as np


def iterate_arrays(struct: Any, prefix: str = "") -> Iterator[tuple[str, np.ndarray]]:
    """Every array inside nested dataclasses and NamedTuples, with its dotted name."""
    if isinstance(struct, np.ndarray):
        yield prefix, struct
        return
    if is_dataclass(struct):
        names = [field.name for field in fields(struct)]
    else:
        names = list(getattr(struct, "_fields", ()))
    for name in names:
        yield from iterate_arrays(getattr(struct, name), f"{prefix}.{name}" if prefix else name)


def copy_arrays(struct: Any, prefix: str = "") -> dict[str, np.ndarray]:
    """Copies of all arrays by name."""
    return {name: array.copy() for name, array in iterate_arrays(struct, prefix)}


def restore_arrays(struct: Any, state: Mapping[str, np.ndarray], prefix: str = "") -> None:
    """Write `state` back into the arrays of `struct`, in place.

    Raises:
        ValueError: an array is missing or has another shape.
    """
    for name, array in iterate_arrays(struct, prefix):
        if name not in state:
            raise ValueError(f"saved state lacks {name!r}: it was made by another version")
        saved = np.asarray(state[name])
        if saved.shape != array.shape:
            raise ValueError(
                f"saved state has {name!r} with shape {saved.shape}, this run needs {array.shape}: "
                "resume with the same num_envs and slots as the saved run"
            )
        array[...] = saved


# SharedArrays: named arrays in memory that several processes see.
#
# The memory is an anonymous file of `multiprocessing` (`RawArray`): it has no name, so nothing is
# left behind however a process ends.

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
