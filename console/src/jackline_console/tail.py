"""New lines of journals, brought into the index and told to every stream: one thread, however many look.

It looks at the sizes of journals often, which costs microseconds, and ingests where one grew, every tenth of a second
at most. What came in is told once, in the order of positions, to streams that keep a bounded number of messages.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from jackline.errors import JacklineError
from jackline.ingest import Lag, ingest, lag

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.home import Home
    from jackline.ingest import IngestReport
    from jackline.stores import EventRow
    from jackline_console.alerts.alerter import Alerts
    from jackline_console.alerts.silences import Silences
    from jackline_console.live import Live

LOOK_S = 0.02
INGEST_S = 0.1
STEP_LINES = 2000
"""Lines of a backlog that come in before they are told: a fifth of a second's work."""
LIVE_S = 1.0
"""How often a session's row on the page *Live* is made anew, at most."""
_FULL_LOOK_S = 2.0
_QUIET_S = 600.0
"""A journal that did not grow for so long is looked at with all others only."""
_PAGE = 500
_BODY = 16 * 1024
"""Bytes of an event that a stream carries; a longer one is asked for by its position."""

_LINE_ENDS = (("\u2028", "\\u2028"), ("\u2029", "\\u2029"), ("\x85", "\\u0085"))
"""What some clients take for the end of a line; in JSON it stands in texts only, where it can be escaped."""

_log = logging.getLogger(__name__)


class Item(NamedTuple):
    """One event as streams send it."""

    position: int
    kind: str
    session: str
    agent: str
    data: str
    """JSON."""


class Batch(NamedTuple):
    """Events that came in together, the same objects for every stream."""

    epoch: str
    last: int
    """The position up to which everything is told with this one."""
    items: tuple[Item, ...]


class Listener(Protocol):
    """Who is told; called in the tail's thread, must not wait."""

    def tell(self, batch: Batch) -> None:
        """Take new events, or none after the epoch changed."""


class Tail:
    """Follows the journals of a home."""

    def __init__(
        self, home: Home, store: Any, live: Live, *, ingesting: bool = True, clock: Callable[[], float] = time.time
    ) -> None:
        self._home, self._store, self._live, self._clock = home, store, live, clock
        self._ingesting = ingesting
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._wake = threading.Event()
        self._ending = self._more = False
        self._thread: threading.Thread | None = None
        self.epoch, self.position = store.head()
        self._sizes: dict[str, tuple[int, float]] = {}
        self._looked = 0.0
        self._changed: set[str] = set()
        self._told_live = 0.0
        self.live_items: dict[str, tuple[int, str]] = {}
        """Session -> (version, LiveSession as JSON): what streams with `live` send when its version is new."""
        self.version = 0
        self.live_wanted = 0
        """Streams that want rows of *Live*."""
        self.alerts: Alerts | None = None
        """Who looks for alerts in what comes in."""
        self.each_look: Callable[[], object] = lambda: None
        """Done with each look: what only the passing of time brings about."""
        self.silences: Silences | None = None
        self.report: IngestReport | None = None
        self.ingested: float | None = None
        self.problem = ""

    def start(self) -> None:
        """Begin to follow, in a daemon thread."""
        self._thread = threading.Thread(target=self._run, name="jackline-tail", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._ending = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def nudge(self) -> None:
        """Look at once: this process wrote something."""
        self._wake.set()

    def join(self, listener: Listener) -> tuple[str, int]:
        """Tell a listener everything from now on; gives the epoch and the position after which it is told."""
        with self._lock:
            self._listeners.add(listener)
            return self.epoch, self.position

    def leave(self, listener: Listener) -> None:
        """Tell a listener no more."""
        with self._lock:
            self._listeners.discard(listener)

    def lag(self) -> Lag:
        """By how much the index runs behind."""
        return lag(self._home.path, self._store)

    def _run(self) -> None:
        try:
            start = self._store.position_at(self._clock() - 300)
            for row in self._store.events(after=start):
                if row.position > self.position:
                    break  # is told, and fed, by the first step
                self._live.pulse.feed(row)
        except JacklineError as error:
            self.problem = str(error)
        due = 0.0
        while not self._ending:
            nudged = self._wake.wait(LOOK_S)
            self._wake.clear()
            now = time.monotonic()
            if now < due and not self._ending:
                continue
            try:
                grown = self._grown(now)
                if grown or nudged or self._more:
                    self._step()
                    due = now if self._more else now + INGEST_S
                self._look_for_alerts()
                self.each_look()
                self._tell_live(now)
                self.problem = ""
            except JacklineError as error:
                if str(error) != self.problem:
                    _log.warning("%s", error)
                self.problem = str(error)
                due = now + 1.0
            except Exception:  # noqa: BLE001 - whatever went wrong, streams are served again a second later
                _log.exception("the tail goes on")
                due = now + 1.0

    def _look_for_alerts(self) -> None:
        if self.alerts is not None and not self._more:
            whole = not self._ingesting or (self.report is not None and not self.report.busy)
            self.alerts.turn(self.epoch, self.position, whole=whole)

    def _grown(self, now: float) -> bool:
        """Whether a journal grew since it was looked at.

        Every two seconds the answer is yes: all journals are looked at, and so is the index, which another process may
        have filled or made anew.
        """
        folder, sizes = self._home.journals, self._sizes
        if now - self._looked >= _FULL_LOOK_S:
            self._looked = now
            try:
                found = {entry.name: entry.stat().st_size for entry in os.scandir(folder)}
            except FileNotFoundError:
                return True
            for name, size in found.items():
                if sizes.get(name, (-1, 0.0))[0] != size:
                    sizes[name] = (size, now)
            return True
        for name, (size, at) in list(sizes.items()):
            if now - at < _QUIET_S:
                try:
                    length = os.stat(folder / name).st_size  # noqa: PTH116 - half the time of Path.stat, and often
                except FileNotFoundError:
                    del sizes[name]
                    continue
                if length != size:
                    sizes[name] = (length, now)
                    return True
        return self._new_file(folder)

    def _new_file(self, folder: Any) -> bool:
        """Whether the folder changed: then all of it is looked at the next time."""
        try:
            seen = os.stat(folder).st_mtime_ns  # noqa: PTH116 - as above
        except FileNotFoundError:
            return False
        if seen != getattr(self, "_folder", None):
            self._folder = seen
            self._looked = 0.0
        return False

    def _step(self) -> None:
        if self._ingesting:
            self.report = ingest(self._home.path, self._store, lines=STEP_LINES)
            self.ingested = self._clock()
            self._more = self.report.more
        epoch, last = self._store.head()
        if epoch != self.epoch:
            self._tell(Batch(epoch, last, ()))
            return
        while self.position < last:
            rows = list(self._store.events(after=self.position, limit=_PAGE))
            if not rows:
                break
            for row in rows:
                self._live.pulse.feed(row)
                if row.session:
                    self._changed.add(row.session)
                elif row.kind.startswith("alert_"):
                    self._alert(row)
            self._tell(Batch(epoch, rows[-1].position, tuple(map(item, rows))))
            if self.alerts is not None:
                self.alerts.feed(epoch, rows)

    def _alert(self, row: EventRow) -> None:
        """A silence, or an alert that a session's row on *Live* shows."""
        if self.silences is not None:
            self.silences.feed(row)
        session = getattr(row.event, "group", {}).get("session")
        if session:
            self._changed.add(session)

    def _tell(self, batch: Batch) -> None:
        with self._lock:
            self.epoch, self.position = batch.epoch, batch.last
            for listener in self._listeners:
                listener.tell(batch)

    def _tell_live(self, now: float) -> None:
        """Make the rows of sessions that changed, once for all streams; none where nobody looks."""
        if now - self._told_live < LIVE_S:
            return
        self._told_live = now
        self._live.pulse.prune(self._clock())
        changed, self._changed = self._changed, set()
        if not self.live_wanted or not changed:
            if not self.live_wanted:
                self.live_items = {}
            return
        told = self._live.changed(sorted(changed))
        with self._lock:
            self.version += 1
            items = dict(self.live_items)
            for one in told:
                items[one["session"]] = (self.version, msgspec.json.encode(one).decode())
            # Those that have not changed for longest go first: the page has them from its snapshot.
            for name in sorted(items, key=lambda each: items[each][0])[: max(0, len(items) - 2000)]:
                del items[name]
            self.live_items = items
            empty = Batch(self.epoch, self.position, ())
            for listener in self._listeners:
                listener.tell(empty)


def item(row: EventRow, *, whole: bool = False) -> Item:
    """An event as streams and answers carry it. Its body is JSON already, as it was written."""
    body = row.body if (whole or len(row.body) <= _BODY) and _is_json(row.body) else "null"
    facts = msgspec.json.encode(
        {
            "position": row.position,
            "journal": row.journal,
            "seq": row.seq,
            "at": row.at,
            "kind": row.kind,
            "session": row.session,
            "agent": row.agent,
        }
    ).decode()
    data = f'{facts[:-1]},"event":{body}}}'
    for mark, escaped in _LINE_ENDS:
        data = data.replace(mark, escaped)
    return Item(row.position, row.kind, row.session, row.agent, data)


def _is_json(body: str) -> bool:
    """Whether a body can stand inside of JSON on one line: journals are written by others, whatever they put there."""
    if "\r" in body or "\n" in body:
        return False
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return False
    return True
