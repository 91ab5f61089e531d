"""SceneRenderer: the present of any driver as an RGB array, for gymnasium's `render`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import SceneBatch
from sim_adapters.scene_picture.moment import Moment, surroundings
from sim_adapters.scene_picture.scene_picture import ScenePicture

SIZE_PX = (640, 480)  # multiples of 16, which video encoders like
PIXELS_PER_METER = 8.0
SUPERSAMPLING = 2  # drawn larger and averaged down: PIL's polygons have hard edges
_NO_TRAIL = np.zeros((0, 2))


class SceneRenderer:
    """Draws drivers of a scene, heading up; towns are prepared when they are first seen."""

    def __init__(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank) -> None:
        self.scene, self.memory, self.maps = scene, memory, maps
        self._pictures: dict[int, ScenePicture] = {}  # by map

    def draw(self, agent: int) -> NDArray[np.uint8]:
        """The view of driver `agent`, (H, W, 3)."""
        scene = self.scene
        map_index = int(scene.clocks.map_index[scene.ego.world[agent]])
        if map_index not in self._pictures:
            width, height = (SUPERSAMPLING * pixels for pixels in SIZE_PX)
            scale = SUPERSAMPLING * PIXELS_PER_METER
            self._pictures[map_index] = ScenePicture(self.maps, map_index, (width, height), scale)
        points = int(scene.routes.num_points[agent])
        route = np.stack([scene.routes.x[agent, :points], scene.routes.y[agent, :points]], axis=1)
        percent = float(self.memory.route.percent[agent])
        moment = Moment(**surroundings(scene, agent), route_percent=percent)
        yaw_rad = float(moment.actors[0, 2])
        image = self._pictures[map_index].draw(moment, route, _NO_TRAIL, yaw_rad=yaw_rad)
        return np.asarray(image.reduce(SUPERSAMPLING))
