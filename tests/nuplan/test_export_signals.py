from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.nuplan.export.logged_world import Recording
from sim_adapters.nuplan.export.scenario_tags import DriveSignals, drive_signals
from sim_adapters.nuplan.scenario_log import TrackType
from sim_adapters.scene.map_bank import LaneKind, MapBank

T = 40


@pytest.fixture(scope="module")
def maps() -> MapBank:
    return load_map_bank(["Town02"])


def beside_ego(
    maps: MapBank, *, ahead_m: float, left_m: float, kind: TrackType, velocity: tuple[float, float]
) -> DriveSignals:
    """Signals of a car that stands in the middle of a long straight lane beside one actor.

    Args:
        maps: The town.
        ahead_m: Of the actor's centre from the ego's.
        left_m: The same to the left.
        kind: Of the actor, 2 m long.
        velocity: Of the actor, forward and to the left of the ego [m/s].
    """
    outside = (maps.lanes.kind == LaneKind.DRIVING) & (maps.lanes.junction < 0)
    lane = int(np.argmax(np.where(outside, maps.lanes.length_m, 0.0)))
    point = maps.lanes.first_point[lane] + int(maps.lanes.length_m[lane]) // 2
    x, y, yaw = (float(c[point]) for c in (maps.points.x, maps.points.y, maps.points.yaw_rad))
    cos, sin = np.cos(yaw), np.sin(yaw)
    values: dict[str, Any] = {field.name: np.zeros((T, 2)) for field in fields(Recording)}
    values |= {name: np.zeros(T) for name in values if name.startswith("ego_")}
    values["x"] += (x, x + ahead_m * cos - left_m * sin)
    values["y"] += (y, y + ahead_m * sin + left_m * cos)
    values["yaw_rad"] += yaw
    values["vx_mps"][:, 1] = velocity[0] * cos - velocity[1] * sin
    values["vy_mps"][:, 1] = velocity[0] * sin + velocity[1] * cos
    values["half_length_m"] += (2.5, 1.0)
    values["actor_id"] = np.ones((T, 2), np.int64)
    values["type"] = np.full((T, 2), kind, np.uint8)
    values["ego_lane"] = np.full(T, lane, np.int32)
    return drive_signals(Recording(**values | {"lanes_ahead": ()}), maps)


def test_a_lead_is_measured_between_bumpers(maps: MapBank) -> None:
    signals = beside_ego(
        maps, ahead_m=10.0, left_m=0.3, kind=TrackType.VEHICLE, velocity=(4.0, 0.0)
    )
    np.testing.assert_allclose(signals.lead_gap_m, 10.0 - 2.5 - 1.0)
    np.testing.assert_allclose(signals.lead_speed_mps, 4.0)
    np.testing.assert_allclose(signals.lead_length_m, 2.0)
    assert (signals.num_near == 1).all()
    assert (signals.num_near_moving == 1).all()


def test_who_drives_in_the_next_lane_or_behind_is_no_lead(maps: MapBank) -> None:
    for ahead_m, left_m in ((10.0, 3.5), (-10.0, 0.0)):
        signals = beside_ego(
            maps, ahead_m=ahead_m, left_m=left_m, kind=TrackType.VEHICLE, velocity=(0.0, 0.0)
        )
        assert np.isinf(signals.lead_gap_m).all()
        assert (signals.num_near_moving == 0).all()


def test_somebody_who_crosses_the_road_ahead_is_seen(maps: MapBank) -> None:
    crossing = {"kind": TrackType.PEDESTRIAN, "velocity": (0.0, 1.4)}
    assert beside_ego(maps, ahead_m=8.0, left_m=-1.0, **crossing).is_crossed_ahead.all()
    assert not beside_ego(maps, ahead_m=-8.0, left_m=-1.0, **crossing).is_crossed_ahead.any()
    # Town02's lanes are 4 m wide: 3 m to the right is beside the road
    assert not beside_ego(maps, ahead_m=8.0, left_m=-3.0, **crossing).is_crossed_ahead.any()


def test_somebody_who_walks_along_the_road_does_not_cross(maps: MapBank) -> None:
    signals = beside_ego(
        maps, ahead_m=8.0, left_m=-1.0, kind=TrackType.PEDESTRIAN, velocity=(1.4, 0.1)
    )
    assert not signals.is_crossed_ahead.any()
