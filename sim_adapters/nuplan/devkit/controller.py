"""ActionTrajectory and OneStageController: CaRL's control inside nuplan-devkit.

The devkit's planners give trajectories, which an LQR tracks. A policy's action goes into the motion
model as it is; the trajectory that carries it is what the policy means to drive.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nuplan.common.actor_state.dynamic_car_state import DynamicCarState
from nuplan.common.actor_state.ego_state import EgoState
from nuplan.common.actor_state.state_representation import StateVector2D
from nuplan.planning.scenario_builder.abstract_scenario import AbstractScenario
from nuplan.planning.simulation.controller.abstract_controller import AbstractEgoController
from nuplan.planning.simulation.controller.motion_model.abstract_motion_model import (
    AbstractMotionModel,
)
from nuplan.planning.simulation.simulation_time_controller.simulation_iteration import (
    SimulationIteration,
)
from nuplan.planning.simulation.trajectory.abstract_trajectory import AbstractTrajectory
from nuplan.planning.simulation.trajectory.interpolated_trajectory import InterpolatedTrajectory


class ActionTrajectory(InterpolatedTrajectory):
    """Planned states, and the commands that lead to the second of them.

    Args:
        states: The present and what is planned to follow.
        acceleration_mps2: Command for the step that begins now.
        tyre_rate_radps: Likewise.
    """

    def __init__(
        self, states: Sequence[EgoState], acceleration_mps2: float, tyre_rate_radps: float
    ) -> None:
        super().__init__(list(states))
        self.acceleration_mps2 = acceleration_mps2
        self.tyre_rate_radps = tyre_rate_radps

    def __reduce__(self) -> tuple[type[ActionTrajectory], tuple[Any, ...]]:
        """For the devkit's simulation logs."""
        states = self.get_sampled_trajectory()
        return ActionTrajectory, (states, self.acceleration_mps2, self.tyre_rate_radps)


class OneStageController(AbstractEgoController):
    """Feeds the commands of an ActionTrajectory into the motion model.

    Args:
        scenario: Gives the first state.
        motion_model: The devkit's bicycle.
    """

    def __init__(self, scenario: AbstractScenario, motion_model: AbstractMotionModel) -> None:
        self._scenario = scenario
        self._motion_model = motion_model
        self._state: EgoState | None = None

    def reset(self) -> None:
        """Go back to the scenario's first state."""
        self._state = None

    def get_state(self) -> EgoState:
        """The present state."""
        if self._state is None:
            self._state = self._scenario.initial_ego_state
        return self._state

    def update_state(
        self,
        current_iteration: SimulationIteration,
        next_iteration: SimulationIteration,
        ego_state: EgoState,
        trajectory: AbstractTrajectory,
    ) -> None:
        """Drive one step.

        Raises:
            TypeError: the planner gives trajectories without commands.
        """
        if not isinstance(trajectory, ActionTrajectory):
            raise TypeError(
                f"the planner gives {type(trajectory).__name__}, this controller needs commands: "
                f"use ego_controller=two_stage_controller with planners that give trajectories"
            )
        car = ego_state.dynamic_car_state
        commands = DynamicCarState.build_from_rear_axle(
            rear_axle_to_center_dist=ego_state.car_footprint.rear_axle_to_center_dist,
            rear_axle_velocity_2d=car.rear_axle_velocity_2d,
            rear_axle_acceleration_2d=StateVector2D(trajectory.acceleration_mps2, 0.0),
            tire_steering_rate=trajectory.tyre_rate_radps,
        )
        self._state = self._motion_model.propagate_state(
            state=ego_state,
            ideal_dynamic_state=commands,
            sampling_time=next_iteration.time_point - current_iteration.time_point,
        )
