"""A drive recorded on a live server is what the dynamics check replays."""

from __future__ import annotations

from pathlib import Path

import carla
import pytest

from sim_adapters.carla.drive_recorder import DriveOptions, record_drive
from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.world.dynamics_check import check_recordings, read_recordings

SECONDS = 12.0


@pytest.fixture(scope="module")
def recording(
    server: HeadlessServer, client: carla.Client, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("drive") / "drive.csv"
    options = DriveOptions(path, port=server.port, seconds=SECONDS, faster_percent=50.0)
    assert record_drive(options) == round(SECONDS / 0.05)
    assert client.get_world().get_settings().synchronous_mode is False  # as it was found
    return path


def test_a_recorded_car_that_is_the_embedded_one_replays_without_error(recording: Path) -> None:
    drives = read_recordings(recording)
    assert len(drives) == 1
    assert not drives[0].is_carla
    rows = check_recordings(drives)
    assert {row.horizon_s for row in rows} == {1.0, 3.0, 5.0}
    assert all(row.position_m.size > 20 for row in rows)
    # The file has no more digits than the wire, whose floats have 24 bits
    assert max(row.position_m.max() for row in rows) < 0.02
    assert max(row.speed_mps.max() for row in rows) < 0.02
