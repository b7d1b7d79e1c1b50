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

    def __init__(self, folder: Path, limit: int, clock: Callable[[], float]) -> None:
        """`limit`: sessions kept in memory."""
        self._folder = folder
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._live: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._live)

    def live(self) -> list[Session]:
        """Every session in memory."""
        with self._lock:
            return list(self._live.values())

    def get(self, subject: Subject) -> Session:
        """The session of a request; one that was written aside comes back."""
        found = self._live.get(subject.session)
        return found if found is not None else self.open(subject)[0]

    def open(self, subject: Subject) -> tuple[Session, bool]:
        """The session, and whether it was not in memory before."""
        with self._lock:
            found = self._live.get(subject.session)
            if found is not None:
                found.last = self._clock()
                return found, False
            session = self._restored(subject) if subject.external_id else None
            session = session or Session(subject, self._clock())
            self._live[session.id] = session
            crowded = len(self._live) > self._limit
        if crowded:
            self._make_room()
        return session, True

    def drop(self, session: Session) -> None:
        """Forget an ended session; what its policies remember is kept where it can come back."""
        with self._lock:
            self._live.pop(session.id, None)
        if session.subject.external_id:
            self._put_aside(session)

    def after_fork(self) -> None:
        """Give the child of a fork locks that nobody holds."""
        self._lock = threading.Lock()
        for session in self._live.values():
            session.lock = threading.Lock()

    def _make_room(self) -> None:
        with self._lock:
            idle = sorted((s for s in self._live.values() if not s.lock.locked()), key=lambda s: s.last)
            leaving = idle[: max(1, len(self._live) - self._limit * 9 // 10)]
            for session in leaving:
                del self._live[session.id]
        for session in leaving:
            self._put_aside(session)

    def _put_aside(self, session: Session) -> None:
        with session.lock:
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
