"""Settings of background traffic: how much of it, who drives, how it heeds lights."""

from __future__ import annotations

from typing import NamedTuple


class TrafficSettings(NamedTuple):
    """Numbers of a run's traffic; kernels take it as it is."""

    around_ego: bool = True  # False: vehicles all over the town, none appears or vanishes
    num_vehicles: int = 30  # wanted in a world: within `radius_m` of the ego, or in the town
    radius_m: float = 90.0  # around the ego within which traffic is kept up
    despawn_m: float = 130.0  # vehicles further from the ego than this vanish
    out_of_view_m: float = 30.0  # nobody appears nearer to the ego than this after the reset
    obeys_lights: bool = True
    obeys_signs: bool = True
    changes_lanes: bool = True
    # Kept ahead of the ego, and behind it, on each lane of its road and direction; leaderboard: 2
    company: int = 0
    # Of the ego's overlap with a driver's way that the driver overlooks; cars of CARLA's
    # TrafficManager touch who stands in their lane by less
    overlooked_m: float = 0.0
    truck_share: float = 0.0  # shares of kinds among new vehicles, the rest are cars
    two_wheeler_share: float = 0.0


# Speeds and braking that are laws of the world rather than choices of a run
SPEED_CAP_MPS = 25.0  # BackgroundActivity caps the limit at 90 km/h
EMERGENCY_BRAKING_MPS2 = 8.0
RESERVE_BRAKING_MPS2 = 2.0  # a driver asks for its way before it would have to brake harder
YELLOW_BRAKING_MPS2 = 3.0  # whoever must brake harder than this drives on at yellow
STUCK_S = 90.0  # CARLA's TrafficManager removes vehicles that stand this long
STOP_MARGIN_M = 1.0  # front bumper to the junction when stopped
