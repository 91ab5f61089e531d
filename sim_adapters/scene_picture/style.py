"""Colours and fonts of the videos."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from matplotlib import get_data_path
from PIL import ImageFont

Colour = tuple[int, int, int]
Translucent = tuple[int, int, int, int]

GROUND: Colour = (14, 19, 26)
GRID: Colour = (28, 36, 46)
SIDEWALK: Colour = (27, 34, 43)
SHOULDER: Colour = (33, 41, 51)
PARKING: Colour = (38, 47, 58)
ROAD: Colour = (47, 57, 70)
CROSSWALK: Colour = (92, 104, 118)
MARKING: Colour = (128, 141, 155)
CENTRE_MARKING: Colour = (196, 164, 84)
ROUTE: Translucent = (45, 212, 191, 105)
TRAIL: Colour = (255, 138, 76)

EGO: Colour = (255, 122, 61)
EGO_EDGE: Colour = (255, 255, 255)
GLASS: Colour = (24, 31, 40)
CAR: Colour = (143, 170, 204)
LARGE_VEHICLE: Colour = (116, 137, 178)
TWO_WHEELER: Colour = (190, 156, 247)
PEDESTRIAN: Colour = (255, 209, 102)
STATIC: Colour = (112, 123, 137)
BRAKE_LIGHT: Colour = (255, 64, 64)
BLINKER: Colour = (255, 179, 0)

RED: Colour = (255, 77, 79)
YELLOW: Colour = (255, 200, 61)
GREEN: Colour = (61, 220, 132)

PANEL: Colour = (18, 24, 33)
PANEL_LINE: Colour = (41, 51, 64)
TEXT: Colour = (236, 241, 247)
MUTED: Colour = (139, 152, 167)
BAR_BACK: Colour = (36, 45, 57)

# Few pixels, much meaning
SIGNAL_COLOURS = (EGO, EGO_EDGE, RED, YELLOW, GREEN, PEDESTRIAN, TWO_WHEELER, CENTRE_MARKING)


@cache
def font(size_px: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(Path(get_data_path()) / "fonts" / "ttf" / name, size_px)
