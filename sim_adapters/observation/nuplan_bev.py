"""NuplanBevObserver: CaRL's picture of a nuPlan scene, nine channels of a vector map and boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from rewards.driving_events import NUM_COMFORT_METRICS
from sim_adapters.kernels import range_kernel
from sim_adapters.observation.nuplan_paint import (
    NUM_CHANNELS,
    NuplanBrush,
    NuplanStyle,
    make_nuplan_brush,
    paint_nuplan_range,
)
from sim_adapters.observation.nuplan_rows import (
    NuplanRowSizes,
    gather_nuplan_range,
    measurement_spaces,
    rows_of,
    stored_space,
)
from sim_adapters.observation.nuplan_view import NuplanView
from sim_adapters.observation.observer import Arrays
from sim_adapters.observation.polygon_fill import WORD_BITS
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.nuplan_events.area_index import NuplanMaps, nuplan_maps
from sim_adapters.scene.nuplan_events.memory import NuplanTracker, centre_ax_mps2, centre_vy_mps
from sim_adapters.scene.state import EgoBody, EgoState, SceneBatch

# The short vectors of CaRL's nuPlan observation: ten for the policy, four more for the critic.
#
# Raw SI values, left is positive. Velocity and acceleration are those of the ego's centre as the
# devkit shifts them from the rear axle.

TTC_FAILED_VALUE = 0.5  # what the critic sees of a failed time-to-collision test


@range_kernel
def write_nuplan_measurements_range(
    first: int, last: int, ego: EgoState, body: EgoBody, measurements: NDArray
) -> None:
    """Inputs of drivers first to last - 1.

    Order: last action (acceleration, steering, as the policy gave it), velocity forward and left,
    acceleration forward and left [SI, centre], tyre angle, its rate, yaw rate, yaw acceleration.
    """
    for driver in range(first, last):
        out = measurements[driver]
        out[0] = ego.throttle[driver] - ego.brake[driver]
        out[1] = ego.steer[driver]
        out[2] = body.vx_mps[driver]
        out[3] = centre_vy_mps(driver, body)
        out[4] = centre_ax_mps2(driver, body)
        out[5] = body.ay_mps2[driver]
        out[6] = body.tyre_angle_rad[driver]
        out[7] = body.tyre_rate_radps[driver]
        out[8] = body.yaw_rate_radps[driver]
        out[9] = body.yaw_acceleration_radps2[driver]


@range_kernel
def write_nuplan_value_measurements_range(
    first: int, last: int, tracker: NuplanTracker, value_measurements: NDArray
) -> None:
    """Inputs of the critics of drivers first to last - 1; all ones at the start of an episode.

    Order: share of the log's frames left, of the human's path left, of the comfort checks passed
    so far, and 1 or, once a time-to-collision test has failed, 0.5.
    """
    for driver in range(first, last):
        out = value_measurements[driver]
        out[0] = 1.0 - tracker.frame[driver] / tracker.num_frames[driver]
        out[1] = 1.0 - tracker.completion[driver]
        out[2] = 1.0 - tracker.num_uncomfortable[driver] / NUM_COMFORT_METRICS
        out[3] = TTC_FAILED_VALUE if tracker.ttc_failed[driver] else 1.0


_SHORT_VECTORS = ("measurements", "value_measurements")


@dataclass(frozen=True)
class _MapTables:
    """What the observer derives from a bank, and the scratch sized for it."""

    bank: MapBank
    maps: NuplanMaps
    brush: NuplanBrush


class NuplanBevObserver:
    """Observation `nuplan_bev`: uint8 (9, H, W), forward is +column and left is +row.

    Channels: road, route, lane boundaries, lights, stop lines, speed limits, vehicles with
    bicycles, pedestrians with static objects, ego. Drawn as OpenCV draws, pixel by pixel.

    Args:
        size_px: Height and width, a multiple of 64.
        pixels_per_meter: Scale.
        forward_shift_m: The picture's centre lies so far ahead of the ego's centre.
        stop_lines: Fill the stop-line channel; CaRL's released policies saw it empty.
        speed_lines: Draw how far an actor comes in a second; CaRL's released policies did not.
        connector_route: Show the route at junctions as its lane connectors instead of the whole
            roadblock connector.
        max_boxes: Room for boxes in a stored row, the ego's included; more is an error.
        max_lights: Room for connectors with a light, likewise.
        max_route_areas: Room for the route's areas in the picture, likewise.

    Source: CaRL's default observation builder for nuPlan.
    """

    def __init__(
        self,
        *,
        size_px: int = 256,
        pixels_per_meter: float = 2.0,
        forward_shift_m: float = 14.0,
        stop_lines: bool = False,
        speed_lines: bool = False,
        connector_route: bool = False,
        max_boxes: int = 256,
        max_lights: int = 160,
        max_route_areas: int = 64,
    ) -> None:
        if size_px <= 0 or size_px % WORD_BITS:
            raise ValueError(
                f"observation.size_px is {size_px}, expected a multiple of {WORD_BITS}"
            )
        self.view = NuplanView(size_px, float(pixels_per_meter), float(forward_shift_m))
        self.style = NuplanStyle(int(stop_lines), int(connector_route))
        self.required_pixels_per_meter: float | None = None
        self.history_steps: tuple[int, ...] = ()
        self._sizes = NuplanRowSizes(max_boxes, max_lights, max_route_areas, speed_lines)
        self._tables: _MapTables | None = None
        self._scratch: dict[str, np.ndarray] = {}
        frame = (NUM_CHANNELS, size_px, size_px)
        self.space = spaces.Dict(
            {"bev": spaces.Box(0, 255, frame, np.uint8)} | measurement_spaces()
        )
        self.stored_space = stored_space(self._sizes)

    def gather(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Write the compact rows of all drivers.

        Raises:
            ValueError: the memory is not that of nuPlan's detector, or more is in the picture than
                a row holds.
        """
        if memory.nuplan is None:
            raise ValueError("observation=nuplan_bev needs the memory of detector=nuplan")
        tables = self._tables_of(maps)
        agents = 0, scene.num_agents
        boxes, lights, areas = gather_nuplan_range(
            *agents, self.view, scene.arrays, tables.maps, rows_of(out)
        )
        self._check_room("max_boxes", boxes, self._sizes.max_boxes)
        self._check_room("max_lights", lights, self._sizes.max_lights)
        self._check_room("max_route_areas", areas, self._sizes.max_route_areas)
        write_nuplan_measurements_range(*agents, scene.ego, scene.body, out["measurements"])
        write_nuplan_value_measurements_range(
            *agents, memory.nuplan.tracker, out["value_measurements"]
        )

    @staticmethod
    def _check_room(name: str, found: int, room: int) -> None:
        if found > room:
            raise ValueError(
                f"{found} in the picture of an ego, observation.{name} is {room}: raise it to "
                f"{found}"
            )

    def paint(self, rows: Arrays, maps: MapBank, out: Arrays) -> None:
        """Draw N rows into `out`."""
        tables = self._tables_of(maps)
        frames = out["bev"]
        paint_nuplan_range(
            *(0, len(frames), self.view, self.style, rows_of(rows)),
            *(tables.maps, tables.brush, frames),
        )
        for name in _SHORT_VECTORS:
            np.copyto(out[name], rows[name])

    def observe(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Gather into a scratch and paint: one observation of each driver."""
        if len(self._scratch.get("pose", ())) != scene.num_agents:
            self._scratch = {
                name: np.zeros((scene.num_agents, *(box.shape or ())), box.dtype)
                for name, box in self.stored_space.items()
            }
        self.gather(scene, memory, maps, self._scratch)
        self.paint(self._scratch, maps, out)

    def _tables_of(self, maps: MapBank) -> _MapTables:
        if self._tables is None or self._tables.bank is not maps:
            found = nuplan_maps(maps)
            lines = found.baselines, found.left_boundaries, found.right_boundaries
            brush = make_nuplan_brush(self.view.size_px, found.tables.areas, *lines)
            self._tables = _MapTables(maps, found, brush)
        return self._tables
