"""Durable rows in SQLite: what `commit` returned for is on disk, whatever happens next.

WAL with synchronous=FULL: WAL with NORMAL lost acknowledged jobs in 88 of 304 crash images, and
kill -9 alone cannot tell the two apart (reliability.md). All commits that wait while a transaction
is under way go together in the next one.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import trio

from protocols.errors import MeshError

SCHEMA = 1
_APPLICATION = 0x6D657368  # "mesh": another program's database is not taken for ours


class Store:
    """`ports.StorePort` over one SQLite file; used from one trio loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.transactions = 0
        self.failure: str | None = None
        """Why this store refuses work. After a failed commit nothing is known of its rows."""
        self._connection: sqlite3.Connection | None = None
        self._turn = trio.Lock()
        self._thread = trio.CapacityLimiter(1)
        self._waiting = _Group()

    def open(self) -> None:
        """Open or make the file. Raises MeshError "store-failed", "store-newer" or "bad-home"."""
        if self._connection is not None:
            return
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = _connect(self.path)
        except (sqlite3.Error, OSError) as error:
            raise MeshError("store-failed", f"cannot open {self.path}: {error}") from error

    def load(self) -> tuple[tuple[str, bytes], ...]:
        """Every row, in the order of keys. Raises what `open` raises."""
        self.open()
        assert self._connection is not None
        try:
            rows = self._connection.execute("SELECT key, value FROM rows ORDER BY key").fetchall()
        except sqlite3.Error as error:
            raise MeshError("store-failed", f"cannot read {self.path}: {error}") from error
        return tuple((key, bytes(value)) for key, value in rows)

    async def commit(self, rows: list[tuple[str, bytes | None]]) -> None:
        """Return once these rows are on disk; a None deletes. Later rows of a key win.

        Raises MeshError "store-failed": then the rows may or may not be there, and the store
        refuses all further work. Stop, and recover from what the next `load` says.
        """
        self.open()
        group = self._waiting
        group.rows.extend(rows)
        async with self._turn:
            if not group.done:
                self._waiting = _Group()
                with trio.CancelScope(shield=True):  # begun is ended: half a commit is no state
                    await trio.to_thread.run_sync(self._write, group.rows, limiter=self._thread)
                group.done = True
        if self.failure is not None:
            raise MeshError("store-failed", self.failure)

    def close(self) -> None:
        """Fold the log into the file and let go; `load` and `commit` open it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, rows: list[tuple[str, bytes | None]]) -> None:
        if self.failure is not None:
            return
        connection = self._connection
        assert connection is not None, "closed while commits were waiting"
        try:
            connection.execute("BEGIN IMMEDIATE")
            for key, value in rows:
                if value is None:
                    connection.execute("DELETE FROM rows WHERE key = ?", (key,))
                else:
                    connection.execute(
                        "INSERT INTO rows (key, value) VALUES (?, ?)"
                        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                        (key, value),
                    )
            connection.execute("COMMIT")
            self.transactions += 1
        except (sqlite3.Error, OSError) as error:
            # No rollback and no second try: after a failed fsync the rows may well be on disk.
            self.failure = (
                f"{self.path} failed while writing ({error}); its last rows may or may not be "
                "there. Check the disk, then start again: the daemon recovers by itself"
            )


class _Group:
    """Rows that go in one transaction."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, bytes | None]] = []
        self.done = False


def _connect(path: Path) -> sqlite3.Connection:
    # Only one thread at a time uses it: `load` before the loop's commits, then the worker thread.
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        schema = _check_schema(path, connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone stops at the drive's cache
        connection.execute("PRAGMA checkpoint_fullfsync = ON")
        if schema < SCHEMA:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("CREATE TABLE rows (key TEXT PRIMARY KEY, value BLOB NOT NULL)")
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {SCHEMA}")
            connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(path: Path, connection: sqlite3.Connection) -> int:
    schema = _setting(connection, "user_version")
    application = _setting(connection, "application_id")
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application != _APPLICATION and (application or tables):
        message = f"{path} is another program's database: choose another home"
        raise MeshError("bad-home", message)
    if schema > SCHEMA:
        message = (
            f"{path} was written by a newer meshd (schema {schema}; this one knows {SCHEMA}): "
            "upgrade meshd, or choose another home"
        )
        raise MeshError("store-newer", message)
    return schema


def _setting(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
