"""Writes random routes to a leaderboard file: `python -m sim_adapters.embedded.routes town=Town01`.

Keys and their defaults are in configs/routes.yaml; `--help` prints them. The routes are those of
`RandomRoutes`, thinned to waypoints; each is traced again before it is accepted.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import hydra
import numpy as np
from hydra.core.hydra_config import HydraConfig
from numpy.typing import NDArray
from omegaconf import DictConfig

from sim_adapters.embedded.draws import Draws
from sim_adapters.embedded.route_generator import RouteGenerator
from sim_adapters.embedded.route_triggers import (
    PlannedStreams,
    find_crossings,
    place_triggers,
    scenario_weights,
)
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec, write_routes
from sim_adapters.maps.router import Router
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.scenario import Route, RouteCommand

MAX_TRIES_PER_ROUTE = 200
_RNG_TRIGGERS = 7203  # as RandomRoutes
_RNG_LENGTH = 7301

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RouteDemands:
    """What a route must offer to be written.

    Args:
        length_m: Shortest length.
        max_length_m: Longest length; lengths are drawn uniformly between the two.
        min_signalised_junctions: Junctions with lights on the route.
        min_turns: Left or right turns in junctions.
        min_triggers: Scenario triggers.
    """

    length_m: float = 1000.0
    max_length_m: float = 1000.0
    min_signalised_junctions: int = 0
    min_turns: int = 0
    min_triggers: int = 0


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
    demands = RouteDemands(
        length_m=config.length_m,
        max_length_m=config.max_length_m,
        min_signalised_junctions=config.min_signalised_junctions,
        min_turns=config.min_turns,
        min_triggers=config.min_triggers,
    )
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


# Thins a dense route to the few waypoints from which the router traces it again

MAX_SPACING_M = 50.0
_CLEARANCE_ROWS = 3  # before and after a junction or a lane change, where lanes do not overlap
_MAX_DEVIATION_M = 1.0
_CHANGES = (RouteCommand.CHANGE_LEFT, RouteCommand.CHANGE_RIGHT)


def thin_route(route: Route) -> NDArray[np.float64]:
    """Waypoints (W, 3): around every junction and lane change, and each 50 m between them."""
    last = len(route.x) - 1
    is_special = route.in_junction | np.isin(route.command, _CHANGES)
    borders = np.flatnonzero(np.diff(is_special.astype(np.int8))) + 1
    rows = {0, last}
    for border in borders.tolist():
        row = border + _CLEARANCE_ROWS - 1 if is_special[border - 1] else border - _CLEARANCE_ROWS
        if 0 < row < last and not is_special[row]:
            rows.add(row)
    for first, after in itertools.pairwise(sorted(rows)):
        if not is_special[first:after].any():
            parts = int(np.ceil((after - first) / MAX_SPACING_M))
            rows.update(np.linspace(first, after, parts + 1).astype(int).tolist())
    keep = sorted(rows)
    # Millimetres are enough for a file, and read well
    return np.column_stack([route.x[keep], route.y[keep], route.z[keep]]).round(3)


def is_same_way(route: Route, traced: Route) -> bool:
    """True if the two routes never part by more than a metre, point by point along their length."""
    if abs(len(route.x) - len(traced.x)) > 0.005 * len(route.x) + 1:
        return False
    # The lane changes of both may be a few metres apart, so compare lines, not points
    return max(_deviation_m(route, traced), _deviation_m(traced, route)) < _MAX_DEVIATION_M


def _deviation_m(route: Route, other: Route) -> float:
    """Largest distance of a route's points to the points of the other about as far along."""
    reach = max(10, abs(len(route.x) - len(other.x)) + 5)
    rows = np.arange(len(route.x))[:, None] + np.arange(-reach, reach + 1)[None, :]
    rows = np.clip(rows, 0, len(other.x) - 1)
    squared = (route.x[:, None] - other.x[rows]) ** 2 + (route.y[:, None] - other.y[rows]) ** 2
    return float(np.sqrt(squared.min(axis=1).max()))


if __name__ == "__main__":
    main()
