"""TickRecording: every tick of a drive as the agent saw it, for judging it once more offline.

One .npz file: arrays named `group.field` with a row a tick, the official route, the town, and what
the official criteria have besides: the lights' stop lines, and what scenarios said to them.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.atomic_file import write_atomically
from sim_adapters.scene.scenario import Route, RouteCommand
from sim_adapters.scene.state import SceneBatch, empty_scene

# What changes from tick to tick and referees look at; row 0 of each array is world 0
_GROUPS = ("motion", "traits", "ego", "contacts", "lights")
FloatArray = NDArray[np.float64]


class TickRecorder:
    """Keeps the ticks of world 0 of a scene.

    Args:
        town: Of the drive.
        plan: The route as the evaluator judges it, (P, 4) x, y, z [m] and yaw [rad], our frame.
    """

    def __init__(self, town: str, plan: FloatArray) -> None:
        self._town, self._plan = town, plan
        self._columns: dict[str, list[np.ndarray]] = {}

    def add(
        self,
        scene: SceneBatch,
        background_mps: float,
        *,
        ego_place: Sequence[float] | None = None,
        light_states: Sequence[int] = (),
    ) -> None:
        """Keep the present.

        Args:
            scene: Read from the world; `clocks.elapsed_s` is that of this tick.
            background_mps: Mean speed of the background vehicles, NaN without any.
            ego_place: x, y, z [m] and yaw [rad] of the ego's origin, by which criteria judge; its
                box's centre if left out.
            light_states: Of all light actors, those that the map does not know included.
        """
        row = {f"{group}.{name}": array for group, name, array in _arrays(scene)}
        row["elapsed_s"] = scene.clocks.elapsed_s
        row["background_mps"] = np.array([background_mps])
        motion = scene.motion
        centre = motion.x[0, 0], motion.y[0, 0], motion.z[0, 0], motion.yaw_rad[0, 0]
        row["ego_place"] = np.array([ego_place or centre])
        row["light_states"] = np.array([light_states], np.uint8)
        for name, array in row.items():
            self._columns.setdefault(name, []).append(array[0].copy())

    def save(
        self,
        path: Path,
        *,
        stop_lines: FloatArray | None = None,
        criteria_events: NDArray[np.int64] | None = None,
    ) -> None:
        """Write the file, without the slots that nobody ever used.

        Args:
            path: Where.
            stop_lines: Rows of `stop_lines.StopLineRow`, (K, 11); none if left out.
            criteria_events: Rows of `official_criteria.CriteriaLog`, (N, 3); none if left out.
        """
        arrays = {name: np.stack(rows) for name, rows in self._columns.items()}
        if not arrays:
            return
        num_slots = 1 + int(np.flatnonzero(arrays["traits.valid"].any(axis=0)).max(initial=0))
        for name, array in arrays.items():
            if name.startswith(("motion.", "traits.")):
                arrays[name] = array[:, :num_slots]
        memory = io.BytesIO()
        np.savez_compressed(
            memory,
            allow_pickle=False,
            town=np.array(self._town),
            plan=self._plan,
            stop_lines=np.zeros((0, 11)) if stop_lines is None else stop_lines,
            criteria_events=(
                np.zeros((0, 3), np.int64) if criteria_events is None else criteria_events
            ),
            **arrays,
        )
        write_atomically(path, memory.getbuffer())


@dataclass(frozen=True)
class TickRecording:
    """A recorded drive."""

    town: str
    plan: FloatArray  # (P, 4)
    stop_lines: FloatArray  # (K, 11), rows of StopLineRow
    criteria_events: NDArray[np.int64]  # (N, 3), rows of CriteriaLog
    arrays: dict[str, np.ndarray]  # (T, ...)

    @property
    def num_ticks(self) -> int:
        """T."""
        return len(self.arrays["elapsed_s"])

    @property
    def ego_place(self) -> FloatArray:
        """x, y, z [m] and yaw [rad] of the ego's origin, (T, 4)."""
        return self.arrays["ego_place"]

    @property
    def route(self) -> Route:
        """The plan, point for point: no other route has the evaluator's percentages."""
        num_points = len(self.plan)
        return Route(
            *(column.copy() for column in self.plan.T),
            lane=np.full(num_points, -1, np.int32),
            in_junction=np.zeros(num_points, np.bool_),
            command=np.full(num_points, RouteCommand.LANE_FOLLOW, np.uint8),
        )

    def empty_scene(self, step_s: float) -> SceneBatch:
        """A scene into which the ticks fit."""
        return empty_scene(
            1,
            self.arrays["traits.valid"].shape[1],
            num_lights=self.arrays["lights.state"].shape[1],
            num_route_points=len(self.plan),
            num_contacts=self.arrays["contacts.other_slot"].shape[1],
            step_s=step_s,
        )

    def write(self, tick: int, scene: SceneBatch) -> None:
        """Put a tick into world 0."""
        for group, name, array in _arrays(scene):
            array[0] = self.arrays[f"{group}.{name}"][tick]
        scene.clocks.elapsed_s[0] = self.arrays["elapsed_s"][tick]
        # Criteria judge the ego's origin, which need not be the centre of its box
        scene.motion.x[0, 0], scene.motion.y[0, 0] = self.ego_place[tick, :2]


def read_recording(path: Path) -> TickRecording:
    """What `TickRecorder.save` wrote.

    Raises:
        ValueError: it is no such file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, Any] = dict(file)
        own = [arrays.pop(name) for name in ("plan", "stop_lines", "criteria_events")]
        town = str(arrays.pop("town"))
        return TickRecording(town, *own, arrays=arrays)
    except KeyError as error:
        raise ValueError(
            f"{path} is no recording of this version of the leaderboard agent: it lacks {error}; "
            "drive the route again with record=true"
        ) from error
    except ValueError as error:
        raise ValueError(f"{path} is no recording of the leaderboard agent: {error}") from error


def _arrays(scene: SceneBatch) -> Iterator[tuple[str, str, np.ndarray]]:
    for group in _GROUPS:
        for name, array in getattr(scene, group)._asdict().items():
            if (group, name) not in (("ego", "world"), ("ego", "slot")):
                yield group, name, array
