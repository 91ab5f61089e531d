"""The side panel of a video frame: speed, progress, reward terms, pedals, infractions."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from evaluation.rollout.recording import Frame
from evaluation.scoring.episode_result import Infraction, InfractionKind, penalty_factor
from sim_adapters.scene_picture import style

SHORT_NAMES = {
    InfractionKind.COLLISION_LAYOUT: "hit an object",
    InfractionKind.COLLISION_PEDESTRIAN: "hit a pedestrian",
    InfractionKind.COLLISION_VEHICLE: "hit a vehicle",
    InfractionKind.RED_LIGHT: "ran a red light",
    InfractionKind.STOP_SIGN: "ran a stop sign",
    InfractionKind.OUTSIDE_ROUTE_LANES: "left its lanes",
    InfractionKind.MINIMUM_SPEED: "slower than traffic",
    InfractionKind.ROUTE_DEVIATION: "left the route",
    InfractionKind.BLOCKED: "blocked",
    InfractionKind.ROUTE_TIMEOUT: "out of time",
    InfractionKind.YIELD_EMERGENCY: "did not yield",
    InfractionKind.SCENARIO_TIMEOUT: "scenario timeout",
}
SHOWN_INFRACTIONS = 4
REWARD_STEPS = 10
FRESH_S = 3.0  # an infraction is highlighted for this long
SUMMANDS = ("progress", "terminal")  # reward terms that are no factors in [0, 1]


class PanelView:
    """Draws the panel of every frame.

    Args:
        title: Who drives.
        subtitle: Which route.
        frames: Of the whole drive.
        size_px: Width and height.
        scale: Pixels per design unit; the design is 300 units wide.
    """

    def __init__(
        self,
        title: str,
        subtitle: str,
        frames: Sequence[Frame],
        size_px: tuple[int, int],
        scale: float,
    ) -> None:
        self.title, self.subtitle, self.frames = title, subtitle, frames
        self.size_px, self.scale = size_px, scale

    def draw(self, index: int) -> Image.Image:
        """The panel at one step."""
        frame = self.frames[index]
        image = Image.new("RGB", self.size_px, style.PANEL)
        draw = ImageDraw.Draw(image)
        self._text(draw, 20, 16, self.title, 17, style.TEXT, bold=True)
        self._text(draw, 20, 40, f"{self.subtitle}  ·  {frame.time_s:.0f} s", 11, style.MUTED)
        self._speed(draw, frame)
        self._bar(draw, 142, "route completed", frame.route_percent / 100, style.GREEN, "%")
        score = 1.0
        for infraction in frame.infractions:
            score *= penalty_factor(infraction)
        self._bar(draw, 180, "infraction score", score, heat(score), "")
        top = self._reward(draw, 228, index)
        top = self._pedals(draw, top + 8, frame)
        self._infractions(draw, top + 10, frame)
        self._text(draw, 20, 518, "embedded world, not CARLA", 9, style.MUTED)
        return image

    # Sections -------------------------------------------------------------------------------

    def _speed(self, draw: ImageDraw.ImageDraw, frame: Frame) -> None:
        kmh = 3.6 * frame.actors[0, 5]
        self._text(draw, 20, 64, f"{kmh:.0f}", 46, style.TEXT, bold=True)
        width = self._width(f"{kmh:.0f}", 46, bold=True)
        self._text(draw, 26 + width, 95, "km/h", 12, style.MUTED)
        limit = f"{3.6 * frame.speed_limit_mps:.0f}"
        self._circle(draw, 256, 94, 23, style.TEXT)
        self._circle(draw, 256, 94, 21, style.RED)
        self._circle(draw, 256, 94, 16, style.TEXT)
        left = 256 - self._width(limit, 14, bold=True) / 2
        self._text(draw, left, 86, limit, 14, style.GROUND, bold=True)

    def _reward(self, draw: ImageDraw.ImageDraw, top: float, index: int) -> float:
        """Reward of the last second and every factor; returns where the next section begins.

        Route progress counts passed route points, so it is summed over a second to be read.
        """
        frame = self.frames[index]
        second = self.frames[max(0, index + 1 - REWARD_STEPS) : index + 1]
        self._rule(draw, top - 6)
        self._text(draw, 20, top, "reward in the last second", 11, style.TEXT, bold=True)
        self._right(draw, top, f"{sum(step.reward for step in second) + 0.0:+.2f}", 11)
        top += 20
        for name, value in frame.terms.items():
            self._text(draw, 20, top, name.replace("_", " "), 10, style.MUTED)
            if name in SUMMANDS:
                self._right(draw, top, f"{sum(step.terms[name] for step in second) + 0.0:+.2f}", 10)
            else:
                self._track(draw, 150, top + 4, 130, 6, value, heat(value))
            top += 17
        return top

    def _pedals(self, draw: ImageDraw.ImageDraw, top: float, frame: Frame) -> float:
        self._rule(draw, top - 2)
        top += 6
        self._text(draw, 20, top, "throttle", 10, style.MUTED)
        self._track(draw, 150, top + 4, 130, 6, frame.throttle, style.GREEN)
        self._text(draw, 20, top + 17, "brake", 10, style.MUTED)
        self._track(draw, 150, top + 21, 130, 6, frame.brake, style.RED)
        self._text(draw, 20, top + 34, "steering", 10, style.MUTED)
        self._box(draw, 150, top + 38, 130, 6, style.BAR_BACK)
        # To the left on the screen is to the left of the car.
        middle, reach = 215.0, -65.0 * frame.steer
        self._box(draw, min(middle, middle + reach), top + 38, abs(reach), 6, style.EGO)
        self._box(draw, middle - 0.5, top + 36, 1, 10, style.MUTED)
        return top + 52

    def _infractions(self, draw: ImageDraw.ImageDraw, top: float, frame: Frame) -> None:
        self._rule(draw, top - 4)
        number = len(frame.infractions)
        heading = "no infractions" if number == 0 else f"infractions: {number}"
        colour = style.GREEN if number == 0 else style.TEXT
        self._text(draw, 20, top + 2, heading, 11, colour, bold=True)
        top += 20
        for infraction in frame.infractions[-SHOWN_INFRACTIONS:]:
            self._infraction(draw, top, infraction, frame.time_s)
            top += 16

    def _infraction(
        self, draw: ImageDraw.ImageDraw, top: float, infraction: Infraction, now_s: float
    ) -> None:
        fresh = now_s - infraction.time_s < FRESH_S
        colour = style.RED if fresh else style.MUTED
        text = f"{infraction.time_s:5.0f} s  {SHORT_NAMES[infraction.kind]}"
        self._text(draw, 20, top, text, 10, colour, bold=fresh)
        factor = penalty_factor(infraction)
        if factor < 1.0:
            text = f"x {factor:.2f}"
            self._text(draw, 280 - self._width(text, 10), top, text, 10, colour)

    def _right(self, draw: ImageDraw.ImageDraw, top: float, text: str, size: int) -> None:
        """Text that ends at the right margin."""
        self._text(draw, 280 - self._width(text, size), top, text, size, style.TEXT)

    # Primitives in design units -------------------------------------------------------------

    def _text(
        self,
        draw: ImageDraw.ImageDraw,
        x: float,
        y: float,
        text: str,
        size: int,
        colour: style.Colour,
        *,
        bold: bool = False,
    ) -> None:
        face = style.font(round(size * self.scale), bold=bold)
        draw.text((x * self.scale, y * self.scale), text, fill=colour, font=face)

    def _width(self, text: str, size: int, *, bold: bool = False) -> float:
        return style.font(round(size * self.scale), bold=bold).getlength(text) / self.scale

    def _box(
        self,
        draw: ImageDraw.ImageDraw,
        x: float,
        y: float,
        width: float,
        height: float,
        colour: style.Colour,
    ) -> None:
        if width > 0:
            corners = [value * self.scale for value in (x, y, x + width, y + height)]
            draw.rounded_rectangle(corners, radius=0.5 * height * self.scale, fill=colour)

    def _track(
        self,
        draw: ImageDraw.ImageDraw,
        x: float,
        y: float,
        width: float,
        height: float,
        share: float,
        colour: style.Colour,
    ) -> None:
        self._box(draw, x, y, width, height, style.BAR_BACK)
        filled = width * min(max(share, 0.0), 1.0)
        if filled > 0.5:
            self._box(draw, x, y, max(filled, height), height, colour)

    def _bar(
        self,
        draw: ImageDraw.ImageDraw,
        y: float,
        label: str,
        share: float,
        colour: style.Colour,
        unit: str,
    ) -> None:
        text = f"{100 * share:.0f} %" if unit else f"{share:.2f}"
        self._text(draw, 20, y, label, 11, style.MUTED)
        left = 280 - self._width(text, 11, bold=True)
        self._text(draw, left, y, text, 11, style.TEXT, bold=True)
        self._track(draw, 20, y + 18, 260, 8, share, colour)

    def _circle(
        self, draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: style.Colour
    ) -> None:
        corners = (x - radius, y - radius, x + radius, y + radius)
        draw.ellipse([value * self.scale for value in corners], fill=colour)

    def _rule(self, draw: ImageDraw.ImageDraw, y: float) -> None:
        ends = (20 * self.scale, y * self.scale, 280 * self.scale, y * self.scale)
        draw.line(ends, fill=style.PANEL_LINE, width=max(1, round(self.scale)))


def heat(share: float) -> style.Colour:
    """Green at 1, yellow at a half, red at 0."""
    share = min(max(share, 0.0), 1.0)
    low, high = (style.RED, style.YELLOW) if share < 0.5 else (style.YELLOW, style.GREEN)
    weight = 2 * share - (0.0 if share < 0.5 else 1.0)
    red, green, blue = (round(a + weight * (b - a)) for a, b in zip(low, high, strict=True))
    return red, green, blue
