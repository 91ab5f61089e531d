"""No at-fault collisions: the ego hits nothing that it could have avoided.

A track collides once, at the first sample at which its box overlaps the ego's; then the kind of
the collision is decided for good. At fault are: hitting something that stands, hitting with the
front bumper, and touching sideways while the ego is in several lanes or off the road. A collision
of the standing ego or from behind is not. The score is the product over vulnerable road users,
vehicles and objects of max(0, 1 - n / (allowed + 1)), where one object is allowed, nothing else.
Source: nuPlan devkit, `no_ego_at_fault_collisions.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.nuplan_metrics.bearing import bearing_rad, is_behind
from evaluation.nuplan_metrics.ego_path import EgoPath
from evaluation.nuplan_metrics.tracks import SeenTracks
from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.bicycle import LENGTH_M, WIDTH_M
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.geometry import turned_boxes_overlap

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
