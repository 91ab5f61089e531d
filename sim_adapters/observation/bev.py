"""BevObserver: the scene as a picture from above, one channel a kind of thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from gymnasium import spaces

from sim_adapters.observation import map_warp, warp_planes
from sim_adapters.observation.bev_gather import GatherRules, gather_range
from sim_adapters.observation.bev_rows import (
    BevRows,
    RowSizes,
    measurement_spaces,
    rows_of,
    stored_space,
)
from sim_adapters.observation.channels import (
    MapLayer,
    Markings,
    Painter,
    PlacedPainter,
    ShapePainter,
    ShapeTable,
    shape_table,
)
from sim_adapters.observation.device_painter import BevDevicePainter, RasterSource
from sim_adapters.observation.light_lines import LightRules, make_light_scratch
from sim_adapters.observation.measurements import write_measurements_range
from sim_adapters.observation.observer import Arrays
from sim_adapters.observation.painting import paint_shapes_range
from sim_adapters.observation.raster import make_brush
from sim_adapters.observation.spec import BevView
from sim_adapters.scene.history import make_history
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.map_layers import MapLayers
from sim_adapters.scene.memory import EpisodeMemory
from sim_adapters.scene.state import SceneBatch

AnyPainter = Painter | ShapePainter | MapLayer | Markings
_SHORT_VECTORS = ("measurements", "value_measurements")


@dataclass
class _PackedMaps:
    """How to warp the bank with these layers."""

    layers: MapLayers
    warp: map_warp.Warp


def _painting_steps(painters: Sequence[PlacedPainter]) -> list[ShapeTable | PlacedPainter]:
    """Painters in their order; runs of those that our kernels draw become tables."""
    steps: list[ShapeTable | PlacedPainter] = []
    for is_ours, run in groupby(painters, lambda one: one.shape is not None):
        found = list(run)
        steps += [shape_table(found)] if is_ours else found
    return steps


@dataclass(eq=False, repr=False, kw_only=True)
class BevObserver:
    """Observation `bev`: uint8 (C, H, W), the ego looking up.

    Raises:
        ValueError: another interpolation, or channels that cannot be drawn.
    """

    size_px: int  # height and width
    pixels_per_meter: float  # of the picture
    ego_px_from_bottom: float  # where the ego stands
    map_pixels_per_meter: float  # of the MapBank's layers that this observer is made for
    interpolation: Literal["bilinear", "nearest"]  # of the map: as CaRL's policies saw it, faster
    # By name, in order: a painter or a list of painters (see `channels`)
    channels: Mapping[str, AnyPainter | Sequence[AnyPainter]]
    max_actors: int  # room for actors in a stored row; more in range is an error
    max_light_lines: int  # room for stop lines of lights, likewise
    num_route_points: int  # kept in a row, at least what the painters ask for
    actor_range_m: float  # actors further away (3-D) are not drawn
    light_range_m: float  # nor are such lights
    only_lights_on_route: bool  # draw a light only if the route passes it
    fade_yellow: bool  # a yellow light brightens from 170 to 255 as it runs out; else always 170
    history_steps: tuple[int, ...] = ()  # steps ago of the painters' snapshots, oldest first

    def __post_init__(self) -> None:
        """Sort what is drawn into painters and map layers; check that it can be."""
        if self.interpolation not in ("bilinear", "nearest"):
            raise ValueError(
                f"observation.interpolation is {self.interpolation!r}, expected 'bilinear' or "
                "'nearest'"
            )
        self.view = BevView(
            self.size_px, float(self.pixels_per_meter), float(self.ego_px_from_bottom)
        )
        self.required_pixels_per_meter: float | None = float(self.map_pixels_per_meter)
        self.history_steps = tuple(int(step) for step in self.history_steps)
        self.channel_names = tuple(self.channels)
        lights = LightRules(
            float(self.light_range_m), int(self.only_lights_on_route), int(self.fade_yellow)
        )
        self._rules = GatherRules(float(self.actor_range_m), lights)
        num_snapshots = len(self.history_steps)
        self._sizes = RowSizes(
            self.max_actors, self.num_route_points, self.max_light_lines, num_snapshots
        )
        self._painters: list[PlacedPainter] = []
        self._masks: list[int] = []
        self._targets = warp_planes.LayerTargets(
            np.full(warp_planes.MAX_LAYERS, -1, np.int32),
            np.zeros(warp_planes.MAX_LAYERS, np.int32),
        )
        for channel, (name, painters) in enumerate(self.channels.items()):
            self._add_channel(channel, name, painters)
        self._steps = _painting_steps(self._painters)
        self._map_channels = np.unique(self._targets.channel[: len(self._masks)])
        self._packed: _PackedMaps | None = None
        self._scratch: dict[str, np.ndarray] = {}
        frame = (len(self.channels), self.size_px, self.size_px)
        self.space = spaces.Dict(
            {"bev": spaces.Box(0, 255, frame, np.uint8)} | measurement_spaces()
        )
        self.stored_space = stored_space(self._sizes)

    def _add_channel(
        self, channel: int, name: str, painters: AnyPainter | Sequence[AnyPainter]
    ) -> None:
        is_first = True
        for painter in painters if isinstance(painters, Sequence) else [painters]:
            if isinstance(painter, MapLayer | Markings):
                self._add_layers(channel, name, painter.warped)
            else:
                self._check_painter(name, painter)
                self._painters.append(PlacedPainter(channel, name, is_first, painter))
            is_first = False

    def _add_layers(self, channel: int, name: str, warped: tuple[tuple[int, int], ...]) -> None:
        if any(channel == one.plane for one in self._painters):
            raise ValueError(f"observation.channels.{name}: map layers must come first in a list")
        for mask, value in warped:
            if len(self._masks) == warp_planes.MAX_LAYERS:
                raise ValueError(
                    f"observation.channels.{name}: more than {warp_planes.MAX_LAYERS} map layers "
                    f"(markings count twice); leave one out"
                )
            self._targets.channel[len(self._masks)] = channel
            self._targets.value[len(self._masks)] = value
            self._masks.append(mask)

    def _check_painter(self, name: str, painter: AnyPainter) -> None:
        points = getattr(painter, "num_points", 0)
        if points > self._sizes.num_route_points:
            raise ValueError(
                f"observation.channels.{name} draws {points} route points, rows keep "
                f"{self._sizes.num_route_points}: raise observation.num_route_points"
            )
        snapshot = getattr(painter, "snapshot", 0)
        if snapshot > len(self.history_steps):
            raise ValueError(
                f"observation.channels.{name} draws snapshot {snapshot}, "
                f"observation.history_steps lists {len(self.history_steps)}"
            )

    def gather(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Write the compact rows of all drivers.

        Raises:
            ValueError: more actors or light lines are in range than a row holds.
        """
        history = memory.history if memory.history is not None else make_history(scene)
        if tuple(history.ages) != self.history_steps:
            raise ValueError(
                f"the memory records history at steps {tuple(history.ages)}, the observation "
                f"looks at {self.history_steps}: make the memory with observer.history_steps"
            )
        num_actors, num_lines = gather_range(
            0,
            scene.num_agents,
            scene.arrays,
            memory.route,
            memory.signs,
            maps.roads,
            history,
            self._rules,
            make_light_scratch(len(maps.stop_lines.x)),
            rows_of(out),
        )
        self._check_room("max_actors", num_actors, self._sizes.max_actors)
        self._check_room("max_light_lines", num_lines, self._sizes.max_light_lines)
        write_measurements_range(
            0,
            scene.num_agents,
            scene.motion,
            scene.ego,
            scene.clocks,
            memory.counters,
            memory.route,
            scene.routes,
            out["measurements"],
            out["value_measurements"],
        )

    @staticmethod
    def _check_room(name: str, found: int, room: int) -> None:
        if found > room:
            raise ValueError(
                f"{found} in range of an ego, observation.{name} is {room}: raise it to {found}"
            )

    def paint(self, rows: Arrays, maps: MapBank, out: Arrays) -> None:
        """Draw N rows into `out`."""
        frames = out["bev"]
        bev_rows = rows_of(rows)
        brush = make_brush(self.view.size_px)
        self._paint_maps(bev_rows, maps, frames)
        for step in self._steps:
            if isinstance(step, ShapeTable):
                paint_shapes_range(
                    *(0, len(frames), self.view, bev_rows, step, maps.limit_posts, frames, brush)
                )
            else:
                place = step.plane, step.is_first
                step.painter.paint(self.view, bev_rows, maps, frames, *place, brush)
        for name in _SHORT_VECTORS:
            np.copyto(out[name], rows[name])

    def _paint_maps(self, rows: BevRows, maps: MapBank, frames: np.ndarray) -> None:
        packed = self._pack(maps)
        if packed is None:
            return
        kernel = (
            map_warp.warp_bilinear_range
            if self.interpolation == "bilinear"
            else map_warp.warp_nearest_range
        )
        kernel(
            0,
            len(frames),
            self.view,
            rows,
            packed.layers,
            packed.warp,
            map_warp.make_window(self.view.size_px),
            frames,
        )

    def _pack(self, maps: MapBank) -> _PackedMaps | None:
        """How to warp these maps, kept for the next call; None without map channels."""
        if not self._masks:
            return None
        if self._packed is None or self._packed.layers is not maps.layers:
            self._check_scale(maps)
            warp = map_warp.Warp(
                warp_planes.pack_layers(maps.layers, self._masks),
                self._targets,
                self._map_channels,
                warp_planes.bilinear_table(),
                map_warp.block_size_px(self.view, maps.layers),
            )
            self._packed = _PackedMaps(maps.layers, warp)
        return self._packed

    def device_painter(self, maps: MapBank, device: torch.device) -> BevDevicePainter:
        """What draws this observer's rows on a GPU; see `BevDevicePainter` for its errors."""
        packed = self._pack(maps)
        source = RasterSource(
            self.view,
            self._painters,
            maps.layers,
            None if packed is None else packed.warp,
            self.interpolation == "bilinear",
            maps.limit_posts,
        )
        return BevDevicePainter(source, device)

    def _check_scale(self, maps: MapBank) -> None:
        found = set(maps.layers.pixels_per_meter.tolist())
        if found != {self.required_pixels_per_meter}:
            raise ValueError(
                f"map layers have {sorted(found)} pixels per meter, this observation needs "
                f"{self.required_pixels_per_meter}: load the MapBank with that scale"
            )

    def observe(self, scene: SceneBatch, memory: EpisodeMemory, maps: MapBank, out: Arrays) -> None:
        """Gather into a scratch and paint: one observation of each driver."""
        if len(self._scratch.get("pose", ())) != scene.num_agents:
            self._scratch = {
                name: np.zeros((scene.num_agents, *(box.shape or ())), box.dtype)
                for name, box in self.stored_space.items()
            }
        self.gather(scene, memory, maps, self._scratch)
        self.paint(self._scratch, maps, out)
