"""Collisions that the ego is to blame for, and those that it would have had."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.ego_path import EgoPath, SeenTracks
from evaluation.nuplan_metrics.lane_graph import RoadMap
from sim_adapters.array_types import FloatArray
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.bicycle import LENGTH_M, WIDTH_M
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.area_lookup import is_in_area
from sim_adapters.scene.geometry import turned_boxes_overlap
from sim_adapters.scene.map_areas import AreaGrid, AreaKind, MapAreas

# No at-fault collisions: the ego hits nothing that it could have avoided.
#
# A track collides once, at the first sample at which its box overlaps the ego's; then the kind of
# the collision is decided for good. At fault are: hitting something that stands, hitting with the
# front bumper, and touching sideways while the ego is in several lanes or off the road. A collision
# of the standing ego or from behind is not. The score is the product over vulnerable road users,
# vehicles and objects of max(0, 1 - n / (allowed + 1)), where one object is allowed, nothing else.
# Source: nuPlan devkit, `no_ego_at_fault_collisions.py`.

STOPPED_MPS = 0.05  # speed up to which a car or track counts as standing
USERS, VEHICLES, OBJECTS = range(3)
_ALLOWED = np.array([0, 0, 1])

_VEHICLE = int(TrackType.VEHICLE)
_LAST_AGENT = int(TrackType.BICYCLE)  # types up to this one move by themselves
_HALF_LENGTH_M, _HALF_WIDTH_M = LENGTH_M / 2.0, WIDTH_M / 2.0


class Collisions(NamedTuple):
    """Collisions of one scenario."""

    first_sample: NDArray[np.int32]  # (tracks,) at which a track collides, T if never
    is_at_fault: NDArray[np.bool_]  # (T,) samples with a new at-fault collision
    num_at_fault: NDArray[np.int32]  # (3,) USERS (pedestrians, bicycles), VEHICLES, OBJECTS


def find_collisions(
    ego: EgoPath, tracks: SeenTracks, is_in_common: NDArray[np.bool_], num_tracks: int
) -> Collisions:
    """Collisions of a path.

    Args:
        ego: The path, T samples.
        tracks: What was around it.
        is_in_common: (T,) see CornerLanes.
        num_tracks: Identities that `tracks.track` counts.
    """
    samples = len(ego.x)
    found = Collisions(
        np.full(num_tracks, samples, np.int32), np.zeros(samples, np.bool_), np.zeros(3, np.int32)
    )
    _find(ego, tracks, is_in_common, *found)
    return found


def collision_score(num_at_fault: NDArray[np.int32]) -> float:
    """Score in [0, 1] of at-fault collisions by class."""
    return float(np.prod(np.maximum(0.0, 1.0 - num_at_fault / (_ALLOWED + 1))))


@range_kernel
def _find(
    ego: EgoPath,
    tracks: SeenTracks,
    is_in_common: NDArray[np.bool_],
    first_sample: NDArray[np.int32],
    is_at_fault: NDArray[np.bool_],
    num_at_fault: NDArray[np.int32],
) -> None:
    for k in range(len(ego.x)):
        for i in range(tracks.track.shape[1]):
            track = tracks.track[k, i]
            if (
                track < 0
                or first_sample[track] < k
                or not turned_boxes_overlap(
                    tracks.x[k, i] - ego.x[k],
                    tracks.y[k, i] - ego.y[k],
                    ego.cos_yaw[k],
                    ego.sin_yaw[k],
                    _HALF_LENGTH_M,
                    _HALF_WIDTH_M,
                    tracks.cos_yaw[k, i],
                    tracks.sin_yaw[k, i],
                    tracks.half_length_m[k, i],
                    tracks.half_width_m[k, i],
                )
            ):
                continue
            first_sample[track] = k
            if _is_at_fault(k, i, ego, tracks, is_in_common[k]):
                is_at_fault[k] = True
                num_at_fault[_class(tracks.type[k, i])] += 1


@device_function
def _class(track_type: int) -> int:
    """USERS, VEHICLES or OBJECTS."""
    if track_type == _VEHICLE:
        return VEHICLES
    return USERS if track_type <= _LAST_AGENT else OBJECTS


@device_function
def _is_at_fault(k: int, i: int, ego: EgoPath, tracks: SeenTracks, is_in_common: bool) -> bool:
    """Whether a new collision is the ego's fault, by the first case of the devkit that holds."""
    if ego.speed_mps[k] <= STOPPED_MPS:
        return False
    if tracks.type[k, i] > _LAST_AGENT or tracks.speed_mps[k, i] <= STOPPED_MPS:
        return True
    dx, dy = tracks.x[k, i] - ego.rear_axle_x[k], tracks.y[k, i] - ego.rear_axle_y[k]
    if is_behind(bearing_rad(dx, dy, ego.cos_yaw[k], ego.sin_yaw[k])):
        return False
    return _bumper_touches(k, i, ego, tracks) or not is_in_common


@device_function
def _bumper_touches(k: int, i: int, ego: EgoPath, tracks: SeenTracks) -> bool:
    """Whether the line between the front corners meets the track's box: a box without length."""
    return turned_boxes_overlap(
        tracks.x[k, i] - (ego.x[k] + _HALF_LENGTH_M * ego.cos_yaw[k]),
        tracks.y[k, i] - (ego.y[k] + _HALF_LENGTH_M * ego.sin_yaw[k]),
        ego.cos_yaw[k],
        ego.sin_yaw[k],
        0.0,
        _HALF_WIDTH_M,
        tracks.cos_yaw[k, i],
        tracks.sin_yaw[k, i],
        tracks.half_length_m[k, i],
        tracks.half_width_m[k, i],
    )


# Whether a track lies ahead of the ego or behind it, to the devkit's last bit.
#
# The devkit takes the arc cosine of a scalar product of two unit vectors. For a track straight
# ahead that product may round to just above one, the angle is then not a number, and the track
# counts neither as ahead nor as behind. Hence this file repeats the arithmetic of numpy's `dot`:
# a product, then a fused multiply-add.
# Source: nuPlan devkit, `simulation/observation/idm/utils.py`.

_AHEAD_RAD = math.radians(30.0)
_BEHIND_RAD = math.radians(150.0)
_SPLITTER = 2.0**27 + 1.0  # Veltkamp: halves the 53 bits of a float64


@device_function
def is_ahead(bearing_rad: float) -> bool:
    """Within 30 degrees of straight ahead; false for NaN."""
    return bearing_rad < _AHEAD_RAD


@device_function
def is_behind(bearing_rad: float) -> bool:
    """More than 150 degrees from straight ahead; false for NaN."""
    return bearing_rad > _BEHIND_RAD


@device_function
def bearing_rad(dx: float, dy: float, cos_yaw: float, sin_yaw: float) -> float:
    """Angle between the heading and an offset, in [0, pi], or NaN as described above."""
    distance = math.sqrt(_multiply_add(dy, dy, dx * dx))
    if distance == 0.0:
        return np.nan
    cosine = _multiply_add(sin_yaw, dy / distance, cos_yaw * (dx / distance))
    if abs(cosine) > 1.0:
        return np.nan
    return math.acos(cosine)


@device_function
def _multiply_add(a: float, b: float, c: float) -> float:
    """Gives a * b + c, rounded once (Dekker's exact product, Knuth's exact sum)."""
    product = a * b
    high_a = _SPLITTER * a - (_SPLITTER * a - a)
    high_b = _SPLITTER * b - (_SPLITTER * b - b)
    low_a, low_b = a - high_a, b - high_b
    product_error = low_a * low_b - (
        ((product - high_a * high_b) - low_a * high_b) - high_a * low_b
    )
    total = product + c
    part = total - product
    sum_error = (product - (total - part)) + (c - part)
    return total + (product_error + sum_error)


# Time to collision within bound: at constant speeds the ego would hit nothing for 0.95 s.
#
# Ego and tracks move on with their speed along their heading, 0.1 s to 2.9 s ahead in steps of
# 0.1 s. Tracks ahead count (within 30 degrees); where the ego is in several lanes, off the road or
# in an intersection, those beside it, too. Tracks that collided before are left out, and a sample
# with an at-fault collision has a time of zero.
# Source: nuPlan devkit, `time_to_collision_within_bound.py`.

LEAST_TTC_S = 0.95
STEP_S = 0.1
HORIZON_S = 3.0
_TTC_STOPPED_MPS = 0.005  # below this speed of the ego there is no time to collision

_TIMES_S = np.arange(STEP_S, HORIZON_S, STEP_S)
_INTERSECTION = int(AreaKind.INTERSECTION)


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
        if ego.speed_mps[k] <= _TTC_STOPPED_MPS:
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
