"""Maps that several tests of this package read: the hand-written crossing and the towns."""

from pathlib import Path

import pytest

from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.map_bank import MapBank

CROSSING_FILE = Path(__file__).parents[1] / "data" / "crossing.xodr"
TOWNS = (
    *("Town01", "Town02", "Town03", "Town04", "Town05"),
    *("Town06", "Town07", "Town10HD", "Town15"),
)


@pytest.fixture(scope="session")
def crossing_file() -> Path:
    return CROSSING_FILE


@pytest.fixture(scope="session")
def crossing(crossing_file: Path) -> MapBank:
    return load_map_bank([str(crossing_file)])


@pytest.fixture(scope="session")
def towns() -> MapBank:
    """All supported towns in one bank."""
    return load_map_bank(TOWNS)
