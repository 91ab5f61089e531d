"""DecisionNotes: what drivers of Val14's scenarios see, plan and do, for the viewer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evaluation.drivers.driver import Command, Driver, EstimatesValues
from evaluation.drivers.policy_driver import PolicyDriver
from evaluation.recording.packing import (
    NO_RASTER,
    PERIOD_S,
    RasterFrames,
    deflate_frame,
    pool_factor,
)
from sim_adapters.array_types import FloatArray
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.nuplan.trajectory import Trajectories
from sim_adapters.observation.nuplan_bev import NuplanBevObserver

RASTER = "bev"  # key of the observation
# Channels of observation=nuplan_bev; the viewer colours them by the beginnings of their names
CHANNELS = (
    "road",
    "route",
    "lane_boundaries",
    "lights",
    "stop_lines",
    "speed_limits",
    "vehicles",
    "pedestrians_and_objects",
    "ego",
)
PLAN_POINTS = 16  # kept of a plan: half a second apart or a bit more in those of the devkit
NO_PLAN = np.zeros((0, 0, 2))


class Decisions(NamedTuple):
    """Of one scenario of T samples."""

    driver: Mapping[str, FloatArray]  # steer, throttle, brake, value: (T,), as far as known
    plan: FloatArray  # (T, PLAN_POINTS, 2) [m] world frame, rear axle; empty without one
    raster: RasterFrames


class DecisionNotes:
    """Takes notes while a portion of scenarios is driven; `simulate` tells it.

    What was seen and planned belongs to the sample that it was seen in, what was done about it to
    the next, which it led to.
    """

    def __init__(self) -> None:
        self._controls: list[FloatArray] = []  # steer, throttle, brake and value, (4, E) a sample
        self._plans: list[FloatArray] = []  # (E, PLAN_POINTS, 2) a sample, but for the last
        self._rasters: list[tuple[int, list[bytes]]] = []  # sample, and a frame a scenario
        self._view: dict[str, Any] = {}
        self._is_policy = self._has_values = False

    def begin(self, driver: Driver, worlds: DrivingWorlds) -> None:
        """The scenarios stand at their first sample."""
        self._is_policy = isinstance(driver, PolicyDriver)
        if isinstance(driver, EstimatesValues):
            driver.with_values = self._has_values = True
        if self._is_policy and isinstance(worlds.observer, NuplanBevObserver):
            self._view = nuplan_raster_view(worlds.observer)
        self._controls.append(np.zeros((4, worlds.num_envs)))

    def driven(self, driver: Driver, worlds: DrivingWorlds, command: Command | None) -> None:
        """All worlds have moved on by a sample.

        Args:
            driver: Who drives.
            worlds: As they are now; what was seen last is what it decided on.
            command: What it decided, None where an action is held.
        """
        sample, ego = len(self._controls) - 1, worlds.scene.ego  # of the decision
        value = driver.values if isinstance(driver, EstimatesValues) else None
        self._controls.append(np.stack([ego.steer, ego.throttle, ego.brake, 0.0 * ego.steer]))
        if value is not None:
            self._controls[-1][3] = value
        if isinstance(command, Trajectories):
            self._plans.append(plan_points(command))
        elif command is not None and self._view:
            self._note_rasters(sample, worlds)

    def of(self, row: int, num_samples: int) -> Decisions:
        """Those of one scenario.

        Args:
            row: The scenario's among those that were driven.
            num_samples: Its own, T.
        """
        controls = np.stack(self._controls[:num_samples])[:, :, row].T
        names: tuple[str, ...] = ("steer", "throttle", "brake")
        if self._has_values and num_samples > 1:
            names = (*names, "value")
            controls[3, 0] = controls[3, 1]  # nothing was decided before the first sample
        known: dict[str, FloatArray] = {}
        if self._is_policy:
            known |= zip(names, controls, strict=False)
        plan = NO_PLAN
        if self._plans:
            rows = [plans[row] for plans in self._plans[:num_samples]]
            plan = np.stack(rows + rows[-1:] * (num_samples - len(rows)))
        shown = [(step, frames[row]) for step, frames in self._rasters if step < num_samples]
        if not shown:
            return Decisions(known, plan, NO_RASTER)
        steps, frames = zip(*shown, strict=True)
        return Decisions(known, plan, RasterFrames(self._view, steps, frames))

    def _note_rasters(self, sample: int, worlds: DrivingWorlds) -> None:
        every = max(round(PERIOD_S / worlds.scene.step_s), 1)
        if not self._rasters or sample - self._rasters[-1][0] >= every:
            frames = [deflate_frame(ego_up(raster)) for raster in worlds.seen[RASTER]]
            self._rasters.append((sample, frames))


def plan_points(plans: Trajectories) -> FloatArray:
    """Places of each plan, evenly taken, (E, PLAN_POINTS, 2) [m]."""
    share = np.linspace(0.0, 1.0, PLAN_POINTS)
    column = np.rint(share * (plans.num_points[:, None] - 1)).astype(np.int64)
    row = np.arange(len(column))[:, None]
    return np.stack([plans.x[row, column], plans.y[row, column]], axis=2)


def ego_up(raster: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A nuPlan raster (C, H, W), forward +column and left +row, with the ego looking up."""
    return np.ascontiguousarray(raster[:, ::-1, ::-1].transpose(0, 2, 1))


def nuplan_raster_view(observer: NuplanBevObserver) -> dict[str, Any]:
    """`RasterFrames.view` of what is kept of an observer's rasters, the ego looking up."""
    view, pool = observer.view, pool_factor(observer.view.size_px)
    ahead_px = view.forward_shift_m * view.pixels_per_meter
    return {
        "channels": list(CHANNELS),
        "size_px": view.size_px // pool,
        "pixels_per_meter": view.pixels_per_meter / pool,
        "ego_px_from_bottom": (0.5 * view.size_px - ahead_px) / pool,
    }
