"""Turns a recording into a bird's-eye video: MP4 for the report, GIF for a README."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from evaluation.rollout.recording import Recording
from evaluation.video.panel import PanelView
from sim_adapters.array_types import FloatArray
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene_picture import style
from sim_adapters.scene_picture.scene_picture import ScenePicture

# SceneView: the bird's-eye half of a video frame, with a camera that does not wobble.

SMOOTHING = 11  # frames over which the camera's heading is averaged
TRAIL_STEPS = 80


class SceneView:
    """Draws frames of one recording.

    Args:
        recording: What happened.
        maps: Holds its town.
        size_px: Width and height.
        pixels_per_meter: Scale.
    """

    def __init__(
        self,
        recording: Recording,
        maps: MapBank,
        size_px: tuple[int, int],
        pixels_per_meter: float,
    ) -> None:
        self.recording = recording
        self.picture = ScenePicture(maps, recording.map_index, size_px, pixels_per_meter)
        self.route = np.stack([recording.route_x, recording.route_y], axis=1)
        self.track = np.array([frame.actors[0, :2] for frame in recording.frames])
        self._yaw = smooth(np.unwrap([frame.actors[0, 2] for frame in recording.frames]))

    def draw(self, index: int) -> Image.Image:
        """The picture of one frame."""
        trail = self.track[max(0, index - TRAIL_STEPS) : index + 1]
        yaw_rad = float(self._yaw[index])
        return self.picture.draw(self.recording.frames[index], self.route, trail, yaw_rad=yaw_rad)


def smooth(values: FloatArray) -> FloatArray:
    """Moving average that keeps the length; ends are padded with their own value."""
    padded = np.pad(values, SMOOTHING // 2, mode="edge")
    return np.convolve(padded, np.full(SMOOTHING, 1.0 / SMOOTHING), mode="valid")


SIZE_PX = (960, 540)
PANEL_PX = 300
PIXELS_PER_METER = 9.0
SUPERSAMPLING = 2  # drawn larger and averaged down: PIL's polygons have hard edges
MP4_STRIDE, MP4_FPS = 2, 15  # every second step of 0.1 s, three times real time
GIF_STRIDE, GIF_FPS, GIF_WIDTH_PX, GIF_COLOURS = 3, 12, 720, 96
MAX_GIF_FRAMES = 240


class VideoFrames:
    """Frames of one recording, drawn on demand.

    Args:
        recording: With at least one frame.
        maps: Holds its town.
        title: Who drives.
    """

    def __init__(self, recording: Recording, maps: MapBank, title: str) -> None:
        width, height = (SUPERSAMPLING * value for value in SIZE_PX)
        panel = SUPERSAMPLING * PANEL_PX
        self.recording = recording
        scale = SUPERSAMPLING * PIXELS_PER_METER
        self._scene = SceneView(recording, maps, (width - panel, height), scale)
        subtitle = f"{recording.town}  ·  route {recording.route_id}"
        size, frames = (panel, height), recording.frames
        self._panel = PanelView(title, subtitle, frames, size, panel / 300)
        self._canvas = Image.new("RGB", (width, height))

    def draw(self, index: int) -> Image.Image:
        """One finished frame of `SIZE_PX`."""
        self._canvas.paste(self._scene.draw(index), (0, 0))
        panel = self._panel.draw(index)
        self._canvas.paste(panel, (self._canvas.width - panel.width, 0))
        return self._canvas.reduce(SUPERSAMPLING)

    def __len__(self) -> int:
        return len(self.recording.frames)


def write_mp4(frames: VideoFrames, path: Path) -> None:
    """H.264 that every browser plays."""
    writer = imageio_ffmpeg.write_frames(
        str(path),
        SIZE_PX,
        fps=MP4_FPS,
        codec="libx264",
        macro_block_size=4,  # the size is a multiple of it, and players need no more
        quality=None,  # pyright: ignore[reportArgumentType] - the constant rate factor rules
        output_params=["-crf", "23", "-preset", "veryfast"],
    )
    writer.send(None)
    try:
        for index in range(0, len(frames), MP4_STRIDE):
            writer.send(frames.draw(index).tobytes())
    finally:
        writer.close()


def write_gif(frames: VideoFrames, path: Path) -> None:
    """A small looping GIF of at most `MAX_GIF_FRAMES` frames with one shared palette."""
    stride = max(GIF_STRIDE, -(-len(frames) // MAX_GIF_FRAMES))
    images = list(_small_frames(frames, range(0, len(frames), stride)))
    palette = _shared_palette(images)
    indexed = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    indexed[0].save(
        path,
        save_all=True,
        append_images=indexed[1:],
        duration=round(1000 / GIF_FPS),
        loop=0,
        optimize=True,
    )


def _small_frames(frames: VideoFrames, indices: range) -> Iterator[Image.Image]:
    height = round(GIF_WIDTH_PX * SIZE_PX[1] / SIZE_PX[0])
    for index in indices:
        yield frames.draw(index).resize((GIF_WIDTH_PX, height), Image.Resampling.LANCZOS)


def _shared_palette(images: list[Image.Image]) -> Image.Image:
    """Colours of a few frames together: a palette of each frame's own makes GIFs flicker.

    The signal colours are set by hand: they cover so few pixels that median cut blends them.
    """
    chosen = images[:: max(1, len(images) // 6)]
    strip: NDArray[np.uint8] = np.concatenate([np.asarray(image) for image in chosen])
    common = Image.fromarray(strip).quantize(GIF_COLOURS, method=Image.Quantize.MEDIANCUT)
    colours = list(common.getpalette() or [])[: 3 * GIF_COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette(colours + [value for colour in style.SIGNAL_COLOURS for value in colour])
    return palette
