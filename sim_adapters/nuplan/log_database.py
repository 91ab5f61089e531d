"""LogDatabase: one nuPlan log file, opened for reading only and checked before use.

Blobs are compared and never unpickled; nothing of the devkit is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
