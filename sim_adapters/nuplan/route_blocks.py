"""The route of a log as rows of the map's areas, where raster and detectors look it up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.map_areas import AreaKind, VectorMap
from sim_adapters.scene.state import SceneBatch


class RouteBlocks:
    """Finds roadblocks and roadblock connectors by the ids that logs name them with.

    Args:
        vector: The maps. A map is indexed when its first route is asked for.
    """

    def __init__(self, vector: VectorMap) -> None:
        self.vector = vector
        self._row_of_fid: dict[int, dict[int, int]] = {}

    def rows(self, map_index: int, fids: Sequence[int]) -> NDArray[np.int32]:
        """Rows of MapAreas, in the route's order; ids that the map lacks are left out."""
        if map_index not in self._row_of_fid:
            self._row_of_fid[map_index] = self._index(map_index)
        row_of_fid = self._row_of_fid[map_index]
        return np.array([row_of_fid[fid] for fid in fids if fid in row_of_fid], np.int32)

    def _index(self, map_index: int) -> dict[int, int]:
        first, last = self.vector.first_area[map_index : map_index + 2]
        kinds, fids = self.vector.areas.kind[first:last], self.vector.areas.fid[first:last]
        row_of_fid: dict[int, int] = {}
        # An id that both layers know means the roadblock, as in the devkit's look-ups
        for kind in (AreaKind.ROADBLOCK_CONNECTOR, AreaKind.ROADBLOCK):
            places = np.flatnonzero(kinds == kind)
            row_of_fid |= dict(zip(fids[places].tolist(), (first + places).tolist(), strict=True))
        return row_of_fid


def write_route_areas(scene: SceneBatch, agent: int, rows: NDArray[np.int32]) -> None:
    """Write the route of one driver.

    Raises:
        ValueError: the scene has no room for it.
    """
    route = scene.route_areas.area[agent]
    if len(rows) > len(route):
        raise ValueError(
            f"a route passes {len(rows)} roadblocks and connectors, this simulator holds "
            f"{len(route)}: set simulator.max_route_areas={len(rows)} or more"
        )
    route[: len(rows)] = rows
    route[len(rows) :] = -1
