"""Compares the ego's dynamics with drives recorded on CARLA: `python -m evaluation.dynamics_check`.

`recording=PATH` replays the recorded controls through the embedded dynamics and prints how far they
are off after 1, 3 and 5 s. `record=FILE.csv` makes such a recording on a live server first. See
configs/dynamics_check.yaml.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from omegaconf import DictConfig

from carl_planner.command_errors import hydra_command
from sim_adapters.world.dynamics_check import (
    DriveRecording,
    check_recordings,
    dynamics_statement,
    format_table,
    keep_check,
    read_recordings,
)

DEFAULT_FOLDER = Path("data/carla_recordings")

log = logging.getLogger(__name__)


def find_recordings(path: str | None) -> Path:
    """The path given, else the default folder.

    Raises:
        ValueError: there is nothing to compare with.
    """
    if path is not None:
        return Path(path)
    if DEFAULT_FOLDER.is_dir():
        return DEFAULT_FOLDER
    raise ValueError(
        "there is no recording of a CARLA ego: pass recording=PATH, or make one on a running CARLA "
        "with record=drive.csv running_is_carla=true. Until then the dynamics are unvalidated"
    )


def check(recordings: Sequence[DriveRecording]) -> str:
    """Compare, keep the result for reports if the drives are CARLA's, and say so."""
    rows = check_recordings(recordings)
    table = format_table(rows)
    if all(drive.is_carla for drive in recordings):
        keep_check(rows, len(recordings))
        return f"{table}\nReports now say: {dynamics_statement()}"
    return (
        f"{table}\nSome drives were not recorded on CARLA's own server: they validate nothing, and "
        "reports go on to say so"
    )


def record(config: DictConfig) -> Path:
    """Make a recording on a live server; its path."""
    # Only a recording needs CARLA's client library
    from sim_adapters.carla.drive_recorder import DriveOptions, record_drive

    options = DriveOptions(
        Path(config.record),
        host=config.host,
        port=config.port,
        town=config.town,
        seconds=config.seconds,
        seed=config.seed,
        faster_percent=config.faster_percent,
        is_carla=config.running_is_carla,
    )
    log.info("recording %g s of driving from %s:%d", options.seconds, options.host, options.port)
    try:
        num_rows = record_drive(options)
    except RuntimeError as error:
        raise ValueError(
            f"nothing could be recorded from {options.host}:{options.port}: {error}"
        ) from error
    log.info("%d rows in %s", num_rows, options.path)
    return options.path


@hydra_command("dynamics_check")
def main(config: DictConfig) -> None:
    """Console entry."""
    path = record(config) if config.record is not None else find_recordings(config.recording)
    log.info("%s", check(read_recordings(path)))


if __name__ == "__main__":
    main()
