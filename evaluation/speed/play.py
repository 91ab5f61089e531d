"""Speed of evaluation.play: whether its world keeps to real time on one core."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from evaluation.play.__main__ import make_session
from evaluation.play.drive_page import moment_message
from evaluation.play.session import DrivingSession, Wheel
from evaluation.speed.stopwatch import Measurement
from sim_adapters.gymnasium_envs import compose_config

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
