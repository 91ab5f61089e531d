"""Whether a live world's stop signs are those of the map, by which they are judged and drawn.

Detectors and observations read signs from the MapBank, which places them by CARLA's own rules for
generated signs. A level in which signs were placed by hand may differ: that is said once a town.
"""

from __future__ import annotations

import logging

import carla
import numpy as np
from numpy.typing import NDArray

from sim_adapters.carla.frames import from_carla_location
from sim_adapters.scene.map_bank import MapBank, SignKind

STOP_TYPE = "traffic.stop"
SAME_PLACE_M = 3.0  # between the centres of two trigger boxes

_logger = logging.getLogger(__name__)


def check_stop_signs(world: carla.World, maps: MapBank, map_index: int) -> tuple[int, int]:
    """Compare the server's stop signs with the map's, and warn where they differ.

    Returns:
        How many of the map's have no actor near, and how many actors no sign of the map near.
    """
    signs = maps.signs
    rows = np.arange(maps.ranges.sign[map_index], maps.ranges.sign[map_index + 1])
    rows = rows[signs.kind[rows] == SignKind.STOP]
    expected = np.column_stack([signs.x[rows], signs.y[rows]])
    found = stop_sign_places(world)
    if len(expected) and len(found):
        gaps = np.hypot(*(expected[:, None] - found[None]).transpose(2, 0, 1))
        num_missing = int((gaps.min(axis=1) > SAME_PLACE_M).sum())
        num_unknown = int((gaps.min(axis=0) > SAME_PLACE_M).sum())
    else:
        num_missing, num_unknown = len(expected), len(found)
    if num_missing or num_unknown:
        _logger.warning(
            "%s: %d of the map's %d stop signs have no actor on the server, %d of the server's %d "
            "are not where the map has one: stops are judged by the map",
            *(maps.towns[map_index], num_missing, len(expected), num_unknown, len(found)),
        )
    return num_missing, num_unknown


def stop_sign_places(world: carla.World) -> NDArray[np.float64]:
    """Centres of the trigger boxes of all stop-sign actors, (N, 2), in our frame."""
    places = []
    for actor in world.get_actors().filter(STOP_TYPE):
        assert isinstance(actor, carla.TrafficSign)
        centre = actor.get_transform().transform(actor.trigger_volume.location)
        places.append(from_carla_location(centre)[:2])
    return np.array(places, np.float64).reshape(-1, 2)
