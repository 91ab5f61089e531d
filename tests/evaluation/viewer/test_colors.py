"""What the viewer tells by color, for who sees no red (protanopia) or no green (deuteranopia).

A stimulus is turned into what such an eye cannot tell it from, by the matrices of Machado, Oliveira
and Fernandes (2009) at full severity, in linear sRGB. Two colors are DIFFERENT from 20 units of
CIELAB 1976 on: a just noticeable difference is 2.3, and thin lines need several of them; a band as
wide as a car needs fewer, WIDE.
"""

import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from evaluation.recording.folder import EpisodeFolder
from evaluation.viewer import page_file
from evaluation.viewer.page_file import write_page
from tests.evaluation.recording.drives import small_drive
from tests.evaluation.viewer.browser import Browser, needs_chromium
from tests.evaluation.viewer.test_page import evaluation

DIFFERENT, WIDE = 20.0, 12.0
READABLE = 4.5  # contrast of small text, WCAG 2.1, 1.4.3
EYES = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}
XYZ = np.array(  # of linear sRGB, D65
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
PAGE = Path(str(page_file.__file__)).parent / "page"
SCENE = (PAGE / "scene.js").read_text().partition("  #paintRoute(context, colours) {")[2]
# Colors that alone tell things of one form apart. What else looks alike differs in form: people are
# discs, two-wheelers narrow and without a windscreen, vans and trucks long.
TOLD_BY_COLOR = (
    ("red", "yellow", "green"),  # stop lines
    ("ego", "car"),
    ("ego", "large"),
    ("ego", "two-wheeler"),
    ("ego", "second"),  # the speeds of two drives, the titles of two scenes
    ("ego", "plan", "seen"),  # driven path, planned path, points of the route that are seen
    ("band", "ego"),
    ("band", "plan"),
    ("band", "seen"),
    ("seen", "accent"),  # rings: seen by the policy, followed by the camera
    ("green", "red", "car"),  # throttle, brake, steering
    ("route", "two-wheeler"),  # reward, value
    ("brake", "blinker"),
)
ROAD_USERS = ("ego", "car", "large", "two-wheeler", "pedestrian", "prop")
ON_THE_ROAD = (*ROAD_USERS, "red", "yellow", "green", "plan", "seen", "script")
WORDS = ("ink", "muted", "red", "ego-text", "good-text", "second", "two-wheeler", "script")


def linear(color: str) -> np.ndarray:
    """Linear sRGB of `#rrggbb`, (3,)."""
    coded = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255.0
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def lab(light: np.ndarray) -> np.ndarray:
    """CIELAB of linear sRGB, both (3,)."""
    share = XYZ @ np.clip(light, 0.0, 1.0) / XYZ.sum(1)
    root = np.where(share > (6 / 29) ** 3, np.cbrt(share), share * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.array([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def distance(first: str, second: str, eye: str) -> float:
    sides = [lab(EYES[eye] @ linear(color)) for color in (first, second)]
    return float(np.linalg.norm(sides[0] - sides[1]))


def contrast(first: str, second: str) -> float:
    """Of WCAG: 1 to 21."""
    low, high = sorted(float(XYZ[1] @ linear(color)) for color in (first, second))
    return (high + 0.05) / (low + 0.05)


def mixed(top: str, below: str, opacity: float) -> str:
    """What a browser shows of a translucent color on another."""
    pairs = [(int(top[i : i + 2], 16), int(below[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(opacity * a + (1 - opacity) * b):02x}" for a, b in pairs)


def colors(theme: str) -> dict[str, str]:
    """Colors of "light" or "dark", by name, and "band": the route on the road."""
    css = (PAGE / "theme.css").read_text()
    blocks = re.findall(r'^:root(?:\[data-theme="(\w+)"\])? \{(.*?)\}', css, re.M | re.S)
    found: dict[str, str] = {}
    for name, block in blocks:
        if name in ("", theme):
            found |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))
    opacity = re.match(r".*?globalAlpha = ([\d.]+)", SCENE, re.S)
    assert opacity
    return found | {"band": mixed(found["route"], found["road"], float(opacity[1]))}


def test_the_eyes_are_those_of_the_definition():
    grey = "#808080"
    assert all(distance(grey, mixed(grey, grey, 0.5), eye) == 0.0 for eye in EYES)
    white = [lab(matrix @ linear("#ffffff")) for matrix in EYES.values()]
    np.testing.assert_allclose(white, [[100.0, 0.0, 0.0]] * 3, atol=0.1)  # no eye tints white
    # A red and a green that differ for most, and hardly for who lacks the green cones
    assert distance("#b06a4e", "#7f7f4b", "usual") > 30.0
    assert distance("#b06a4e", "#7f7f4b", "deuteranopia") < 12.0
    assert contrast("#ffffff", "#000000") == pytest.approx(21.0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("eye", EYES)
def test_what_is_told_by_color_alone_is_told_by_every_eye(theme: str, eye: str):
    palette = colors(theme)
    pairs = {pair for group in TOLD_BY_COLOR for pair in combinations(group, 2)}
    pairs |= {(name, "road") for name in ON_THE_ROAD}
    near = {pair: distance(palette[pair[0]], palette[pair[1]], eye) for pair in pairs}
    least = {pair: found for pair, found in near.items() if found < DIFFERENT}
    assert not least
    assert distance(palette["band"], palette["road"], eye) >= WIDE


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_are_readable_on_what_they_stand_on(theme: str):
    palette = colors(theme)
    found = {
        (word, ground): contrast(palette[word], palette[ground])
        for word in WORDS
        for ground in ("panel", "raised")
    }
    assert not {pair: share for pair, share in found.items() if share < READABLE}


ONE_COLOR = """
for (const name of ["red", "yellow", "green"]) {
  document.documentElement.style.setProperty(`--${name}`, "#010203");
}
click("theme");  // the palette is read anew
for (const layer of ["route", "trail", "boxes"]) viewer.toggleLayer(layer);
const [{ canvas, camera, size }] = viewer.scenes;
found.lines = [];
for (const time of [1.0, 2.0, 3.5]) {
  viewer.seek(time);
  await painted();
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const isLine = (column, row) => {
    const [red, green, blue] = data.slice(4 * (row * canvas.width + column));
    return red === 1 && green === 2 && blue === 3;
  };
  const [middle, top] = camera.toScreen([28, 1.5], size).map(Math.round);
  const [, bottom] = camera.toScreen([28, -2], size).map(Math.round);
  let [pixels, pieces] = [0, 0];
  for (let row = top - 2; row < bottom + 2; row++) {
    for (let x = middle - 10; x < middle + 10; x++) pixels += isLine(x, row);
    pieces += isLine(middle, row) && !isLine(middle, row - 1);
  }
  found.lines.push([pixels, pieces]);
}
"""


@needs_chromium
def test_a_light_is_told_by_the_pattern_of_its_line_too(tmp_path: Path):
    """With one color for all lights: red is the thickest, yellow is in pieces, green is thin."""
    drive = small_drive(infractions=[])
    states = np.repeat([0, 1, 2], [14, 13, 13])  # red, yellow, green
    folder = EpisodeFolder(evaluation(tmp_path, "7"))
    folder.write(replace(drive, signals=states[None]))
    page = write_page([tmp_path], tmp_path / "view.html")
    with Browser(page.as_uri(), tmp_path / "profile") as browser:
        red, yellow, green = browser.run(ONE_COLOR)["lines"]
    assert (red[1], yellow[1], green[1]) == (1, 2, 1)  # 3.5 m in dashes of 0.9 m, 0.9 m apart
    assert red[0] > 1.5 * yellow[0] > 0
    assert red[0] > 1.5 * green[0] > 0
