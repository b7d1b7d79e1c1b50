"""Where the originals of tokens are kept: sealed with a key that is not in the file, for a time, for one session."""

from __future__ import annotations

import hashlib
import hmac
import os
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from jackline_pii.replacing import lettered

if TYPE_CHECKING:
    from pathlib import Path

_TABLES = """
CREATE TABLE IF NOT EXISTS originals (
  token TEXT NOT NULL, session TEXT NOT NULL, sealed BLOB NOT NULL, expires REAL NOT NULL, PRIMARY KEY (token, session)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS originals_by_expiry ON originals (expires);
"""
_SWEEP = 256
"""Writes between two removals of what has expired."""
_WAIT = 5.0
"""Seconds that a write waits for another process."""


class Vault:
    """Originals by token and session. It may be used by several threads and processes, also after a fork."""

    def __init__(self, path: Path, keys: str) -> None:
        """`keys` are Fernet keys with commas between them: the first seals, all open. Raises ValueError."""
        ring = [key.strip() for key in keys.split(",") if key.strip()]
        if not ring:
            raise ValueError("the vault has no key")
        fernets = [Fernet(key) for key in ring]
        self.path = path
        self._fernet = MultiFernet(fernets)
        self._rotated = len(fernets) > 1
        self._naming = hashlib.sha256(b"jackline-pii token\0" + ring[-1].encode()).digest()
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._inherited: list[sqlite3.Connection] = []
        """Connections of the process that this one was forked from: to close one would drop that process's locks."""
        self._writes = 0

    def token(self, kind: str, value: str, session: str) -> str:
        """Name a value: the same in one session, unguessable, another in every other session."""
        said = f"{kind}\0{session}\0{value}".encode("utf-8", "surrogatepass")
        return f"[{kind}:{lettered(hmac.digest(self._naming, said, hashlib.sha256))[:20]}]"

    def keep(self, originals: dict[str, str], session: str, at: float, ttl: float) -> None:
        """Keep originals by token until `at + ttl`, in Unix seconds. Raises sqlite3.Error where it cannot write."""
        rows = [
            (token, session, self._fernet.encrypt(value.encode("utf-8", "surrogatepass")), at + ttl)
            for token, value in originals.items()
        ]
        with self._lock, self._opened() as connection:
            connection.executemany("INSERT OR REPLACE INTO originals VALUES (?, ?, ?, ?)", rows)
            self._writes += 1
            if self._writes % _SWEEP == 1:
                connection.execute("DELETE FROM originals WHERE expires <= ?", (at,))

    def original(self, token: str, session: str, at: float) -> str | None:
        """Give a token's original; None where this session has none, or none any more, or no key opens it."""
        with self._lock, self._opened() as connection, closing(connection.cursor()) as cursor:
            query = "SELECT sealed FROM originals WHERE token = ? AND session = ? AND expires > ?"
            row = cursor.execute(query, (token, session, at)).fetchone()
        if row is None:
            return None
        try:
            return self._fernet.decrypt(row[0]).decode("utf-8", "surrogatepass")
        except InvalidToken:
            return None

    def rotate(self) -> int:
        """Seal everything with the first key; return how many originals no key opens, which are removed."""
        lost = 0
        with self._lock, self._opened() as connection:
            for token, session, sealed in connection.execute("SELECT token, session, sealed FROM originals").fetchall():
                where = (token, session)
                try:
                    again = self._fernet.rotate(sealed)
                except InvalidToken:
                    lost += 1
                    connection.execute("DELETE FROM originals WHERE token = ? AND session = ?", where)
                else:
                    query = "UPDATE originals SET sealed = ? WHERE token = ? AND session = ?"
                    connection.execute(query, (again, *where))
        return lost

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None or self._process != os.getpid():
            if self._connection is not None:
                self._inherited.append(self._connection)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(self.path, timeout=_WAIT, check_same_thread=False)
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_TABLES)
            self._connection, self._process = connection, os.getpid()
        return self._connection
