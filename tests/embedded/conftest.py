"""Towns are loaded once for all tests of the embedded world."""

import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank


@pytest.fixture(scope="session")
def town_maps() -> MapBank:
    return load_map_bank(["Town01", "Town02"])
