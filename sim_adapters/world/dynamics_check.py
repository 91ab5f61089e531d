"""Compares the ego's dynamics with recorded CARLA drives.

    python -m sim_adapters.world.dynamics_check recordings=DIR

DIR holds CSV files with the columns step, steer_logged, throttle_inferred, brake_inferred, x_m,
y_m, yaw_deg (CARLA's left-handed frame) and speed_kmh, one row every 0.05 s.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim_adapters.kernels import device_function
from sim_adapters.world.dynamics import ego_step
from sim_adapters.world.ego_speed import SUBSTEP_S

FloatArray = NDArray[np.float64]

HORIZONS_S = (1.0, 3.0, 5.0)
OFFSET_STEP = 5  # samples between two starts
SETTLING_SAMPLES = 16  # the recorded car rolls after it was spawned
STANDSTILL_KMH = 0.5
_COLUMNS = {
    *("steer_logged", "throttle_inferred", "brake_inferred"),
    *("x_m", "y_m", "yaw_deg", "speed_kmh"),
}

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """One recorded drive in our frame, arrays of shape (T,), one sample every 0.05 s."""

    name: str
    x: FloatArray  # [m]
    y: FloatArray
    yaw_rad: FloatArray
    speed_mps: FloatArray
    steer: FloatArray  # left positive
    throttle: FloatArray
    brake: FloatArray


@dataclass(frozen=True)
class HorizonErrors:
    """Errors of all predictions over one horizon, (N,) each."""

    name: str
    horizon_s: float
    position_m: FloatArray  # distance between predicted and recorded position
    speed_mps: FloatArray  # absolute


def read_recording(path: Path) -> Recording:
    """Read one CSV file; settling and standing samples are left out.

    A drive without any braking in its label that still comes to rest has lost that label: its last
    samples, from the peak speed on, are left out too.

    Raises:
        ValueError: a column is missing.
    """
    table = np.genfromtxt(path, delimiter=",", names=True)
    missing = sorted(_COLUMNS - set(table.dtype.names or ()))
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}: expected a recorded drive")
    last = int(np.flatnonzero(table["speed_kmh"] > STANDSTILL_KMH)[-1]) + 1
    if table["brake_inferred"].max() <= 0.0:
        last = int(np.argmax(table["speed_kmh"])) + 1
    kept = table[SETTLING_SAMPLES:last]
    return Recording(
        name=path.stem,
        x=kept["x_m"],
        y=-kept["y_m"],
        yaw_rad=-np.radians(kept["yaw_deg"]),
        speed_mps=kept["speed_kmh"] / 3.6,
        steer=-kept["steer_logged"],
        throttle=kept["throttle_inferred"],
        brake=kept["brake_inferred"],
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
    recording: Recording, horizon_s: float, *, offset_step: int = OFFSET_STEP
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


def check_recordings(folder: Path) -> list[HorizonErrors]:
    """Errors of every CSV file in `folder` at 1, 3 and 5 s, then of all files together.

    Raises:
        FileNotFoundError: there is no CSV file.
    """
    paths = sorted(folder.glob("*.csv"))
    if not paths:
        raise FileNotFoundError(f"no recorded drive (*.csv) in {folder}: pass recordings=DIR")
    recordings = [read_recording(path) for path in paths]
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table for the folder given as `recordings=DIR`."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 1 or not arguments[0].startswith("recordings="):
        raise SystemExit(f"found arguments {list(arguments)}, expected one: recordings=DIR")
    rows = check_recordings(Path(arguments[0].removeprefix("recordings=")))
    _logger.info("%s", format_table(rows))


if __name__ == "__main__":
    main()
