"""The store that needs nothing installed: one SQLite file, written by one ingest at a time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from jackline.errors import StoreError
from jackline.stores.sql import SQLStore

_WAIT_MS = 5000


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Whether this SQLite can lose commits in WAL mode when two connections write and checkpoint in a tight race.

    In 3.7.0 to 3.51.2; mended in 3.51.3 and in the branches from 3.44.6 and 3.50.7.
    """
    mended = version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51) or (3, 44, 6) <= version < (3, 45)
    return version >= (3, 7) and not mended


def sqlite_warning() -> str | None:
    """What to know about this Python's SQLite; None where there is nothing to say."""
    if not has_wal_reset_bug(sqlite3.sqlite_version_info):
        return None
    return (
        f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug (mended in 3.51.3, 3.50.7 and 3.44.6): Jackline keeps "
        "its index in rollback mode, where readers wait for an ingest to commit. A newer SQLite is faster"
    )


class SQLiteStore(SQLStore):
    """`SQLiteStore(path)`, or a URL that begins with `sqlite:`. Raises StoreError where the file cannot be used."""

    def __init__(self, target: Path | str) -> None:
        url = str(target)
        self.path = Path(url.partition(":///")[2] if url.startswith("sqlite:") else url)
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made before SQLite does, so that only its owner can read what agents did.
            self.path.touch(mode=0o600)
        except OSError as error:
            raise StoreError(
                f"The index {self.path} cannot be made: {error.strerror}. Choose another JACKLINE_HOME"
            ) from error
        engine = sa.create_engine(sa.URL.create("sqlite", database=str(self.path)))
        sa.event.listen(engine, "connect", _prepare)
        sa.event.listen(engine, "begin", _begin)
        try:
            super().__init__(engine, f"The index {self.path}")
        except BaseException:
            engine.dispose()
            raise

    def _explain(self, error: sa.exc.DBAPIError) -> str:
        told = str(error.orig)
        if "locked" in told or "busy" in told:
            return f"{self._name} is locked by another process. Nothing is lost: try again when that has ended"
        return (
            f"{self._name} cannot be used: {told}. The journals hold everything: "
            "delete the file and run `jackline ingest`, it is rebuilt from them"
        )


def _prepare(connection: Any, _record: Any) -> None:
    # Transactions are begun by `_begin`: the driver's own beginning leaves out reads and table definitions.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_WAIT_MS}")
    # The bug needs two connections that write and checkpoint at once. The ingest lock leaves one writer, but in WAL
    # mode a reader that closes last checkpoints too, and Python below 3.12 cannot forbid it: then no WAL.
    wanted = "delete" if has_wal_reset_bug(sqlite3.sqlite_version_info) else "wal"
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != wanted:
        connection.execute(f"PRAGMA journal_mode = {wanted}").close()


def _begin(connection: sa.Connection) -> None:
    # A writer takes its lock at once: a transaction that reads first and then cannot write would have to begin anew.
    writes = connection.get_execution_options().get("jackline_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
