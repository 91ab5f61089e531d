"""Centre lines and boundaries of a nuPlan map as Polylines."""

from __future__ import annotations

import itertools

import numpy as np
import shapely
from numpy.typing import NDArray

from sim_adapters.maps.nuplan_gpkg_areas import csr_firsts
from sim_adapters.scene.map_areas import Polylines


def single_lines(geometry: NDArray[np.object_]) -> NDArray[np.object_]:
    """Each row's line string, None where it has no line of positive length.

    Some files wrap each line into a collection of one. A line in several pieces is joined where
    one piece begins at the other's end; others are no line that could be driven along.
    """
    is_multiple = shapely.get_type_id(geometry) == shapely.GeometryType.MULTILINESTRING
    line = geometry.copy()
    # Undirected merging may turn a line round, which would turn its lane
    line[is_multiple] = shapely.line_merge(geometry[is_multiple], directed=True)
    is_line = shapely.get_type_id(line) == shapely.GeometryType.LINESTRING
    line[~(is_line & (shapely.length(line) > 0.0))] = None
    return line


def build_polylines(lines: NDArray[np.object_]) -> Polylines:
    """Rows of vertices; a row without a line (None) is empty."""
    points, row = shapely.get_coordinates(lines, return_index=True)
    first = csr_firsts(row, len(lines))
    step = np.diff(points, axis=0, append=points[-1:])
    yaw = np.arctan2(step[:, 1], step[:, 0])
    length = np.sqrt(step[:, 0] ** 2 + step[:, 1] ** 2)
    s = np.zeros(len(points))
    for begin, end in itertools.pairwise(first.tolist()):
        if end > begin:
            yaw[end - 1] = yaw[end - 2]  # the last point repeats the last segment's
            s[begin + 1 : end] = np.cumsum(length[begin : end - 1])
    return Polylines(first, points[:, 0].copy(), points[:, 1].copy(), yaw, s)
