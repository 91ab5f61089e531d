"""Reads scenarios out of a nuPlan log: what the devkit's NuPlanScenario would answer, as arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan import log_database
from sim_adapters.nuplan.log_candidates import Candidate, find_candidates
from sim_adapters.nuplan.log_database import LogDatabase, LogError, ScenarioError
from sim_adapters.nuplan.route_correction import RouteCorrector
from sim_adapters.nuplan.scenario_cache.record import MAX_LIT_CONNECTORS, MAX_TOKEN_BYTES
from sim_adapters.nuplan.scenario_filter import ScenarioFilter, keep_of_log, select_scenarios
from sim_adapters.nuplan.scenario_log import (
    BoxLog,
    EgoLog,
    LightLog,
    LoggedLight,
    ScenarioLog,
    TrackType,
)
from sim_adapters.nuplan.scenario_mapping import ScenarioMapping
from sim_adapters.scene.map_bank import MapBank

PAST_FRAMES = 50  # 5 s; the devkit's history takes 2.2 s
FUTURE_FRAMES = 160  # 16 s; planners that replay the log look 8 s ahead

MAX_RAW_FRAMES = 30_000  # SQLite binds 32,766 values to a query; 25 minutes of a log
LATEST_US = 1 << 62  # far beyond any date, and far from what 64 bits cannot add to

_TYPES = {kind.name.lower(): kind for kind in TrackType}
_STATIC = (
    TrackType.TRAFFIC_CONE,
    TrackType.BARRIER,
    TrackType.CZONE_SIGN,
    TrackType.GENERIC_OBJECT,
)
_LIGHTS = {
    "green": LoggedLight.GREEN,
    "yellow": LoggedLight.YELLOW,
    "red": LoggedLight.RED,
}


class LogReader:
    """Scenarios of one log.

    Args:
        database: The open log.
        mapping: Window of each scenario type.
        corrector: Repairs routes on the map; without one the corrected route is the log's.
    """

    def __init__(
        self,
        database: LogDatabase,
        mapping: ScenarioMapping | None = None,
        corrector: RouteCorrector | None = None,
    ) -> None:
        self.database = database
        self.mapping = mapping or ScenarioMapping()
        self.corrector = corrector
        self.notes: Counter[str] = Counter()  # oddities met, and how often
        next_token = "next_token" if database.has_column("lidar_pc", "next_token") else "NULL"
        frames = database.rows(
            f"SELECT token, timestamp, {next_token} FROM lidar_pc WHERE lidar_token = ? "
            "ORDER BY timestamp, rowid",
            (database.lidar_token,),
        )
        if any(not isinstance(row[1], int) for row in frames):
            raise LogError(f"log {database.path} has frames without a time")
        self._tokens = [row[0] for row in frames]
        self._next_tokens = [row[2] for row in frames]
        self._time_us = np.array([row[1] for row in frames], np.int64)
        self._track_types = self._read_track_types()

    def read(self, candidate: Candidate) -> ScenarioLog:
        """One scenario.

        Raises:
            ScenarioError: what the log holds of it cannot be simulated; the message says why.
            LogError: the file turns out to be damaged.
        """
        rows = self._window(candidate)
        step = self.mapping.window(candidate.scenario_type).step
        past = np.arange(rows[0] - step, -1, -step)[:PAST_FRAMES][::-1]
        future = np.arange(rows[-1] + step, len(self._tokens), step)[:FUTURE_FRAMES]
        used = np.concatenate([past, rows, future])
        self._check_frames(np.arange(used[0], used[-1] + 1))
        log_database.check_gaps(self._time_us[rows[0] : rows[-1] + 1])
        tokens = [self._tokens[row] for row in rows]
        ego = self._read_ego(used)
        parts = np.split(np.arange(len(ego.x)), [len(past), len(past) + len(rows)])
        past_ego, window_ego, future_ego = (EgoLog._make(c[p] for c in ego) for p in parts)
        boxes, track_tokens = self._read_boxes(tokens)
        route = self._read_route(candidate)
        map_name = candidate.map_name.removesuffix(".gpkg")
        lights = self._read_lights(tokens)
        log_database.check_ego(ego)
        if self.corrector is not None:
            log_database.check_place(window_ego, map_name, self.corrector.maps)
        log_database.check_boxes(boxes, window_ego)
        if self.corrector is not None:
            unknown, unlit = log_database.count_unknown_lights(
                lights, map_name, self.corrector.maps
            )
            self.notes["light states of connectors that the map lacks (not shown)"] += unknown
            self.notes["light states of connectors without a light (not shown)"] += unlit
        start = (float(window_ego.x[0]), float(window_ego.y[0]), float(window_ego.yaw_rad[0]))
        return ScenarioLog(
            token=candidate.token,
            scenario_type=candidate.scenario_type,
            log_name=self.database.name,
            map_name=map_name,
            ego=window_ego,
            past_ego=past_ego,
            future_ego=future_ego,
            boxes=boxes,
            track_tokens=track_tokens,
            lights=lights,
            route_fids=route,
            corrected_route_fids=(
                self.corrector.correct(map_name, start, route) if self.corrector else route
            ),
        )

    def count_oddities(self) -> Counter[str]:
        """Oddities of the whole log that no scenario shows."""
        rows = self.database.rows(
            "SELECT COUNT(*) FROM track WHERE token NOT IN (SELECT track_token FROM lidar_box)"
        )
        return Counter({"tracks without boxes": int(rows[0][0])})

    def _check_frames(self, rows: NDArray[np.int64]) -> None:
        """Refuse frames out of order, all of the log's and not only those that are used."""
        if len(rows) > MAX_RAW_FRAMES:
            raise ScenarioError(f"it spans {len(rows)} frames of its log, at most {MAX_RAW_FRAMES}")
        tokens = [self._tokens[row] for row in rows]
        log_database.check_chain(tokens, [self._next_tokens[row] for row in rows])
        pose_time_us = None
        if self.database.has_column("ego_pose", "timestamp"):
            found = self.database.rows(
                f"WITH {_frame_table(len(rows))} SELECT pose.timestamp "
                "FROM frame CROSS JOIN lidar_pc ON lidar_pc.token = frame.token "
                "JOIN ego_pose AS pose ON pose.token = lidar_pc.ego_pose_token "
                "ORDER BY frame.number",
                tokens,
            )
            times = [row[0] for row in found if isinstance(row[0], int)]
            pose_time_us = np.array(times, np.int64)
        log_database.check_clock(self._time_us[rows], pose_time_us)

    def _window(self, candidate: Candidate) -> NDArray[np.int64]:
        """Rows of the frames; the window is cut by time, both ends inclusive."""
        window = self.mapping.window(candidate.scenario_type)
        if not 0 <= candidate.time_us <= LATEST_US:
            raise ScenarioError(
                f"its frame's time stamp is {candidate.time_us}, expected µs of an age"
            )
        start_us = int(candidate.time_us + window.offset_s * 1e6)
        end_us = int(start_us + window.duration_s * 1e6)
        first = np.searchsorted(self._time_us, start_us, side="left")
        last = np.searchsorted(self._time_us, end_us, side="right")
        rows = np.arange(first, last, window.step)
        if len(rows) < 2:
            raise ScenarioError(f"the log holds {len(rows)} frames of its window")
        return rows

    def _read_ego(self, rows: NDArray[np.int64]) -> EgoLog:
        found = self.database.rows(
            f"WITH {_frame_table(len(rows))} "
            "SELECT frame.number, pose.x, pose.y, pose.qw, pose.qx, pose.qy, pose.qz, "
            "pose.vx, pose.vy, pose.acceleration_x, pose.acceleration_y "
            "FROM frame CROSS JOIN lidar_pc ON lidar_pc.token = frame.token "
            "JOIN ego_pose AS pose ON pose.token = lidar_pc.ego_pose_token "
            "ORDER BY frame.number",
            [self._tokens[row] for row in rows],
        )
        if len(found) != len(rows):
            what = "have no ego pose" if len(found) < len(rows) else "have a second ego pose"
            raise ScenarioError(f"{abs(len(rows) - len(found))} of its frames {what}")
        x, y, qw, qx, qy, qz, vx, vy, ax, ay = _numbers(found, 10, "ego poses")
        return EgoLog(
            time_us=self._time_us[rows],
            x=x,
            y=y,
            yaw_rad=_yaw(qw, qx, qy, qz),
            vx_mps=vx,
            vy_mps=vy,
            ax_mps2=ax,
            ay_mps2=ay,
        )

    def _read_track_types(self) -> dict[bytes, TrackType]:
        rows = self.database.rows(
            "SELECT track.token, category.name "
            "FROM track JOIN category ON category.token = track.category_token"
        )
        unknown = sorted({str(name) for _, name in rows if name not in _TYPES})
        if unknown:
            raise LogError(
                f"log {self.database.path} has tracks of category {', '.join(unknown)}: "
                f"known are {', '.join(_TYPES)}"
            )
        return {token: _TYPES[name] for token, name in rows if isinstance(token, bytes)}

    def _read_boxes(self, tokens: Sequence[bytes]) -> tuple[BoxLog, tuple[str, ...]]:
        """Boxes in the order in which the devkit lists them: by type, then as stored."""
        found = self.database.rows(
            f"WITH {_frame_table(len(tokens))} "
            "SELECT frame.number, box.track_token, box.x, box.y, box.yaw, box.length, box.width, "
            "box.vx, box.vy FROM frame CROSS JOIN lidar_box AS box "
            "ON box.lidar_pc_token = frame.token ORDER BY frame.number, box.rowid",
            tokens,
        )
        # The devkit joins boxes with tracks and categories, so that others vanish
        known = [row for row in found if row[1] in self._track_types]
        self.notes["boxes without a track or category"] += len(found) - len(known)
        known.sort(key=lambda row: (row[0], self._track_types[row[1]]))
        names: dict[bytes, int] = {}
        track = np.array([names.setdefault(row[1], len(names)) for row in known], np.int32)
        if any(len(name) > MAX_TOKEN_BYTES for name in names):
            raise ScenarioError(f"a track's token is longer than {MAX_TOKEN_BYTES} bytes")
        kinds = np.array([self._track_types[name] for name in names], np.uint8)
        kind = kinds[track] if len(track) else np.empty(0, np.uint8)
        first = _frame_firsts(known, len(tokens))
        self.notes["frames without boxes"] += int(np.count_nonzero(np.diff(first) == 0))
        known = [row[0:1] + row[2:] for row in known]
        x, y, yaw, length, width, vx, vy = _numbers(known, 7, "boxes")
        still = np.isin(kind, _STATIC)  # the devkit gives these no velocity
        return BoxLog(
            first=first,
            track=track,
            type=kind,
            x=x,
            y=y,
            yaw_rad=yaw,
            length_m=length,
            width_m=width,
            vx_mps=np.where(still, 0.0, vx),
            vy_mps=np.where(still, 0.0, vy),
        ), tuple(name.hex() for name in names)

    def _read_lights(self, tokens: Sequence[bytes]) -> LightLog:
        found = self.database.rows(
            f"WITH {_frame_table(len(tokens))} "
            "SELECT frame.number, light.lane_connector_id, light.status "
            "FROM frame CROSS JOIN traffic_light_status AS light "
            "ON light.lidar_pc_token = frame.token ORDER BY frame.number, light.rowid",
            tokens,
        )
        if any(not isinstance(row[1], int) for row in found):
            raise ScenarioError("a traffic light's status names no lane connector")
        num_connectors = len({row[1] for row in found})
        if num_connectors > MAX_LIT_CONNECTORS:
            raise ScenarioError(
                f"it has lights of {num_connectors} connectors, at most {MAX_LIT_CONNECTORS}"
            )
        state = np.array([_LIGHTS.get(row[2], LoggedLight.UNKNOWN) for row in found], np.uint8)
        self.notes["UNKNOWN light states"] += int(np.count_nonzero(state == LoggedLight.UNKNOWN))
        return LightLog(
            first=_frame_firsts(found, len(tokens)),
            connector_fid=np.array([row[1] for row in found], np.int64),
            state=state,
        )

    def _read_route(self, candidate: Candidate) -> tuple[int, ...]:
        rows = self.database.rows(
            "SELECT scene.roadblock_ids FROM scene "
            "JOIN lidar_pc ON lidar_pc.scene_token = scene.token WHERE lidar_pc.token = ?",
            (bytes.fromhex(candidate.token),),
        )
        words = str(rows[0][0] or "").split() if rows else []
        if not all(word.isdecimal() and len(word) < 19 for word in words):
            raise ScenarioError(f"its route holds {' '.join(words)!r}, expected roadblock numbers")
        return tuple(int(word) for word in words)


def read_scenarios(
    db_path: str | Path,
    scenario_filter: ScenarioFilter,
    maps: MapBank | None,
    *,
    mapping: ScenarioMapping | None = None,
) -> list[ScenarioLog]:
    """All scenarios of one log that a filter keeps, ordered by token.

    Args:
        db_path: The .db file.
        scenario_filter: Counts and thresholds apply to this log alone.
        maps: To correct routes on; None leaves them as the log has them.
        mapping: Window of each scenario type.

    Raises:
        LogError: the log cannot be used.
        ScenarioError: one of the scenarios cannot be used.
    """
    with LogDatabase(db_path) as database:
        found = find_candidates(database, scenario_filter.query())
        chosen = select_scenarios(found.candidates, scenario_filter)
        reader = LogReader(database, mapping, RouteCorrector(maps) if maps else None)
        logs = [reader.read(candidate) for candidate in chosen]
    return [log for log in logs if keep_of_log(log, scenario_filter)]


def _frame_table(count: int) -> str:
    """A table of numbered frame tokens, to be bound as parameters."""
    return f"frame(number, token) AS (VALUES {', '.join(f'({i}, ?)' for i in range(count))})"


def _frame_firsts(rows: Sequence[tuple[Any, ...]], num_frames: int) -> NDArray[np.int32]:
    numbers = np.array([row[0] for row in rows], np.int64)
    return np.searchsorted(numbers, np.arange(num_frames + 1)).astype(np.int32)


def _numbers(rows: Sequence[tuple[Any, ...]], count: int, what: str) -> NDArray[np.float64]:
    """Columns 1 to `count` of the rows, (count, n); column 0 is the frame's number."""
    try:
        values = np.array([row[1:] for row in rows], np.float64).reshape(-1, count)
    except (TypeError, ValueError) as error:
        raise ScenarioError(f"its {what} hold something that is no number ({error})") from error
    num_bad = np.count_nonzero(~np.isfinite(values).all(axis=1))
    if num_bad > 0:
        raise ScenarioError(f"{num_bad} of its {len(rows)} {what} lack a value")
    return np.ascontiguousarray(values.T)


def _yaw(
    qw: NDArray[np.float64],
    qx: NDArray[np.float64],
    qy: NDArray[np.float64],
    qz: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Heading as the devkit takes it from a quaternion.

    It is the first angle of pyquaternion's `yaw_pitch_roll`, whose rotation order is z last: with
    pitch and roll p, r the common yaw formula has + qx qy and differs by about p r.
    """
    norm = np.sqrt(qw**2 + qx**2 + qy**2 + qz**2)
    if not (norm > 0.0).all():
        raise ScenarioError("an ego pose has no orientation (a zero quaternion)")
    # Already normalised quaternions are left alone, to the last bit
    scale = np.where(np.abs(1.0 - norm**2) < 1e-14, 1.0, norm)
    w, x, y, z = qw / scale, qx / scale, qy / scale, qz / scale
    return np.arctan2(2.0 * (w * z - x * y), 1.0 - 2.0 * (y**2 + z**2))
