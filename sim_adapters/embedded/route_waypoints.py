"""Thins a dense route to the few waypoints from which the router traces it again."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.scenario import Route, RouteCommand

MAX_SPACING_M = 50.0
_CLEARANCE_ROWS = 3  # before and after a junction or a lane change, where lanes do not overlap
_MAX_DEVIATION_M = 1.0
_CHANGES = (RouteCommand.CHANGE_LEFT, RouteCommand.CHANGE_RIGHT)


def thin_route(route: Route) -> NDArray[np.float64]:
    """Waypoints (W, 3): around every junction and lane change, and each 50 m between them."""
    last = len(route.x) - 1
    is_special = route.in_junction | np.isin(route.command, _CHANGES)
    borders = np.flatnonzero(np.diff(is_special.astype(np.int8))) + 1
    rows = {0, last}
    for border in borders.tolist():
        row = border + _CLEARANCE_ROWS - 1 if is_special[border - 1] else border - _CLEARANCE_ROWS
        if 0 < row < last and not is_special[row]:
            rows.add(row)
    for first, after in itertools.pairwise(sorted(rows)):
        if not is_special[first:after].any():
            parts = int(np.ceil((after - first) / MAX_SPACING_M))
            rows.update(np.linspace(first, after, parts + 1).astype(int).tolist())
    keep = sorted(rows)
    # Millimetres are enough for a file, and read well
    return np.column_stack([route.x[keep], route.y[keep], route.z[keep]]).round(3)


def is_same_way(route: Route, traced: Route) -> bool:
    """True if the two routes never part by more than a metre, point by point along their length."""
    if abs(len(route.x) - len(traced.x)) > 0.005 * len(route.x) + 1:
        return False
    # The lane changes of both may be a few metres apart, so compare lines, not points
    return max(_deviation_m(route, traced), _deviation_m(traced, route)) < _MAX_DEVIATION_M


def _deviation_m(route: Route, other: Route) -> float:
    """Largest distance of a route's points to the points of the other about as far along."""
    reach = max(10, abs(len(route.x) - len(other.x)) + 5)
    rows = np.arange(len(route.x))[:, None] + np.arange(-reach, reach + 1)[None, :]
    rows = np.clip(rows, 0, len(other.x) - 1)
    squared = (route.x[:, None] - other.x[rows]) ** 2 + (route.y[:, None] - other.y[rows]) ** 2
    return float(np.sqrt(squared.min(axis=1).max()))
