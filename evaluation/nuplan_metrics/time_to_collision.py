"""Time to collision within bound: at constant speeds the ego would hit nothing for 0.95 s.

Ego and tracks move on with their speed along their heading, 0.1 s to 2.9 s ahead in steps of
0.1 s. Tracks ahead count (within 30 degrees); where the ego is in several lanes, off the road or
in an intersection, those beside it, too. Tracks that collided before are left out, and a sample
with an at-fault collision has a time of zero.
Source: nuPlan devkit, `time_to_collision_within_bound.py`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.at_fault_collisions import Collisions
from evaluation.nuplan_metrics.bearing import bearing_rad, is_ahead, is_behind
from evaluation.nuplan_metrics.ego_path import EgoPath
from evaluation.nuplan_metrics.lane_graph import FloatArray, RoadMap
from evaluation.nuplan_metrics.tracks import SeenTracks
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.bicycle import LENGTH_M, WIDTH_M
from sim_adapters.scene.area_lookup import is_in_area
from sim_adapters.scene.geometry import turned_boxes_overlap
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas

LEAST_TTC_S = 0.95
STEP_S = 0.1
HORIZON_S = 3.0
STOPPED_MPS = 0.005  # below this speed of the ego there is no time to collision

_TIMES_S = np.arange(STEP_S, HORIZON_S, STEP_S)
_INTERSECTION = int(AreaKind.INTERSECTION)
_HALF_LENGTH_M, _HALF_WIDTH_M = LENGTH_M / 2.0, WIDTH_M / 2.0


def time_to_collision_s(
    ego: EgoPath,
    tracks: SeenTracks,
    collisions: Collisions,
    is_in_common: NDArray[np.bool_],
    road: RoadMap,
) -> FloatArray:
    """Time to the first collision at each sample, (T,) [s], infinite where there is none."""
    ttc_s = np.full(len(ego.x), np.inf)
    hits, place = collisions, (road.map_index, road.areas, road.grid)
    _fill(ego, tracks, hits.first_sample, hits.is_at_fault, is_in_common, *place, ttc_s)
    return ttc_s


def ttc_score(ttc_s: FloatArray) -> float:
    """1 if every sample is above the bound, else 0."""
    return float(np.all(ttc_s > LEAST_TTC_S))


@range_kernel
def _fill(
    ego: EgoPath,
    tracks: SeenTracks,
    first_sample: NDArray[np.int32],
    is_at_fault: NDArray[np.bool_],
    is_in_common: NDArray[np.bool_],
    map_index: int,
    areas: MapAreas,
    grid: AreaGrid,
    ttc_s: FloatArray,
) -> None:
    for k in range(len(ttc_s)):
        if is_at_fault[k]:
            ttc_s[k] = 0.0
            continue
        if ego.speed_mps[k] <= STOPPED_MPS:
            continue
        beside_counts = not is_in_common[k] or is_in_area(
            ego.rear_axle_x[k], ego.rear_axle_y[k], map_index, _INTERSECTION, areas, grid
        )
        for i in range(tracks.track.shape[1]):
            track = tracks.track[k, i]
            if track < 0 or first_sample[track] <= k:
                continue
            dx, dy = tracks.x[k, i] - ego.rear_axle_x[k], tracks.y[k, i] - ego.rear_axle_y[k]
            bearing = bearing_rad(dx, dy, ego.cos_yaw[k], ego.sin_yaw[k])
            if is_ahead(bearing) or (beside_counts and not is_behind(bearing)):
                ttc_s[k] = min(ttc_s[k], _pair_ttc_s(k, i, ego, tracks))


@device_function
def _pair_ttc_s(k: int, i: int, ego: EgoPath, tracks: SeenTracks) -> float:
    """First time at which the ego and one track overlap, infinite if they don't."""
    dx, dy = tracks.x[k, i] - ego.x[k], tracks.y[k, i] - ego.y[k]
    ego_step = ego.speed_mps[k] * STEP_S
    track_step = tracks.speed_mps[k, i] * STEP_S
    step_x = tracks.cos_yaw[k, i] * track_step - ego.cos_yaw[k] * ego_step
    step_y = tracks.sin_yaw[k, i] * track_step - ego.sin_yaw[k] * ego_step
    half_steps = HORIZON_S / STEP_S / 2.0
    # Boxes stretched over the whole way, a test that spares the steps for most tracks
    if not _overlap(
        k, i, dx + half_steps * step_x, dy + half_steps * step_y, half_steps, ego, tracks
    ):
        return math.inf
    for time_s in _TIMES_S:
        dx, dy = dx + step_x, dy + step_y
        if _overlap(k, i, dx, dy, 0.0, ego, tracks):
            return float(time_s)
    return math.inf


@device_function
def _overlap(
    k: int, i: int, dx: float, dy: float, half_steps: float, ego: EgoPath, tracks: SeenTracks
) -> bool:
    """Whether the boxes overlap, each longer by the way it drives in twice `half_steps` steps."""
    return turned_boxes_overlap(
        dx,
        dy,
        ego.cos_yaw[k],
        ego.sin_yaw[k],
        _HALF_LENGTH_M + half_steps * STEP_S * ego.speed_mps[k],
        _HALF_WIDTH_M,
        tracks.cos_yaw[k, i],
        tracks.sin_yaw[k, i],
        tracks.half_length_m[k, i] + half_steps * STEP_S * tracks.speed_mps[k, i],
        tracks.half_width_m[k, i],
    )
