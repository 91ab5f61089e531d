"""SceneView: the bird's-eye half of a video frame, with a camera that does not wobble."""

from __future__ import annotations

import numpy as np
from PIL import Image

from evaluation.rollout.recording import Recording
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene_picture.brush import FloatArray
from sim_adapters.scene_picture.scene_picture import ScenePicture

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
