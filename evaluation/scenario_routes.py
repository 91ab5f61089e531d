"""A short route for every scenario type of leaderboard 2: `python -m evaluation.scenario_routes`.

    python -m evaluation.scenario_routes output=routes.xml [towns=Town01,Town05] [types=Accident]

Random places of each town are offered to the unmodified scenario_runner on a headless server; the
first that it can build a scenario at becomes a route. Runs where the evaluator runs: with the
PYTHONPATH of docs/leaderboard.md. Types that it finds no room for are named at the end.
"""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import carla
import numpy as np

from evaluation.leaderboard_agent.scenario_runner_repair import leave_out_openscenario
from sim_adapters.carla.servers import LiveServer, ServerSettings
from sim_adapters.embedded.route_generator import RouteGenerator
from sim_adapters.embedded.route_triggers import PlannedCrossing, find_crossings
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec, write_routes
from sim_adapters.maps.route_shape import thin_route
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import Route, RouteCommand, ScenarioTrigger

TOWNS = "Town01,Town05,Town03,Town10HD,Town04,Town15,Town07,Town06,Town02"
NUM_DRAWS, MAX_OFFERS = 300, 8  # places looked at, and offered, for a type in a town
LENGTH_M = 170.0
ROAD_TRIGGER_M, ROAD_ROOM_M = 25.0, 120.0  # of types that need a road without a junction
JUNCTION_TRIGGER_M = 30.0  # before the junction, of the others
_RUNS_UP_M, _RUNS_OUT_M = 45.0, 40.0  # least way before and after that junction
_LEFT, _RIGHT, _STRAIGHT = RouteCommand.LEFT, RouteCommand.RIGHT, RouteCommand.STRAIGHT
_COLOUR = re.compile(r"\x1b\[\d*m")

log = logging.getLogger(__name__)


class Need(NamedTuple):
    """What a scenario type asks of its place."""

    turns: tuple[RouteCommand, ...] = ()  # through the junction ahead; none: a road without one
    lights: bool | None = None  # of that junction; None: as it comes
    parameters: tuple[tuple[str, str], ...] = ()
    flow: bool = False  # traffic from a place behind the junction to one further on
    other_actor: bool = False  # a place for another vehicle before the junction
    bicycles: bool = False  # a bicycle lane that leads into the junction


_NEAR = (("distance", "45"), ("speed", "40"))
_ANY_TURN = (_LEFT, _RIGHT, _STRAIGHT)
NEEDS = {
    "Accident": Need(parameters=_NEAR),
    "AccidentTwoWays": Need(parameters=_NEAR),
    "BlockedIntersection": Need(_ANY_TURN),
    "ConstructionObstacle": Need(parameters=_NEAR),
    "ConstructionObstacleTwoWays": Need(parameters=_NEAR),
    "ControlLoss": Need(),
    "CrossingBicycleFlow": Need((_RIGHT, _LEFT), bicycles=True),
    "DynamicObjectCrossing": Need(),
    "EnterActorFlow": Need(_ANY_TURN, flow=True),
    "EnterActorFlowV2": Need(_ANY_TURN, flow=True),
    "HardBreakRoute": Need(),
    "HazardAtSideLane": Need(parameters=(*_NEAR, ("bicycle_drive_distance", "40"))),
    "HazardAtSideLaneTwoWays": Need(parameters=(*_NEAR, ("bicycle_drive_distance", "40"))),
    "HighwayCutIn": Need((_STRAIGHT,), other_actor=True),
    "HighwayExit": Need((_STRAIGHT, _RIGHT), flow=True),
    "InterurbanActorFlow": Need((_LEFT,), flow=True),
    "InterurbanAdvancedActorFlow": Need((_LEFT,), flow=True),
    "InvadingTurn": Need(parameters=(("distance", "50"), ("offset", "0.3"))),
    "MergerIntoSlowTraffic": Need((_STRAIGHT, _RIGHT), flow=True),
    "MergerIntoSlowTrafficV2": Need((_STRAIGHT, _RIGHT), flow=True),
    "NonSignalizedJunctionLeftTurn": Need((_LEFT,), lights=False),
    "NonSignalizedJunctionRightTurn": Need((_RIGHT,), lights=False),
    "OppositeVehicleRunningRedLight": Need((_STRAIGHT,), lights=True),
    "OppositeVehicleTakingPriority": Need((_STRAIGHT,), lights=False),
    "ParkedObstacle": Need(parameters=_NEAR),
    "ParkedObstacleTwoWays": Need(parameters=_NEAR),
    "ParkingCrossingPedestrian": Need(parameters=(("distance", "40"),)),
    "ParkingCutIn": Need(),
    "ParkingExit": Need(),
    "PedestrianCrossing": Need((_STRAIGHT,)),
    "PriorityAtJunction": Need(_ANY_TURN, lights=True),
    "SignalizedJunctionLeftTurn": Need((_LEFT,), lights=True),
    "SignalizedJunctionRightTurn": Need((_RIGHT,), lights=True),
    "StaticCutIn": Need(parameters=(("distance", "60"),)),
    "StationaryObjectCrossing": Need(),
    "VehicleOpensDoorTwoWays": Need(parameters=_NEAR),
    "VehicleTurningRoute": Need((_LEFT, _RIGHT)),
    "VehicleTurningRoutePedestrian": Need((_LEFT, _RIGHT)),
    "YieldToEmergencyVehicle": Need(parameters=(("distance", "20"),)),
}


# Places --------------------------------------------------------------------------------------


def offers(scenario_type: str, routes: Sequence[Route], maps: MapBank) -> Iterator[RouteSpec]:
    """Routes whose place fits a type's needs as far as the map tells, at most `MAX_OFFERS`."""
    need, number = NEEDS[scenario_type], 0
    for route in routes:
        trigger = _trigger(scenario_type, need, route, maps)
        if trigger is not None:
            yield RouteSpec("0", maps.towns[0], thin_route(route), (trigger,))
            number += 1
            if number == MAX_OFFERS:
                return


def _trigger(scenario_type: str, need: Need, route: Route, maps: MapBank) -> ScenarioTrigger | None:
    """The scenario at its place on a route; None if the route has none for it."""
    stations = route.cumulative_m
    crossing = next(iter(find_crossings(route, maps)), None)
    entry_m = stations[crossing.first_row] if crossing is not None else np.inf
    parameters = dict(need.parameters)
    if need.turns:
        if crossing is None or not _RUNS_UP_M < entry_m < stations[-1] - 2.0 * _RUNS_OUT_M:
            return None
        if crossing.turn not in need.turns or need.lights not in (None, crossing.is_signalised):
            return None
        row = int(np.searchsorted(stations, entry_m - JUNCTION_TRIGGER_M))
        parameters |= _places(need, route, crossing, maps) or {}
        if need.bicycles and "start_actor_flow.x" not in parameters:
            return None
    else:
        if entry_m < ROAD_TRIGGER_M + ROAD_ROOM_M:
            return None
        row = int(np.searchsorted(stations, ROAD_TRIGGER_M))
    place = (float(column[row]) for column in (route.x, route.y, route.z, route.yaw_rad))
    return ScenarioTrigger(f"{scenario_type}_1", scenario_type, *place, parameters=parameters)


def _places(need: Need, route: Route, crossing: PlannedCrossing, maps: MapBank) -> dict[str, str]:
    """Places of other traffic that a type asks for, as parameters."""
    stations = route.cumulative_m
    entry_m = stations[crossing.first_row]
    after = np.flatnonzero(~route.in_junction[crossing.first_row :])
    exit_m = stations[crossing.first_row + after[0]] if len(after) else stations[-1]
    if need.flow:
        return {
            **_place("start_actor_flow", route, float(exit_m) + 5.0),
            **_place("end_actor_flow", route, min(exit_m + 60.0, stations[-1] - 1.0)),
        }
    if need.other_actor:
        return _place("other_actor_location", route, float(entry_m) - 12.0)
    if need.bicycles:
        return _bicycle_start(route.x[crossing.first_row], route.y[crossing.first_row], maps)
    return {}


def _place(name: str, route: Route, station_m: float) -> dict[str, str]:
    row = int(np.searchsorted(route.cumulative_m, station_m))
    columns = {"x": route.x, "y": route.y, "z": route.z}
    return {f"{name}.{axis}": repr(float(column[row])) for axis, column in columns.items()}


def _bicycle_start(x: float, y: float, maps: MapBank) -> dict[str, str]:
    """The nearest place on a bicycle lane within 40 m."""
    is_lane = maps.lanes.kind[maps.points.lane] == LaneKind.BIKING
    away_m = np.where(is_lane, np.hypot(maps.points.x - x, maps.points.y - y), np.inf)
    point = int(np.argmin(away_m))
    if away_m[point] > 40.0:
        return {}
    columns = {"x": maps.points.x, "y": maps.points.y, "z": maps.points.z}
    return {f"start_actor_flow.{a}": repr(float(column[point])) for a, column in columns.items()}


# scenario_runner -----------------------------------------------------------------------------


class ScenarioBuilder:
    """Asks scenario_runner, on a server of its own, whether it can build a route's scenario.

    Args:
        server: A started headless server.
        town: To load.
    """

    def __init__(self, server: LiveServer, town: str) -> None:
        from srunner.scenariomanager.carla_data_provider import (  # pyright: ignore[reportMissingImports]
            CarlaDataProvider,
        )

        self._provider: Any = CarlaDataProvider
        self._client = carla.Client("127.0.0.1", server.port)
        self._client.set_timeout(300.0)
        world = self._client.load_world(town)
        settings = world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = True, 0.05
        world.apply_settings(settings)
        tm_port = server.tm_port
        self._traffic_manager = self._client.get_trafficmanager(tm_port)
        self._traffic_manager.set_synchronous_mode(True)
        self._provider.set_client(self._client)
        self._provider.set_traffic_manager_port(tm_port)
        self._provider.set_world(world)
        world.tick()
        self._world = world

    def problem(self, spec: RouteSpec) -> str:
        """Why the scenario was left out, in scenario_runner's words; nothing if it was built."""
        from leaderboard.scenarios.route_scenario import RouteScenario  # pyright: ignore[reportMissingImports]
        from leaderboard.utils.route_parser import RouteParser  # pyright: ignore[reportMissingImports]

        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "routes.xml"
            write_routes(file, [spec])
            (config,) = RouteParser.parse_routes_file(str(file))
        output = io.StringIO()
        self._provider.set_runtime_init_mode(False)
        try:
            with contextlib.redirect_stdout(output):
                route = RouteScenario(self._world, config)
                num_built = len(route.list_scenarios)
        except Exception as error:  # whatever it is, the place is of no use
            return f"{type(error).__name__}: {error}"
        finally:
            self._remove_actors()
        said = _COLOUR.sub("", output.getvalue()).strip().splitlines()
        return "" if num_built else (said[-1] if said else "left out without a word")

    def _remove_actors(self) -> None:
        """Take whatever was built out of the world."""
        actors = self._world.get_actors()
        built = [
            *actors.filter("vehicle.*"),
            *actors.filter("walker.*"),
            *actors.filter("static.*"),
        ]
        for actor in built:
            if not self._provider.remove_actor_by_id(actor.id):
                actor.destroy()
        self._world.tick()

    def close(self) -> None:
        """Let the server run on its own, so that nobody waits for another tick."""
        self._traffic_manager.set_synchronous_mode(False)
        settings = self._world.get_settings()
        settings.synchronous_mode, settings.fixed_delta_seconds = False, None
        self._world.apply_settings(settings)


def find_in_town(
    town: str, missing: Sequence[str], first_port: int
) -> tuple[list[RouteSpec], dict[str, str]]:
    """Routes of one town, and the types that have no room there with the reason.

    Runs in a process of its own: CARLA's library ends a process that outlives its server.
    """
    leave_out_openscenario()
    maps = load_map_bank([town])
    generator = RouteGenerator(maps, town)
    routes = [generator.draw(0, number, length_m=LENGTH_M) for number in range(NUM_DRAWS)]
    settings = ServerSettings(kind="headless", first_port=first_port, start_timeout_s=300.0)
    server = LiveServer(settings, 0, 1, town=town, step_s=0.05)
    server.start()
    found, problems = [], {}
    try:
        builder = ScenarioBuilder(server, town)
        for scenario_type in missing:
            problem = "no place of the map fits"
            for spec in offers(scenario_type, routes, maps):
                problem = builder.problem(spec)
                if not problem:
                    route_id = str(sorted(NEEDS).index(scenario_type))
                    found.append(replace(spec, route_id=route_id))
                    break
            if problem:
                problems[scenario_type] = problem
            print(f"{scenario_type} in {town}: {problem or 'built'}", flush=True)  # noqa: T201
        builder.close()
    finally:
        server.stop()
    return found, problems


def find_routes(towns: Sequence[str], types: Sequence[str], first_port: int) -> list[RouteSpec]:
    """A route for each type, in the first town that has room for it; ids are those of `NEEDS`."""
    specs: list[RouteSpec] = []
    missing = dict.fromkeys(types, "not tried")
    for town in towns:
        if missing:
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                job = pool.submit(find_in_town, town, list(missing), first_port)
                found, missing = job.result()
            specs += found
    for scenario_type, problem in missing.items():
        log.warning("no route for %s: %s", scenario_type, problem)
    return sorted(specs, key=lambda spec: int(spec.route_id))


def main(words: Sequence[str]) -> None:
    """The command."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = {
        "output": "",
        "first_port": "26000",
        "towns": TOWNS,
        "types": ",".join(sorted(NEEDS)),
    }
    given = dict(word.split("=", 1) for word in words if "=" in word)
    if not given.get("output") or set(given) - set(options) or len(given) < len(words):
        raise SystemExit(__doc__)
    options |= given
    towns, types = options["towns"].split(","), options["types"].split(",")
    unknown = sorted(set(types) - set(NEEDS))
    if unknown:
        raise SystemExit(f"unknown types {', '.join(unknown)}: expected some of {', '.join(NEEDS)}")
    specs = find_routes(towns, types, int(options["first_port"]))
    said = " ".join(word for word in words if not word.startswith("first_port="))
    comment = f"Made by: python -m evaluation.scenario_routes {said}"
    write_routes(options["output"], specs, comment=comment)


if __name__ == "__main__":
    main(sys.argv[1:])
