"""Speed of the two servers: the headless one for CARLA's clients, and that of evaluation.play.

The headless server and the unmodified client library run in two processes on one machine, as in a
test or in training. Rates are per second on the wall, because a tick is a conversation between the
two; the server's own CPU time beside them tells how much of it is ours. Of play it is asked whether
its world keeps to real time on one core.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import carla

from evaluation.play.__main__ import make_session
from evaluation.play.drive_page import moment_message
from evaluation.play.session import DrivingSession, Wheel
from evaluation.speed.stopwatch import Measurement, measure_rate
from sim_adapters.carla.headless.process import HeadlessServer
from sim_adapters.carla.servers import free_port
from sim_adapters.gymnasium_envs import compose_config

_TIMEOUT_S = 60.0
_LIMIT_S = 180.0  # of a measurement; it takes about ten seconds
_STEP_S = 0.05
_FIRST_TM_PORT = 8_000  # below the ports from which the system takes connections' own
_SETTLING_TICKS = 100
_TICKS_A_CALL = 50
_SERVER_CEILING_MS = 1.5  # of a tick in which a TrafficManager drives 50


def measure_headless_ticks() -> list[Measurement]:
    """Synchronous ticks with 20 vehicles that drive straight on."""
    with HeadlessServer("Town01") as server:
        return _in_own_process(_without_manager, server)


def measure_headless_tm_ticks() -> list[Measurement]:
    """Synchronous ticks with the client's TrafficManager driving 50 vehicles."""
    with HeadlessServer("Town01") as server:
        return _in_own_process(_with_manager, server)


def _in_own_process(
    measure: Callable[[int, int], list[Measurement]], server: HeadlessServer
) -> list[Measurement]:
    """Measure in a fresh process, which ends with all threads of the client library.

    CARLA's TrafficManager notifies its thread without holding the mutex that the thread waits with
    (TrafficManagerLocal::SynchronousTick): on a busy machine a tick may wait for ever.

    Raises:
        RuntimeError: nothing came within `_LIMIT_S`.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # terminates it in the end
        try:
            return pool.apply_async(measure, (server.port, server.pid)).get(_LIMIT_S)
        except multiprocessing.TimeoutError as error:
            raise RuntimeError(
                f"CARLA's client library stood still for {_LIMIT_S:g} s: measure again"
            ) from error


def _without_manager(port: int, server_pid: int) -> list[Measurement]:
    _, world = _synchronous_world(port)
    _spawn_vehicles(world, 20, autopilot_port=None)
    note = "20 vehicles, client included"
    return _measure(server_pid, world, "headless_ticks", 2_000, None, note)


def _with_manager(port: int, server_pid: int) -> list[Measurement]:
    client, world = _synchronous_world(port)
    manager = client.get_trafficmanager(free_port(_FIRST_TM_PORT))
    manager.set_synchronous_mode(True)
    manager.set_random_device_seed(0)
    _spawn_vehicles(world, 50, autopilot_port=manager.get_port())
    note = "TrafficManager drives 50, client included"
    measured = _measure(server_pid, world, "headless_tm_ticks", 150, _SERVER_CEILING_MS, note)
    manager.shut_down()  # its thread must end before its server does
    return measured


def _synchronous_world(port: int) -> tuple[carla.Client, carla.World]:
    client = carla.Client("127.0.0.1", port)
    client.set_timeout(_TIMEOUT_S)
    world = client.get_world()
    settings = world.get_settings()
    settings.synchronous_mode, settings.fixed_delta_seconds = True, _STEP_S
    world.apply_settings(settings)
    return client, world


def _spawn_vehicles(world: carla.World, count: int, *, autopilot_port: int | None) -> None:
    blueprint = world.get_blueprint_library().find("vehicle.lincoln.mkz_2020")
    points = world.get_map().get_spawn_points()
    for index in range(count):
        vehicle = world.spawn_actor(blueprint, points[index * len(points) // count])
        assert isinstance(vehicle, carla.Vehicle)
        if autopilot_port is None:
            vehicle.apply_control(carla.VehicleControl(throttle=0.4))
        else:
            vehicle.set_autopilot(True, autopilot_port)
    for _ in range(_SETTLING_TICKS):
        world.tick()


def _measure(
    server_pid: int,
    world: carla.World,
    key: str,
    floor: float,
    server_ceiling_ms: float | None,
    note: str,
) -> list[Measurement]:
    """Ticks per second on the wall and the server's CPU time a tick."""
    ticks = 0
    cpu_s = process_cpu_s(server_pid)

    def step() -> int:
        nonlocal ticks
        for _ in range(_TICKS_A_CALL):
            world.tick()
        ticks += _TICKS_A_CALL
        return _TICKS_A_CALL

    median, low, high = measure_rate(step, clock=time.perf_counter)
    server_ms = 1e3 * (process_cpu_s(server_pid) - cpu_s) / ticks
    return [
        Measurement(key, median, "ticks/s", low, high, floor, note),
        Measurement(
            f"{key}.server_ms",
            server_ms,
            "ms CPU/tick",
            server_ms,
            server_ms,
            note="mean of the server process",
            ceiling=server_ceiling_ms,
        ),
    ]


def process_cpu_s(pid: int) -> float:
    """CPU time that a process has used so far [s]."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# evaluation.play

WINDOW_S = 1.0  # of the world
NUM_WINDOWS = 20
WARM_UP_S = 3.0  # so that traffic has spread


def measure_play() -> list[Measurement]:
    """CPU time of a step as `python -m evaluation.play` takes it, the message to the page included.

    A step of 50 ms that takes at most 50 ms of one core is driven in real time.
    """
    with tempfile.TemporaryDirectory() as folder:
        session = make_session(compose_config("play", []), Path(folder))
        return [step_time(session, wheel) for wheel in (Wheel.PERSON, Wheel.PLANNER)]


def step_time(session: DrivingSession, wheel: Wheel) -> Measurement:
    """Of one who has the wheel, over NUM_WINDOWS seconds of a drive."""
    session.begin(session.scenario.scenario_id)
    session.give_wheel(wheel)
    step_s, step = session.worlds.scene.step_s, stepping(session)
    per_window = round(WINDOW_S / step_s)
    for _ in range(round(WARM_UP_S / step_s)):
        step()
    windows = []
    for _ in range(NUM_WINDOWS):
        began_s = time.process_time()
        for _ in range(per_window):
            step()
        windows.append(1e3 * (time.process_time() - began_s) / per_window)
    vehicles, pedestrians = session.simulator.background
    who = {Wheel.PERSON: "a person", Wheel.PLANNER: "the shipped policy"}[wheel]
    return Measurement(
        f"play.{wheel}_ms",
        statistics.median(windows),
        "ms CPU/step",
        min(windows),
        max(windows),
        note=f"{1.0 / step_s:.0f} Hz, {vehicles} cars, {pedestrians} pedestrians, {who} drives",
        ceiling=1e3 * step_s,
    )


def stepping(session: DrivingSession) -> Callable[[], None]:
    """A step and what the page is told of it; a drive that is over begins anew."""

    def step() -> None:
        if session.is_over:
            session.begin(session.scenario.scenario_id)
        session.step()
        json.dumps(moment_message(session), separators=(",", ":"))

    return step
