"""Speed of the rasteriser, and of the same frames drawn with OpenCV in the same run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evaluation.speed.environment import busy_env, mean_actors
from evaluation.speed.stopwatch import Measurement, measure_rate
from sim_adapters.observation.bev import BevObserver
from sim_adapters.observation_rows import allocate
from sim_adapters.scene.map_bank import MapBank

NUM_WORLDS = 32
FLOORS = {"nearest": 4_000, "bilinear": 2_500}


def measure_raster() -> list[Measurement]:
    """Frames per second and core from ready rows, both interpolations, and ratios to OpenCV."""
    measurements = []
    for interpolation, floor in FLOORS.items():
        overrides = ["observation=carl_bev", f"observation.interpolation={interpolation}"]
        env = busy_env(NUM_WORLDS, overrides)
        observer = env.observer
        assert isinstance(observer, BevObserver)
        rows = allocate(observer.stored_space, NUM_WORLDS)
        frames = allocate(observer.space, NUM_WORLDS)
        observer.gather(env.scene, env.memory, env.maps, rows)

        def paint(
            observer: BevObserver = observer,
            rows: dict[str, np.ndarray] = rows,
            maps: MapBank = env.maps,
            frames: dict[str, np.ndarray] = frames,
        ) -> int:
            observer.paint(rows, maps, frames)
            return NUM_WORLDS

        ours = measure_rate(paint)
        note = f"10x256x256, {mean_actors(env):.0f} actors, {interpolation}"
        key = f"raster_carl_bev.{interpolation}"
        measurements.append(Measurement(key, ours[0], "frames/s/core", *ours[1:], floor, note))
        theirs = measure_rate(opencv_painting(observer, rows, env.maps, interpolation))
        key = f"raster_vs_opencv.{interpolation}"
        ratios = (ours[0] / theirs[0], ours[1] / theirs[2], ours[2] / theirs[1])
        note = f"OpenCV: {theirs[0]:,.0f} frames/s/core"
        measurements.append(Measurement(key, ratios[0], "ratio", *ratios[1:], 5.0, note))
    return measurements


def opencv_painting(
    observer: BevObserver, rows: dict[str, np.ndarray], maps: MapBank, interpolation: str
) -> Callable[[], int]:
    """The same frames by OpenCV's own warp, polygons and lines, on one thread."""
    import cv2

    from evaluation.speed.opencv_raster import OpenCvRaster
    from sim_adapters.observation.bev_rows import rows_of

    cv2.setNumThreads(1)
    raster = OpenCvRaster(observer.view, maps, interpolation=interpolation, classic=False)
    scene_rows = rows_of(rows)
    frames = allocate(observer.space, NUM_WORLDS)["bev"]

    def paint() -> int:
        for row in range(NUM_WORLDS):
            raster.draw(scene_rows, row, frames[row])
        return NUM_WORLDS

    return paint
