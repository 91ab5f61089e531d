"""SqliteFile: a stranger's SQLite file, read within bounds of time and memory and never changed."""

from __future__ import annotations

import marshal
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

QUERY_LIMIT_S = 300.0  # a query over a whole log on a slow disk takes some seconds
MAX_VALUE_BYTES = 1 << 16  # of one text or blob; the longest that is read is a route of some kB
MAX_ROWS = 2_000_000  # of one query; a busy scenario has some ten thousand boxes
MAX_ANSWER_BYTES = 1 << 30
_CHUNK_ROWS = 1000
_STEPS_A_LOOK = 100_000  # of SQLite's machine, some milliseconds
# A file of this kind beside a database holds changes that it lacks
_UNFINISHED = ("-wal", "-journal")


class SqliteFileError(ValueError):
    """A file that cannot be read as a database; the message says why, without its name."""


class SqliteFile:
    """Reads a database; a context manager that closes the file.

    The file is opened as immutable, so that nothing is ever written beside it, not even for logs in
    WAL mode. Functions of the file's schema are not trusted.

    Args:
        path: The file.

    Raises:
        SqliteFileError: it cannot be opened, or its last changes are still in a file beside it.
    """

    def __init__(self, path: Path) -> None:
        for suffix in _UNFINISHED:
            beside = path.with_name(path.name + suffix)
            if beside.is_file() and beside.stat().st_size > 0:
                raise SqliteFileError(
                    f"{beside.name} beside it holds changes that it lacks: open and close it once "
                    f"with the program that wrote it"
                )
        address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
        try:
            self._connection = sqlite3.connect(address, uri=True)
        except sqlite3.Error as error:
            raise SqliteFileError(str(error)) from error
        self._connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)
        self._connection.set_progress_handler(self._is_late, _STEPS_A_LOOK)
        self._deadline_s = 0.0
        try:
            self.rows("PRAGMA trusted_schema = OFF")
        except SqliteFileError:
            self.close()
            raise

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            SqliteFileError: the file is damaged, or the query takes too long or answers too much.
        """
        self._deadline_s = time.monotonic() + QUERY_LIMIT_S
        rows: list[tuple[Any, ...]] = []
        num_bytes = 0
        try:
            cursor = self._connection.execute(query, parameters)
            while chunk := cursor.fetchmany(_CHUNK_ROWS):
                rows += chunk
                num_bytes += len(marshal.dumps(chunk))  # a quick measure of what it holds
                if len(rows) > MAX_ROWS or num_bytes > MAX_ANSWER_BYTES:
                    raise SqliteFileError(
                        f"a query answers more than {MAX_ROWS} rows or {MAX_ANSWER_BYTES} bytes"
                    )
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the message itself may be damaged
            if time.monotonic() > self._deadline_s:
                raise SqliteFileError(f"a query takes longer than {QUERY_LIMIT_S:g} s") from error
            raise SqliteFileError(str(error)) from error
        return rows

    def plain_tables(self) -> dict[str, list[str]]:
        """Columns of each plain table; views and virtual tables, which run code, are none."""
        tables = self.rows(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 "
            "AND sql LIKE 'CREATE TABLE%'"
        )
        columns = "SELECT name FROM pragma_table_info(?)"
        return {
            str(name): [str(row[0]) for row in self.rows(columns, (name,))] for (name,) in tables
        }

    def close(self) -> None:
        """Close the file; safe to call twice."""
        self._connection.close()

    def _is_late(self) -> int:
        return int(time.monotonic() > self._deadline_s)
