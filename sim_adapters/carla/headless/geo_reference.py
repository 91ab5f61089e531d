"""Latitude and longitude of places on a town, by CARLA's own Mercator formula."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

_EARTH_RADIUS_M = 6378137.0  # WGS-84 equator
_DEFAULT_DEG = (42.0, 2.0)  # what CARLA assumes of a map that does not say
_NUMBER = r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
_LATITUDE, _LONGITUDE = re.compile(r"\+lat_0=" + _NUMBER), re.compile(r"\+lon_0=" + _NUMBER)
_HEADER_CHARACTERS = 20_000


@dataclass(frozen=True)
class GeoReference:
    """Where on Earth the origin of a map lies."""

    latitude_deg: float
    longitude_deg: float

    def locate(self, east_m: float, north_m: float) -> tuple[float, float]:
        """Latitude and longitude of a place in degrees."""
        scale = _EARTH_RADIUS_M * math.cos(math.radians(self.latitude_deg))
        x = scale * math.radians(self.longitude_deg) + east_m
        y = scale * math.log(math.tan(math.radians(90.0 + self.latitude_deg) / 2.0)) + north_m
        latitude = 2.0 * math.degrees(math.atan(math.exp(y / scale))) - 90.0
        return latitude, math.degrees(x / scale)


def read_geo_reference(document: str) -> GeoReference:
    """The reference in an OpenDRIVE header, or CARLA's default."""
    header = document[:_HEADER_CHARACTERS]
    latitude, longitude = _LATITUDE.search(header), _LONGITUDE.search(header)
    if latitude is None or longitude is None:
        return GeoReference(*_DEFAULT_DEG)
    return GeoReference(float(latitude.group(1)), float(longitude.group(1)))
