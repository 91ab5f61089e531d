"""Frames of a recorded drive, one step after the other, as a video draws them."""

from __future__ import annotations

import numpy as np

from evaluation.recording.about import read_infractions
from evaluation.recording.episode import RecordedEpisode
from evaluation.rollout.recording import Frame, Recording
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene_picture.scene_picture import KEPT_RADIUS_M


def frames_of(episode: RecordedEpisode, maps: MapBank) -> Recording:
    """The drive step by step, with everybody near the ego.

    Args:
        episode: A drive of the embedded world: all numbers of the driver are known.
        maps: Holds its town.
    """
    about, driver = episode.about, episode.driver
    infractions = read_infractions(about)
    frames = []
    for step, time_s in enumerate(episode.times_s):
        actors, kinds, lights = _nearby(episode, step)
        frames.append(
            Frame(
                time_s=float(time_s),
                actors=actors,
                kinds=kinds,
                lights=lights,
                signals=episode.signals[:, step].astype(np.uint8),
                steer=float(driver["steer"][step]),
                throttle=float(driver["throttle"][step]),
                brake=float(driver["brake"][step]),
                speed_limit_mps=float(driver["speed_limit_mps"][step]),
                route_percent=float(driver["route_percent"][step]),
                terms={name: float(term[step]) for name, term in episode.terms.items()},
                reward=float(driver["reward"][step]),
                infractions=tuple(i for i in infractions if i.time_s < time_s + 1e-6),
            )
        )
    return Recording(
        route_id=about["route"],
        town=about["town"],
        seed=about["seed"],
        map_index=maps.map_index(about["town"]),
        step_s=episode.step_s,
        route_x=episode.route[:, 0],
        route_y=episode.route[:, 1],
        frames=frames,
    )


def _nearby(episode: RecordedEpisode, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Columns of ACTOR_COLUMNS, kinds and lights of everybody near the ego at a step."""
    tracks = episode.tracks
    since = step - tracks.first_step
    present = np.flatnonzero((since >= 0) & (since < tracks.num_steps))
    rows = tracks.starts[present] + since[present]
    x, y = tracks.x[rows], tracks.y[rows]
    near = np.hypot(x - x[0], y - y[0]) < KEPT_RADIUS_M
    present, rows = present[near], rows[near]
    columns = [
        tracks.x[rows],
        tracks.y[rows],
        tracks.yaw_rad[rows],
        tracks.half_length_m[present],
        tracks.half_width_m[present],
        tracks.speed_mps[rows],
    ]
    kinds, lights = tracks.kind[present].astype(np.uint8), tracks.lights[rows].astype(np.uint8)
    return np.stack(columns, axis=1), kinds, lights
