"""Child process that turns one OpenDRIVE document into a one-town MapBank file.

`python -m sim_adapters.maps.opendrive_worker OUTPUT PIXELS_PER_METER < document` is started by
`opendrive.load_map_bank`; a document that crashes or hangs CARLA's parser takes only this process
with it. Exit status 3 and one line on standard error: the document cannot be used. What of it has
no effect here is listed in a text file beside the output, if there is anything.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import carla
import numpy as np
from numba.core import event

from sim_adapters.maps.bank_file import save_bank
from sim_adapters.maps.junctions import (
    entry_lanes,
    find_conflicts,
    priorities,
    turns,
)
from sim_adapters.maps.lane_graph import (
    TownGraph,
    build_lanes,
    build_points,
    first_ahead,
    leave_ring,
    link_successors,
    refuse_bent_lanes,
    reverse_links,
    ring_lanes,
    to_csr,
)
from sim_adapters.maps.lane_grid import build_lane_grid
from sim_adapters.maps.lane_samples import SampledLane, sample_lanes
from sim_adapters.maps.layers import bake_layers
from sim_adapters.maps.map_worker import LEFT_OUT_SUFFIX, map_work
from sim_adapters.maps.opendrive_document import centred, moved, parse_document
from sim_adapters.maps.traffic_lights import TrafficLights, build_traffic_lights
from sim_adapters.maps.traffic_signs import (
    TrafficSigns,
    build_traffic_signs,
    describe_left_out,
    limit_posts,
    speed_limit_of_points,
)
from sim_adapters.scene.map_bank import (
    Crosswalks,
    EntryRule,
    LaneKind,
    LaneLinks,
    LaneRules,
    MapBank,
    MapRanges,
    SignKind,
)

# The compilation of kernels is taken out of the worker's limit of CPU time

_COMPILING = "numba:compiler_lock"


class _CompilationIsFree(event.Listener):
    """Lifts the limit while numba compiles and puts it back, later by what that took."""

    def __init__(self, limit_s: int) -> None:
        self._limit_s = float(limit_s)
        self._depth = 0  # a kernel's compilation compiles the kernels that it calls
        self._since_s = 0.0

    def on_start(self, event: event.Event) -> None:
        """Let the clock run free."""
        del event
        self._depth += 1
        if self._depth == 1:
            self._since_s = time.process_time()
            _set_limit_s(resource.RLIM_INFINITY)

    def on_end(self, event: event.Event) -> None:
        """Count on."""
        del event
        self._depth -= 1
        if self._depth == 0:
            self._limit_s += time.process_time() - self._since_s
            _set_limit_s(int(self._limit_s) + 1)


@contextmanager
def compilation_is_free() -> Iterator[None]:
    """Within this context what numba compiles does not count to the process's CPU time.

    Without a limit of CPU time nothing happens.
    """
    limit_s, _ = resource.getrlimit(resource.RLIMIT_CPU)
    if limit_s == resource.RLIM_INFINITY:
        yield
        return
    listener = _CompilationIsFree(limit_s)
    event.register(_COMPILING, listener)
    try:
        yield
    finally:
        event.unregister(_COMPILING, listener)


def _set_limit_s(limit_s: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if hard != resource.RLIM_INFINITY:
        limit_s = hard if limit_s == resource.RLIM_INFINITY else min(limit_s, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, hard))


def build_town_bank(document_text: bytes, pixels_per_meter: float) -> tuple[MapBank, list[str]]:
    """Parse one town; its name is left empty. Also a line about each thing that is left out."""
    text, shift_x, shift_y = centred(document_text)
    document = parse_document(text)
    try:
        carla_map = carla.Map("town", text.decode("utf-8"))
    except IndexError as error:  # std::out_of_range from CARLA's tables of roads
        raise ValueError(f"a link leads to a road or lane that is missing ({error})") from error
    samples = sample_lanes(carla_map, document)
    if not any(lane.kind == LaneKind.DRIVING for lane in samples):
        raise ValueError("the map has no driving lane")
    crosswalks = read_crosswalks(carla_map)
    # First of all that grows with the town: it refuses one that is too large
    layers = bake_layers(carla_map, samples, crosswalks, pixels_per_meter)
    graph, junction_ids = _build_graph(samples)
    lights = build_traffic_lights(graph, document, carla_map)
    signs = build_traffic_signs(graph, document)
    graph.points.speed_limit_mps[:] = speed_limit_of_points(graph, signs.limits)
    counts = {
        "lane": len(graph.samples),
        "point": len(graph.points.x),
        "signal": len(lights.signals.x),
        "group": len(lights.groups.num_phases),
        "sign": len(signs.signs.kind),
        "crosswalk": len(crosswalks.first_corner) - 1,
        "junction": len(junction_ids),
    }
    bank = MapBank(
        towns=("",),
        ranges=MapRanges(**{name: np.array([0, n], np.int32) for name, n in counts.items()}),
        points=graph.points,
        lanes=graph.lanes,
        links=_links(graph),
        rules=_rules(graph, lights, signs),
        grid=build_lane_grid(graph.points, graph.lanes),
        signals=lights.signals,
        stop_lines=lights.stop_lines,
        groups=lights.groups,
        signs=signs.signs,
        limit_posts=limit_posts(carla_map),
        crosswalks=crosswalks,
        layers=layers,
    )
    return moved(bank, shift_x, shift_y), describe_left_out(document, lights, signs)


def read_crosswalks(carla_map: carla.Map) -> Crosswalks:
    """A town's crosswalk polygons in our frame, without the closing corner that CARLA repeats.

    CARLA lists all corners in one row. Town15 also lists outlines of two corners, which are
    never closed and bound no area; they are left out.
    Limit: two outlines in a row that do not repeat their first corner cannot be told apart and
    are left out too; reading `OpenDriveDocument.objects` would lift that.
    """
    polygons: list[list[tuple[float, float, float]]] = []
    corners: list[tuple[float, float, float]] = []
    for location in carla_map.get_crosswalks():
        corner = (location.x, -location.y, location.z)
        if corner not in corners:
            corners.append(corner)
            continue
        polygon = corners[corners.index(corner) :]
        corners = []
        if len(polygon) >= 3:
            polygons.append(polygon)
    table = np.array([corner for polygon in polygons for corner in polygon]).reshape(-1, 3)
    return Crosswalks(
        first_corner=np.concatenate([[0], np.cumsum([len(p) for p in polygons])]).astype(np.int32),
        x=table[:, 0].copy(),
        y=table[:, 1].copy(),
        z=table[:, 2].copy(),
    )


def _build_graph(samples: list[SampledLane]) -> tuple[TownGraph, list[int]]:
    """The lane graph and the OpenDRIVE ids of its junctions."""
    junction_ids = sorted({lane.junction_id for lane in samples} - {-1})
    points = build_points(samples)
    lanes = build_lanes(samples, points, junction_ids)
    refuse_bent_lanes(points, lanes)
    successors = link_successors(samples, points, lanes)
    graph = TownGraph(samples, points, lanes, successors, reverse_links(successors))
    return graph, junction_ids


def _links(graph: TownGraph) -> LaneLinks:
    entries = entry_lanes(graph.lanes, graph.predecessors)
    conflicts = find_conflicts(graph.points, graph.lanes, entries)
    others: list[list[int]] = [[] for _ in graph.samples]
    for conflict in conflicts:
        others[conflict.lane].append(conflict.other)
    return LaneLinks(
        *to_csr(graph.successors),
        *to_csr(graph.predecessors),
        *to_csr(others),
        conflict_start_m=np.array([conflict.start_m for conflict in conflicts], np.float64),
        conflict_end_m=np.array([conflict.end_m for conflict in conflicts], np.float64),
        first_ahead=first_ahead(graph.samples),
    )


def _rules(graph: TownGraph, lights: TrafficLights, signs: TrafficSigns) -> LaneRules:
    """Rules of each lane; a lane heeds a light before any sign."""
    count = len(graph.samples)
    entry = np.full(count, EntryRule.FREE, np.uint8)
    signal, sign = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    for (_, first), row in signs.sign_of_entry.items():
        is_stop = signs.signs.kind[row] == SignKind.STOP
        entry[first] = EntryRule.STOP if is_stop else EntryRule.YIELD
        sign[first] = row
    for (_, first), row in lights.signal_of_entry.items():
        entry[first] = EntryRule.LIGHT
        signal[first] = row
    turn = turns(graph.points, graph.lanes, graph.successors, graph.predecessors)
    is_ring = ring_lanes(graph)
    leaves_ring = leave_ring(graph, is_ring)
    keeps_left = np.array([lane.keeps_left for lane in graph.samples])
    priority = priorities(graph.lanes, entry, turn, is_ring, leaves_ring, keeps_left)
    return LaneRules(entry, signal, sign, priority, turn)


def main() -> None:
    """Read the document from standard input and write the bank."""
    output, pixels_per_meter = Path(sys.argv[1]), float(sys.argv[2])
    with map_work(), compilation_is_free():
        bank, left_out = build_town_bank(sys.stdin.buffer.read(), pixels_per_meter)
    if left_out:
        output.with_suffix(LEFT_OUT_SUFFIX).write_text("\n".join(left_out), encoding="utf-8")
    save_bank(bank, output)


if __name__ == "__main__":
    main()
