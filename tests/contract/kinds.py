"""The kinds of simulators that keep the contract: how each is made, and what it is reset to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from sim_adapters.carla.background_traffic import LiveTrafficSettings
from sim_adapters.carla.servers import ServerSettings
from sim_adapters.carla.worlds import make_carla_simulator
from sim_adapters.embedded.settings import EmbeddedSettings
from sim_adapters.embedded.simulator import EmbeddedSimulator
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.nuplan.scenario_log import LoggedLight, TrackType
from sim_adapters.nuplan.scenario_source import logged_scenario
from sim_adapters.nuplan.simulator import NuplanSimulator, Traffic
from sim_adapters.process_pool import PoolSettings
from sim_adapters.scene.scenario import Scenario, ScenarioTrigger
from sim_adapters.simulator import Simulator
from sim_adapters.world.traffic.settings import TrafficSettings
from tests.commands.page import page_files
from tests.embedded.lane_routes import scenario_along_lanes
from tests.nuplan.hand_made_logs import Box, make_log, make_nuplan_maps
from tests.nuplan.tiny_log import TinyLog
from tests.nuplan.tiny_map import LOCATION
from tests.nuplan.tiny_road import AREAS, POINTS, SLOTS, make_road

EAST, PARKING = -1.75, -4.75  # y of a lane and of the parking lane beside it


class Kind(NamedTuple):
    """One kind of simulator.

    Args:
        make: A simulator of B worlds.
        scenarios: Three that differ.
        steer: How far the wheel is turned; logged roads are narrow.
        is_kept: A saved state goes on; worlds of other processes are lost instead.
        numbers: Arrays that a server hands out, another number each time.
    """

    make: Callable[[int], Simulator]
    scenarios: tuple[Scenario, Scenario, Scenario]
    steer: float
    is_kept: bool = True
    numbers: tuple[str, ...] = ()


def embedded() -> Kind:
    """CARLA's towns in kernels, with traffic, people and three scripts in the first metres."""
    maps = load_map_bank(["Town01", "Town02"])
    settings = EmbeddedSettings(
        traffic=TrafficSettings(num_vehicles=12, radius_m=80.0),
        max_vehicles=14,
        max_pedestrians=9,
        max_statics=8,
        max_route_points=512,
        warm_up_s=0.5,
    )
    one, two, three = (
        _with_early_triggers(scenario_along_lanes(maps, town, seed=seed, choice=seed))
        for town, seed in (("Town01", 1), ("Town02", 2), ("Town01", 3))
    )
    return Kind(lambda worlds: EmbeddedSimulator(maps, worlds, settings), (one, two, three), 0.2)


def _with_early_triggers(scenario: Scenario) -> Scenario:
    route = scenario.route
    place = [float(part[4]) for part in (route.x, route.y, route.z, route.yaw_rad)]
    types = ("ControlLoss", "DynamicObjectCrossing", "HardBreakRoute")
    triggers = tuple(ScenarioTrigger(kind, kind, *place) for kind in types)
    return dataclasses.replace(scenario, triggers=triggers)


def headless() -> Kind:
    """Servers without Unreal, each behind CARLA's client library in a process of its own."""
    maps = load_map_bank(["Town01"])
    one, two, three = (
        scenario_along_lanes(maps, "Town01", seed=seed, choice=seed) for seed in (1, 2, 3)
    )

    def make(num_worlds: int) -> Simulator:
        return make_carla_simulator(
            num_worlds,
            towns=["Town01"],
            server=ServerSettings(kind="headless", first_port=25_000, call_timeout_s=30.0),
            traffic=LiveTrafficSettings(num_vehicles=0),
            pool=PoolSettings(num_spares=0, close_timeout_s=5.0),
            max_actors=12,
            max_route_points=512,
            warm_up_s=0.2,
        )

    return Kind(make, (one, two, three), 0.2, is_kept=False, numbers=("traits.actor_id",))


def nuplan_batch(traffic: Traffic) -> Kind:
    """Logged scenarios in kernels."""
    maps = make_nuplan_maps()
    one, two, three = (_logged(seed) for seed in (1, 2, 3))

    def make(num_worlds: int) -> Simulator:
        return NuplanSimulator(maps, num_worlds, max_actors=8, traffic=traffic)

    return Kind(make, (one, two, three), 0.02)


def _logged(seed: int) -> Scenario:
    """Cars driving off, a cyclist who vanishes, a pedestrian and a cone; a light that turns red."""
    lights = [{101: LoggedLight.GREEN}] * 10 + [{101: LoggedLight.RED}]
    frames = []
    for k in range(60):
        frame: list[Box] = [
            ("cone", TrackType.TRAFFIC_CONE, 70.0, PARKING, 0.0, 0.0),
            ("lead", TrackType.VEHICLE, 40.0 + seed + 0.4 * k, EAST, 0.0, 4.0),
            ("walker", TrackType.PEDESTRIAN, 60.0, PARKING + 0.1 * k, 1.5, 1.0),
        ]
        if k < 20:
            frame.insert(1, ("cyclist", TrackType.BICYCLE, 30.0, EAST, 0.1, 2.0))
        frames.append(frame)
    return logged_scenario(make_log(start_x=10.0 + seed, frames=frames, lights=lights), seed=seed)


def own(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Kind:
    """The simulator that docs/extend.md prints, from outside the repository, by its YAML."""
    for name, text in page_files("extend.md").items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(folder)
    make = instantiate(OmegaConf.load(folder / "configs" / "simulator" / "mine.yaml"))
    maps = load_map_bank(["Town01"])
    one, two, three = (
        scenario_along_lanes(maps, "Town01", seed=seed, choice=seed) for seed in (1, 2, 3)
    )
    return Kind(make, (one, two, three), 0.2)


def devkit(folder: Path) -> Kind:
    """The devkit's own simulations of reactive agents, a process each."""
    from sim_adapters.nuplan.devkit.simulator import make_devkit_simulator

    tags = {at: ("changing_lane",) for at in (210, 230, 250)}
    road = make_road(folder, TinyLog(tags=tags, jitter_us=2_000))
    one, two, three = road.scenarios

    def make(num_worlds: int) -> Simulator:
        return make_devkit_simulator(
            num_worlds,
            data_root=road.root / "logs",
            map_root=road.root / "maps",
            cache=None,
            locations=[LOCATION],
            traffic="idm",
            max_actors=SLOTS - 1,
            max_route_points=POINTS,
            max_route_areas=AREAS,
            pool=PoolSettings(num_spares=0, starts_at_once=2, close_timeout_s=5.0),
        )

    return Kind(make, (one, two, three), 0.05, is_kept=False)
