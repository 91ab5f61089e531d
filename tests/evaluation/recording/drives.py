"""A small drive made by hand: the ego, a car that is there for a while, a pedestrian."""

from __future__ import annotations

from typing import Any

import numpy as np

from evaluation.recording.episode import RecordedEpisode, Seen, Tracks
from sim_adapters.scene.state import ActorKind

STEPS = 40
RED_LIGHT = {
    "kind": "red_light",
    "name": "red light",
    "time_s": 3.0,
    "x": 29.0,
    "y": 0.0,
    "z": 0.0,
    "percent": 0.0,
    "other_id": 0,
    "other": "",
    "factor": 0.7,
}
TRIGGER = {"name": "a", "type": "ControlLoss", "x": 20.0, "y": 0.0, "started_s": 1.0}


def about(route: str = "7", planner: str = "policy", **more: Any) -> dict[str, Any]:
    return {
        "planner": planner,
        "benchmark": "two routes",
        "world": "by hand",
        "route": route,
        "town": "Flatland",
        "seed": 0,
        "length_m": 40.0,
        "score": 70.0,
        "completion": 100.0,
        "infraction_score": 0.7,
        "end": "Completed",
        "duration_s": 4.0,
        "infractions": [RED_LIGHT],
        "triggers": [TRIGGER],
        "scales": {"actor_forward_m": 50.0, "actor_left_m": 20.0},
        **more,
    }


def small_drive(**more: Any) -> RecordedEpisode:
    """The ego goes east at 10 m/s; the car oncoming in steps 10 to 29; a pedestrian stands."""
    east = np.arange(STEPS, dtype=np.float64)
    count = np.array([STEPS, 20, STEPS])
    return RecordedEpisode(
        about=about(**more),
        step_s=0.1,
        route=np.stack([np.arange(41.0), np.zeros(41)], axis=1),
        tracks=Tracks(
            actor_id=np.array([5, 9, 6]),
            kind=np.array([ActorKind.CAR, ActorKind.CAR, ActorKind.PEDESTRIAN], np.int64),
            half_length_m=np.array([2.4, 2.3, 0.3]),
            half_width_m=np.array([0.9, 0.9, 0.3]),
            first_step=np.array([0, 10, 0]),
            num_steps=count,
            x=np.concatenate([east, 60.0 - east[:20], np.full(STEPS, 25.0)]),
            y=np.concatenate([np.zeros(STEPS), np.full(20, 3.5), np.full(STEPS, -4.0)]),
            yaw_rad=np.concatenate([np.zeros(STEPS), np.full(20, np.pi), np.zeros(STEPS)]),
            speed_mps=np.concatenate([np.full(STEPS, 10.0), np.full(20, 10.0), np.zeros(STEPS)]),
            lights=np.concatenate([np.zeros(STEPS), np.ones(20), np.zeros(STEPS)]).astype(int),
        ),
        driver={
            "speed_mps": np.full(STEPS, 10.0),
            "speed_limit_mps": np.full(STEPS, 13.89),
            "steer": np.linspace(-0.5, 0.5, STEPS),
            "throttle": np.full(STEPS, 0.5),
            "brake": np.zeros(STEPS),
            "route_percent": np.linspace(2.5, 100.0, STEPS),
            "reward": np.full(STEPS, 0.25),
            "value": np.linspace(5.0, 1.0, STEPS),
        },
        terms={"progress": np.full(STEPS, 0.25), "comfort": np.where(east < 20, 1.0, 0.5)},
        signals=np.where(east < 30, 0, 2)[None].astype(np.int64),
        phases=np.where(east < 9, 0, 2)[None].astype(np.int64),
        seen=Seen(
            ("speed", "route_2m_forward", "route_2m_left", "actor_0_present", "actor_0_forward",
             "actor_0_left"),
            np.stack([np.full(STEPS, v) for v in (0.66, 1.0, 0.0, 1.0, 0.5, -0.2)]),
        ),
    )  # fmt: skip
