"""The check of a server for strangers, on the headless one, which is made from our own maps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import carla
import numpy as np
import pytest
from hydra import compose, initialize_config_module

from evaluation.carla_check.__main__ import check, table_of
from evaluation.carla_check.drive import choose_route, light_time_row, limit_row
from sim_adapters.carla import world_check
from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.carla.servers import free_port
from sim_adapters.carla.world_check import CheckRow, check_bodies, check_map
from sim_adapters.maps.opendrive import load_map_bank
from sim_adapters.scene.state import LightState

RED, GREEN = int(LightState.RED), int(LightState.GREEN)


def composed(*overrides: str):
    with initialize_config_module("configs", version_base="1.3"):
        return compose("carla_check", overrides=list(overrides))


def of(rows: list[CheckRow], what: str) -> CheckRow:
    (found,) = (row for row in rows if row.what == what)
    return found


def test_a_server_made_from_our_maps_agrees_in_everything(
    server: HeadlessServer, client: carla.Client, tmp_path: Path
) -> None:
    world = client.get_world()
    before = world.get_settings()
    config = composed(f"port={server.port}", "seconds=15", "num_vehicles=4", f"output={tmp_path}")
    rows = check(config)
    assert [row.what for row in rows if row.agrees is False] == []
    for what in ("lights' trigger volumes", "stop lines before lights", "limit signs"):
        assert of(rows, what).agrees
    assert of(rows, "traffic lights").difference == "36 matched"
    assert of(rows, "the drive").server == "15 s"
    # Its car is the embedded one
    assert of(rows, "dynamics after 1 s").difference.startswith("0.00 m, 0.00 m/s")
    assert (tmp_path / "drive.csv").read_text().splitlines()[1].endswith("0.0")  # not CARLA's
    table = table_of(rows)
    assert table.splitlines()[-1].endswith("agree")
    assert all(line.count("|") == 6 for line in table.splitlines()[:-2])
    after = client.get_world().get_settings()
    assert after.synchronous_mode == before.synchronous_mode
    assert after.no_rendering_mode == before.no_rendering_mode


def test_what_is_elsewhere_or_of_another_size_is_named(
    world: carla.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = load_map_bank(["Town01"])
    signals = maps.signals._replace(x=maps.signals.x.copy())
    signals.x[3] += 1.0
    lines = maps.stop_lines._replace(y=maps.stop_lines.y + 0.7)
    moved = dataclasses.replace(maps, signals=signals, stop_lines=lines)
    rows = check_map(world, moved, "Town01")
    volumes = of(rows, "lights' trigger volumes")
    assert not volumes.agrees
    assert volumes.difference == "median 0.00 m, largest 1.00 m"
    assert not of(rows, "stop lines before lights").agrees
    assert of(rows, "limit signs").agrees

    length = world_check.VEHICLE_HALF_LENGTH_M.copy()
    length[world_check.VEHICLE_NAMES.index("tesla.model3")] += 0.05
    monkeypatch.setattr(world_check, "VEHICLE_HALF_LENGTH_M", length)
    vehicles = of(check_bodies(world), "sizes of vehicles (half)")
    assert not vehicles.agrees
    assert "largest 0.05 m; not the same: vehicle.tesla.model3" in vehicles.difference
    assert not world.get_actors().filter("vehicle.*")  # all removed again


def test_without_a_server_it_says_how_to_start_one(tmp_path: Path) -> None:
    port = free_port(24_000)
    config = composed(f"port={port}", "call_timeout_s=1", f"output={tmp_path}")
    with pytest.raises(ValueError, match=rf"127.0.0.1:{port}.*CarlaUE4.sh") as refusal:
        check(config)
    assert "\n" not in str(refusal.value)


def test_limits_are_compared_from_the_first_sign_on() -> None:
    served = np.array([30.0] * 50 + [90.0] * 100)
    own = np.full(150, 90.0)
    row = limit_row(served, own)
    assert row.agrees
    assert row.difference == "after the first sign 100.0 % of the time the same"
    own[60:80] = 60.0
    row = limit_row(served, own)
    assert row.agrees is False
    assert (row.server, row.ours) == ("30, 90", "60, 90")
    assert limit_row(np.full(9, 30.0), np.full(9, 60.0)).agrees is None


def test_a_time_left_that_was_wrong_shows() -> None:
    step_s = 0.5
    state = np.array([[RED]] * 20 + [[GREEN]] * 20)
    left = np.array([[(20 - k) * step_s] for k in range(20)] + [[np.inf]] * 20)
    row = light_time_row(state, left, step_s)
    assert (row.server, row.agrees) == ("1 changes", True)
    assert not light_time_row(state, left + 1.0, step_s).agrees
    assert "1 without a known time" in light_time_row(state, left * np.inf, step_s).difference
    assert light_time_row(state[:20], left[:20], step_s).agrees is None


def test_its_route_has_lights_where_the_town_has_them() -> None:
    maps = load_map_bank(["Town01"])
    route = choose_route(maps, "Town01", seed=0).route
    assert route.length_m > 1100.0
    assert route.in_junction.any()
