"""Compares the ego's dynamics with recorded CARLA drives, for `evaluation.dynamics_check`.

A recording is a CSV file with the columns steer, throttle, brake, x_m, y_m, yaw_deg (CARLA's
left-handed frame) and speed_kmh, one row every 0.05 s: the state, and the controls applied from it
on. The drives published with PDM-Lite name their controls steer_logged, throttle_inferred and
brake_inferred. A column is_carla of zeros marks a drive on a server that is not CARLA's own.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim_adapters.array_types import FloatArray
from sim_adapters.kernel_cache import cache_root
from sim_adapters.kernels import device_function
from sim_adapters.world import dynamics, ego_speed
from sim_adapters.world.dynamics import ego_step
from sim_adapters.world.ego_speed import SUBSTEP_S

HORIZONS_S = (1.0, 3.0, 5.0)
OFFSET_STEP = 5  # samples between two starts
SETTLING_SAMPLES = 16  # the recorded car rolls after it was spawned
STANDSTILL_KMH = 0.5
CONTROLS = ("steer", "throttle", "brake")
_PUBLISHED_CONTROLS = ("steer_logged", "throttle_inferred", "brake_inferred")
STATE = ("x_m", "y_m", "yaw_deg", "speed_kmh")
IS_CARLA = "is_carla"


@dataclass(frozen=True)
class DriveRecording:
    """One recorded drive in our frame, arrays of shape (T,), one sample every 0.05 s."""

    name: str
    x: FloatArray  # [m]
    y: FloatArray
    yaw_rad: FloatArray
    speed_mps: FloatArray
    steer: FloatArray  # left positive
    throttle: FloatArray
    brake: FloatArray
    is_carla: bool = True  # recorded on CARLA's own server


@dataclass(frozen=True)
class HorizonErrors:
    """Errors of all predictions over one horizon, (N,) each."""

    name: str
    horizon_s: float
    position_m: FloatArray  # distance between predicted and recorded position
    speed_mps: FloatArray  # absolute


def read_recording(path: Path) -> DriveRecording:
    """Read one CSV file; settling and standing samples are left out.

    A published drive without any braking in its label that still comes to rest has lost that label:
    its last samples, from the peak speed on, are left out too.

    Raises:
        ValueError: a column is missing, or the car never moves.
    """
    table = np.genfromtxt(path, delimiter=",", names=True)
    columns = set(table.dtype.names or ())
    published = set(_PUBLISHED_CONTROLS) <= columns
    controls = _PUBLISHED_CONTROLS if published else CONTROLS
    missing = sorted({*controls, *STATE} - columns)
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}: expected a recorded drive")
    moving = np.flatnonzero(table["speed_kmh"] > STANDSTILL_KMH)
    if moving.size == 0:
        raise ValueError(f"the car in {path} never moves: record it while it drives")
    last = int(moving[-1]) + 1
    if published and table["brake_inferred"].max() <= 0.0:
        last = int(np.argmax(table["speed_kmh"])) + 1
    kept = table[SETTLING_SAMPLES:last]
    steer, throttle, brake = (kept[name] for name in controls)
    return DriveRecording(
        name=path.stem,
        x=kept["x_m"],
        y=-kept["y_m"],
        yaw_rad=-np.radians(kept["yaw_deg"]),
        speed_mps=kept["speed_kmh"] / 3.6,
        steer=-steer,
        throttle=throttle,
        brake=brake,
        is_carla=IS_CARLA not in columns or bool(table[IS_CARLA].all()),
    )


@device_function
def _drive(
    start: int,
    num_steps: int,
    x: float,
    y: float,
    yaw: float,
    v: float,
    steer: FloatArray,
    throttle: FloatArray,
    brake: FloatArray,
) -> tuple[float, float, float]:
    for k in range(start, start + num_steps):
        x, y, yaw, v = ego_step(x, y, yaw, v, steer[k], throttle[k], brake[k], SUBSTEP_S)
    return x, y, v


def prediction_errors(
    recording: DriveRecording, horizon_s: float, *, offset_step: int = OFFSET_STEP
) -> HorizonErrors:
    """Start the model at every `offset_step`-th sample and compare it after `horizon_s`."""
    num_steps = round(horizon_s / SUBSTEP_S)
    starts = np.arange(0, recording.x.size - num_steps, offset_step)
    position, speed = np.empty(starts.size), np.empty(starts.size)
    for row, start in enumerate(starts):
        end = start + num_steps
        x, y, v = _drive(
            int(start),
            num_steps,
            recording.x[start],
            recording.y[start],
            recording.yaw_rad[start],
            recording.speed_mps[start],
            recording.steer,
            recording.throttle,
            recording.brake,
        )
        position[row] = math.hypot(x - recording.x[end], y - recording.y[end])
        speed[row] = abs(v - recording.speed_mps[end])
    return HorizonErrors(recording.name, horizon_s, position, speed)


def read_recordings(path: Path) -> list[DriveRecording]:
    """A CSV file, or all of a folder.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a file is no recorded drive.
    """
    paths = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    if not paths or not paths[0].is_file():
        raise FileNotFoundError(
            f"no recorded drive in {path}: pass recording=FILE.csv or a folder of such files"
        )
    return [read_recording(file) for file in paths]


def check_recordings(recordings: Sequence[DriveRecording]) -> list[HorizonErrors]:
    """Errors of every drive at 1, 3 and 5 s, then of all together under the name "all"."""
    rows = [prediction_errors(drive, horizon) for drive in recordings for horizon in HORIZONS_S]
    for horizon in HORIZONS_S:
        same = [row for row in rows if row.horizon_s == horizon]
        position = np.concatenate([row.position_m for row in same])
        speed = np.concatenate([row.speed_mps for row in same])
        rows.append(HorizonErrors("all", horizon, position, speed))
    return rows


def format_table(rows: Iterable[HorizonErrors]) -> str:
    """The errors as a table, one line a drive and horizon."""
    lines = [
        f"{'drive':<14}{'horizon':>8}{'starts':>8}"
        f"{'position mean':>15}{'95 %':>8}{'speed mean':>12}{'95 %':>8}",
        f"{'':<14}{'s':>8}{'':>8}{'m':>15}{'m':>8}{'m/s':>12}{'m/s':>8}",
    ]
    for row in rows:
        if row.position_m.size == 0:
            continue
        numbers = (
            row.position_m.mean(),
            np.percentile(row.position_m, 95),
            row.speed_mps.mean(),
            np.percentile(row.speed_mps, 95),
        )
        lines.append(
            f"{row.name:<14}{row.horizon_s:>8.0f}{row.position_m.size:>8}"
            f"{numbers[0]:>15.2f}{numbers[1]:>8.2f}{numbers[2]:>12.2f}{numbers[3]:>8.2f}"
        )
    return "\n".join(lines)


# What reports say about the ego's dynamics: compared with recorded CARLA drives, or not

UNVALIDATED = (
    "unvalidated: no recording of a real CARLA ego was compared with them "
    "(python -m evaluation.dynamics_check recording=PATH)"
)
_FILE = "dynamics_check.json"


def keep_check(rows: Sequence[HorizonErrors], num_drives: int) -> Path:
    """Remember a check of these sources for later reports; where it is kept."""
    errors = [
        {
            "horizon_s": row.horizon_s,
            "position_m": float(row.position_m.mean()),
            "speed_mps": float(row.speed_mps.mean()),
        }
        for row in rows
        if row.name == "all" and row.position_m.size
    ]
    record = {"sources": _sources_hash(), "drives": num_drives, "errors": errors}
    path = cache_root() / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=2))
    return path


def dynamics_statement() -> str:
    """One line for a report; a check of other sources than these counts for nothing."""
    try:
        record = json.loads((cache_root() / _FILE).read_text())
        if record["sources"] != _sources_hash() or not record["errors"]:
            return UNVALIDATED
        errors = ", ".join(
            f"{error['position_m']:.2f} m and {error['speed_mps']:.2f} m/s after "
            f"{error['horizon_s']:.0f} s"
            for error in record["errors"]
        )
        return f"compared with {record['drives']} recorded CARLA drives, mean errors {errors}"
    except (OSError, ValueError, KeyError, TypeError):  # never checked, or the file is damaged
        return UNVALIDATED


def _sources_hash() -> str:
    sources = [Path(str(module.__file__)).read_bytes() for module in (dynamics, ego_speed)]
    return hashlib.sha256(b"".join(sources)).hexdigest()[:16]
