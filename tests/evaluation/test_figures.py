import io
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from evaluation.recording.packing import RasterFrames
from evaluation.report.figures import layers_figure, reward_figure, table_figure, write_small
from evaluation.report.page import png_of
from tests.evaluation.recording.drives import STEPS, small_drive

TABLE = """
| seed | samples | ours | theirs |
|---|---|---|---|
| 0 | 5.2M | 79.3 [70.9, 86.4] | 8.0 [6.5, 9.9] |
| 1 | 6.6M | 68.1 [59.4, 76.2] | 7.8 [6.3, 9.7] |
"""


def test_the_reward_is_drawn_below_the_terms_that_make_it():
    drive = small_drive()
    cost = np.zeros(STEPS)
    cost[29] = -1.5
    figure = reward_figure(replace(drive, terms={**drive.terms, "terminal": cost}))
    names = [axis.get_ylabel().split("\n")[0] for axis in figure.axes]
    assert names == ["progress", "\u00d7 comfort", "= reward"]
    (marks,) = figure.axes[-1].lines
    assert marks.get_xdata() == pytest.approx([3.0])  # the end of step 29 of 0.1 s
    top = figure.axes[0].collections[0].get_datalim(figure.axes[0].transData).y1
    assert top == pytest.approx(2.5)  # 0.25 a step, ten steps a second


def test_every_channel_is_drawn_as_it_was_shown_nearest_to_the_moment():
    frames = np.zeros((2, 3, 4, 4), np.uint8)
    frames[1, 2, 0, 3] = 200
    view = {"channels": ["road", "light_lines", "route"], "size_px": 4, "ego_px_from_bottom": 1}
    raster = RasterFrames(view, (0, 10), tuple(zlib.compress(frame.tobytes()) for frame in frames))
    drive = replace(small_drive(), raster=raster)
    figure = layers_figure(drive, at_s=0.9)
    shown = {axis.get_title(): axis.images[0].get_array() for axis in figure.axes if axis.images}
    assert list(shown) == ["road", "light lines", "route"]
    assert (np.asarray(shown["route"]) == frames[1, 2]).all()
    with pytest.raises(ValueError, match="without a raster"):
        layers_figure(small_drive(), at_s=0.0)


def test_a_pages_table_is_drawn_with_its_intervals(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(TABLE)
    figure = table_figure(page, "seed", {"ours": "ours", "theirs": "those"})
    (axis,) = figure.axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["seed 0", "seed 1"]
    ours: Any = axis.containers[0]
    assert list(ours.lines[0].get_xdata()) == [79.3, 68.1]
    ends = [segment[:, 0].tolist() for segment in ours.lines[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[70.9, 86.4], [59.4, 76.2]])
    with pytest.raises(ValueError, match="no table of seed with nobody"):
        table_figure(page, "seed", {"nobody": "nobody"})


def test_a_small_picture_keeps_its_colors(tmp_path):
    shade = np.arange(200)[:, None] // 8 + np.arange(300)[None, :] // 8  # soft edges of text
    picture = np.stack([shade, shade[::-1], shade % 7 + 200], axis=2).astype(np.uint8)
    picture[3:6, 4:7] = (184, 134, 11)  # a few pixels of a color of their own
    memory = io.BytesIO()
    Image.fromarray(picture).save(memory, "png")
    path = write_small(memory.getvalue(), tmp_path / "a.png")
    assert Image.open(path).mode == "P"  # a byte a pixel
    kept = np.asarray(Image.open(path).convert("RGB")).astype(int)
    assert np.abs(kept - picture)[3:6, 4:7].max() <= 16
    assert png_of(reward_figure(small_drive())).startswith(b"\x89PNG")
