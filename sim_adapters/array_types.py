"""Names of the array types that signatures speak of, one for each kind of number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]  # indices of slots, lanes, points
Int64Array = NDArray[np.int64]  # ids, and counts
BoolArray = NDArray[np.bool_]
