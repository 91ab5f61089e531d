"""NuplanSimulator: logged scenarios in a batch, with replayed or reactive traffic.

The ego moves by the devkit's bicycle, under a policy's actions or behind the devkit's tracker on a
planned trajectory. Everybody else is replayed, or driven by the devkit's IDM agents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.embedded.world_start import write_route
from sim_adapters.kernels import range_kernel
from sim_adapters.nuplan.bicycle import MICROSECOND_S, drive_bicycle, write_centre
from sim_adapters.nuplan.idm.traffic import IdmTraffic
from sim_adapters.nuplan.replay import (
    KIND_OF_TYPE,
    Timeline,
    book_of_size,
    book_with_room,
    empty_log_book,
    replay_boxes_range,
    replay_lights_range,
    write_log,
)
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.simulator_start import (
    RouteBlocks,
    checked_log,
    place_ego,
    start_clocks,
    write_route_areas,
)
from sim_adapters.nuplan.slot_demand import Traffic
from sim_adapters.nuplan.trackers import (
    PROFILE_STEP_US,
    Commands,
    Profiles,
    command_actions_range,
    empty_commands,
    empty_profiles,
    track_trajectories_range,
)
from sim_adapters.nuplan.trajectory import Trajectories, check_trajectories
from sim_adapters.scene.kernel_launch import launch_range
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import copy_arrays, restore_arrays
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import ActorMotion, EgoBody, EgoState, empty_scene
from sim_adapters.simulator import SceneSource

LOG_ARRAYS = ("timeline.time_us", "boxes.x", "lights.edge")  # their rows say how long a book is


class NuplanSimulator:
    """B logged scenarios with one driver each (a `Simulator`).

    Args:
        maps: Maps that scenarios may name, with `maps.vector`.
        num_worlds: B.
        traffic: "log" replays all tracks, "idm" drives the vehicles as the devkit's IDM agents do.
        max_actors: Slots for tracks in a world, see `slots_needed`.
        max_route_points: Most frames of a log.
        max_route_areas: Most roadblocks and connectors of a route.
        num_threads: Threads for the kernels; a batch of few worlds is faster on one.
    """

    def __init__(
        self,
        maps: MapBank,
        num_worlds: int,
        *,
        traffic: Traffic = "log",
        max_actors: int = 320,
        max_route_points: int = 160,
        max_route_areas: int = 128,
        num_threads: int = 1,
    ) -> None:
        if maps.vector is None:
            raise ValueError("these maps have no polygons: load them with load_nuplan_maps")
        if traffic not in ("log", "idm"):
            raise ValueError(f"traffic is {traffic!r}, expected 'log' or 'idm'")
        self.maps, self.num_threads = maps, num_threads
        self.traffic: Traffic = traffic
        self.scene = empty_scene(
            num_worlds,
            max_actors + 1,
            num_lights=maps.max_lights,
            num_route_points=max_route_points,
            num_route_areas=max_route_areas,
        )
        self.route_blocks = RouteBlocks(maps.vector)
        self.book = empty_log_book(num_worlds)
        self.logs: dict[int, ScenarioLog] = {}  # that each world plays since its last reset
        self.commands = empty_commands(num_worlds)
        self._profiles = empty_profiles(num_worlds, 0)
        reactive = traffic == "idm"
        self.agents = IdmTraffic(maps, self.scene, num_threads=num_threads) if reactive else None

    # Simulator -------------------------------------------------------------------------------

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Start `scenarios[i]` in `worlds[i]`; other worlds are not touched.

        Raises:
            ValueError: a scenario without a log, on an unknown map, or too large for the scene.
        """
        logs = [checked_log(scenario, self.scene, self.traffic) for scenario in scenarios]
        map_indices = [self.maps.map_index(scenario.town) for scenario in scenarios]
        starts = zip(worlds, scenarios, logs, map_indices, strict=True)
        for world, scenario, log, map_index in starts:
            self.book = book_with_room(self.book, log)
            write_log(self.book, int(world), log, self.maps, map_index)
            self.logs[int(world)] = log
            place_ego(self.scene, int(world), log)
            write_route(self.scene, int(world), scenario)
            passed = self.route_blocks.rows(map_index, log.corrected_route_fids)
            write_route_areas(self.scene, int(world), passed)
            start_clocks(self.scene, int(world), scenario, log, map_index)
            self._show_lights(int(world), int(world) + 1)
            self._start_traffic(int(world), log)

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        """Drive every world to its next frame under CaRL's one-stage control."""
        self._launch(command_actions_range, steer, acceleration, self.scene.body, self.commands)
        ego = self.scene.ego
        ego.steer[:] = steer
        np.maximum(acceleration, 0.0, out=ego.throttle)
        np.maximum(-acceleration, 0.0, out=ego.brake)
        self._advance()

    def follow(self, trajectories: Trajectories) -> None:
        """Drive every world to its next frame behind the devkit's LQR tracker.

        Args:
            trajectories: What each driver plans, from the present on.

        Raises:
            ValueError: a trajectory that the tracker can't follow.
        """
        scene, timeline = self.scene, self.book.timeline
        now_us = timeline.time_us[np.arange(scene.num_worlds), timeline.frame]
        check_trajectories(trajectories, now_us)
        self._launch(
            track_trajectories_range,
            timeline,
            trajectories,
            self._profiles_for(trajectories),
            scene.ego,
            scene.motion,
            scene.body,
            self.commands,
        )
        self._advance()

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything needed to go on exactly here, the logs included."""
        state = copy_arrays(self.scene, "scene") | copy_arrays(self.book, "book")
        return state | copy_arrays(self.agents.state, "agents") if self.agents else state

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state_dict` gave."""
        lengths = [state[f"book.{name}"].shape[1] for name in LOG_ARRAYS]
        self.book = book_of_size(self.book, *lengths)
        restore_arrays(self.scene, state, "scene")
        restore_arrays(self.book, state, "book")
        if self.agents:
            self.agents.restore(state)

    def close(self) -> None:
        """Nothing to release."""

    # One step --------------------------------------------------------------------------------

    def _advance(self) -> None:
        """The devkit's order: agents react to the ego's old place and to the next frame's lights.

        A world that has reached its last frame stays there.
        """
        scene, timeline = self.scene, self.book.timeline
        if self.agents:
            self.agents.step(self.book)
        self._launch(drive_egos_range, timeline, self.commands, scene.ego, scene.motion, scene.body)
        np.minimum(timeline.frame + 1, timeline.num_frames - 1, out=timeline.frame)
        self._show_lights(0, scene.num_worlds)
        self._show_traffic(0, scene.num_worlds)
        now_us = timeline.time_us[np.arange(scene.num_worlds), timeline.frame]
        scene.clocks.elapsed_s[:] = (now_us - timeline.time_us[:, 0]) * MICROSECOND_S

    def _start_traffic(self, world: int, log: ScenarioLog) -> None:
        if self.agents:
            self.agents.make_room(log)
            self.agents.start(world, world + 1, self.book)
        else:
            self._show_traffic(world, world + 1)

    def _show_traffic(self, first: int, last: int) -> None:
        scene, book = self.scene, self.book
        if self.agents:
            self.agents.show(first, last, book)
        else:
            replay_boxes_range(
                first, last, book.timeline, book.boxes, KIND_OF_TYPE, scene.motion, scene.traits
            )

    def _profiles_for(self, trajectories: Trajectories) -> Profiles:
        """The tracker's workspace, enlarged if a trajectory is longer than any before."""
        last = np.maximum(trajectories.num_points, 1) - 1
        end_us = trajectories.time_us[np.arange(last.size), last]
        longest_us = int((end_us - trajectories.time_us[:, 0]).max())
        num_steps = longest_us // PROFILE_STEP_US
        if num_steps > self._profiles.step_m.shape[1]:
            self._profiles = empty_profiles(self.scene.num_agents, num_steps)
        return self._profiles

    def _show_lights(self, first: int, last: int) -> None:
        replay_lights_range(first, last, self.book.timeline, self.book.lights, self.scene.lights)

    def _launch(self, kernel: Any, *arguments: Any) -> None:
        launch_range(kernel, self.scene.num_worlds, *arguments, num_threads=self.num_threads)


def nuplan_simulator(
    source: SceneSource, agents: NDArray[np.int64] | None = None
) -> NuplanSimulator:
    """A source of scenes as what it is, for those who need its logs.

    Args:
        source: Of the scene.
        agents: Drivers that begin; logs are begun all at once.

    Raises:
        ValueError: it is another, or only some drivers begin.
    """
    if not isinstance(source, NuplanSimulator):
        raise ValueError(
            f"this driver needs nuPlan's logs, not {type(source).__name__}: use benchmark=val14"
        )
    if agents is not None and len(agents) != source.scene.num_agents:
        raise ValueError(f"{len(agents)} of {source.scene.num_agents} logs begin: begin them all")
    return source


@range_kernel
def drive_egos_range(
    first: int,
    last: int,
    timeline: Timeline,
    commands: Commands,
    ego: EgoState,
    motion: ActorMotion,
    body: EgoBody,
) -> None:
    """Move drivers [first, last) over the time from this frame of their log to the next."""
    for agent in range(first, last):
        world, slot = int(ego.world[agent]), int(ego.slot[agent])
        frame = timeline.frame[world]
        if frame + 1 >= timeline.num_frames[world]:
            continue
        elapsed_us = timeline.time_us[world, frame + 1] - timeline.time_us[world, frame]
        drive_bicycle(
            agent,
            world,
            slot,
            elapsed_us * MICROSECOND_S,
            commands.acceleration_mps2[agent],
            commands.tyre_rate_radps[agent],
            motion,
            body,
        )
        write_centre(agent, world, slot, motion, body)
