"""The hand-made road as a nuPlan map, and logs of a drive along it.

Lanes and connectors are those of `tests/scene/hand_made_map.py`, 3.5 m wide; connector 1, the
eastbound way through the junction, has a light and a stop polygon from x = 98 to 100.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog, ScenarioLog, TrackType
from sim_adapters.scene.map_areas import (
    AreaGrid,
    AreaKind,
    MapAreas,
    Polylines,
    RoadEdges,
    VectorMap,
)
from sim_adapters.scene.map_bank import MapBank
from tests.scene.hand_made_map import LANES, make_map_bank

CONNECTORS = (1, 4)
FID_OF_EDGE = 100  # fid of edge i is 100 + i
Box = tuple[str, TrackType, float, float, float, float]  # token, type, x, y, yaw, speed


def make_nuplan_maps(speed_limit_mps: float = 10.0) -> MapBank:
    """One map, `HandMade`, with polygons for lanes, connectors, junction and stop line."""
    maps = make_map_bank()
    signal = np.full(len(LANES), -1, np.int32)
    signal[1] = 0
    return replace(
        maps,
        rules=maps.rules._replace(signal=signal),
        vector=_vector_map(speed_limit_mps),
    )


def _rectangle(x0: float, x1: float, y0: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]


def _vector_map(speed_limit_mps: float) -> VectorMap:
    rows: list[tuple[AreaKind, int, list[tuple[float, float]]]] = []
    for edge, (start, end, y, *_) in enumerate(LANES):
        x0, x1 = sorted((float(start), float(end)))
        kind = AreaKind.LANE_CONNECTOR if edge in CONNECTORS else AreaKind.LANE
        rows.append((kind, FID_OF_EDGE + edge, _rectangle(x0, x1, y - 1.75, y + 1.75)))
    for edge, (start, end, y, *_) in enumerate(LANES):
        x0, x1 = sorted((float(start), float(end)))
        kind = AreaKind.ROADBLOCK_CONNECTOR if edge in CONNECTORS else AreaKind.ROADBLOCK
        rows.append((kind, 200 + edge, _rectangle(x0, x1, y - 1.75, y + 1.75)))
    rows.append((AreaKind.INTERSECTION, 300, _rectangle(100.0, 120.0, -3.5, 3.5)))
    rows.append((AreaKind.STOP_POLYGON, 400, _rectangle(98.0, 100.0, -3.5, 0.0)))
    areas = _areas(rows)
    num_edges, intersection = len(LANES), 2 * len(LANES)
    is_connector = np.isin(np.arange(num_edges), CONNECTORS)
    first_stop = np.zeros(num_edges + 1, np.int32)
    first_stop[2:] = 1
    return VectorMap(
        areas=areas,
        area_grid=AreaGrid(
            np.array([-10.0]),
            np.array([-10.0]),
            np.array([250.0]),
            *(np.array(values, np.int32) for values in ([1], [1], [0], [0, len(rows)])),
            area=np.arange(len(rows), dtype=np.int32),
        ),
        edges=RoadEdges(
            area=np.arange(num_edges, dtype=np.int32),
            roadblock=np.arange(num_edges, 2 * num_edges, dtype=np.int32),
            intersection=np.where(is_connector, intersection, -1).astype(np.int32),
            is_connector=is_connector,
            fid=np.arange(FID_OF_EDGE, FID_OF_EDGE + num_edges),
            speed_limit_mps=np.full(num_edges, speed_limit_mps),
            has_lights=np.arange(num_edges) == 1,
            first_stop=first_stop,
            stop=np.array([intersection + 1], np.int32),
        ),
        baselines=_lines(0.0),
        left_boundaries=_lines(1.75),
        right_boundaries=_lines(-1.75),
        first_area=np.array([0, len(rows)], np.int32),
        first_edge=np.array([0, num_edges], np.int32),
    )


def _areas(rows: list[tuple[AreaKind, int, list[tuple[float, float]]]]) -> MapAreas:
    corners = [np.array(ring) for _, _, ring in rows]
    first = np.concatenate([[0], np.cumsum([len(ring) for ring in corners])]).astype(np.int32)
    points = np.concatenate(corners)
    return MapAreas(
        kind=np.array([kind for kind, _, _ in rows], np.uint8),
        fid=np.array([fid for _, fid, _ in rows], np.int64),
        first_ring=np.arange(len(rows) + 1, dtype=np.int32),
        first_corner=first,
        is_exterior=np.ones(len(rows), np.bool_),
        x=points[:, 0].copy(),
        y=points[:, 1].copy(),
        bounds=np.array([[*ring.min(0), *ring.max(0)] for ring in corners]),
    )


def _lines(left_m: float) -> Polylines:
    """Lane centres, or lines that far to the left of them, a point every metre."""
    x, y, yaw, s, first = [], [], [], [], [0]
    for start, end, lane_y, *_ in LANES:
        direction = 1.0 if end > start else -1.0
        steps = np.arange(abs(end - start) + 1.0)
        x.append(start + direction * steps)
        y.append(np.full(steps.size, lane_y + direction * left_m))
        yaw.append(np.full(steps.size, 0.0 if direction > 0 else np.pi))
        s.append(steps)
        first.append(first[-1] + steps.size)
    return Polylines(np.array(first, np.int32), *(np.concatenate(p) for p in (x, y, yaw, s)))


def make_log(
    *,
    num_frames: int = 150,
    start_x: float = 10.0,
    y: float = -1.75,
    speed_mps: float = 5.0,
    frames: Sequence[Sequence[Box]] = (),
    lights: Sequence[Mapping[int, int]] = (),
    token: str = "0123456789abcdef",
) -> ScenarioLog:
    """An ego that drives east at constant speed, with boxes and lights frame by frame.

    Args:
        num_frames: N.
        start_x: Of the rear axle in the first frame.
        y: Of the rear axle.
        speed_mps: Of the ego.
        frames: Boxes of each frame; the last given frame repeats, 4 x 2 m each.
        lights: Connector fid to LoggedLight of each frame; the last repeats.
        token: Of the scenario.
    """
    past, after = 20, 160
    ego = [
        EgoLog(
            time_us=1_600_000_000_000_000 + 100_000 * k,
            x=start_x + 0.1 * speed_mps * k.astype(np.float64),
            y=np.full(k.size, y),
            yaw_rad=np.zeros(k.size),
            vx_mps=np.full(k.size, speed_mps),
            vy_mps=np.zeros(k.size),
            ax_mps2=np.zeros(k.size),
            ay_mps2=np.zeros(k.size),
        )
        for k in (
            np.arange(num_frames),
            np.arange(-past, 0),
            np.arange(num_frames, num_frames + after),
        )
    ]
    boxes = [list(frames[min(k, len(frames) - 1)]) if frames else [] for k in range(num_frames)]
    states = [lights[min(k, len(lights) - 1)] if lights else {} for k in range(num_frames)]
    tokens = tuple(dict.fromkeys(box[0] for frame in boxes for box in frame))
    rows = [box for frame in boxes for box in frame]
    yaw = np.array([box[4] for box in rows])
    speed = np.array([box[5] for box in rows])
    return ScenarioLog(
        token=token,
        scenario_type="following_lane_with_lead",
        log_name="hand_made",
        map_name="HandMade",
        ego=ego[0],
        past_ego=ego[1],
        future_ego=ego[2],
        boxes=BoxLog(
            first=np.cumsum([0, *(len(frame) for frame in boxes)]).astype(np.int32),
            track=np.array([tokens.index(box[0]) for box in rows], np.int32),
            type=np.array([box[1] for box in rows], np.uint8),
            x=np.array([box[2] for box in rows]),
            y=np.array([box[3] for box in rows]),
            yaw_rad=yaw,
            length_m=np.full(len(rows), 4.0),
            width_m=np.full(len(rows), 2.0),
            vx_mps=speed * np.cos(yaw),
            vy_mps=speed * np.sin(yaw),
        ),
        track_tokens=tokens,
        lights=LightLog(
            first=np.cumsum([0, *(len(frame) for frame in states)]).astype(np.int32),
            connector_fid=np.array([fid for frame in states for fid in frame], np.int64),
            state=np.array([state for frame in states for state in frame.values()], np.uint8),
        ),
        route_fids=(200, 201, 202),
        corrected_route_fids=(200, 201, 202),
    )
