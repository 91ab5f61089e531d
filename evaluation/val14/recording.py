"""Val14's drives for the viewer: what was simulated of a scenario, its scores, the map around."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics import MetricScores, ScenarioScores
from evaluation.nuplan_metrics.collisions import LEAST_TTC_S
from evaluation.nuplan_metrics.ego_path import EgoPath, ego_path
from evaluation.nuplan_metrics.lane_graph import road_maps
from evaluation.nuplan_metrics.scoring import MULTIPLIERS, WEIGHTS, Measurements, measure
from evaluation.recording.about import passed_percent
from evaluation.recording.episode import RecordedEpisode, Tracks, find_presences
from evaluation.recording.folder import EpisodeFolder, town_file
from evaluation.val14.decisions import DecisionNotes, Decisions
from evaluation.val14.files import Drive
from evaluation.viewer.page_file import pack_layers
from sim_adapters.array_types import FloatArray
from sim_adapters.atomic_file import write_atomically
from sim_adapters.nuplan.bicycle import LENGTH_M, WIDTH_M
from sim_adapters.nuplan.replay import KIND_OF_TYPE, LIGHT_STATE
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.scenario_source import logged_scenario
from sim_adapters.nuplan.trajectory import EgoTrace, TrackTrace
from sim_adapters.scene.map_areas import AreaKind, Polylines, VectorMap
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import ActorKind, LightState

WORDS = {
    "no_ego_at_fault_collisions": "at-fault collision",
    "drivable_area_compliance": "left the drivable area",
    "driving_direction_compliance": "against the driving direction",
    "ego_is_making_progress": "hardly any progress",
    "ego_progress_along_expert_route": "less progress than the expert",
    "time_to_collision_within_bound": f"time to collision below {LEAST_TTC_S} s",
    "speed_limit_compliance": "faster than the limit",
    "ego_is_comfortable": "uncomfortable",
}
SHOWN_BELOW = 0.995  # metrics nearer to 1 are not worth a line
_EGO_ID = 1  # tracks have their row in the log and two


class ScenarioRecorder:
    """Keeps drives below the folder of a run, a folder for each planner and mode.

    Args:
        output: Of the run.
        maps: With vector maps.
        about: JSON values that go into every drive: benchmark, world.
    """

    def __init__(self, output: Path, maps: MapBank, about: Mapping[str, Any]) -> None:
        self._output, self._maps, self._about = output, maps, dict(about)
        self._roads = road_maps(maps)

    def keep(
        self,
        drive: Drive,
        logs: Sequence[ScenarioLog],
        traces: tuple[EgoTrace, TrackTrace],
        scores: Sequence[ScenarioScores],
        notes: DecisionNotes,
    ) -> None:
        """Keep the scenarios of a portion that have a score.

        Args:
            drive: Who drove among whom.
            logs: The scenarios.
            traces: What was simulated of them.
            scores: What came of it.
            notes: What was seen and decided.
        """
        folder = EpisodeFolder(self._output / "_".join(drive))
        about = {**self._about, "planner": ", ".join(drive)}
        for row, (log, score) in enumerate(zip(logs, scores, strict=True)):
            if score.metrics is None:
                continue
            map_index = self._maps.map_index(log.map_name)
            measured = measure(*traces, row, log, self._roads[map_index])
            path = ego_path(traces[0], row)
            said = about | about_scenario(log, score, measured, path)
            decisions = notes.of(row, len(path.x))
            folder.write(scenario_episode(log, traces, row, path, said, decisions))
            picture = folder.path / town_file(said)
            if not picture.is_file():
                write_atomically(picture, pack_surroundings(self._maps, log, path))


def about_scenario(
    log: ScenarioLog, score: ScenarioScores, measured: Measurements, path: EgoPath
) -> dict[str, Any]:
    """What the viewer lists: metrics below 1 are its infractions, each at its worst moment."""
    metrics = score.metrics
    assert metrics is not None
    low = [name for name in MetricScores._fields if getattr(metrics, name) < SHOWN_BELOW]
    step_s = step_length_s(log)
    product, mean = 1.0, 100.0 * _weighted_mean(metrics)
    for name in MULTIPLIERS:
        product *= getattr(metrics, name)
    return {
        "label": log.scenario_type.replace("_", " "),
        "route": log.token,
        "town": log.map_name,
        "map": f"{log.map_name}_{log.token}",
        "scenario_type": log.scenario_type,
        "log": log.log_name,
        "seed": 0,
        "length_m": round(measured.progress.expert_m, 1),
        "score": round(100.0 * score.score, 3),
        "completion": round(100.0 * metrics.ego_progress_along_expert_route, 3),
        "infraction_score": round(product, 5),
        "how_scored": f"multipliers {product:g}, weighted mean {mean:.1f}",
        "end": "Completed",
        "duration_s": round(len(path.x) * step_s, 3),
        "infractions": [_moment(name, metrics, measured, path, step_s) for name in low],
        "triggers": [],
    }


def step_length_s(log: ScenarioLog) -> float:
    """Time between two frames [s], to the millisecond."""
    return round(float(np.median(np.diff(log.ego.time_us))) * 1e-6, 3)


def scenario_episode(
    log: ScenarioLog,
    traces: tuple[EgoTrace, TrackTrace],
    row: int,
    path: EgoPath,
    about: Mapping[str, Any],
    decisions: Decisions,
) -> RecordedEpisode:
    """One drive.

    Args:
        log: The scenario.
        traces: Of its portion.
        row: The scenario's in them.
        path: Of the ego.
        about: See `about_scenario`.
        decisions: What was seen, planned and done.
    """
    route = logged_scenario(log).route
    plan = np.stack([route.x, route.y], axis=1)
    num_samples = len(path.x)
    return RecordedEpisode(
        about=about,
        step_s=step_length_s(log),
        route=plan,
        tracks=_tracks(traces[1], row, path, traces[0].yaw_rad[row, :num_samples]),
        driver={
            "speed_mps": path.speed_mps,
            "route_percent": passed_percent(plan, path.x, path.y),
            **decisions.driver,
        },
        signals=_signals(log, num_samples),
        phases=np.zeros((0, num_samples), np.int64),
        plan=decisions.plan,
        raster=decisions.raster,
    )


def _weighted_mean(metrics: MetricScores) -> float:
    total = sum(weight * getattr(metrics, name) for name, weight in WEIGHTS.items())
    return total / sum(WEIGHTS.values())


def _moment(
    name: str, metrics: MetricScores, measured: Measurements, path: EgoPath, step_s: float
) -> dict[str, Any]:
    """A metric below 1 with the moment that shows it; the end where it is about the whole way."""
    value, last = float(getattr(metrics, name)), len(path.x) - 1
    step = last
    if name == "no_ego_at_fault_collisions":
        step = _first(measured.ttc_s <= 0.0, last)  # the devkit's time at an at-fault collision
    elif name == "time_to_collision_within_bound":
        step = _first(measured.ttc_s <= LEAST_TTC_S, last)
    elif name == "speed_limit_compliance":
        step = int(np.argmax(measured.overspeed_mps))
    elif name == "driving_direction_compliance":
        step = int(np.argmin(measured.direction_m))
    factor = value if name in MULTIPLIERS else 1.0
    return {
        "kind": name,
        "name": WORDS[name] if value == 0.0 else f"{WORDS[name]} ({value:.2f})",
        "time_s": round((step + 1) * step_s, 3),
        "x": round(float(path.x[step]), 2),
        "y": round(float(path.y[step]), 2),
        "z": 0.0,
        "percent": 0.0,
        "other_id": 0,
        "other": "",
        "factor": round(factor, 4),
    }


def _first(found: NDArray[np.bool_], otherwise: int) -> int:
    return int(np.argmax(found)) if found.any() else otherwise


def _tracks(trace: TrackTrace, row: int, path: EgoPath, yaw_rad: FloatArray) -> Tracks:
    """The ego and everybody around it; a track has a column of its own."""
    num_samples = len(path.x)
    track = trace.track[row, :num_samples]
    sample, slot = np.nonzero(track >= 0)
    names, column = np.unique(track[sample, slot], return_inverse=True)
    shape = (num_samples, 1 + len(names))

    def table(own: FloatArray | float, values: NDArray[Any]) -> FloatArray:
        filled = np.zeros(shape)
        filled[:, 0] = own
        filled[sample, 1 + column] = values[row, sample, slot]
        return filled

    ids = np.zeros(shape, np.int64)
    ids[:, 0] = _EGO_ID
    ids[sample, 1 + column] = track[sample, slot] + 1 + _EGO_ID
    kinds = table(float(ActorKind.CAR), KIND_OF_TYPE[trace.type])
    found = find_presences(ids, 0)
    start, place = found.start, found.place
    return Tracks(
        actor_id=ids[start],
        kind=kinds[start].astype(np.int64),
        half_length_m=table(0.5 * LENGTH_M, 0.5 * trace.length_m)[start],
        half_width_m=table(0.5 * WIDTH_M, 0.5 * trace.width_m)[start],
        first_step=found.first_step,
        num_steps=found.num_steps,
        x=table(path.x, trace.x)[place],
        y=table(path.y, trace.y)[place],
        yaw_rad=table(yaw_rad, trace.yaw_rad)[place],
        speed_mps=table(path.speed_mps, np.hypot(trace.vx_mps, trace.vy_mps))[place],
        lights=np.zeros(len(place[0]), np.int64),
    )


def _signals(log: ScenarioLog, num_samples: int) -> NDArray[np.int64]:
    """LightState of the log's connectors, (L, T); off where a frame does not name one."""
    connectors = light_connectors(log)
    rows = {fid: index for index, fid in enumerate(connectors)}
    states = np.full((len(connectors), num_samples), int(LightState.OFF), np.int64)
    for sample in range(num_samples):
        for entry in range(log.lights.first[sample], log.lights.first[sample + 1]):
            fid = int(log.lights.connector_fid[entry])
            states[rows[fid], sample] = LIGHT_STATE[log.lights.state[entry]]
    return states


# The map around a nuPlan scenario, as the viewer's picture

MAP_RADIUS_M = 120.0  # around the ego's way
LAYER_OF = {
    AreaKind.WALKWAY: "sidewalk",
    AreaKind.CARPARK: "parking",
    AreaKind.LANE: "road",
    AreaKind.LANE_CONNECTOR: "road",
    AreaKind.INTERSECTION: "road",
    AreaKind.ROAD_SEGMENT: "road",
    AreaKind.GENERIC_DRIVABLE: "road",
    AreaKind.CROSSWALK: "crosswalk",
}


def pack_surroundings(maps: MapBank, log: ScenarioLog, path: EgoPath) -> bytes:
    """The map within MAP_RADIUS_M of the ego's way, with the stop lines of the log's lights."""
    vector, map_index = maps.vector, maps.map_index(log.map_name)
    assert vector is not None
    box = (path.x.min(), path.y.min(), path.x.max(), path.y.max())
    low = np.array(box[:2]) - MAP_RADIUS_M
    high = np.array(box[2:]) + MAP_RADIUS_M
    return pack_layers(
        log.map_name,
        {**_areas(vector, map_index, low, high), "marking": _lines(vector, map_index, low, high)},
        stop_lines=_stop_lines(vector, map_index, light_connectors(log)),
        stop_signs=np.zeros((0, 3)),
    )


def light_connectors(log: ScenarioLog) -> list[int]:
    """Connectors whose lights the log has, in the order of the recorded signals."""
    return sorted({int(fid) for fid in log.lights.connector_fid})


def _areas(
    vector: VectorMap, map_index: int, low: FloatArray, high: FloatArray
) -> dict[str, list[FloatArray]]:
    areas = vector.areas
    rows = np.arange(vector.first_area[map_index], vector.first_area[map_index + 1])
    bounds = areas.bounds[rows]
    rows = rows[(bounds[:, :2] < high).all(axis=1) & (bounds[:, 2:] > low).all(axis=1)]
    layers: dict[str, list[FloatArray]] = {name: [] for name in LAYER_OF.values()}
    for area in rows:
        layer = LAYER_OF.get(AreaKind(areas.kind[area]))
        if layer is None:
            continue
        for ring in range(areas.first_ring[area], areas.first_ring[area + 1]):
            if areas.is_exterior[ring]:
                corners = slice(areas.first_corner[ring], areas.first_corner[ring + 1])
                layers[layer].append(np.stack([areas.x[corners], areas.y[corners]], axis=1))
    return layers


def _lines(
    vector: VectorMap, map_index: int, low: FloatArray, high: FloatArray
) -> list[FloatArray]:
    """Boundaries of lanes; neighbours share theirs, which is kept once."""
    found: dict[bytes, FloatArray] = {}
    for edge in range(vector.first_edge[map_index], vector.first_edge[map_index + 1]):
        if vector.edges.is_connector[edge]:
            continue
        for side in (vector.left_boundaries, vector.right_boundaries):
            line = _line(side, edge)
            if (line.min(axis=0) < high).all() and (line.max(axis=0) > low).all():
                found.setdefault(line.round(2).tobytes(), line)
    return list(found.values())


def _stop_lines(vector: VectorMap, map_index: int, connectors: Sequence[int]) -> FloatArray:
    """Across the begin of each connector, (K, 5); see `pack_layers`."""
    edges = vector.edges
    rows = np.arange(vector.first_edge[map_index], vector.first_edge[map_index + 1])
    rows = rows[edges.is_connector[rows]]
    edge_of = {int(edges.fid[row]): int(row) for row in rows}
    sides, lines = (vector.left_boundaries, vector.right_boundaries), []
    for light, fid in enumerate(connectors):
        edge = edge_of.get(fid)
        if edge is not None:
            left, right = (_line(side, edge)[0] for side in sides)
            lines.append([*left, *right, light])
    return np.array(lines, np.float64).reshape(-1, 5)


def _line(lines: Polylines, row: int) -> FloatArray:
    points = slice(lines.first_point[row], lines.first_point[row + 1])
    return np.stack([lines.x[points], lines.y[points]], axis=1)
