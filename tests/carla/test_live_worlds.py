"""What a run asks of its world processes, before any of them starts."""

from __future__ import annotations

from typing import Any

import pytest

from sim_adapters.carla import worlds
from sim_adapters.carla.servers import ServerSettings
from sim_adapters.process_pool import PoolSettings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What every process gets, its share spelt out; no process is started."""
    keywords: dict[str, Any] = {}

    def no_pool(make_world: Any, scene: Any, maps: Any, settings: PoolSettings) -> None:
        given = make_world.keywords
        keywords.update(given, scene=scene, maps=maps, settings=settings)
        keywords.update(given["share"]._asdict())

    monkeypatch.setattr(worlds, "ProcessPool", no_pool)
    return keywords


def _make(**settings: Any) -> None:
    worlds.make_carla_simulator(
        3, towns=["Town01", "Town02"], server=ServerSettings(kind="headless"), **settings
    )


def test_servers_of_several_ranks_share_ports_and_towns(
    asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rank 5 of two machines with four ranks each; 3 worlds and a spare a rank
    for name, value in (("RANK", 5), ("LOCAL_RANK", 1), ("LOCAL_WORLD_SIZE", 4)):
        monkeypatch.setenv(name, str(value))
    _make(pool=PoolSettings(num_spares=1))
    assert asked["first_number"] == 4
    assert asked["num_processes"] == 16
    assert asked["first_world"] == 15  # its first server starts in Town02, as its scenarios will


def test_alone_a_run_counts_from_zero(asked: dict[str, Any]) -> None:
    _make()
    assert (asked["first_number"], asked["num_processes"], asked["first_world"]) == (0, 3, 0)


def test_the_scene_has_room_for_every_town(asked: dict[str, Any]) -> None:
    _make(max_actors=20)
    assert asked["scene"].motion.x.shape == (3, 20)
    assert asked["scene"].lights.state.shape == (3, asked["maps"].max_lights)
    assert asked["maps"].towns == ("Town01", "Town02")
