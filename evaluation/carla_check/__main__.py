"""Compares a CARLA server with our maps: `python -m evaluation.carla_check [port=2000]`.

Connects to a server that runs, reads versions, lights' trigger volumes, signs, limits and boxes,
drives two minutes of one route, and prints one table that can be pasted into an issue. See
configs/carla_check.yaml.
"""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hydra.utils import instantiate
from omegaconf import DictConfig

from carl_planner.command_errors import hydra_command
from sim_adapters.atomic_file import write_atomically
from sim_adapters.pool_worker import WorldLostError

if TYPE_CHECKING:
    import carla

    from sim_adapters.carla.world_check import CheckRow

log = logging.getLogger(__name__)
TABLE_FILE = "carla_check.md"


def check(config: DictConfig) -> list[CheckRow]:
    """All rows of the table; the server is left with the settings that it had.

    Raises:
        ValueError: no server answers, or it was lost.
    """
    import carla

    client = carla.Client(config.host, config.port)
    client.set_timeout(config.call_timeout_s)
    try:
        world = client.get_world()
        settings = world.get_settings()
        try:
            return _rows(config, client, world)
        finally:
            with suppress(RuntimeError):  # the server may be gone
                client.get_world().apply_settings(settings)
    except (RuntimeError, WorldLostError) as error:
        raise ValueError(
            f"no CARLA server can be checked at {config.host}:{config.port}: {error}. Start one "
            "($CARLA_ROOT/CarlaUE4.sh -RenderOffScreen), or name another host= and port="
        ) from error


def _rows(config: DictConfig, client: carla.Client, world: carla.World) -> list[CheckRow]:
    from evaluation.carla_check.drive import choose_route, drive, drive_rows
    from sim_adapters.carla.background_traffic import LiveTrafficSettings
    from sim_adapters.carla.servers import LiveServer, ServerSettings
    from sim_adapters.carla.simulator import CarlaSimulator, LiveWorldSettings
    from sim_adapters.carla.world_check import check_bodies, check_map
    from sim_adapters.driving.worlds import DrivingWorlds
    from sim_adapters.maps.opendrive import load_map_bank
    from sim_adapters.maps.town_files import short_town_name, town_name
    from sim_adapters.observation.observer import Unseen
    from sim_adapters.world.ego_speed import SUBSTEP_S

    town = config.town or short_town_name(world.get_map().name)
    maps = load_map_bank([town])
    server = ServerSettings(
        kind="running",
        host=config.host,
        first_port=config.port,
        call_timeout_s=config.call_timeout_s,
        key="carla_check",
    )
    live = LiveServer(server, 0, 1, town=town, step_s=SUBSTEP_S)
    traffic = LiveTrafficSettings(num_vehicles=config.num_vehicles)
    files = {town_name(town): town}
    simulator = CarlaSimulator(
        maps,
        live,
        traffic=traffic,
        settings=LiveWorldSettings(max_actors=64, step_s=SUBSTEP_S),
        town_files=files,
    )
    worlds = DrivingWorlds(simulator, Unseen(), instantiate(config.detector))
    try:
        simulator.prepare(maps.towns[0])
        assert simulator.session is not None
        world = simulator.session.world
        log.info("%s is loaded: comparing lights, signs and sizes", maps.towns[0])
        rows = [*_versions(client, world), *check_map(world, maps, town), *check_bodies(world)]
        log.info("driving for %g s", config.seconds)
        scenario = choose_route(maps, maps.towns[0], config.seed)
        record = drive(worlds, instantiate(config.driver), scenario, config.seconds)
    finally:
        worlds.close()
    return rows + drive_rows(record, Path(config.output), is_carla=config.running_is_carla)


def _versions(client: carla.Client, world: carla.World) -> list[CheckRow]:
    import carla

    from sim_adapters.carla.world_check import CheckRow

    server, library = client.get_server_version(), client.get_client_version()
    objects = len(world.get_environment_objects(carla.CityObjectLabel.Any))
    machine = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return [
        CheckRow("CARLA's version", server, library, "server, client library", server == library),
        CheckRow("town", short_name(world), machine),
        CheckRow("objects of the level", f"{objects:,}", "", "a server without Unreal has none"),
    ]


def short_name(world: carla.World) -> str:
    """Name of the loaded map without its folders."""
    return world.get_map().name.rpartition("/")[2]


def table_of(rows: Sequence[CheckRow]) -> str:
    """The rows as a Markdown table, and under it how many do not agree."""
    verdicts = {True: "yes", False: "**no**", None: "-"}
    lines = ["| | server | carl-planner | difference | agrees |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.server} | {row.ours} | {row.difference} | {verdicts[row.agrees]} |"
        for row in rows
    ]
    others = [row.what for row in rows if row.agrees is False]
    judged = sum(row.agrees is not None for row in rows)
    summary = f"{judged - len(others)} of {judged} agree"
    return "\n".join([*lines, "", summary + (f"; not: {', '.join(others)}" if others else "")])


@hydra_command("carla_check")
def main(config: DictConfig) -> None:
    """Console entry."""
    table = table_of(check(config))
    path = Path(config.output) / TABLE_FILE
    write_atomically(path, (table + "\n").encode())
    log.info("%s", table)
    log.info("the table is in %s: paste it into an issue, whatever it says", path)


if __name__ == "__main__":
    main()
