"""Writes random routes to a leaderboard file: `python -m sim_adapters.embedded.routes town=Town01`.

Keys and their defaults are in configs/routes.yaml; `--help` prints them. The routes are those of
`RandomRoutes`, thinned to waypoints; each is traced again before it is accepted.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from sim_adapters.embedded.route_generator import RouteGenerator
from sim_adapters.embedded.route_triggers import (
    PlannedStreams,
    find_crossings,
    place_triggers,
    scenario_weights,
)
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec, write_routes
from sim_adapters.maps.route_shape import is_same_way, thin_route
from sim_adapters.maps.router import Router
from sim_adapters.scene.counter_rng import Draws
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, RouteCommand

MAX_TRIES_PER_ROUTE = 200
_RNG_TRIGGERS = 7203  # as RandomRoutes
_RNG_LENGTH = 7301

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RouteDemands:
    """What a route must offer to be written."""

    length_m: float = 1000.0  # shortest
    max_length_m: float = 1000.0  # longest; lengths are drawn uniformly between the two
    min_signalised_junctions: int = 0  # junctions with lights on the route
    min_turns: int = 0  # left or right ones in junctions
    min_triggers: int = 0  # of scenarios


def generate_routes(
    maps: MapBank,
    town: str,
    num_routes: int,
    demands: RouteDemands,
    *,
    seed: int,
    scenario_triggers: bool = True,
    weights: Mapping[str, float] | None = None,
) -> Iterator[RouteSpec]:
    """Random routes of one town that meet the demands; ids count from 0.

    Raises:
        ValueError: no route of the town meets the demands within many tries.
    """
    generator, router, streams = RouteGenerator(maps, town), Router(maps), PlannedStreams(maps)
    number = -1
    for route_id in range(num_routes):
        for _ in range(MAX_TRIES_PER_ROUTE):
            number += 1
            length = Draws(seed, number, _RNG_LENGTH)
            length_m = length.uniform(demands.length_m, demands.max_length_m)
            route = generator.draw(seed, number, length_m=length_m)
            waypoints = thin_route(route)
            triggers = (
                place_triggers(
                    route,
                    maps,
                    streams,
                    Draws(seed, number, _RNG_TRIGGERS),
                    scenario_weights(weights),
                )
                if scenario_triggers
                else ()
            )
            spec = RouteSpec(str(route_id), town, waypoints, triggers)
            if _meets(route, spec, maps, demands) and _survives(route, spec, router):
                yield spec
                break
        else:
            raise ValueError(
                f"none of {MAX_TRIES_PER_ROUTE} random routes in {town} met {demands}: ask for less"
            )


def _meets(route: Route, spec: RouteSpec, maps: MapBank, demands: RouteDemands) -> bool:
    crossings = find_crossings(route, maps)
    turns = [c for c in crossings if c.turn in (RouteCommand.LEFT, RouteCommand.RIGHT)]
    lights = [crossing for crossing in crossings if crossing.is_signalised]
    return (
        len(turns) >= demands.min_turns
        and len(lights) >= demands.min_signalised_junctions
        and len(spec.triggers) >= demands.min_triggers
    )


def _survives(route: Route, spec: RouteSpec, router: Router) -> bool:
    """True if the waypoints alone lead the same way again."""
    try:
        traced = router.trace(spec.town, spec.waypoints)
    except ValueError:
        return False
    return is_same_way(route, traced)


@hydra.main(config_path="pkg://configs", config_name="routes", version_base="1.3")
def main(config: DictConfig) -> None:
    """The hydra command."""
    try:
        write_route_file(config)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error


def write_route_file(config: DictConfig) -> None:
    """Write the file that the configuration describes."""
    towns = [config.town] if isinstance(config.town, str) else list(config.town)
    demands = RouteDemands(**{field.name: config[field.name] for field in fields(RouteDemands)})
    maps = load_map_bank(towns)
    specs: list[RouteSpec] = []
    for town in maps.towns:
        for spec in generate_routes(
            maps,
            town,
            config.num_routes,
            demands,
            seed=config.seed,
            scenario_triggers=config.scenario_triggers,
            weights=config.scenario_weights,
        ):
            specs.append(RouteSpec(str(len(specs)), spec.town, spec.waypoints, spec.triggers))
    output = Path(config.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    write_routes(output, specs, comment=_command())
    num_triggers = sum(len(spec.triggers) for spec in specs)
    log.info("%d routes with %d scenario triggers written to %s", len(specs), num_triggers, output)


def _command() -> str:
    """The command line that makes the same file again."""
    overrides = HydraConfig.get().overrides.task
    return f"Made by: python -m sim_adapters.embedded.routes {' '.join(overrides)}"


if __name__ == "__main__":
    main()
