"""Two minutes on one route of a live world, and what they say of limits, lights and dynamics."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import carla
import numpy as np
from numpy.typing import NDArray

from evaluation.drivers.driver import Driver
from sim_adapters.array_types import FloatArray
from sim_adapters.carla.drive_recorder import drive_state, write_drive
from sim_adapters.carla.simulator import CarlaSimulator
from sim_adapters.carla.world_check import KMH_PER_MPS, SAME_SIZE_M, CheckRow, gap_text
from sim_adapters.driving.worlds import DrivingWorlds
from sim_adapters.embedded.routes import RouteDemands, generate_routes
from sim_adapters.maps.route_scenarios import trace_scenario
from sim_adapters.maps.router import Router
from sim_adapters.scene.lane_lookup import nearest_lane_point
from sim_adapters.scene.map_bank import LaneKind, MapBank
from sim_adapters.scene.scenario import Scenario
from sim_adapters.scene.state import LightState
from sim_adapters.world.dynamics_check import check_recordings, read_recordings
from sim_adapters.world.ego_speed import SUBSTEP_S
from sim_adapters.world.vehicle_catalogue import (
    EGO_HALF_HEIGHT_M,
    EGO_HALF_LENGTH_M,
    EGO_HALF_WIDTH_M,
)

WORLD = np.zeros(1, np.int64)
DEMANDS = (  # the first that the town meets
    RouteDemands(1200.0, 1200.0, min_signalised_junctions=2, min_turns=1),
    RouteDemands(1200.0, 1200.0, min_turns=1),
    RouteDemands(300.0, 300.0),
)
LOOK_AHEAD_S = 5.0  # before a light changes: what was its time left?
SAME_TIME_S = 0.15
SAME_LIMIT_KMH = 0.5
MOST_OTHER_LIMITS = 0.05  # share of the drive: between a sign's box and the sign, limits differ
SAME_HEIGHT_M = 0.3


@dataclass
class DriveRecord:
    """What was read on the way, one entry a tick."""

    controls_and_states: list[tuple[float, ...]] = field(default_factory=list)  # of `write_drive`
    limit_kmh: list[float] = field(default_factory=list)
    own_limit_kmh: list[float] = field(default_factory=list)
    height_gap_m: list[float] = field(default_factory=list)
    light_state: list[NDArray[np.uint8]] = field(default_factory=list)  # (L,)
    light_left_s: list[FloatArray] = field(default_factory=list)  # (L,)
    events: dict[str, int] = field(default_factory=dict)
    driven_m: float = 0.0
    route_m: float = 0.0
    half_size_m: tuple[float, float, float] = (0.0, 0.0, 0.0)  # of the ego


def choose_route(maps: MapBank, town: str, seed: int) -> Scenario:
    """A random route of the town, with lights and a turn where there are any.

    Raises:
        ValueError: the town has no route of 300 m.
    """
    for demands in DEMANDS[:-1]:
        try:
            (spec,) = generate_routes(maps, town, 1, demands, seed=seed, scenario_triggers=False)
            return trace_scenario(spec, Router(maps), seed=seed)
        except ValueError:
            continue
    (spec,) = generate_routes(maps, town, 1, DEMANDS[-1], seed=seed, scenario_triggers=False)
    return trace_scenario(spec, Router(maps), seed=seed)


def drive(worlds: DrivingWorlds, driver: Driver, scenario: Scenario, seconds: float) -> DriveRecord:
    """Drive the route for that long, or to its end.

    Raises:
        ValueError: the car could not be put at the start, or was lost.
    """
    simulator = worlds.simulator
    assert isinstance(simulator, CarlaSimulator)
    worlds.reset(WORLD, [scenario])
    driver.begin_episodes(WORLD, worlds)
    record = DriveRecord(route_m=scenario.route.length_m)
    for _ in range(round(seconds / SUBSTEP_S)):
        if worlds.is_due:
            worlds.act(driver.act(worlds))
        ego = simulator.ego
        if ego is None or worlds.scene.clocks.failed[0]:
            raise ValueError("the car could not be driven: the log says why; try another seed=")
        before = drive_state(ego.get_transform(), ego.get_velocity())
        events = worlds.advance()
        _note(record, worlds, ego, before)
        for name in ("collision", "ran_red_light", "ran_stop_sign"):
            if bool(getattr(events, name).any()):
                record.events[name] = record.events.get(name, 0) + 1
        if bool(events.route_finished.any()):
            break
    record.driven_m = float(scenario.route.cumulative_m[int(worlds.memory.route.index[0])])
    return record


def drive_rows(record: DriveRecord, folder: Path, *, is_carla: bool) -> list[CheckRow]:
    """What the drive says; the recording goes to `folder` for `evaluation.dynamics_check`."""
    size = np.array([EGO_HALF_LENGTH_M, EGO_HALF_WIDTH_M, EGO_HALF_HEIGHT_M])
    gap = np.abs(np.array(record.half_size_m) - size)
    heights = np.array(record.height_gap_m)
    return [
        _drive_row(record),
        CheckRow(
            "the car's size (half)",
            _sides(record.half_size_m),
            _sides(size),
            gap_text(gap),
            bool((gap <= SAME_SIZE_M).all()),
        ),
        CheckRow(
            "height of the road",
            "under the car",
            "of the route",
            gap_text(heights),
            bool((heights <= SAME_HEIGHT_M).all()),
        ),
        limit_row(np.array(record.limit_kmh), np.array(record.own_limit_kmh)),
        light_time_row(np.array(record.light_state), np.array(record.light_left_s), SUBSTEP_S),
        *_dynamics_rows(record, folder, is_carla=is_carla),
    ]


def limit_row(served: FloatArray, own: FloatArray) -> CheckRow:
    """Speed limits along the way, (T,) in km/h.

    CARLA's car has 30 km/h until it passes its first sign; from then on both should be the same.
    """
    what = "limits on the way [km/h]"
    texts = _values(served), _values(own)
    changes = np.flatnonzero(np.diff(served))
    if not len(changes):
        return CheckRow(what, *texts, "no sign was passed", None)
    other = np.abs(served - own)[changes[0] + 1 :] > SAME_LIMIT_KMH
    share = float(other.mean())
    said = f"after the first sign {100.0 * (1.0 - share):.1f} % of the time the same"
    return CheckRow(what, *texts, said, share <= MOST_OTHER_LIMITS)


def light_time_row(state: NDArray, left_s: FloatArray, step_s: float) -> CheckRow:
    """Time left of lights as the adapter reads it, against when they changed.

    Args:
        state: (T, L) LightState.
        left_s: (T, L) time until the state ends, infinite where unknown.
        step_s: Between two of them.
    """
    ahead = round(LOOK_AHEAD_S / step_s)
    errors, unknown = [], 0
    for before, light in np.argwhere(np.diff(state.astype(int), axis=0) != 0):
        step = before + 1
        earlier = step - ahead
        stretch = state[max(earlier, 0) : step, light]
        if earlier < 0 or (stretch != stretch[0]).any() or stretch[0] == LightState.OFF:
            continue
        if math.isfinite(left_s[earlier, light]):
            errors.append(abs(float(left_s[earlier, light]) - ahead * step_s))
        else:
            unknown += 1
    gaps = np.array(errors)
    what = f"time left {LOOK_AHEAD_S:g} s before a light changes"
    lost = f"; {unknown} without a known time" if unknown else ""
    if not len(gaps):
        return CheckRow(what, "0 changes", "", "no light could be followed" + lost, None)
    fits = bool((gaps <= SAME_TIME_S).all()) and not unknown
    return CheckRow(what, f"{len(gaps)} changes", "as read", gap_text(gaps, "s") + lost, fits)


def _note(
    record: DriveRecord, worlds: DrivingWorlds, ego: carla.Vehicle, before: Sequence[float]
) -> None:
    scene, motion, maps = worlds.scene, worlds.scene.motion, worlds.maps
    control = ego.get_control()
    record.controls_and_states.append((control.steer, control.throttle, control.brake, *before))
    point = nearest_lane_point(  # as the embedded world finds its ego's limit, see `locate_ego`
        maps.grid, maps.points, maps.lanes, int(scene.clocks.map_index[0]),
        motion.x[0, 0], motion.y[0, 0], motion.z[0, 0], int(LaneKind.DRIVING),
    )  # fmt: skip
    own_mps = float(maps.points.speed_limit_mps[point]) if point >= 0 else math.nan
    record.limit_kmh.append(KMH_PER_MPS * float(scene.ego.speed_limit_mps[0]))
    record.own_limit_kmh.append(KMH_PER_MPS * own_mps)
    row = int(worlds.memory.route.index[0])
    record.height_gap_m.append(abs(float(motion.z[0, 0] - scene.routes.z[0, row])))
    record.light_state.append(scene.lights.state[0].copy())
    record.light_left_s.append(scene.lights.remaining_s[0].copy())
    traits = scene.traits
    sides = (traits.half_length_m, traits.half_width_m, traits.half_height_m)
    length, width, height = (float(side[0, 0]) for side in sides)
    record.half_size_m = (length, width, height)


def _drive_row(record: DriveRecord) -> CheckRow:
    seconds = len(record.controls_and_states) * SUBSTEP_S
    words = {"collision": "collisions", "ran_red_light": "red lights", "ran_stop_sign": "stops"}
    counted = ", ".join(f"{record.events.get(name, 0)} {text}" for name, text in words.items())
    way = f"{record.driven_m:.0f} of {record.route_m:.0f} m"
    return CheckRow("the drive", f"{seconds:.0f} s", way, counted)


def _dynamics_rows(record: DriveRecord, folder: Path, *, is_carla: bool) -> list[CheckRow]:
    path = folder / "drive.csv"
    write_drive(path, [(*row, float(is_carla)) for row in record.controls_and_states])
    rows = []
    for errors in check_recordings(read_recordings(path)):
        if errors.name != "all" or not errors.position_m.size:
            continue
        said = f"{errors.position_m.mean():.2f} m, {errors.speed_mps.mean():.2f} m/s on the average"
        what = f"dynamics after {errors.horizon_s:g} s"
        rows.append(CheckRow(what, f"{errors.position_m.size} starts", "same controls", said))
    return rows


def _values(limits: FloatArray) -> str:
    return ", ".join(f"{value:g}" for value in np.unique(limits.round()))


def _sides(size: Sequence[float] | FloatArray) -> str:
    return " x ".join(f"{side:.2f}" for side in size)
