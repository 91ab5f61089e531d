"""Looks places up in the baked layers of a town."""

from __future__ import annotations

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.map_layers import LayerBit, layer_pixel


def is_on_driving_lane(maps: MapBank, map_index: int, x: float, y: float) -> bool:
    """Whether a place belongs to a driving lane, that of a junction included (any level)."""
    layers = maps.layers
    scale = float(layers.pixels_per_meter[map_index])
    column = round((x - float(layers.origin_x[map_index])) * scale)
    row = round((y - float(layers.origin_y[map_index])) * scale)
    return bool(layer_pixel(layers, map_index, column, row) & LayerBit.DRIVING)
