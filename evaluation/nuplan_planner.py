"""CarlPlanner: our policies, and CaRL's released ones, as a planner of nuplan-devkit.

Started by the devkit's own run_simulation.py; docs/nuplan.md has the whole command line:

    planner=carl_planner planner.carl_planner.checkpoint=FILE ego_controller=one_stage_controller
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from hydra.utils import instantiate
from nuplan.common.actor_state.ego_state import EgoState
from nuplan.common.actor_state.state_representation import StateSE2, StateVector2D, TimePoint
from nuplan.planning.simulation.observation.observation_type import DetectionsTracks
from nuplan.planning.simulation.planner.abstract_planner import (
    AbstractPlanner,
    PlannerInitialization,
    PlannerInput,
)
from omegaconf import DictConfig

from carl_planner.checkpoint import CheckpointError
from evaluation.drivers.policy_driver import (
    checkpoint_action_repeat,
    checkpoint_group,
    checkpoint_layout,
    policy_driver,
)
from evaluation.val14.rollout import picture_room, roomy_observer
from sim_adapters.action_layout import ActionLayout
from sim_adapters.driving.worlds import DrivingWorlds, GivenScene
from sim_adapters.maps.nuplan_gpkg import load_nuplan_maps
from sim_adapters.nuplan.devkit.controller import ActionTrajectory
from sim_adapters.nuplan.devkit.scene import (
    lights_of_map,
    write_devkit_ego,
    write_devkit_lights,
    write_devkit_tracks,
)
from sim_adapters.nuplan.route_correction import RouteCorrector
from sim_adapters.nuplan.simulator_start import RouteBlocks, write_route_areas
from sim_adapters.nuplan.trackers import command_actions_range, empty_commands, imagine_step_range
from sim_adapters.observation.nuplan_bev import NuplanBevObserver
from sim_adapters.observation.observer import Observer
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene.nuplan_events.detector import NuplanDetector
from sim_adapters.scene.state import empty_scene

STEP_S = 0.1
NUPLAN_LAYOUT = ActionLayout(steer_index=1, acceleration_index=0, steer_right_positive=False)
MAX_TRACKS = 1023  # the devkit doesn't say beforehand how many a scenario shows
MAX_ROUTE_AREAS = 512


@cache
def location_maps(map_root: str, location: str) -> MapBank:
    """The map of one location, read once a process."""
    return load_nuplan_maps(Path(map_root), [location])


class CarlPlanner(AbstractPlanner):
    """Plans by asking a policy and driving its answer on with the bicycle model.

    The trajectory is the policy's own: it is asked again every `decision_s` along the way, while
    the others go on as they do now and lights stay as they are. A OneStageController takes the
    first command itself; who needs waypoints takes the trajectory.

    Args:
        checkpoint: File or run folder, or several: an ensemble averages its actions.
        map_root: Folder of nuPlan's maps.
        horizon_s: Length of the trajectory.
        decision_s: Time between decisions along it, a multiple of 0.1 s.
        num_threads: Of torch.
        trust: Packages beside this project's that a checkpoint may build from.
    """

    def __init__(
        self,
        checkpoint: str | Sequence[str],
        map_root: str,
        *,
        horizon_s: float = 8.0,
        decision_s: float = 0.5,
        num_threads: int = 1,
        trust: Sequence[str] = (),
    ) -> None:
        self.driver = policy_driver(checkpoint, trust=trust)
        torch.set_num_threads(num_threads)
        self.map_root = map_root
        self.num_steps = max(1, round(horizon_s / STEP_S))
        self.steps_a_decision = max(1, round(decision_s / STEP_S))
        self.layout = NUPLAN_LAYOUT
        self.observation: DictConfig | None = None  # None: what the released checkpoints see
        assert self.driver.loaded is not None
        config = self.driver.loaded.config
        if config is not None:  # a checkpoint of this project says what it sees and how it acts
            self.observation = checkpoint_group(config, "observation", trust)
            self.layout = instantiate(checkpoint_layout(config, trust)) or ActionLayout()
            if (repeat := checkpoint_action_repeat(config)) > 1:
                raise CheckpointError(
                    f"the checkpoint holds an action for {repeat} steps, the devkit asks for one "
                    "in every step: train with env.action_repeat=1"
                )
        self.commands = empty_commands(1)
        self._route_fids: list[int] | None = []

    def name(self) -> str:
        """Shown in the devkit's tables."""
        return type(self).__name__

    def observation_type(self) -> type[DetectionsTracks]:
        """What the simulation must observe."""
        return DetectionsTracks

    def initialize(self, initialization: PlannerInitialization) -> None:
        """Load the scenario's map and route, forget the last scenario."""
        self.location = initialization.map_api.map_name
        self.maps = location_maps(self.map_root, self.location)
        self._route_fids = [int(fid) for fid in initialization.route_roadblock_ids]
        self._light_of_connector = lights_of_map(self.maps, 0)
        self._start_scene()

    def _start_scene(self) -> None:
        """An empty scene, and an observer with room for all that it can hold."""
        self.scene = empty_scene(
            1,
            MAX_TRACKS + 1,
            num_lights=self.maps.max_lights,
            num_route_points=1,
            num_route_areas=MAX_ROUTE_AREAS,
        )
        self._actor_ids: dict[str, int] = {}
        if self.observation is None:
            observer: Observer = NuplanBevObserver(**picture_room(self.scene)._asdict())
        else:
            observer = roomy_observer(self.observation, self.scene)
        given = GivenScene(self.scene, self.maps)
        self.worlds = DrivingWorlds(given, observer, NuplanDetector(), self.layout)
        self.driver.begin_episodes(np.zeros(1, np.int64), self.worlds)

    def compute_planner_trajectory(self, current_input: PlannerInput) -> ActionTrajectory:
        """One decision, and where further ones would lead."""
        state, observation = current_input.history.current_state
        scene = self.scene
        write_devkit_ego(scene, 0, state)
        tracks = observation.tracked_objects.tracked_objects
        write_devkit_tracks(scene, 0, tracks, self._actor_ids)
        lights = current_input.traffic_light_data or []
        write_devkit_lights(scene.lights.state[0], lights, self._light_of_connector)
        if self._route_fids is not None:
            self._find_route(state, self._route_fids)
        self._decide()
        chosen = float(self.worlds.steer[0]), float(self.worlds.acceleration[0])
        self._command()
        commands = (
            float(self.commands.acceleration_mps2[0]),
            float(self.commands.tyre_rate_radps[0]),
        )
        states = self._imagine(state)
        self._remember_action(*chosen)
        return ActionTrajectory(states, *commands)

    # One decision ----------------------------------------------------------------------------

    def _find_route(self, state: EgoState, fids: list[int]) -> None:
        """Correct the route at the scenario's first frame, as CaRL does."""
        axle = state.rear_axle
        pose = axle.x, axle.y, axle.heading
        corrected = RouteCorrector(self.maps).correct(self.location, pose, fids)
        assert self.maps.vector is not None
        write_route_areas(self.scene, 0, RouteBlocks(self.maps.vector).rows(0, corrected))
        self._route_fids = None

    def _decide(self) -> None:
        """Observe and ask the policies; the answer is the next observation's last action."""
        worlds = self.worlds
        worlds.act(self.driver.act(worlds))
        self._remember_action(float(worlds.steer[0]), float(worlds.acceleration[0]))

    def _remember_action(self, steer: float, acceleration: float) -> None:
        ego = self.scene.ego
        ego.steer[0] = steer
        ego.throttle[0], ego.brake[0] = max(acceleration, 0.0), max(-acceleration, 0.0)

    def _command(self) -> None:
        worlds = self.worlds
        command_actions_range(
            0, 1, worlds.steer, worlds.acceleration, self.scene.body, self.commands
        )

    # The trajectory --------------------------------------------------------------------------

    def _imagine(self, present: EgoState) -> list[EgoState]:
        """Drive on in the scene, which the next call writes afresh."""
        scene, states = self.scene, [present]
        for step in range(1, self.num_steps + 1):
            imagine_step_range(
                *(0, 1, STEP_S, self.commands),
                *(scene.ego, scene.motion, scene.traits, scene.body),
            )
            states.append(self._state_after(present, step))
            if step == self.num_steps:
                break
            if step % self.steps_a_decision == 0:
                self._decide()
            self._command()
        return states

    def _state_after(self, present: EgoState, step: int) -> EgoState:
        body, yaw = self.scene.body, self.scene.motion.yaw_rad[0, 0]
        return EgoState.build_from_rear_axle(
            rear_axle_pose=StateSE2(
                float(body.rear_axle_x[0]), float(body.rear_axle_y[0]), float(yaw)
            ),
            rear_axle_velocity_2d=StateVector2D(float(body.vx_mps[0]), float(body.vy_mps[0])),
            rear_axle_acceleration_2d=StateVector2D(float(body.ax_mps2[0]), float(body.ay_mps2[0])),
            tire_steering_angle=float(body.tyre_angle_rad[0]),
            time_point=TimePoint(present.time_us + round(step * STEP_S * 1e6)),
            vehicle_parameters=present.car_footprint.vehicle_parameters,
            is_in_auto_mode=True,
            angular_vel=float(body.yaw_rate_radps[0]),
            angular_accel=float(body.yaw_acceleration_radps2[0]),
            tire_steering_rate=float(body.tyre_rate_radps[0]),
        )
