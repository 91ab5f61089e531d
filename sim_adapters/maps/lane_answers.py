"""NearestLanes: what CARLA's map library says of places; it is asked in a child process."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sim_adapters.array_types import FloatArray

LaneId = tuple[int, int, int]  # OpenDRIVE road, section and lane


class DrivingAnswers(NamedTuple):
    """The driving lane that CARLA names for each place, and its point there, (K,), our frame."""

    road_id: FloatArray  # whole numbers, as all ids here
    section_id: FloatArray
    lane_id: FloatArray
    in_junction: FloatArray  # 0 or 1
    x: FloatArray  # [m] on the lane's centre line
    y: FloatArray
    z: FloatArray
    yaw_rad: FloatArray  # driving direction
    width_m: FloatArray


class ParkingAnswers(NamedTuple):
    """The parking lane nearest to each place, (K,); infinitely far in towns without any."""

    x: FloatArray  # [m]
    y: FloatArray
    z: FloatArray
    width_m: FloatArray


class NearestLanes(NamedTuple):
    """Answers for K places."""

    driving: DrivingAnswers
    parking: ParkingAnswers

    def lane_ids(self) -> list[LaneId]:
        """Ids of the driving lanes, one a place."""
        rows = np.column_stack(self.driving[:3]).astype(int).tolist()
        return [(road, section, lane) for road, section, lane in rows]

    def split(self, row: int) -> tuple[NearestLanes, NearestLanes]:
        """The answers before `row` and those from there on."""
        first, second = (
            NearestLanes(
                DrivingAnswers(*(column[part] for column in self.driving)),
                ParkingAnswers(*(column[part] for column in self.parking)),
            )
            for part in (slice(None, row), slice(row, None))
        )
        return first, second
