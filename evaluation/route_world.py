"""One world and a driver on routes, for scripts and notebooks.

    >>> from evaluation.route_world import RouteWorld, policy_driver
    >>> driver = policy_driver("pretrained/driver")
    >>> with RouteWorld(driver, ["benchmark=demo", "route=12"]) as world:  # doctest: +SKIP
    ...     result = world.drive(seed=0)

What it gives is what `python -m evaluation.evaluate` gives for the same route and seed.
"""

from __future__ import annotations

from collections.abc import Sequence

from hydra.utils import instantiate

from evaluation.drivers.driver import Driver, with_parts
from evaluation.drivers.policy_driver import policy_driver
from evaluation.rollout.benchmark import make_tasks
from evaluation.rollout.episode_rollout import Recorder, make_evaluation_worlds, run_episodes
from evaluation.scoring.episode_result import EpisodeResult
from sim_adapters.gymnasium_envs import compose_config

__all__ = ["RouteWorld", "policy_driver"]


class RouteWorld:
    """A world in which one driver drives the routes of a benchmark or of a file, one after another.

    Args:
        driver: A policy's brings its own observation, action layout and reward.
        overrides: As on the command line of `evaluation.evaluate`, e.g. `["benchmark=demo"]`.
    """

    def __init__(self, driver: Driver, overrides: Sequence[str] = ()) -> None:
        config = with_parts(compose_config("evaluate", overrides), driver)
        specs = instantiate(config.benchmark).read(
            None if config.route is None else str(config.route)
        )
        self.driver = driver
        self.worlds, self.scenarios = make_evaluation_worlds(config, specs, num_worlds=1)
        self.reward = instantiate(config.reward)

    def drive(
        self, route_id: str | None = None, *, seed: int = 0, recorder: Recorder | None = None
    ) -> EpisodeResult:
        """Drive one route once.

        Args:
            route_id: Of the routes; None is the first of them.
            seed: With the route it decides all that happens.
            recorder: Sees every step.

        Raises:
            ValueError: there is no such route.
        """
        known = [scenario.scenario_id for scenario in self.scenarios]
        if route_id is not None and route_id not in known:
            raise ValueError(f"there is no route {route_id!r} here; there are {', '.join(known)}")
        scenario = self.scenarios[0 if route_id is None else known.index(route_id)]
        tasks = make_tasks([scenario], [seed])
        (result,) = run_episodes(self.worlds, self.driver, tasks, self.reward, recorder=recorder)
        return result

    def close(self) -> None:
        """Let go of the world."""
        self.worlds.close()

    def __enter__(self) -> RouteWorld:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
