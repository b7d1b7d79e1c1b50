"""The sessions that a guard keeps: bounded in memory, the least recently used written aside."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.policy import State
from jackline.session import Halt, Session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jackline.request import Subject


class _Aside(msgspec.Struct, omit_defaults=True):
    """What is written of a session that left memory."""

    started: float
    memory: dict[str, dict[str, Any]] = {}
    counts: dict[str, int] = {}
    halt: Halt | None = None


_COUNTS = ("cost_micro_usd", "tokens", "calls", "model_calls", "tool_calls", "unpriced")
_decode = msgspec.json.Decoder(_Aside).decode


class Sessions:
    """Sessions by id. A session without an external id cannot come back: it is forgotten when it ends."""

    def __init__(self, folder: Path, limit: int, clock: Callable[[], float], obey: Callable[[Session], object]) -> None:
        """`limit`: sessions kept in memory. `obey` is called with a session that may have been halted elsewhere."""
        self._folder = folder
        self._limit = limit
        self._clock = clock
        self._obey = obey
        self._lock = threading.RLock()
        self._live: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._live)

    def live(self) -> list[Session]:
        """Every session in memory."""
        with self._lock:
            return list(self._live.values())

    def in_memory(self, subject: Subject) -> Session | None:
        """The session, where it is in memory."""
        return self._live.get(subject.session)

    def get(self, subject: Subject) -> Session:
        """The session of a request; one that left memory comes back: its threads may outlive it."""
        found = self._live.get(subject.session)
        return found if found is not None else self._found(subject, again=True)

    def open(self, subject: Subject) -> tuple[Session, bool]:
        """The session, and whether this is the first of its open users."""
        with self._lock:
            session = self._found(subject, again=bool(subject.external_id))
            session.last = self._clock()
            session.opened += 1
            return session, session.opened == 1

    def leave(self, session: Session) -> bool:
        """Undo one `open`; whether it was the last."""
        with self._lock:
            session.opened -= 1
            return session.opened == 0

    def end_idle(self, before: float) -> list[Session]:
        """The open sessions that nobody is inside of and that have done nothing since `before`; they count as left."""
        with self._lock:
            idle = [each for each in self._live.values() if each.opened and not each.within and each.last < before]
            for session in idle:
                session.opened = 0
            return idle

    def drop(self, session: Session) -> None:
        """Forget an ended session; what its policies remember is kept where it can come back."""
        if not session.lock.acquire(blocking=False):
            return  # a thread of its still acts; it leaves memory when others need the room
        try:
            if session.subject.external_id:
                self._put_aside(session)
            with self._lock:
                if session.opened <= 0 and self._live.get(session.id) is session:
                    del self._live[session.id]
        finally:
            session.lock.release()

    def after_fork(self) -> None:
        """Give the child of a fork locks that nobody holds."""
        self._lock = threading.RLock()
        for session in self._live.values():
            session.lock = threading.RLock()
            for state in session.states.values():
                state.after_fork()

    def _found(self, subject: Subject, *, again: bool) -> Session:
        """The session; `again`: it may have been here before, or in another process, and nobody sees it unhalted."""
        with self._lock:
            found = self._live.get(subject.session)
            if found is not None:
                return found
            session = (self._restored(subject) if again else None) or Session(subject, self._clock())
            if again:
                self._obey(session)
            session = self._live.setdefault(session.id, session)
            if len(self._live) > self._limit:
                self._make_room(session)
            return session

    def _make_room(self, entering: Session) -> None:
        for session in sorted(self._live.values(), key=lambda each: each.last)[: max(1, self._limit // 10)]:
            if session is not entering and session.lock.acquire(blocking=False):
                try:
                    self._put_aside(session)
                    del self._live[session.id]
                finally:
                    session.lock.release()

    def _put_aside(self, session: Session) -> None:
        """Write what a session's policies remember; its lock is held."""
        aside = _Aside(
            started=session.started,
            memory={name: state.memory for name, state in session.states.items() if state.memory},
            counts={name: getattr(session, name) for name in _COUNTS},
            halt=session.halt,
        )
        path = self._folder / f"{session.id}.json"
        with contextlib.suppress(OSError):  # it then starts afresh; its ledger and its halt are kept elsewhere
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
            part.write_bytes(msgspec.json.encode(aside))
            part.replace(path)

    def _restored(self, subject: Subject) -> Session | None:
        try:
            aside = _decode((self._folder / f"{subject.session}.json").read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None
        session = Session(subject, aside.started)
        session.states = {name: State(memory) for name, memory in aside.memory.items()}
        session.halt = aside.halt
        for name in _COUNTS:
            setattr(session, name, aside.counts.get(name, 0))
        return session
