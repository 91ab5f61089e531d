"""RecordedEpisode: one drive with everybody in it, and the compact file it is kept in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from evaluation.recording.about import read_infractions
from evaluation.recording.packing import (
    NO_RASTER,
    Column,
    RasterFrames,
    pack,
    raster_of,
    table,
    unpack,
)
from evaluation.rollout.recording import Frame, Recording
from sim_adapters.array_types import FloatArray, Int64Array
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.scene_picture.scene_picture import KEPT_RADIUS_M

POSITION_STEP_M = 0.01
YAW_STEP_RAD = 1 / 256  # 1 cm at the bumper of a car
SPEED_STEP_MPS = 0.05  # of other road users; the ego's own speed is a driver's number
SIZE_STEP_M = 0.005
TERM_STEP = 0.001
SLOT_PREFIXES = ("actor_", "vehicle_", "pedestrian_", "static_")  # of features about one actor
SEEN_STEP = 1 / 128  # features of the vector observation are about [-1, 1]
# Numbers of the driver, one a step, and what they are rounded to
DRIVER_STEPS = {
    "speed_mps": 0.01,
    "speed_limit_mps": 0.01,
    "steer": 0.005,
    "throttle": 0.005,
    "brake": 0.005,
    "route_percent": 0.01,
    "reward": 0.001,
    "value": 0.01,  # the critic's, of the state in which the step's action was chosen
}


class Tracks(NamedTuple):
    """Road users, the ego first, (N,); their steps lie one after the other in (S,) arrays."""

    actor_id: Int64Array
    kind: Int64Array  # ActorKind
    half_length_m: FloatArray
    half_width_m: FloatArray
    first_step: Int64Array
    num_steps: Int64Array
    x: FloatArray  # (S,) [m] box centre, world frame
    y: FloatArray
    yaw_rad: FloatArray
    speed_mps: FloatArray
    lights: Int64Array  # LightBit

    @property
    def starts(self) -> Int64Array:
        """Where each track begins in the (S,) arrays, (N + 1,)."""
        return np.concatenate([[0], np.cumsum(self.num_steps)])


class Seen(NamedTuple):
    """What the policy was shown at each step, as far as it is kept."""

    names: tuple[str, ...]  # of features
    values: FloatArray  # (F, T)


NOTHING_SEEN = Seen((), np.zeros((0, 0)))


@dataclass(frozen=True)
class RecordedEpisode:
    """One drive of T steps; step k ends at (k + 1) * `step_s`.

    Args:
        about: Planner, route, town, seed, score, infractions, triggers ...: JSON values, read by
            the viewer. `evaluation.recording.about` makes them.
        step_s: Time between two steps.
        route: (P, 2) [m] dense route.
        tracks: Everybody.
        driver: By names of DRIVER_STEPS, (T,); what is not known is missing.
        terms: Reward terms by name, (T,).
        signals: LightState of the town's lights, (L, T).
        phases: Phase of the route's scripted triggers, (K, T).
        seen: Features of the vector observation.
        plan: Planned path at each step, (T, Q, 2) [m] world frame, Q = 0 without one.
        raster: What a raster policy was shown, now and then.
    """

    about: Mapping[str, Any]
    step_s: float
    route: FloatArray
    tracks: Tracks
    driver: Mapping[str, FloatArray]
    terms: Mapping[str, FloatArray] = field(default_factory=dict)
    signals: Int64Array = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    phases: Int64Array = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    seen: Seen = NOTHING_SEEN
    plan: FloatArray = field(default_factory=lambda: np.zeros((0, 0, 2)))
    raster: RasterFrames = NO_RASTER

    @property
    def num_steps(self) -> int:
        """T."""
        return int(self.tracks.num_steps[0])

    @property
    def times_s(self) -> FloatArray:
        """End of every step, (T,)."""
        return np.arange(1, self.num_steps + 1) * np.float64(self.step_s)


def pack_episode(episode: RecordedEpisode) -> bytes:
    """The file of an episode.

    Raises:
        ValueError: a number is not finite.
    """
    tracks, rows = episode.tracks, episode.tracks.num_steps
    yaw = _unwrapped(tracks.yaw_rad, tracks.starts)
    columns = {
        "track.id": Column(tracks.actor_id, order=1),
        "track.kind": Column(tracks.kind),
        "track.half_length_m": Column(tracks.half_length_m, SIZE_STEP_M),
        "track.half_width_m": Column(tracks.half_width_m, SIZE_STEP_M),
        "track.first": Column(tracks.first_step, order=1),
        "track.count": Column(rows),
        "x": Column(tracks.x, POSITION_STEP_M, 2, rows),
        "y": Column(tracks.y, POSITION_STEP_M, 2, rows),
        "yaw_rad": Column(yaw, YAW_STEP_RAD, 2, rows),
        "speed_mps": Column(tracks.speed_mps, SPEED_STEP_MPS, 1, rows),
        "lights": Column(tracks.lights, 1.0, 1, rows),
        "signals": table(episode.signals),
        "phases": table(episode.phases),
        "route.x": Column(episode.route[:, 0], POSITION_STEP_M, 2),
        "route.y": Column(episode.route[:, 1], POSITION_STEP_M, 2),
        "seen": table(episode.seen.values, SEEN_STEP),
    }
    for name, values in episode.driver.items():
        columns[f"driver.{name}"] = Column(values, DRIVER_STEPS[name], 1)
    for name, values in episode.terms.items():
        columns[f"term.{name}"] = Column(values, TERM_STEP, 1)
    if episode.plan.size:
        for axis, name in enumerate(("plan.x", "plan.y")):
            columns[name] = table(episode.plan[:, :, axis], 0.05, 2)
    columns |= episode.raster.columns()
    about = {**episode.about, "step_s": episode.step_s, "seen": list(episode.seen.names)}
    if episode.raster.frames:
        about["raster"] = dict(episode.raster.view)
    return pack(about, columns)


def unpack_episode(content: bytes) -> RecordedEpisode:
    """The episode of a file.

    Raises:
        ValueError: it is no such file, or a damaged one.
    """
    about, columns = unpack(content)
    try:
        step_s, names = float(about.pop("step_s")), tuple(about.pop("seen"))
        whole = {key: np.rint(columns[key]).astype(np.int64) for key in _WHOLE}
        count = whole["track.count"]
        tracks = Tracks(
            actor_id=whole["track.id"],
            kind=whole["track.kind"],
            half_length_m=columns["track.half_length_m"],
            half_width_m=columns["track.half_width_m"],
            first_step=whole["track.first"],
            num_steps=count,
            x=columns["x"],
            y=columns["y"],
            yaw_rad=columns["yaw_rad"],
            speed_mps=columns["speed_mps"],
            lights=whole["lights"],
        )
        plan = [columns[name] for name in ("plan.x", "plan.y") if name in columns]
        num_steps = int(count[0])
        return RecordedEpisode(
            about=about,
            step_s=step_s,
            route=np.stack([columns["route.x"], columns["route.y"]], axis=1),
            tracks=tracks,
            driver=_with_prefix("driver.", columns),
            terms=_with_prefix("term.", columns),
            signals=_rows(whole["signals"], num_steps),
            phases=_rows(whole["phases"], num_steps),
            seen=Seen(names, columns["seen"].reshape(len(names), num_steps if names else 0)),
            raster=raster_of(about.pop("raster", {}), columns),
            plan=np.stack(plan, axis=-1).reshape(num_steps, -1, 2) if plan else np.zeros((0, 0, 2)),
        )
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError(f"the file holds no episode: {error!r} is missing") from error


def find_tracks(ids: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Who was in which slot when.

    Args:
        ids: Actor in each slot at each step, 0 nobody, (T, A).

    Returns:
        Slot, first step and number of steps of every unbroken presence, by first step and slot.
    """
    num_steps, num_slots = ids.shape
    flat = np.zeros((num_slots, num_steps + 1), ids.dtype)
    flat[:, 1:] = ids.T
    changed = flat[:, 1:] != flat[:, :-1]
    slot, first = np.nonzero(changed)
    last_of_slot = np.append(slot[1:] != slot[:-1], True) if len(slot) else np.zeros(0, bool)
    end = np.where(last_of_slot, num_steps, np.append(first[1:], num_steps)[: len(first)])
    filled = ids[first, slot] != 0
    slot, first, end = slot[filled], first[filled], end[filled]
    order = np.lexsort((slot, first))
    return slot[order], first[order], (end - first)[order]


class Presences(NamedTuple):
    """Unbroken presences of road users in the slots of a scene, the ego's first, (N,)."""

    slot: Int64Array
    first_step: Int64Array
    num_steps: Int64Array

    @property
    def start(self) -> tuple[Int64Array, Int64Array]:
        """Index of each one's first step in (T, A) arrays."""
        return self.first_step, self.slot

    @property
    def place(self) -> tuple[Int64Array, Int64Array]:
        """Index of all their steps, one presence after the other, in (T, A) arrays."""
        count = self.num_steps
        begins = np.repeat(self.first_step - (np.cumsum(count) - count), count)
        return begins + np.arange(count.sum()), np.repeat(self.slot, count)


def find_presences(ids: Int64Array, own_slot: int) -> Presences:
    """Who was in which slot when, the ego (in `own_slot`) first; `ids` as for `find_tracks`."""
    slot, first, count = find_tracks(ids)
    order = np.argsort(slot != own_slot, kind="stable")
    return Presences(slot[order], first[order], count[order])


def _unwrapped(yaw_rad: FloatArray, starts: Int64Array) -> FloatArray:
    """Angles without jumps along each track."""
    turns = np.zeros(len(yaw_rad))
    turns[1:] = np.rint(np.diff(yaw_rad) / (2 * np.pi))
    turns[starts[:-1][starts[:-1] < len(turns)]] = 0.0
    total = np.cumsum(turns)
    base = np.repeat(total[np.minimum(starts[:-1], max(len(total) - 1, 0))], np.diff(starts))
    return yaw_rad - 2 * np.pi * (total - base)


_WHOLE = ("track.id", "track.kind", "track.first", "track.count", "lights", "signals", "phases")


def _rows(values: Int64Array, num_columns: int) -> Int64Array:
    return values.reshape(-1, num_columns) if values.size else np.zeros((0, num_columns), np.int64)


def _with_prefix(prefix: str, columns: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    return {
        name.removeprefix(prefix): values
        for name, values in columns.items()
        if name.startswith(prefix)
    }


def kept_features(names: Sequence[str]) -> list[int]:
    """Features worth their bytes: of another actor only where it is; the rest its track tells."""
    wanted = ("present", "forward", "left")
    return [
        index
        for index, name in enumerate(names)
        if not name.startswith(SLOT_PREFIXES) or name.split("_", 2)[2] in wanted
    ]


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
