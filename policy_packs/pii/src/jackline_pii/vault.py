"""Where the originals of tokens are kept: sealed with a key that is not in the file, for a time, for one session."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sqlite3
import threading
import weakref
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
_WAIT = 20.0
"""Seconds that a write waits for other processes; then it fails, and the act is denied."""
_KNOWN = 4096
"""Tokens of which is remembered that their originals were written: a conversation brings the same ones every turn."""
_FRESH = 0.1
"""The share of its time after which an original that comes again is written again."""

_vaults: weakref.WeakSet[Vault] = weakref.WeakSet()


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
        self._inherited: list[sqlite3.Connection] = []
        """Connections of the process that this one was forked from: to close one would drop that process's locks."""
        self._writes = 0
        self._written: dict[tuple[str, str], float] = {}
        """Token and session -> when its original was written last."""
        _vaults.add(self)

    def token(self, kind: str, value: str, session: str) -> str:
        """Name a value: the same in one session, unguessable, another in every other session."""
        said = f"{kind}\0{session}\0{value}".encode("utf-8", "surrogatepass")
        return f"[{kind}:{lettered(hmac.digest(self._naming, said, hashlib.sha256))[:20]}]"

    def keep(self, originals: dict[str, str], session: str, at: float, ttl: float) -> None:
        """Keep originals by token until `at + ttl`, in Unix seconds. Raises sqlite3.Error where it cannot write."""
        with self._lock:
            new = {token: value for token, value in originals.items() if not self._is_fresh(token, session, at, ttl)}
            if not new:
                return
            rows = [
                (token, session, self._sealed(token, session, at + ttl, value), at + ttl)
                for token, value in new.items()
            ]
            with self._opened() as connection:
                connection.executemany("INSERT OR REPLACE INTO originals VALUES (?, ?, ?, ?)", rows)
                self._writes += 1
                if self._writes % _SWEEP == 1:
                    connection.execute("DELETE FROM originals WHERE expires <= ?", (at,))
            if len(self._written) > _KNOWN:
                self._written.clear()
            self._written |= dict.fromkeys(((token, session) for token in new), at)

    def _is_fresh(self, token: str, session: str, at: float, ttl: float) -> bool:
        written = self._written.get((token, session))
        return written is not None and 0 <= at - written < _FRESH * ttl

    def _sealed(self, token: str, session: str, expires: float, value: str) -> bytes:
        """Seal an original together with what it belongs to: who can write the file cannot give it to another."""
        return self._fernet.encrypt(json.dumps([token, session, expires, value]).encode())

    def original(self, token: str, session: str, at: float) -> str | None:
        """Give a token's original; None where this session has none, or none any more, or no key opens it."""
        with self._lock, self._opened() as connection, closing(connection.cursor()) as cursor:
            query = "SELECT sealed FROM originals WHERE token = ? AND session = ? AND expires > ?"
            row = cursor.execute(query, (token, session, at)).fetchone()
        if row is None:
            return None
        try:
            of, owner, expires, value = json.loads(self._fernet.decrypt(row[0]))
        except InvalidToken:
            return None
        return str(value) if (of, owner) == (token, session) and at < expires else None

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
            self._written.clear()
        return lost

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def hold(self) -> None:
        """Let no thread be at work with the file while the process forks: the child could never go on."""
        self._lock.acquire()

    def go_on(self, *, child: bool) -> None:
        """Go on after a fork; a child opens the file anew."""
        if child and self._connection is not None:
            self._inherited.append(self._connection)
            self._connection = None
        self._lock.release()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR, 0o600))
            connection = sqlite3.connect(self.path, timeout=_WAIT, check_same_thread=False)
            connection.execute("PRAGMA secure_delete = ON")
            connection.executescript(_TABLES)
            self._connection = connection
        return self._connection


_forking = threading.Lock()
_held: list[Vault] = []


def _before_fork() -> None:
    _forking.acquire()
    _held.extend(_vaults)
    for vault in _held:
        vault.hold()


def _after_fork(*, child: bool) -> None:
    for vault in _held:
        vault.go_on(child=child)
    _held.clear()
    _forking.release()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=lambda: _after_fork(child=False),
    after_in_child=lambda: _after_fork(child=True),
)
