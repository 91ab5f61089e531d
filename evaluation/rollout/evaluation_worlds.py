"""Builds the worlds of an evaluation: the benchmark's towns, the checkpoint's observation."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.utils import instantiate
from omegaconf import DictConfig

from evaluation.rollout.benchmark import towns_of, trace_scenarios
from sim_adapters.driving.worlds import DEFAULT_PIXELS_PER_METER, DrivingWorlds
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.maps.route_file import RouteSpec
from sim_adapters.maps.town_files import town_name
from sim_adapters.scene.scenario import Scenario
from sim_adapters.world.scenarios.resolution import refuse_unknown_types


def make_evaluation_worlds(
    config: DictConfig, specs: Sequence[RouteSpec], num_worlds: int
) -> tuple[DrivingWorlds, list[Scenario]]:
    """Worlds for these routes, and the routes traced on their maps.

    Args:
        config: Groups `simulator`, `detector`, `observation` and `env`; perhaps a `scenario_file`.
        specs: Routes to be driven.
        num_worlds: Worlds driven at once.
    """
    towns = with_town_files(towns_of(specs), config.simulator.towns)
    observer = instantiate(config.observation)
    resolution = observer.required_pixels_per_meter or DEFAULT_PIXELS_PER_METER
    maps = load_map_bank(towns, pixels_per_meter=resolution)
    scenarios = trace_scenarios(specs, maps, config.get("scenario_file"))
    for scenario in scenarios:  # all of them before the first tick: results must not be lost
        refuse_unknown_types(scenario)
    make_simulator = instantiate(config.simulator, towns=towns, **room_for(scenarios, config))
    simulator = make_simulator(num_worlds=num_worlds, pixels_per_meter=resolution)
    layout = config.env.get("action_layout")
    worlds = DrivingWorlds(
        simulator,
        observer,
        instantiate(config.detector),
        instantiate(layout) if layout is not None else None,
        action_repeat=config.env.action_repeat,
    )
    return worlds, scenarios


def room_for(scenarios: Sequence[Scenario], config: DictConfig) -> dict[str, int]:
    """Route points and triggers that a world has to hold, at least as many as configured."""
    points = max(len(scenario.route.x) for scenario in scenarios)
    triggers = max(len(scenario.triggers) for scenario in scenarios)
    return {
        "max_route_points": max(points, config.simulator.max_route_points),
        "max_triggers": max(triggers, config.simulator.max_triggers),
    }


def with_town_files(towns: Sequence[str], configured: Sequence[str]) -> list[str]:
    """`towns` of a route file, with the files that `simulator.towns` gives for some of them."""
    files = {town_name(town): town for town in configured}
    return [files.get(town, town) for town in towns]
