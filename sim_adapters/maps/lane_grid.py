"""The grid that answers "which lane points are near here" (see `scene.lane_lookup`)."""

from __future__ import annotations

import numpy as np

from sim_adapters.array_types import FloatArray, IntArray
from sim_adapters.kernels import device_function
from sim_adapters.scene.map_bank import (
    LANE_GRID_CELL_M,
    LANE_GRID_REACH_M,
    LaneGrid,
    LaneKind,
    LanePoints,
    Lanes,
)


@device_function
def fill_cells(
    x: FloatArray,
    y: FloatArray,
    origin: FloatArray,
    num_x: int,
    num_y: int,
    cursor: IntArray,
    entries: IntArray,
) -> None:
    """Visit each (point, cell) pair nearer than the reach: count it, or write it.

    Args:
        x: (P,) [m] points.
        y: (P,) [m].
        origin: (2,) [m] lower left corner of cell (0, 0).
        num_x: Cells across.
        num_y: Cells up.
        cursor: (cells,) advanced by one a visit: counts, or the next free entry of each cell.
        entries: Point index of each entry; empty to count only.
    """
    reach = LANE_GRID_REACH_M
    for point in range(len(x)):
        px, py = x[point] - origin[0], y[point] - origin[1]
        first_column = max(0, int((px - reach) // LANE_GRID_CELL_M))
        last_column = min(num_x - 1, int((px + reach) // LANE_GRID_CELL_M))
        first_row = max(0, int((py - reach) // LANE_GRID_CELL_M))
        last_row = min(num_y - 1, int((py + reach) // LANE_GRID_CELL_M))
        for row in range(first_row, last_row + 1):
            dy = max(row * LANE_GRID_CELL_M - py, 0.0, py - (row + 1) * LANE_GRID_CELL_M)
            for column in range(first_column, last_column + 1):
                left = column * LANE_GRID_CELL_M
                dx = max(left - px, 0.0, px - left - LANE_GRID_CELL_M)
                if dx * dx + dy * dy > reach * reach:
                    continue
                cell = row * num_x + column
                if len(entries) > 0:
                    entries[cursor[cell]] = point
                cursor[cell] += 1


def build_lane_grid(points: LanePoints, lanes: Lanes) -> LaneGrid:
    """Grid over the driving and parking lanes of one town."""
    listed = np.isin(lanes.kind, (LaneKind.DRIVING, LaneKind.PARKING))[points.lane]
    rows = np.flatnonzero(listed).astype(np.int32)
    x, y = points.x[rows], points.y[rows]
    origin = np.floor(np.array([x.min(), y.min()]) - LANE_GRID_REACH_M)
    span = np.array([x.max(), y.max()]) + LANE_GRID_REACH_M - origin
    num_x, num_y = (int(cells) for cells in np.ceil(span / LANE_GRID_CELL_M))
    counts = np.zeros(num_x * num_y, np.int32)
    fill_cells(x, y, origin, num_x, num_y, counts, np.empty(0, np.int32))
    first_entry = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    entries = np.empty(first_entry[-1], np.int32)
    fill_cells(x, y, origin, num_x, num_y, first_entry[:-1].copy(), entries)
    return LaneGrid(
        origin_x=origin[:1].copy(),
        origin_y=origin[1:].copy(),
        num_x=np.array([num_x], np.int32),
        num_y=np.array([num_y], np.int32),
        first_cell=np.zeros(1, np.int32),
        first_entry=first_entry,
        point=rows[entries],
    )
