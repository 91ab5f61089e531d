"""How much of a car stands on neither road nor shoulder, read from the baked map layers."""

from __future__ import annotations

import math

from sim_adapters.kernels import inlined_function
from sim_adapters.scene.ego_car import EgoCar
from sim_adapters.scene.map_layers import LayerBit, MapLayers, layer_pixel

_FIRM = int(LayerBit.DRIVING | LayerBit.PARKING | LayerBit.SHOULDER)


@inlined_function
def is_firm_ground(layers: MapLayers, map_index: int, x: float, y: float) -> bool:
    """Whether any map pixel around (x, y) is road, parking lane or shoulder.

    CaRL reads a bilinear picture and calls every non-zero value drivable, so one of the up to four
    pixels that would enter the interpolation is enough.
    """
    scale = layers.pixels_per_meter[map_index]
    u, v = (x - layers.origin_x[map_index]) * scale, (y - layers.origin_y[map_index]) * scale
    column, row = math.floor(u), math.floor(v)
    if layer_pixel(layers, map_index, column, row) & _FIRM != 0:
        return True
    beside, above = u > column, v > row  # pixels on which (x, y) lies alone do not blend
    if beside and layer_pixel(layers, map_index, column + 1, row) & _FIRM != 0:
        return True
    if above and layer_pixel(layers, map_index, column, row + 1) & _FIRM != 0:
        return True
    return beside and above and layer_pixel(layers, map_index, column + 1, row + 1) & _FIRM != 0


@inlined_function
def off_road_fraction(
    layers: MapLayers,
    map_index: int,
    car: EgoCar,
) -> float:
    """Fraction of the car's box on neither road nor shoulder, at the map's resolution.

    The grid lies in the ego's frame, as the pixels of an ego-centred picture do: 10 x 4 points
    for CARLA's 4.9 m x 1.8 m car at 2 px/m.
    """
    scale = layers.pixels_per_meter[map_index]
    num_along = max(1, round(2.0 * car.half_length_m * scale))
    num_across = max(1, round(2.0 * car.half_width_m * scale))
    cos_yaw, sin_yaw = math.cos(car.yaw_rad), math.sin(car.yaw_rad)
    num_off = 0
    for i in range(num_along):
        along = (2.0 * (i + 0.5) / num_along - 1.0) * car.half_length_m
        for j in range(num_across):
            left = (2.0 * (j + 0.5) / num_across - 1.0) * car.half_width_m
            x = car.x + cos_yaw * along - sin_yaw * left
            y = car.y + sin_yaw * along + cos_yaw * left
            if not is_firm_ground(layers, map_index, x, y):
                num_off += 1
    return num_off / (num_along * num_across)
