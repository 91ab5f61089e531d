"""N live worlds as one Simulator: a process pool whose processes have a CARLA server each."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from sim_adapters.carla.background_traffic import LiveTrafficSettings
from sim_adapters.carla.servers import LiveServer, ServerSettings, describe
from sim_adapters.carla.simulator import CarlaSimulator, LiveWorldSettings
from sim_adapters.flat_keys import flat_keys
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.town_files import town_name
from sim_adapters.pool_worker import WorldLostError
from sim_adapters.process_pool import PoolSettings, ProcessPool
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.state import empty_scene

_logger = logging.getLogger(__name__)


class _Share(NamedTuple):
    """Which processes of the machine, and which worlds of the run, are this rank's."""

    first_number: int  # processes of lower ranks on this machine
    num_processes: int  # those of all ranks on this machine
    first_world: int  # number of this rank's world 0 among all worlds of the run


@flat_keys(settings=LiveWorldSettings)
def make_carla_simulator(
    num_worlds: int,
    *,
    towns: Sequence[str],
    settings: LiveWorldSettings,
    pixels_per_meter: float = 2.0,
    server: ServerSettings | None = None,
    traffic: LiveTrafficSettings | None = None,
    pool: PoolSettings | None = None,
) -> ProcessPool:
    """A Simulator of B worlds on CARLA servers, from configuration.

    Args:
        num_worlds: B.
        towns: Names or files of the towns.
        settings: Of each world; its fields are keywords.
        pixels_per_meter: Resolution of the map layers.
        server: Which servers, where.
        traffic: Background traffic; None for empty towns.
        pool: Processes and patience.

    Raises:
        ValueError: no CARLA where the settings say, or a town that cannot be used.
        FileNotFoundError: no file of a town.
    """
    maps = load_map_bank(towns, pixels_per_meter=pixels_per_meter)
    pool, server = pool or PoolSettings(), server or ServerSettings()
    num_processes = num_worlds + pool.num_spares
    _logger.info("starting %s", describe(server, num_processes))
    simulator = partial(
        CarlaSimulator,
        traffic=traffic,
        settings=settings,
        town_files={town_name(file): file for file in towns},
    )
    make_world = partial(
        make_live_world,
        simulator=simulator,
        server=server,
        share=_share_of_rank(num_worlds, num_processes),
        towns=list(towns),
        pixels_per_meter=pixels_per_meter,
        step_s=settings.step_s,
    )
    sizes = {"num_lights": maps.max_lights, "num_route_points": settings.max_route_points}
    scene = empty_scene(num_worlds, settings.max_actors, **sizes, step_s=settings.step_s)
    return ProcessPool(make_world, scene, maps, pool)


def make_live_world(
    number: int,
    *,
    simulator: Callable[[MapBank, LiveServer], CarlaSimulator],
    server: ServerSettings,
    share: _Share,
    towns: list[str],
    pixels_per_meter: float,
    step_s: float,
) -> CarlaSimulator:
    """The world of process `number` of this rank, on a server of its own with a town loaded.

    Raises:
        WorldLostError: the server does not come up.
    """
    maps = load_map_bank(towns, pixels_per_meter=pixels_per_meter)
    town = towns[(share.first_world + number) % len(towns)]
    live = LiveServer(
        server,
        share.first_number + number,
        share.num_processes,
        town=town,
        step_s=step_s,
        end_with_server=True,
    )
    live.start()
    world = simulator(maps, live)
    try:
        world.prepare(town_name(town))
    except WorldLostError:
        world.close()
        raise
    return world


def _share_of_rank(num_worlds: int, num_processes: int) -> _Share:
    """The ranks that torchrun starts on one machine share its ports."""
    return _Share(
        first_number=_torchrun("LOCAL_RANK", 0) * num_processes,
        num_processes=_torchrun("LOCAL_WORLD_SIZE", 1) * num_processes,
        first_world=_torchrun("RANK", 0) * num_worlds,
    )


def _torchrun(variable: str, alone: int) -> int:
    return int(os.environ.get(variable, alone))
