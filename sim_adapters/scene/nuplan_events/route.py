"""Progress along the human's path, and the clock: nuPlan's episode is a walk through a log."""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.scene.events.arrays import InfractionFacts, ProgressFacts
from sim_adapters.scene.geometry import closest_fraction
from sim_adapters.scene.nuplan_events.memory import NuplanTracker
from sim_adapters.scene.state import ActorMotion, Clocks, EgoState, Routes

_PERCENT = 100.0
_END_BEFORE_LAST = 2  # CaRL ends an episode at frame N - 2


@device_function
def path_share(agent: int, x: float, y: float, routes: Routes) -> float:
    """Where on the human's path the nearest point lies, as a share of its length in [0, 1].

    The first of equally near points counts. A human who stood still has no path: the share is 0
    then, and nothing can be gained.
    """
    length, nearest, station = 0.0, math.inf, 0.0
    for i in range(routes.num_points[agent] - 1):
        ax, ay = routes.x[agent, i], routes.y[agent, i]
        bx, by = routes.x[agent, i + 1], routes.y[agent, i + 1]
        fraction = closest_fraction(x, y, ax, ay, bx, by)
        dx, dy = ax + fraction * (bx - ax) - x, ay + fraction * (by - ay) - y
        step = math.hypot(bx - ax, by - ay)
        squared = dx * dx + dy * dy
        if squared < nearest:
            nearest, station = squared, length + fraction * step
        length += step
    return min(station / length, 1.0) if length > 0.0 else 0.0


@range_kernel
def detect_nuplan_route_events_range(
    first: int,
    last: int,
    motion: ActorMotion,
    ego: EgoState,
    clocks: Clocks,
    routes: Routes,
    tracker: NuplanTracker,
    progress: ProgressFacts,
    infractions: InfractionFacts,
) -> None:
    """Move drivers first to last - 1 on by a frame and write what they have gained.

    Only new progress counts: going back and forth pays once. Source: CaRL's route completion
    "human".
    """
    for agent in range(first, last):
        world, slot = int(ego.world[agent]), int(ego.slot[agent])
        tracker.frame[agent] += 1
        share = path_share(agent, motion.x[world, slot], motion.y[world, slot], routes)
        gained = max(share - tracker.completion[agent], 0.0)
        tracker.completion[agent] = max(share, tracker.completion[agent])
        progress.route_percent_gained[agent] = _PERCENT * gained
        progress.route_percent[agent] = _PERCENT * tracker.completion[agent]
        last_frame = tracker.num_frames[agent] - _END_BEFORE_LAST
        infractions.timed_out[agent] = tracker.frame[agent] >= last_frame
        infractions.simulator_failed[agent] = clocks.failed[world]
