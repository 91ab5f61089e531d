"""Where background traffic of a live world may appear."""

import numpy as np

from sim_adapters.carla.background_traffic import LiveTrafficSettings, free_spots, is_taken

SETTINGS = LiveTrafficSettings(num_vehicles=50, radius_m=90.0, spacing_m=15.0)


def _straight_road() -> np.ndarray:
    """Spots each metre on two lanes along x, 3.5 m apart, the second one westwards."""
    x = np.arange(-200.0, 200.0)
    east = np.column_stack([x, np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)])
    west = np.column_stack([x, np.full_like(x, 3.5), np.zeros_like(x), np.full_like(x, np.pi)])
    return np.vstack([east, west])


def test_new_cars_keep_their_distances() -> None:
    ego = (0.0, 0.0, 0.0)
    occupied = np.array([[0.0, 0.0], [40.0, 0.0]])
    random = np.random.default_rng(3)
    spots = free_spots(_straight_road(), 50, ego, occupied, 30.0, SETTINGS, random)
    distance = np.hypot(spots[:, 0], spots[:, 1])
    assert len(spots) >= 8
    assert distance.min() >= 30.0
    assert distance.max() <= 90.0
    for lane_y in (0.0, 3.5):
        x = np.sort(spots[spots[:, 1] == lane_y][:, 0])
        assert (np.diff(x) >= 15.0).all()
    east = spots[spots[:, 1] == 0.0]
    assert (np.abs(east[:, 0] - 40.0) >= 15.0).all()


def test_a_spot_below_a_bridge_is_not_around_an_ego_on_it() -> None:
    random = np.random.default_rng(3)
    spots = free_spots(
        _straight_road(), 50, (0.0, 0.0, 10.0), np.zeros((0, 2)), 30.0, SETTINGS, random
    )
    assert len(spots) == 0


def test_a_car_in_the_next_lane_does_not_take_a_spot() -> None:
    spot = np.zeros((1, 4))
    assert not is_taken(spot, np.array([5.0, 3.5]), 15.0)[0]
    assert is_taken(spot, np.array([5.0, 0.5]), 15.0)[0]
    assert is_taken(spot, np.array([1.0, 3.0]), 15.0)[0]  # 3.2 m away in any lane


def test_no_more_spots_are_given_than_asked_for() -> None:
    random = np.random.default_rng(3)
    ego, nobody = (0.0, 0.0, 0.0), np.zeros((0, 2))
    assert len(free_spots(_straight_road(), 3, ego, nobody, 30.0, SETTINGS, random)) == 3
