"""LogDatabase: one nuPlan log file, opened for reading only and checked before use.

Blobs are compared and never unpickled; nothing of the devkit is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim_adapters.nuplan.scenario_log import BoxLog, EgoLog, LightLog
from sim_adapters.scene.map_bank import MapBank
from sim_adapters.sqlite_file import SqliteFile, SqliteFileError

LIDAR_CHANNEL = "MergedPointCloud"

# Tables and columns that scenarios are read from
_SCHEMA = {
    "log": "token map_version",
    "lidar": "token log_token channel",
    "lidar_pc": "token ego_pose_token lidar_token scene_token timestamp",
    "ego_pose": "token x y qw qx qy qz vx vy acceleration_x acceleration_y",
    "scene": "token name goal_ego_pose_token roadblock_ids",
    "scenario_tag": "lidar_pc_token type",
    "category": "token name",
    "track": "token category_token",
    "lidar_box": "lidar_pc_token track_token x y yaw width length vx vy",
    "traffic_light_status": "lidar_pc_token lane_connector_id status",
}
# Small tables whose rows others name
_KEYED = ("log", "lidar", "scene", "category", "track")


class LogError(ValueError):
    """A log that cannot be used at all."""


class ScenarioError(ValueError):
    """One scenario of a log that cannot be used."""


class LogDatabase:
    """A log's tables; a context manager that closes the file.

    Args:
        path: The .db file; its stem is the log's name.

    Raises:
        LogError: no database, a damaged one, or one without a table or column that is needed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise LogError(f"log {self.path} does not exist")
        try:
            self._file = SqliteFile(self.path)
        except SqliteFileError as error:
            raise self._unreadable(error) from error
        try:
            self._check_schema()
            self._check_keys()
            self.lidar_token = self._find_lidar()
        except LogError:
            self.close()
            raise

    @property
    def name(self) -> str:
        """The log's name."""
        return self.path.stem

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            LogError: the file turns out to be damaged, or asks for more than a log can hold.
        """
        try:
            return self._file.rows(query, parameters)
        except SqliteFileError as error:
            raise self._unreadable(error) from error

    def has_column(self, table: str, column: str) -> bool:
        """Whether a table has a column that scenarios can do without."""
        return column in self._columns.get(table, ())

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._file.close()

    def __enter__(self) -> LogDatabase:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _unreadable(self, error: Exception) -> LogError:
        return LogError(
            f"log {self.path} cannot be read ({error}): the file is damaged or incomplete, "
            f"copy it again"
        )

    def _check_schema(self) -> None:
        try:
            self._columns = self._file.plain_tables()
        except SqliteFileError as error:
            raise self._unreadable(error) from error
        for table, columns in _SCHEMA.items():
            found = self._columns.get(table, ())
            missing = [column for column in columns.split() if column not in found]
            if missing:
                what = (
                    f"columns {', '.join(missing)} in table {table}" if found else f"table {table}"
                )
                raise LogError(f"log {self.path} has no {what}: it is no nuPlan log, or damaged")

    def _find_lidar(self) -> bytes:
        """The sensor whose frames are the log's clock."""
        rows = self.rows("SELECT token FROM lidar WHERE channel = ?", (LIDAR_CHANNEL,))
        if len(rows) != 1:
            raise LogError(
                f"log {self.path} has {len(rows)} lidars named {LIDAR_CHANNEL}, expected one"
            )
        token = rows[0][0]
        if not isinstance(token, bytes):
            raise LogError(f"lidar {token!r:.80} of log {self.path} has no token of bytes")
        return token

    def _check_keys(self) -> None:
        """Tokens that others name are unique, or joins would multiply what a log holds."""
        for table in _KEYED:
            (rows,) = self.rows(f"SELECT COUNT(*), COUNT(DISTINCT token) FROM {table}")
            if rows[0] != rows[1]:
                raise LogError(
                    f"table {table} of log {self.path} has {rows[0]} rows, but {rows[1]} tokens: "
                    f"it is no nuPlan log, or damaged"
                )


# What no nuPlan log holds: values that can be stored, but not driven, refused with what they are.
#
# The bounds are far from anything that a car meets; they catch damaged and mixed-up files.

MAX_SPEED_MPS = 150.0
MAX_ACCELERATION_MPS2 = 1000.0
MAX_GAP_S = 1.0  # between frames of a window; a log has one every 0.05 s
MAX_SIZE_M = 200.0
MAX_DISTANCE_M = 10_000.0  # of a box from the ego; a lidar sees some 100 m
MAX_YAW_RAD = 1000.0
MAX_OFF_MAP_M = 100.0
JUMP_SLACK_M = 10.0
_STEPS_A_LOOK = 10  # frames from one look at the map to the next


def check_clock(time_us: NDArray[np.int64], pose_time_us: NDArray[np.int64] | None) -> None:
    """Refuse frames whose times are not those of one drive.

    Args:
        time_us: Of successive frames, in the order of their times.
        pose_time_us: Of the frames' ego poses, where the log has them.

    Raises:
        ScenarioError: two frames of one time, or poses in another order than their frames.
    """
    steps = np.diff(time_us)
    if (steps <= 0).any():
        raise ScenarioError(
            f"{np.count_nonzero(steps <= 0)} of its frames have another's time stamp"
        )
    if pose_time_us is not None and (np.diff(pose_time_us) < 0).any():
        raise ScenarioError(
            "its time stamps are out of order: by them a frame comes before another whose ego pose "
            "is older"
        )


def check_gaps(time_us: NDArray[np.int64]) -> None:
    """Refuse a window in which the log pauses.

    Raises:
        ScenarioError: a gap between two frames in which nothing is known.
    """
    longest_s = float(np.diff(time_us).max(initial=0)) * 1e-6
    if longest_s > MAX_GAP_S:
        raise ScenarioError(f"its log has a gap of {longest_s:.3g} s in its window")


def check_chain(tokens: list[bytes], next_tokens: list[bytes | None]) -> None:
    """Refuse frames whose time stamps put them in another order than the log's own links do.

    Args:
        tokens: Of successive frames, in the order of their times.
        next_tokens: The frame after each by its own `next_token`.

    Raises:
        ScenarioError: the next frame is among these, but not the next in time, or two are one.
    """
    place = {token: row for row, token in enumerate(tokens)}
    if len(place) < len(tokens):
        raise ScenarioError(f"{len(tokens) - len(place)} of its frames have another's token")
    wrong = [
        row
        for row, token in enumerate(next_tokens)
        if token is not None and place.get(token, row + 1) != row + 1
    ]
    if wrong:
        raise ScenarioError(
            f"its time stamps are out of order: the frame after {tokens[wrong[0]].hex()} by its "
            f"next_token is not the next in time ({len(wrong)} such frames)"
        )


def check_ego(ego: EgoLog) -> None:
    """Refuse ego states that no car has.

    Raises:
        ScenarioError: too fast, too hard a turn of speed, or a jump from frame to frame.
    """
    speed = np.hypot(ego.vx_mps, ego.vy_mps)
    acceleration = np.hypot(ego.ax_mps2, ego.ay_mps2)
    for what, values, most in (
        ("m/s fast", speed, MAX_SPEED_MPS),
        ("m/s² in acceleration", acceleration, MAX_ACCELERATION_MPS2),
    ):
        if not values.max() <= most:
            raise ScenarioError(f"its ego is {values.max():.3g} {what}, more than {most:g}")
    way_m = np.hypot(np.diff(ego.x), np.diff(ego.y))
    elapsed_s = np.diff(ego.time_us) * 1e-6
    is_jump = ~(way_m <= MAX_SPEED_MPS * elapsed_s + JUMP_SLACK_M)
    if is_jump.any():
        row = int(np.argmax(is_jump))
        raise ScenarioError(
            f"its ego jumps {way_m[row]:.3g} m in {elapsed_s[row]:.3g} s, "
            f"{np.count_nonzero(is_jump)} times in all"
        )


def check_place(ego: EgoLog, map_name: str, maps: MapBank) -> None:
    """Refuse an ego that drives where its map has nothing.

    Args:
        ego: Frames of the window.
        map_name: Its location.
        maps: With that location's areas.

    Raises:
        ScenarioError: further than MAX_OFF_MAP_M from the bounds of every area.
    """
    assert maps.vector is not None
    index = maps.map_index(map_name)
    rows = slice(*maps.vector.first_area[index : index + 2])
    low, high = np.hsplit(maps.vector.areas.bounds[rows], 2)
    places = np.column_stack([ego.x, ego.y])
    for place in (*places[:-1:_STEPS_A_LOOK], places[-1]):
        aside = np.maximum(np.maximum(low - place, place - high), 0.0)
        distance_m = float(np.hypot(aside[:, 0], aside[:, 1]).min())
        if not distance_m <= MAX_OFF_MAP_M:
            raise ScenarioError(
                f"its ego is {distance_m:.4g} m off the map of {map_name}: the log names another "
                f"location than it was driven in, or its poses are damaged"
            )


def check_boxes(boxes: BoxLog, ego: EgoLog) -> None:
    """Refuse boxes that no object has.

    Args:
        boxes: Of all frames.
        ego: The same frames.

    Raises:
        ScenarioError: no size or too large a one, too far from the ego, too fast, or no angle.
    """
    frame = np.repeat(np.arange(len(ego.x)), np.diff(boxes.first))
    distance_m = np.hypot(boxes.x - ego.x[frame], boxes.y - ego.y[frame])
    speed = np.hypot(boxes.vx_mps, boxes.vy_mps)
    smallest = np.minimum(boxes.length_m, boxes.width_m)
    largest = np.maximum(boxes.length_m, boxes.width_m)
    for is_good, what in (
        (smallest > 0.0, "have a length or width of zero or below"),
        (largest <= MAX_SIZE_M, f"are larger than {MAX_SIZE_M:g} m"),
        (distance_m <= MAX_DISTANCE_M, f"lie further than {MAX_DISTANCE_M:g} m from the ego"),
        (speed <= MAX_SPEED_MPS, f"are faster than {MAX_SPEED_MPS:g} m/s"),
        (np.abs(boxes.yaw_rad) <= MAX_YAW_RAD, "have a heading that is no angle"),
    ):
        if not is_good.all():
            raise ScenarioError(f"{np.count_nonzero(~is_good)} of its {len(frame)} boxes {what}")


def count_unknown_lights(lights: LightLog, map_name: str, maps: MapBank) -> tuple[int, int]:
    """Light states that nobody is shown: of connectors that the map lacks, or gives no light."""
    assert maps.vector is not None
    index = maps.map_index(map_name)
    rows = slice(*maps.vector.first_edge[index : index + 2])
    edges = maps.vector.edges
    connectors = edges.fid[rows][edges.is_connector[rows]]
    lit = edges.fid[rows][edges.is_connector[rows] & (maps.rules.signal[rows] >= 0)]
    is_known = np.isin(lights.connector_fid, connectors)
    is_lit = np.isin(lights.connector_fid, lit)
    return int(np.count_nonzero(~is_known)), int(np.count_nonzero(is_known & ~is_lit))
