"""IdmTraffic: the reactive traffic of a batch, its arrays and its place in the scene."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function, range_kernel
from sim_adapters.nuplan.idm.agents import step_agents_range
from sim_adapters.nuplan.idm.start import start_agents_range
from sim_adapters.nuplan.idm.state import (
    OUTLINE_CORNERS,
    STOP_SHAPES,
    AgentMotion,
    AgentTraits,
    IdmState,
    Trouble,
    build_idm_maps,
    empty_idm_scratch,
    empty_idm_state,
    with_flat_paths,
)
from sim_adapters.nuplan.replay import (
    HALF_HEIGHT_M,
    KIND_OF_TYPE,
    BoxBook,
    LogBook,
    Timeline,
    clear_slots,
    place_box,
)
from sim_adapters.nuplan.scenario_log import ScenarioLog
from sim_adapters.nuplan.slot_demand import REPLAYED_TYPES, reactive_demand
from sim_adapters.scene.kernel_launch import launch_range
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import restore_arrays
from sim_adapters.scene.state import ActorKind, ActorMotion, ActorTraits, SceneBatch

_CAR = int(ActorKind.CAR)
_logger = logging.getLogger(__name__)
DEVKIT_FAILS = (Trouble.SINGLE_POINT_PATH, Trouble.OFF_ITS_PATH)
_TOO_MANY_ACTORS = int(Trouble.TOO_MANY_ACTORS)


class IdmTraffic:
    """Vehicles of the first frame as IDM agents; pedestrians and static objects replayed.

    Args:
        maps: With `maps.vector`.
        scene: Where the traffic is shown.
        num_threads: For the kernels.
    """

    def __init__(self, maps: MapBank, scene: SceneBatch, *, num_threads: int = 1) -> None:
        assert maps.vector is not None
        self.maps, self.vector, self.scene = maps, maps.vector, scene
        self.num_threads = num_threads
        self._idm_maps = build_idm_maps(self.vector, maps.links)
        self._scratch = empty_idm_scratch(scene.num_worlds, self.vector)
        self.state = empty_idm_state(scene.num_worlds, 32, 64, self.vector)

    def make_room(self, log: ScenarioLog) -> None:
        """Enlarge the arrays if the log has more vehicles, or more replayed objects, than fit."""
        demand, room = reactive_demand(log), self.room
        self.resize(max(demand.num_agents, room[0]), max(demand.num_replayed, room[1]))

    @property
    def room(self) -> tuple[int, int]:
        """Agents and replayed objects that fit into a world."""
        agents = self.state.traits.alive.shape[1]
        return agents, _num_others(self.state)

    def resize(self, num_agents: int, num_others: int) -> None:
        """Have arrays of exactly this room; agents under way are kept as far as they fit."""
        if (num_agents, num_others) == self.room:
            return
        old, worlds = self.state, self.scene.num_worlds
        self.state = empty_idm_state(worlds, num_agents, num_others, self.vector)
        _copy_agents(old, self.state)

    def start(self, first: int, last: int, book: LogBook) -> None:
        """Start the traffic of worlds [first, last), whose logs and egos are in place."""
        state = with_flat_paths(self.state)
        start_agents_range(
            first, last, book.boxes, self.scene.arrays, self._idm_maps, state, self._scratch
        )
        self.show(first, last, book)

    def step(self, book: LogBook) -> None:
        """Move the agents to the next frame; the ego must still be at this one."""
        launch_range(
            step_agents_range,
            self.scene.num_worlds,
            book,
            self.scene.arrays,
            self._idm_maps,
            with_flat_paths(self.state),
            self._scratch.line,
            num_threads=self.num_threads,
        )
        self._check(0, self.scene.num_worlds)

    def show(self, first: int, last: int, book: LogBook) -> None:
        """Write agents and the present frame's replayed objects into the scene's slots."""
        show_traffic_range(
            first,
            last,
            book.timeline,
            book.boxes,
            KIND_OF_TYPE,
            REPLAYED_TYPES,
            self.state.traits,
            self.state.motion,
            self.scene.motion,
            self.scene.traits,
        )
        self._check(first, last)

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from arrays named `agents.` and so on."""
        agents = state["agents.traits.alive"].shape[1]
        shapes = state["agents.shapes.ring"].shape[1]
        self.resize(agents, shapes - agents - 1 - STOP_SHAPES)
        restore_arrays(self.state, state, "agents")

    def _check(self, first: int, last: int) -> None:
        """Mark worlds in which the devkit would have failed; refuse those that we cannot hold."""
        trouble = self.state.motion.trouble[first:last]
        if not trouble.any():
            return
        for world in first + np.flatnonzero(trouble):
            kind = Trouble(int(self.state.motion.trouble[world]))
            if kind not in DEVKIT_FAILS:
                room = "simulator.max_actors"
                if kind is not Trouble.TOO_MANY_ACTORS:
                    room = "the constants in nuplan/idm/state.py"
                raise RuntimeError(
                    f"reactive traffic of world {world} outgrew its arrays ({kind.name}): "
                    f"raise {room}"
                )
            if not self.scene.clocks.failed[world]:
                _logger.warning(
                    "world %d: reactive traffic fails (%s), as it does with the devkit",
                    world,
                    kind.name,
                )
                self.scene.clocks.failed[world] = True


def _num_others(state: IdmState) -> int:
    return state.shapes.ring.shape[1] - state.traits.alive.shape[1] - 1 - STOP_SHAPES


def _copy_agents(old: IdmState, new: IdmState) -> None:
    """Copy all agents; shapes of agents have the same corners, other shapes live for a step."""
    for old_struct, new_struct in (
        (old.traits, new.traits),
        (old.motion, new.motion),
        (old.paths, new.paths),
    ):
        for old_array, new_array in zip(old_struct, new_struct, strict=True):
            if old_array.ndim == 1:
                new_array[:] = old_array
            else:
                kept = min(old_array.shape[1], new_array.shape[1])
                new_array[:, :kept] = old_array[:, :kept]
    kept = min(old.traits.alive.shape[1], new.traits.alive.shape[1])
    corners = kept * OUTLINE_CORNERS
    new.shapes.ring[:, :kept] = old.shapes.ring[:, :kept]
    new.shapes.bounds[:, :kept] = old.shapes.bounds[:, :kept]
    new.shapes.corner[:, :corners] = old.shapes.corner[:, :corners]


@range_kernel
def show_traffic_range(
    first: int,
    last: int,
    timeline: Timeline,
    boxes: BoxBook,
    kinds: NDArray[np.uint8],
    replayed_types: NDArray[np.uint8],
    agents: AgentTraits,
    agent_motion: AgentMotion,
    motion: ActorMotion,
    traits: ActorTraits,
) -> None:
    """Fill the slots of worlds [first, last): agents in their order, then replayed types.

    A world with more than its slots hold shows the first of them and is in trouble.
    """
    for world in range(first, last):
        slot, num_slots = 1, traits.valid.shape[1]
        for agent in range(agents.count[world]):
            if agents.alive[world, agent]:
                if slot < num_slots:
                    _show_agent(world, slot, agent, agents, agent_motion, motion, traits)
                slot += 1
        frame = timeline.frame[world]
        for kind in replayed_types:
            for row in range(boxes.first[world, frame], boxes.first[world, frame + 1]):
                if boxes.type[world, row] == kind:
                    if slot < num_slots:
                        place_box(world, slot, row, boxes, kinds, motion, traits)
                    slot += 1
        if slot > num_slots:
            agent_motion.trouble[world] = _TOO_MANY_ACTORS
        clear_slots(world, slot, motion, traits)


@device_function
def _show_agent(
    world: int,
    slot: int,
    agent: int,
    agents: AgentTraits,
    agent_motion: AgentMotion,
    motion: ActorMotion,
    traits: ActorTraits,
) -> None:
    """Write one agent into a slot."""
    speed, yaw = agent_motion.speed_mps[world, agent], agent_motion.yaw_rad[world, agent]
    traits.valid[world, slot] = True
    traits.kind[world, slot] = _CAR
    traits.half_length_m[world, slot] = 0.5 * agents.length_m[world, agent]
    traits.half_width_m[world, slot] = 0.5 * agents.width_m[world, agent]
    traits.half_height_m[world, slot] = HALF_HEIGHT_M
    traits.actor_id[world, slot] = agents.track[world, agent] + 1
    motion.x[world, slot] = agent_motion.x[world, agent]
    motion.y[world, slot] = agent_motion.y[world, agent]
    motion.yaw_rad[world, slot] = yaw
    motion.vx_mps[world, slot] = speed * math.cos(yaw)
    motion.vy_mps[world, slot] = speed * math.sin(yaw)
