"""What is still to be told, on disk: a notice is in it once, and leaves it for a target when that target took it."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.notices.message import Delivery
from jackline.notices.target import NoticeError
from jackline.notices.told import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from jackline.notices.message import Message
    from jackline.notices.target import Target

_WAIT_S = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS begun (at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS notices (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, approval TEXT NOT NULL, at REAL NOT NULL,
    body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    notice TEXT NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, due REAL NOT NULL,
    error TEXT NOT NULL, PRIMARY KEY (notice, target)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (state, target, due);
CREATE INDEX IF NOT EXISTS notices_about ON notices (approval, number);
"""
_KEEP = "INSERT OR IGNORE INTO notices (id, approval, at, body) VALUES (?, ?, ?, ?)"
_DUE = """
SELECT body, attempts FROM deliveries AS here JOIN notices AS told ON told.id = here.notice
WHERE here.state = 'waiting' AND here.target = ? AND here.due <= ? AND NOT EXISTS (
    SELECT 1 FROM notices AS before JOIN deliveries AS held ON held.notice = before.id
    WHERE before.approval = told.approval AND before.number < told.number
    AND held.target = here.target AND held.state = 'waiting'
) ORDER BY here.due, told.at, told.number LIMIT 1
"""
"""What was told first of one approval or alert is told first: what comes after it waits until it was taken."""


class Outbox(Told):
    """An outbox: `Outbox(path, now)`, for any thread. Raises NoticeError where it cannot be used."""

    def __init__(
        self, path: Path, now: float, decode: Callable[[bytes], Message] | None = None, *, durable: bool = True
    ) -> None:
        """What was over before `now` of the first opening is not told; `decode` reads a kept message.

        Without `durable` what is written outlives the process, but maybe not the machine: it costs microseconds, where
        a disk that is waited for costs milliseconds.
        """
        self.path = path
        self._lock = threading.RLock()
        self._decode: Callable[[bytes], Any] = decode or _notice
        with self._told():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            if not durable:
                self._database.executescript("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = OFF;")
            self._database.executescript(_TABLES)
            with self._writing():
                if all(row[1] != "tried" for row in self._run("PRAGMA table_info(deliveries)").fetchall()):
                    self._run("ALTER TABLE deliveries ADD COLUMN tried REAL NOT NULL DEFAULT 0")
                self._database.execute("INSERT INTO begun SELECT ? WHERE NOT EXISTS (SELECT 1 FROM begun)", (now,))
        self.begun: float = self._one("SELECT at FROM begun")[0]

    def take(self, notices: Iterable[Message], targets: Iterable[Target]) -> int:
        """Keep notices that are not in it yet, one delivery for each target that wants them; how many were new."""
        listed = list(targets)
        new = 0
        with self._writing():
            for notice in notices:
                row = (notice.id, notice.about, notice.at, msgspec.json.encode(notice))
                if not self._run(_KEEP, row).rowcount:
                    continue
                new += 1
                for target in listed:
                    if notice.kind in target.on:
                        values = (notice.id, target.name)
                        self._run("INSERT INTO deliveries VALUES (?, ?, 'waiting', 0, 0, '', 0)", values)
        return new

    def due(self, target: str, now: float) -> Delivery | None:
        """What this target is to be told next; None where nothing is due."""
        row = self._one(_DUE, (target, now))
        return Delivery(self._decode(row[0]), target, row[1]) if row is not None else None

    def sent(self, delivery: Delivery, now: float) -> None:
        """The target took it."""
        self._mark(delivery, "sent", 0.0, "", now)

    def failed(self, delivery: Delivery, error: str, due: float | None, now: float) -> None:
        """The target did not take it: it is tried again when it is due, or given up (None)."""
        self._mark(delivery, "dead" if due is None else "waiting", due or 0.0, error, now)

    def again(self, now: float, target: str = "") -> int:
        """Try everything anew that was given up, of one target or of all; how many there are."""
        with self._writing():
            query = (
                "UPDATE deliveries SET state = 'waiting', attempts = 0, due = ? "
                "WHERE state = 'dead' AND (target = ? OR ? = '')"
            )
            return self._run(query, (now, target, target)).rowcount

    def forget(self, kept: set[str], targets: Iterable[Target]) -> None:
        """Drop what targets were to be told that are no more, and sent notices of approvals that are no more."""
        names = {target.name for target in targets}
        with self._writing():
            for (name,) in self._run("SELECT DISTINCT target FROM deliveries").fetchall():
                if name not in names:
                    self._run("DELETE FROM deliveries WHERE target = ?", (name,))
            query = (
                "SELECT DISTINCT approval FROM notices WHERE NOT EXISTS "
                "(SELECT 1 FROM deliveries WHERE notice = id AND state <> 'sent')"
            )
            for (approval,) in self._run(query).fetchall():
                if approval not in kept:
                    self._drop(approval)

    def forget_before(self, before: float) -> None:
        """Drop everything about what nothing happened to since then (Unix seconds)."""
        with self._writing():
            query = "SELECT approval FROM notices GROUP BY approval HAVING MAX(at) < ?"
            for (about,) in self._run(query, (before,)).fetchall():
                mine = "SELECT id FROM notices WHERE approval = ?"
                self._run(f"DELETE FROM deliveries WHERE notice IN ({mine})", (about,))  # noqa: S608 - no values in it
                self._run("DELETE FROM notices WHERE approval = ?", (about,))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _drop(self, approval: str) -> None:
        """Sent notices of an approval; while one of its notices is not sent, its others stay."""
        mine = "SELECT id FROM notices WHERE approval = ?"
        waits = f"SELECT 1 FROM deliveries WHERE state <> 'sent' AND notice IN ({mine})"  # noqa: S608 - no values in it
        if self._run(waits, (approval,)).fetchone() is None:
            self._run(f"DELETE FROM deliveries WHERE notice IN ({mine})", (approval,))  # noqa: S608 - as above
            self._run("DELETE FROM notices WHERE approval = ?", (approval,))

    def _mark(self, delivery: Delivery, state: str, due: float, error: str, now: float) -> None:
        query = (
            "UPDATE deliveries SET state = ?, attempts = ?, due = ?, error = ?, tried = ? "
            "WHERE notice = ? AND target = ?"
        )
        values = (state, delivery.attempts + 1, due, error, now, delivery.notice.id, delivery.target)
        with self._writing():
            self._run(query, values)

    def _run(self, query: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._database.execute(query, values)

    def _one(self, query: str, values: tuple[object, ...] = ()) -> Any:
        with self._told():
            return self._run(query, values).fetchone()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction: all of it, on disk, or nothing."""
        with self._told():
            self._run("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._run("ROLLBACK")
                raise
            self._run("COMMIT")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            with self._lock:
                yield
        except (sqlite3.Error, OSError) as error:
            told = "what it still had to send is found again from the approvals; move it away where it is broken"
            raise NoticeError(f"the outbox {self.path} cannot be used: {error}; {told}") from error


def _notice(body: bytes) -> Any:
    from jackline.notices.notice import Notice  # noqa: PLC0415 - alerts' outboxes have no notices

    return msgspec.json.decode(body, type=Notice)
