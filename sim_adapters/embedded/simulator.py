"""EmbeddedSimulator: a batch of CARLA-like worlds in numba kernels, no server.

The simulator owns the scene and calls one kernel a part for all worlds; what the parts do is in
`world/`. Randomness is counter-based, so a world does the same alone and in a batch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sim_adapters.embedded.settings import (
    EmbeddedSettings,
    background_slots,
    check_background,
    check_scripted,
    remove_farthest,
)
from sim_adapters.embedded.world_start import (
    check_route,
    clear_world,
    contiguous_runs,
    place_ego,
    start_clocks,
    write_route,
)
from sim_adapters.embedded.world_step import (
    Town,
    Worlds,
    WorldSettings,
    start_worlds_range,
    step_worlds_range,
)
from sim_adapters.flat_keys import flat_keys
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.kernel_launch import launch_range
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.named_arrays import copy_arrays, restore_arrays
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import SceneBatch, empty_scene
from sim_adapters.world.contacts import ContactState, empty_contact_state
from sim_adapters.world.dynamics import Drivetrain, empty_drivetrain
from sim_adapters.world.handles import lane_graph, world_scene
from sim_adapters.world.pedestrian_state import Walkers, empty_walkers
from sim_adapters.world.scenarios.resolution import resolve_trigger, resolve_triggers
from sim_adapters.world.scenarios.state import (
    Phase,
    ScenarioKind,
    ScriptBook,
    empty_script_book,
)
from sim_adapters.world.sidewalks import build_sidewalks
from sim_adapters.world.signals import SignalPlan, empty_signal_plan
from sim_adapters.world.slots import make_slot_layout
from sim_adapters.world.statics import (
    StandingThings,
    build_standing_places,
    empty_standing_things,
)
from sim_adapters.world.traffic.state import (
    Drivers,
    Overrides,
    Places,
    Progress,
    Tally,
    empty_traffic,
)

_logger = logging.getLogger(__name__)


class WorldState(NamedTuple):
    """Everything that changes from step to step, for checkpoints."""

    scene: SceneBatch
    drivetrain: Drivetrain
    signal_plan: SignalPlan
    contacts: ContactState
    places: Places
    drivers: Drivers
    progress: Progress
    overrides: Overrides
    tally: Tally
    walkers: Walkers
    standing_things: StandingThings
    scripts: ScriptBook


class EmbeddedSimulator:
    """B worlds of CARLA's towns with one learning driver each (a `Simulator`).

    Args:
        maps: Towns that scenarios may name.
        num_worlds: B.
        settings: How many live in them, how they begin and step; all defaults if not given.
    """

    def __init__(
        self,
        maps: MapBank,
        num_worlds: int,
        settings: EmbeddedSettings | None = None,
    ) -> None:
        settings = settings or EmbeddedSettings()
        self.maps = maps
        self.num_threads = settings.num_threads
        self._strict_triggers = settings.strict_triggers
        self.layout = make_slot_layout(
            num_vehicles=settings.max_vehicles,
            num_pedestrians=settings.max_pedestrians,
            num_statics=settings.max_statics,
        )
        check_background(self.layout, settings.traffic, settings.pedestrians)
        self._settings = WorldSettings(
            settings.traffic,
            settings.pedestrians,
            settings.statics,
            self.layout,
            settings.step_s,
            round(settings.warm_up_s / settings.step_s),
            settings.random_light_start,
        )
        num_slots = self.layout.num_slots
        self.scene = empty_scene(
            num_worlds,
            num_slots,
            num_lights=maps.max_lights,
            num_route_points=settings.max_route_points,
            step_s=settings.step_s,
        )
        self.drivetrain = empty_drivetrain(self.scene.num_agents)
        self.signal_plan = empty_signal_plan(num_worlds, maps)
        self.traffic = empty_traffic(num_worlds, self.layout, maps)
        self.walkers = empty_walkers(num_worlds, num_slots)
        self.standing_things = empty_standing_things(num_worlds, num_slots)
        self.scripts = empty_script_book(num_worlds, settings.max_triggers)
        self.contact_state = empty_contact_state(self.scene)
        self._reported: set[tuple[str, str]] = set()  # triggers that cannot be played
        self._town = _town(maps)
        self._worlds = self._all_worlds()

    def reset(self, worlds: NDArray[np.int64], scenarios: Sequence[Scenario]) -> None:
        """Start `scenarios[i]` in `worlds[i]`; other worlds are not touched.

        Raises:
            ValueError: a scenario's town is not loaded, its route does not fit, or background
                traffic leaves its scripted actors no slots.
        """
        for scenario in scenarios:  # all of them before anything is changed
            self.maps.map_index(scenario.town)
            check_route(scenario, self.scene.routes.x.shape[1])
            check_scripted(scenario, self.layout, self._settings.traffic)
        for world, scenario in zip(worlds, scenarios, strict=True):
            self._place(int(world), scenario)
        for first, last in contiguous_runs(worlds):
            self._launch(start_worlds_range, first, last)

    def step(self, steer: NDArray[np.float64], acceleration: NDArray[np.float64]) -> None:
        """Advance every world by `scene.step_s`; see `Simulator.step`."""
        self._launch(step_worlds_range, 0, self.scene.num_worlds, steer, acceleration)

    def add_trigger(self, world: int, scenario: Scenario) -> None:
        """Let the last trigger of `scenario` join the others in a world that runs already.

        Raises:
            ValueError: no room on the map (a `NoRoomError`) or in the book of this simulator.
        """
        room = self.scripts.triggers.kind.shape[1]
        if len(scenario.triggers) > room:
            raise ValueError(f"a drive has room for {room} scripts: raise simulator.max_triggers")
        at = (world, len(scenario.triggers) - 1)
        resolve_trigger(scenario, self.maps, self.scripts, at, strict=self._strict_triggers)

    def set_background(self, num_vehicles: int, num_pedestrians: int) -> None:
        """Have that many around the egos of all worlds from now on.

        Those too many vanish, the farthest first; new ones appear out of view. A ValueError tells
        of too few slots.
        """
        if min(num_vehicles, num_pedestrians) < 0:
            raise ValueError(
                f"{num_vehicles} vehicles, {num_pedestrians} people: expected 0 or more"
            )
        settings = self._settings
        traffic = settings.traffic._replace(num_vehicles=num_vehicles)
        pedestrians = settings.pedestrians._replace(num_pedestrians=num_pedestrians)
        check_background(self.layout, traffic, pedestrians)
        self._settings = settings._replace(traffic=traffic, pedestrians=pedestrians)
        for slots, number in background_slots(self.layout, traffic, pedestrians):
            remove_farthest(self.scene, self.traffic.overrides.keeps_path, slots, number)

    @property
    def background(self) -> tuple[int, int]:
        """How many vehicles and pedestrians are wanted around each ego."""
        return self._settings.traffic.num_vehicles, self._settings.pedestrians.num_pedestrians

    def begun_triggers(self) -> NDArray[np.int64]:
        """How many scenarios have begun in each world since its reset, (B,)."""
        triggers = self.scripts.triggers
        begun = (triggers.kind != ScenarioKind.NONE) & (triggers.phase != Phase.WAITING)
        return begun.sum(axis=1)

    def timed_out_triggers(self) -> NDArray[np.int64]:
        """How many scenarios have timed out in each world since its reset, (B,)."""
        return self.scripts.triggers.is_timed_out.sum(axis=1)

    def held_up(self) -> NDArray[np.bool_]:
        """Whether one of the streams runs in each world, which have a time limit, (B,)."""
        triggers = self.scripts.triggers
        is_stream = np.isin(triggers.kind, (ScenarioKind.LEFT_TURN, ScenarioKind.RIGHT_TURN))
        runs = (triggers.phase != Phase.WAITING) & (triggers.phase != Phase.OVER)
        return (is_stream & runs).any(axis=1)

    def background_speed_mps(self) -> NDArray[np.float64]:
        """Mean speed of the traffic that belongs to no scenario, (B,), NaN without any."""
        motion, rows = (
            self.scene.motion,
            slice(self.layout.first_vehicle, self.layout.first_pedestrian),
        )
        counts = self.scene.traits.valid[:, rows] & ~self.traffic.overrides.keeps_path[:, rows]
        speed = np.hypot(motion.vx_mps[:, rows], motion.vy_mps[:, rows]) * counts
        mean = np.full(self.scene.num_worlds, np.nan)
        number = counts.sum(axis=1)
        return np.divide(speed.sum(axis=1), number, out=mean, where=number > 0)

    def trigger_phases(self) -> NDArray[np.uint8]:
        """`Phase` of every trigger, in the scenario's order, (B, T); unused ones wait for ever."""
        return self.scripts.triggers.phase

    def state_dict(self) -> dict[str, np.ndarray]:
        """Everything needed to go on exactly here, as named arrays (copies)."""
        return copy_arrays(self._state())

    def load_state_dict(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            ValueError: an array is missing or has another shape.
        """
        restore_arrays(self._state(), state)
        # A step clears the lists of the lanes of its own town: those of another would stay for ever
        for lists in (self.traffic.occupancy, self.traffic.reservations):
            lists.head.fill(-1)
            lists.num_nodes.fill(0)

    def close(self) -> None:
        """Nothing to release: all state is arrays."""

    def _state(self) -> WorldState:
        traffic = self.traffic
        return WorldState(
            self.scene,
            self.drivetrain,
            self.signal_plan,
            self.contact_state,
            traffic.places,
            traffic.drivers,
            traffic.progress,
            traffic.overrides,
            traffic.tally,
            self.walkers,
            self.standing_things,
            self.scripts,
        )

    def _all_worlds(self) -> Worlds:
        scene = self.scene
        return Worlds(
            world_scene(scene),
            scene.contacts,
            self.drivetrain,
            self.signal_plan,
            self.contact_state,
            self.traffic,
            self.walkers,
            self.standing_things,
            self.scripts,
        )

    def _place(self, world: int, scenario: Scenario) -> None:
        """Clear a world and put the ego at its start (agent and world have the same index)."""
        clear_world(self.scene, world)
        for array in (*self.drivetrain, *self.contact_state):
            array[world] = 0
        start_clocks(self.scene, world, scenario, self.maps.map_index(scenario.town))
        write_route(self.scene, world, scenario)
        place_ego(self.scene, world, scenario)
        refused = resolve_triggers(
            scenario, self.maps, self.scripts, world, strict=self._strict_triggers
        )
        for name, reason in refused:
            if (scenario.scenario_id, name) not in self._reported:
                self._reported.add((scenario.scenario_id, name))
                _logger.warning("%s: %s is not played: %s", scenario.scenario_id, name, reason)

    def _launch(self, kernel: Callable[..., None], first: int, last: int, *actions: Any) -> None:
        """Call a kernel of world_step.py, shared between threads if it is for all worlds."""
        arguments = (self._town, self._worlds, self._settings, *actions)
        if (first, last) == (0, self.scene.num_worlds):
            launch_range(kernel, last, *arguments, num_threads=self.num_threads)
        else:
            kernel(first, last, *arguments)


def _town(maps: MapBank) -> Town:
    """What kernels read of the towns."""
    footways, places = build_sidewalks(maps), build_standing_places(maps)
    return Town(lane_graph(maps), maps.signals, maps.groups, footways, places)


@flat_keys(settings=EmbeddedSettings)
def make_embedded_simulator(
    num_worlds: int,
    *,
    towns: Sequence[str],
    settings: EmbeddedSettings,
    pixels_per_meter: float = 2.0,
) -> EmbeddedSimulator:
    """An EmbeddedSimulator of these towns, from configuration.

    Args:
        num_worlds: B.
        towns: Names or files of the towns.
        settings: Its fields are keywords.
        pixels_per_meter: Resolution of the map layers.
    """
    maps = load_map_bank(towns, pixels_per_meter=pixels_per_meter)
    return EmbeddedSimulator(maps, num_worlds, settings)
