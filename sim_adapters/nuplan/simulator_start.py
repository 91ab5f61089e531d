"""Puts a logged scenario into a world of the scene: ego, route, clocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sim_adapters.embedded import world_start
from sim_adapters.nuplan.bicycle import (
    HEIGHT_M,
    LENGTH_M,
    MICROSECOND_S,
    WIDTH_M,
    write_centre,
)
from sim_adapters.nuplan.scenario_log import LoggedScenario, ScenarioLog
from sim_adapters.nuplan.slot_demand import Traffic, slots_needed
from sim_adapters.scene.map_areas import AreaKind, VectorMap
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorKind, SceneBatch

# The route of a log as rows of the map's areas, where raster and detectors look it up.


class RouteBlocks:
    """Finds roadblocks and roadblock connectors by the ids that logs name them with.

    Args:
        vector: The maps. A map is indexed when its first route is asked for.
    """

    def __init__(self, vector: VectorMap) -> None:
        self.vector = vector
        self._row_of_fid: dict[int, dict[int, int]] = {}

    def rows(self, map_index: int, fids: Sequence[int]) -> NDArray[np.int32]:
        """Rows of MapAreas, in the route's order; ids that the map lacks are left out."""
        if map_index not in self._row_of_fid:
            self._row_of_fid[map_index] = self._index(map_index)
        row_of_fid = self._row_of_fid[map_index]
        return np.array([row_of_fid[fid] for fid in fids if fid in row_of_fid], np.int32)

    def _index(self, map_index: int) -> dict[int, int]:
        first, last = self.vector.first_area[map_index : map_index + 2]
        kinds, fids = self.vector.areas.kind[first:last], self.vector.areas.fid[first:last]
        row_of_fid: dict[int, int] = {}
        # An id that both layers know means the roadblock, as in the devkit's look-ups
        for kind in (AreaKind.ROADBLOCK_CONNECTOR, AreaKind.ROADBLOCK):
            places = np.flatnonzero(kinds == kind)
            row_of_fid |= dict(zip(fids[places].tolist(), (first + places).tolist(), strict=True))
        return row_of_fid


def write_route_areas(scene: SceneBatch, agent: int, rows: NDArray[np.int32]) -> None:
    """Write the route of one driver.

    Raises:
        ValueError: the scene has no room for it.
    """
    route = scene.route_areas.area[agent]
    if len(rows) > len(route):
        raise ValueError(
            f"a route passes {len(rows)} roadblocks and connectors, this simulator holds "
            f"{len(route)}: set simulator.max_route_areas={len(rows)} or more"
        )
    route[: len(rows)] = rows
    route[len(rows) :] = -1


EGO_ACTOR_ID = 1 << 40  # above all tracks' ids, which are track row + 1
MIN_FRAMES = 3


def checked_log(scenario: Scenario, scene: SceneBatch, traffic: Traffic) -> ScenarioLog:
    """The scenario's log, if the scene can hold it.

    Raises:
        ValueError: no log, too few frames, too much traffic or route points, or not finite.
    """
    name = scenario.scenario_id
    log = scenario.log if isinstance(scenario, LoggedScenario) else None
    if log is None:
        raise ValueError(f"scenario {name!r} has no log: nuPlan worlds need LoggedScenario")
    if log.num_frames < MIN_FRAMES:
        raise ValueError(f"scenario {name!r} has {log.num_frames} frames, expected {MIN_FRAMES}")
    num_actors = slots_needed(log, traffic)
    if num_actors >= scene.num_slots:
        raise ValueError(
            f"scenario {name!r} shows {num_actors} road users at once in traffic {traffic!r}, this "
            f"simulator holds {scene.num_slots - 1}: set simulator.max_actors={num_actors} or more"
        )
    num_points = scenario.route.x.size
    if num_points > scene.routes.x.shape[1]:
        raise ValueError(
            f"scenario {name!r} has a route of {num_points} points, this simulator holds "
            f"{scene.routes.x.shape[1]}: set simulator.max_route_points={num_points} or more"
        )
    if not all(np.isfinite(part).all() for part in log.ego):
        raise ValueError(f"scenario {name!r} has ego poses that are NaN or infinite")
    if not all(np.isfinite(part).all() for part in log.boxes):
        raise ValueError(f"scenario {name!r} has boxes that are NaN or infinite")
    if not (np.diff(log.ego.time_us) > 0).all():
        raise ValueError(f"scenario {name!r} has frames whose times do not rise")
    return log


def place_ego(scene: SceneBatch, agent: int, log: ScenarioLog) -> None:
    """Put the ego where the log has it; the log knows no steering, so that starts at zero."""
    world, slot = int(scene.ego.world[agent]), int(scene.ego.slot[agent])
    motion, traits, body = scene.motion, scene.traits, scene.body
    world_start.clear_world(scene, world)
    for array in body:
        array[agent] = 0.0
    body.rear_axle_x[agent], body.rear_axle_y[agent] = log.ego.x[0], log.ego.y[0]
    body.vx_mps[agent], body.vy_mps[agent] = log.ego.vx_mps[0], log.ego.vy_mps[0]
    body.ax_mps2[agent], body.ay_mps2[agent] = log.ego.ax_mps2[0], log.ego.ay_mps2[0]
    motion.yaw_rad[world, slot] = log.ego.yaw_rad[0]
    write_centre(agent, world, slot, motion, body)
    traits.valid[world, slot] = True
    traits.kind[world, slot] = ActorKind.CAR
    traits.half_length_m[world, slot] = 0.5 * LENGTH_M
    traits.half_width_m[world, slot] = 0.5 * WIDTH_M
    traits.half_height_m[world, slot] = 0.5 * HEIGHT_M
    traits.actor_id[world, slot] = EGO_ACTOR_ID
    ego = scene.ego
    for control in (ego.steer, ego.throttle, ego.brake, ego.gear, ego.speed_limit_mps):
        control[agent] = 0.0


def start_clocks(
    scene: SceneBatch, world: int, scenario: Scenario, log: ScenarioLog, map_index: int
) -> None:
    """Set time, time limit, map and seed of a world; CaRL's episodes end at frame N - 2."""
    world_start.start_clocks(scene, world, scenario, map_index)
    last = log.num_frames - 2
    lasts_s = float(log.ego.time_us[last] - log.ego.time_us[0]) * MICROSECOND_S
    scene.clocks.time_limit_s[world] = min(scenario.time_limit_s, lasts_s)
