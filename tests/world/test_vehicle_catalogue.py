"""The catalogue's tables are consistent with one another and with CARLA's published sizes."""

import numpy as np

from sim_adapters.scene.state import ActorKind
from sim_adapters.world import vehicle_catalogue as catalogue


def test_rows_of_each_kind_are_contiguous_and_complete() -> None:
    first = catalogue.FIRST_VEHICLE_OF_KIND
    counts = {
        kind: int(first[kind + 1] - first[kind])
        for kind in (ActorKind.CAR, ActorKind.VAN, ActorKind.TRUCK)
    }
    assert counts == {ActorKind.CAR: 25, ActorKind.VAN: 4, ActorKind.TRUCK: 5}
    for kind in range(ActorKind.CAR, ActorKind.BICYCLE + 1):
        rows = slice(first[kind], first[kind + 1])
        np.testing.assert_array_equal(catalogue.VEHICLE_KIND[rows], kind)
    assert first[ActorKind.PEDESTRIAN] == len(catalogue.VEHICLE_NAMES) == 41


def test_ego_row_agrees_with_the_exact_ego_extents() -> None:
    row = catalogue.EGO_VEHICLE
    assert abs(catalogue.VEHICLE_HALF_LENGTH_M[row] - catalogue.EGO_HALF_LENGTH_M) < 1e-3
    assert abs(catalogue.VEHICLE_HALF_WIDTH_M[row] - catalogue.EGO_HALF_WIDTH_M) < 1e-3
    assert abs(catalogue.VEHICLE_HALF_HEIGHT_M[row] - catalogue.EGO_HALF_HEIGHT_M) < 1e-3


def test_walker_shares_sum_to_one() -> None:
    assert np.isclose(catalogue.WALKER_SHARE.sum(), 1.0)
