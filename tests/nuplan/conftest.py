"""A tiny nuPlan data set on disk, shared by the tests that read files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sim_adapters.kernel_cache import CACHE_ROOT_VARIABLE
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.scene.map_bank import MapBank
from tests.nuplan.tiny_log import write_log
from tests.nuplan.tiny_map import LOCATION, write_map


@pytest.fixture(scope="session")
def map_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where tests keep built maps, away from the user's."""
    return tmp_path_factory.mktemp("map-cache")


@pytest.fixture
def own_map_cache(map_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maps that the test loads are kept in `map_cache`."""
    monkeypatch.setenv(CACHE_ROOT_VARIABLE, str(map_cache))


@pytest.fixture(scope="session")
def tiny_map_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny map."""
    root = tmp_path_factory.mktemp("maps")
    write_map(root)
    return root


@pytest.fixture(scope="session")
def tiny_maps(tiny_map_root: Path, map_cache: Path) -> Iterator[MapBank]:
    """The tiny map."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE_ROOT_VARIABLE, str(map_cache))
        yield load_nuplan_maps(tiny_map_root, [LOCATION])


@pytest.fixture(scope="session")
def tiny_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default log; tests that change it take a copy."""
    return write_log(tmp_path_factory.mktemp("logs") / "tiny.db")
