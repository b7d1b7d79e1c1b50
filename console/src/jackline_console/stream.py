"""One client's stream: what follows its cursor, each event once, with a bounded memory however slowly it reads."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jackline_console._version import __version__
from jackline_console.access.users import AccessError
from jackline_console.problems import ProblemError
from jackline_console.tail import LIVE_S, Batch, Item, item

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from concurrent.futures import Executor

    from jackline_console.access.logins import Login
    from jackline_console.console import Console

PAGE = 500
"""Events in one message."""
CHECK_S = 5.0
"""How often a stream looks whether its login still is one, however much or little it sends."""
_KEPT = 20
"""Batches that are kept for a client that does not read; beyond them it is served from the index again."""
_CURSOR = re.compile(r"([0-9a-f]{0,32})\.([0-9]{1,18})")


class Cursor(NamedTuple):
    """A place in the order in which lines came into an index."""

    epoch: str
    position: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.position}"

    @classmethod
    def read(cls, text: str) -> Cursor:
        """Read `EPOCH.POSITION`. Raises ProblemError."""
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise ProblemError(
                400,
                "cursor",
                f"'{text[:60]}' is no cursor of a stream",
                what="cursor",
                value=text,
                expected="EPOCH.POSITION, as `hello` and every message's id give it",
                hint="leave it out to begin now, or take the `cursor` of GET /api/v1/live",
            )
        return cls(found[1], int(found[2]))


class Wanted(NamedTuple):
    """Which events a client asks for; empty: all."""

    session: str = ""
    agent: str = ""
    kinds: frozenset[str] = frozenset()
    live: bool = False

    def fits(self, one: Item) -> bool:
        """Whether an event is one of them."""
        if self.session and one.session != self.session:
            return False
        if self.kinds and one.kind not in self.kinds:
            return False
        return not self.agent or self.agent in (one.agent, one.agent.rpartition("@")[0])


class Stream:
    """Told by the tail in its thread, read by one client's task."""

    def __init__(self, console: Console, login: Login, wanted: Wanted, executor: Executor) -> None:
        self.login = login
        self._console, self._wanted, self._executor = console, wanted, executor
        self._loop = asyncio.get_running_loop()
        self._batches: deque[Batch] = deque()
        self._woken = asyncio.Event()
        self._overrun = False
        self._ending = ""
        self._live_seen = console.tail.version
        self._cursor = Cursor("", 0)
        self._checked = self._loop.time()

    def tell(self, batch: Batch) -> None:
        """Take a batch from the tail's thread."""
        try:
            self._loop.call_soon_threadsafe(self._take, batch)
        except RuntimeError:  # the loop is closed: the server ends
            self._overrun = True

    def end(self, why: str) -> None:
        """Say goodbye, and end; from any thread."""
        self._ending = why
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server ends
            self._loop.call_soon_threadsafe(self._woken.set)

    async def messages(self, after: Cursor | None) -> AsyncIterator[str]:
        """Everything that is sent, message by message, until the client goes or may not read any more."""
        tail, wanted = self._console.tail, self._wanted
        epoch, joined = tail.join(self)
        tail.live_wanted += wanted.live
        try:
            known = after is not None and after.epoch == epoch
            self._cursor = Cursor(epoch, min(after.position, joined) if after is not None and known else joined)
            heartbeat = self._console.settings.heartbeat_s
            hello = {"epoch": epoch, "cursor": str(self._cursor), "heartbeat_s": heartbeat, "version": __version__}
            yield _message("hello", hello)
            if after is not None and not known:
                yield _moved(self._cursor)
            while True:
                async for message in self._catch_up():
                    yield message
                async for message in self._follow():
                    yield message
                if self._ending:
                    yield _message("closed", {"why": self._ending})
                    return
        finally:
            tail.live_wanted -= wanted.live
            tail.leave(self)

    def _take(self, batch: Batch) -> None:
        if len(self._batches) >= _KEPT:
            self._batches.clear()
            self._overrun = True
        if not self._overrun and (batch.items or not self._batches or batch.epoch != self._batches[-1].epoch):
            self._batches.append(batch)
        self._woken.set()

    async def _catch_up(self) -> AsyncIterator[str]:
        """From the index, page by page, until the tail's batches can take over."""
        while await self._goes_on():
            self._overrun, cursor = False, self._cursor
            end = self._console.tail.position
            if cursor.position >= end or cursor.epoch != self._console.tail.epoch:
                return  # what comes next is among the batches
            rows = await self._loop.run_in_executor(self._executor, self._read, cursor)
            if rows is None:
                return
            last = rows[-1].position if rows else end
            self._cursor = Cursor(cursor.epoch, last)
            fitting = [one for one in rows if self._wanted.fits(one)]
            if fitting:
                yield _events(self._cursor, fitting)

    async def _follow(self) -> AsyncIterator[str]:
        """What the tail tells, as long as this client keeps up."""
        heartbeat = self._console.settings.heartbeat_s
        quiet_since = self._loop.time()
        while await self._goes_on():
            if self._batches:
                message = self._message_of(self._batches.popleft())
                if message:
                    quiet_since = self._loop.time()
                    yield message
                continue
            if self._overrun:
                return
            for message in self._live():
                yield message
            left = quiet_since + heartbeat - self._loop.time()
            if left <= 0:
                quiet_since = self._loop.time()
                yield await self._heartbeat(self._cursor)
                continue
            self._woken.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._woken.wait(), min(left, LIVE_S if self._wanted.live else CHECK_S))

    async def _goes_on(self) -> bool:
        """Whether nobody ended it; every few seconds also whether its login holds, whoever changed the users."""
        if not self._ending and self._loop.time() - self._checked >= min(CHECK_S, self._console.settings.heartbeat_s):
            self._checked = self._loop.time()
            if not await self._loop.run_in_executor(self._executor, self._holds):
                self._ending = "the login has ended"
        return not self._ending

    def _holds(self) -> bool:
        try:
            return self._console.holds(self.login)
        except AccessError:  # what cannot be looked at is answered when it connects again
            return False

    def _message_of(self, batch: Batch) -> str:
        """What a batch gives this client; empty where nothing of it is asked for. The cursor moves on."""
        if batch.epoch != self._cursor.epoch:
            self._cursor = Cursor(batch.epoch, batch.last)
            return _moved(self._cursor)
        before = self._cursor.position
        fitting = [one for one in batch.items if one.position > before and self._wanted.fits(one)]
        self._cursor = Cursor(batch.epoch, max(before, batch.last))
        return _events(self._cursor, fitting) if fitting else ""

    def _live(self) -> Iterable[str]:
        """Rows of *Live* that are newer than those sent last."""
        tail = self._console.tail
        if not self._wanted.live or tail.version == self._live_seen:
            return
        version, seen = tail.version, self._live_seen
        self._live_seen = version
        told = [text for number, text in tail.live_items.values() if number > seen]
        for at in range(0, len(told), PAGE):
            items = ",".join(told[at : at + PAGE])
            yield f'event: live\ndata: {{"at":{self._console.clock()},"items":[{items}]}}\n\n'

    async def _heartbeat(self, cursor: Cursor) -> str:
        behind = await self._loop.run_in_executor(self._executor, behind_of, self._console)
        told = {"cursor": str(cursor), "at": self._console.clock(), "behind": behind}
        return _message("heartbeat", told, cursor)

    def _read(self, cursor: Cursor) -> list[Item] | None:
        """A page of the index; None where it is another one by now: the tail will tell."""
        store = self._console.store
        rows = [item(row) for row in store.events(after=cursor.position, limit=PAGE)]
        return rows if store.head()[0] == cursor.epoch else None


def behind_of(console: Console) -> dict[str, object]:
    """By how much the index runs behind, and why."""
    tail = console.tail
    report, found = tail.report, tail.lag()
    problems = [msgspec.to_builtins(problem) for problem in report.problems] if report is not None else []
    if tail.problem:
        problems.append({"journal": "", "seq": 0, "problem": tail.problem})
    where = "elsewhere" if not console.settings.ingest or (report is not None and report.busy) else "here"
    counts = {"bytes": found.bytes, "events": found.events, "journals": found.journals}
    return {**counts, "problems": problems, "ingesting": where, "last": tail.ingested}


def _events(cursor: Cursor, items: list[Item]) -> str:
    data = ",".join(one.data for one in items)
    return f'id: {cursor}\nevent: events\ndata: {{"cursor":"{cursor}","items":[{data}]}}\n\n'


def _moved(cursor: Cursor) -> str:
    return _message("epoch", {"epoch": cursor.epoch, "cursor": str(cursor)}, cursor)


def _message(name: str, data: dict[str, object], cursor: Cursor | None = None) -> str:
    mark = f"id: {cursor}\n" if cursor is not None else ""
    return f"{mark}event: {name}\ndata: {msgspec.json.encode(data).decode()}\n\n"
