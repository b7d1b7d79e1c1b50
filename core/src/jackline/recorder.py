"""Puts events on record: decisions must be written, outcomes are kept until they are, notes are counted."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from jackline.errors import JournalError
from jackline.events import Event, EventsLost
from jackline.journal import Capture, Journal, Payloads
from jackline.journal.payloads import REFERENCE
from jackline.plain import Digester, canonical, plain, words

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.home import Home

_PENDING = 10_000
"""Outcomes kept in memory while the journal cannot be written; while there are any, checks deny."""


class Recorder:
    """One guard's journal and payloads."""

    def __init__(self, home: Home, clock: Callable[[], float], capture: Capture = "redacted") -> None:
        self._clock = clock
        self.journal = Journal.open(home.journals, writer="guard", clock=clock)
        self._digester = Digester(home.key())
        self._pending: deque[Event] = deque()
        self._lock = threading.RLock()
        self._flushing = False
        self.lost = 0
        """What could not be written since the last EventsLost."""
        self.last_error = ""
        self._payloads = Payloads(home.payloads, self._digester, capture=capture, journal=self.journal)

    def capture(self, capture: Capture) -> None:
        """What is kept of payloads from now on."""
        self._payloads.keep(capture)

    def keep(self, value: Any, *, unjudged: bool = False) -> tuple[str, int]:
        """Keep a plain value beside the chain; its keyed digest (32 hex digits) and size in bytes."""
        try:
            data = canonical(value)
        except (TypeError, ValueError, RecursionError):
            value = plain(value)
            data = canonical(value)
        try:
            return self._payloads.put(value, data, unjudged=unjudged), len(data)
        except (JournalError, OSError) as error:
            self.lose(error)
            return self._digester.digest(data), len(data)

    def keep_messages(self, args: dict[str, Any]) -> tuple[str, int]:
        """Keep a model call's arguments: each message by itself, since a prompt repeats with every turn."""
        messages = args["messages"]
        try:
            data = list(map(canonical, messages))
        except (TypeError, ValueError, RecursionError):
            messages = list(map(plain, messages))
            data = list(map(canonical, messages))
        try:
            digests = self._payloads.put_each(messages, data)
        except (JournalError, OSError) as error:
            self.lose(error)
            digests = list(map(self._digester.digest, data))
        whole, size = self.keep({**args, "messages": {REFERENCE: digests}})
        return whole, size + sum(map(len, data))

    def decision(self, event: Event) -> None:
        """Write a decision; raises JournalError where it, or an outcome before it, cannot be written."""
        if self._pending:
            self._flush()
        self.journal.append(event)

    def outcome(self, event: Event) -> None:
        """Write an outcome; one that cannot be written now is kept, and denies what comes next until it is."""
        try:
            if self._pending:
                self._flush()
            self.journal.append(event)
        except JournalError as error:
            with self._lock:
                if len(self._pending) < _PENDING:
                    self._pending.append(event)
                    return
            self.lose(error)

    def note(self, event: Event) -> None:
        """Write an observation; one that cannot be written is counted."""
        try:
            self.journal.append(event)
            if self.lost:
                count, self.lost = self.lost, 0
                self.journal.append(
                    EventsLost(at=self._clock(), count=count, reason="the journal could not be written")
                )
        except JournalError as error:
            self.lose(error)

    def after_fork(self) -> None:
        """What is pending in a forked child is its parent's to write."""
        self._lock = threading.RLock()
        self._flushing = False
        self._pending = deque()
        self.lost = 0

    def close(self) -> None:
        """Write what is pending, and the journal's last line."""
        try:
            self._flush()
        except JournalError as error:
            self.lose(error)
        self.journal.close()
        self._payloads.close()

    def _flush(self) -> None:
        with self._lock:
            if self._flushing:
                raise JournalError("Outcomes are being written, and this act began in the middle of it; try again")
            self._flushing = True
            try:
                while self._pending:
                    self.journal.append(self._pending[0])
                    self._pending.popleft()
            finally:
                self._flushing = False

    def lose(self, error: Exception) -> None:
        """Count something that could not be put on record."""
        self.lost += 1
        self.last_error = words(error)
