"""What is still to be told, on disk: a notice is in it once, and leaves it for a target when that target took it."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jackline.notices.notice import Notice
from jackline.notices.target import NoticeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

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
"""
_KEEP = "INSERT OR IGNORE INTO notices (id, approval, at, body) VALUES (?, ?, ?, ?)"
_decode = msgspec.json.Decoder(Notice).decode


class Delivery(NamedTuple):
    """One notice that one target has not taken yet."""

    notice: Notice
    target: str
    attempts: int
    """How often it was tried."""


class Counts(NamedTuple):
    """How many deliveries there are."""

    waiting: int
    dead: int
    """Given up after as many tries as the bundle allows."""


class Outbox:
    """The outbox of a home: `Outbox(path)`. Raises NoticeError where it cannot be used."""

    def __init__(self, path: Path, now: float) -> None:
        """What was over before `now` of the first opening is not told."""
        self.path = path
        with self._told():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
            self._database.executescript(_TABLES)
            with self._writing():
                self._database.execute("INSERT INTO begun SELECT ? WHERE NOT EXISTS (SELECT 1 FROM begun)", (now,))
        self.begun: float = self._one("SELECT at FROM begun")[0]

    def take(self, notices: Iterable[Notice], targets: Iterable[Target]) -> int:
        """Keep notices that are not in it yet, one delivery for each target that wants them; how many were new."""
        listed = list(targets)
        new = 0
        with self._writing():
            for notice in notices:
                row = (notice.id, notice.approval, notice.at, msgspec.json.encode(notice))
                if not self._run(_KEEP, row).rowcount:
                    continue
                new += 1
                for target in listed:
                    if notice.kind in target.on:
                        values = (notice.id, target.name)
                        self._run("INSERT INTO deliveries VALUES (?, ?, 'waiting', 0, 0, '')", values)
        return new

    def due(self, target: str, now: float) -> Delivery | None:
        """What this target is to be told next; None where nothing is due."""
        query = (
            "SELECT body, attempts FROM deliveries JOIN notices ON id = notice "
            "WHERE state = 'waiting' AND target = ? AND due <= ? ORDER BY due, at, number LIMIT 1"
        )
        row = self._one(query, (target, now))
        return Delivery(_decode(row[0]), target, row[1]) if row is not None else None

    def sent(self, delivery: Delivery) -> None:
        """The target took it."""
        self._mark(delivery, "sent", 0.0, "")

    def failed(self, delivery: Delivery, error: str, due: float | None) -> None:
        """The target did not take it: it is tried again when it is due, or given up (None)."""
        self._mark(delivery, "dead" if due is None else "waiting", due or 0.0, error)

    def again(self, now: float) -> int:
        """Try everything anew that was given up; how many there are."""
        with self._writing():
            query = "UPDATE deliveries SET state = 'waiting', attempts = 0, due = ? WHERE state = 'dead'"
            return self._run(query, (now,)).rowcount

    def counts(self) -> Counts:
        """How many deliveries wait, and how many were given up."""
        query = "SELECT COALESCE(SUM(state = 'waiting'), 0), COALESCE(SUM(state = 'dead'), 0) FROM deliveries"
        return Counts(*self._one(query))

    def errors(self) -> list[tuple[str, str, int]]:
        """What targets said last of what they did not take: target, error, how many."""
        query = (
            "SELECT target, error, COUNT(*) FROM deliveries WHERE state <> 'sent' AND error <> '' "
            "GROUP BY target, error ORDER BY target, error"
        )
        with self._told():
            return self._database.execute(query).fetchall()

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

    def _mark(self, delivery: Delivery, state: str, due: float, error: str) -> None:
        query = "UPDATE deliveries SET state = ?, attempts = ?, due = ?, error = ? WHERE notice = ? AND target = ?"
        values = (state, delivery.attempts + 1, due, error, delivery.notice.id, delivery.target)
        with self._writing():
            self._run(query, values)

    def _run(self, query: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        return self._database.execute(query, values)

    def _one(self, query: str, values: tuple[object, ...] = ()) -> tuple:  # type: ignore[type-arg]
        with self._told():
            return self._run(query, values).fetchone()  # type: ignore[no-any-return]

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
            yield
        except (sqlite3.Error, OSError) as error:
            told = "what it still had to send is found again from the approvals; move it away where it is broken"
            raise NoticeError(f"the outbox {self.path} cannot be used: {error}; {told}") from error
