"""The longest6 protocol in the embedded world: 36 long routes of Town01 to Town06.

The routes of longest6 v2 belong to others; `routes=FILE.xml` reads them from your own copy. The
default is this project's own set, made by its generator: six routes of each of the six towns.
Scores from here are embedded scores. They are no longest6 or CARLA results: traffic, physics and
scenarios are this project's own.
"""

from __future__ import annotations

from evaluation.rollout.benchmark import Benchmark

TOWNS = ("Town01", "Town02", "Town03", "Town04", "Town05", "Town06")
OWN_ROUTES = "pkg:embedded36.xml"


def longest6(routes: str | None = None) -> Benchmark:
    """The benchmark `longest6`.

    Args:
        routes: A leaderboard route file; None takes the project's own 36 routes.
    """
    name = "embedded36" if routes is None else f"embedded, routes of {routes}"
    # CaRL trains in all towns of longest6 (its protocol holds out none).
    return Benchmark(name, routes or OWN_ROUTES, seen_towns=TOWNS)
