"""How actors look in a video: cars with windscreen, brake lights and blinkers; dots for people."""

from __future__ import annotations

import math

import numpy as np

from sim_adapters.scene.state import ActorKind, LightBit
from sim_adapters.scene_picture import style
from sim_adapters.scene_picture.brush import FloatArray, PictureBrush, box_of, rounded_box
from sim_adapters.scene_picture.moment import Moment

COLOURS = {
    ActorKind.CAR: style.CAR,
    ActorKind.VAN: style.LARGE_VEHICLE,
    ActorKind.TRUCK: style.LARGE_VEHICLE,
    ActorKind.MOTORCYCLE: style.TWO_WHEELER,
    ActorKind.BICYCLE: style.TWO_WHEELER,
}
WITH_WINDSCREEN = (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK)
PROPS = (ActorKind.NONE, ActorKind.STATIC, ActorKind.DEBRIS)
SPEED_LINE_S = 0.6  # a line ahead of each vehicle as long as its way in this time
MAX_SPEED_LINE_MPS = 20.0
NARROWEST_M = 0.4  # half width drawn at least


def draw_actors(brush: PictureBrush, moment: Moment) -> None:
    """All actors of a moment, the ego (row 0) on top."""
    for row in range(len(moment.actors) - 1, -1, -1):
        x, y, yaw, half_length, half_width, speed = moment.actors[row]
        kind = ActorKind(int(moment.kinds[row]))
        centre, forward = np.array([x, y]), np.array([math.cos(yaw), math.sin(yaw)])
        if kind is ActorKind.PEDESTRIAN:
            brush.disc(centre, 1.1, (*style.PEDESTRIAN, 60))
            brush.disc(centre, 0.55, style.PEDESTRIAN)
        elif kind in PROPS:
            brush.polygon(box_of(centre, forward, half_length, half_width), style.STATIC)
        else:
            half_width = max(half_width, NARROWEST_M)
            colour = style.EGO if row == 0 else COLOURS[kind]
            draw_speed_line(brush, centre, forward, half_length, speed, colour)
            if row == 0:
                brush.disc(centre, half_length + 1.6, (*style.EGO, 28))
                brush.disc(centre, half_length + 0.7, (*style.EGO, 40))
            body = rounded_box(centre, forward, half_length, half_width)
            brush.polygon(body, colour, style.EGO_EDGE if row == 0 else None, 0.15)
            if kind in WITH_WINDSCREEN:
                front = centre + forward * half_length * 0.28
                screen = box_of(front, forward, 0.14 * half_length, 0.72 * half_width)
                brush.polygon(screen, style.GLASS)
            draw_lamps(brush, centre, forward, half_length, half_width, int(moment.lights[row]))


def draw_speed_line(
    brush: PictureBrush,
    centre: FloatArray,
    forward: FloatArray,
    half_length: float,
    speed_mps: float,
    colour: style.Colour,
) -> None:
    """A faint line from the nose, longer for faster vehicles."""
    if speed_mps > 0.5:
        nose = centre + forward * half_length
        tip = nose + forward * min(speed_mps, MAX_SPEED_LINE_MPS) * SPEED_LINE_S
        brush.line(np.array([nose, tip]), (*colour, 130), 0.25)


def draw_lamps(
    brush: PictureBrush,
    centre: FloatArray,
    forward: FloatArray,
    half_length: float,
    half_width: float,
    lights: int,
) -> None:
    """Brake lights and blinkers that are on."""
    left = np.array([-forward[1], forward[0]])
    if lights & LightBit.BRAKE:
        rear = centre - forward * (half_length - 0.2)
        for side in (-0.65, 0.65):
            lamp = rear + left * side * half_width
            brush.polygon(box_of(lamp, forward, 0.2, 0.3 * half_width), style.BRAKE_LIGHT)
    for bit, side in ((LightBit.LEFT_BLINKER, 1.0), (LightBit.RIGHT_BLINKER, -1.0)):
        if lights & bit:
            for end in (-0.8, 0.8):
                lamp = centre + forward * end * half_length + left * side * half_width
                brush.disc(lamp, 0.35, style.BLINKER)
