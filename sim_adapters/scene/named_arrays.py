"""Structs of arrays as flat {name: array} dictionaries, for checkpoints and equality tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

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
