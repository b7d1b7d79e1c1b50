"""What a guard has and how it comes and goes: the bundle in force, open sessions, halts, what people change."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jackline.adapter import Gaps
from jackline.control import Control
from jackline.engine import Engine
from jackline.errors import JacklineError
from jackline.events import (
    AgentSeen,
    BundleActivated,
    BundleQuestioned,
    BundleRejected,
    HoldBooked,
    SessionEnded,
    SessionHalted,
    SessionStarted,
    ToolSeen,
)
from jackline.home import Home
from jackline.ledger import Ledger
from jackline.opening import history, load_prices
from jackline.recorder import Recorder
from jackline.registry import Registry
from jackline.request import REPORTED
from jackline.session import CARRIER, Halt, Scope, Session, subject_of
from jackline.sessions import Sessions
from jackline.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jackline.adapter import Adapter
    from jackline.bundle import Bundle
    from jackline.control import Stop
    from jackline.decision import Mode
    from jackline.events import Event
    from jackline.journal import Capture
    from jackline.prices import Prices
    from jackline.reload import Watcher
    from jackline.request import Request, Tool

_GUARDS: weakref.WeakSet[Lifecycle] = weakref.WeakSet()


_PRICES_WAIT = 5.0
"""Seconds that the first guard of a home waits for the price table where a policy counts dollars: a loop cannot."""


_SWEEP = 60.0
"""Seconds between two looks at which sessions are idle."""


class Active(msgspec.Struct, frozen=True):
    """One bundle revision in force: a check and its record use the same."""

    engine: Engine
    bundle: Bundle | None
    capture: Capture

    @property
    def mode(self) -> Mode:
        """`enforce` or `observe`."""
        return self.engine.mode


class Lifecycle:
    """Everything of a guard but deciding and recording."""

    def __init__(
        self,
        bundle: Bundle | None = None,
        *,
        home: Path | str | None = None,
        application: str | None = None,
        namespace: str = "default",
        clock: Callable[[], float] = time.time,
        prices: Prices | None = None,
        sessions: int = 10_000,
        deadline: float = 1.0,
        path: Path | None = None,
        idle: float = 3600.0,
    ) -> None:
        """Open the state in `home` and put `bundle` in force (None: nothing is refused, everything is recorded).

        `application` names this program in sessions and as the agent of what no agent does. `sessions`: how many are
        kept in memory. `deadline`: seconds that a policy which is not trusted has. `path`: the bundle's file; once it
        changes, it is loaded and put in force. `idle`: seconds without an act after which a session that a framework
        named (a thread's) has ended; the next act of it starts it again.
        """
        if namespace == REPORTED:
            raise JacklineError(f"namespace '{REPORTED}' is for sessions that are only reported; choose another one")
        self.home = Home(home).make()
        self.clock = clock
        self.application = application or _this_program()
        self.namespace = namespace
        self.recorder = Recorder(self.home, clock)
        self.ledger = Ledger.open(self.home.ledger)
        weakref.finalize(self, self.ledger.leave).atexit = False  # not at close: outcomes of open acts come later
        self.book_what_crashed()
        self.control = Control(self.home.control)
        self.prices = prices if prices is not None else load_prices(self.home)
        needed = bundle is not None and bundle.priced and not self.prices.kept
        if needed:
            self.prices.warm(wait=_PRICES_WAIT)
        self.registry = Registry(self.home.registry, self._registered, clock).open(lambda: history(self.home))
        self.sessions = Sessions(self.home.sessions, sessions, clock, self._obey)
        self.observation_failures = 0
        """Calls of a policy's `observe` that raised."""
        self.functions: dict[str, Tool] = {}
        """The plain functions that are governed, by tool name."""
        self.refused_answers: set[tuple[str, str]] = set()
        """Answers to approvals that do not count and are on record: the approval's id and the answer's file."""
        self._declared: set[tuple[str, str]] = set()
        self._workers = Workers(deadline=deadline)
        self._epoch = self.control.epoch
        self._lock = threading.RLock()
        self._idle = idle
        self._swept = 0.0
        self._implicit: Scope | None = None
        self._pid = os.getpid()
        self._closed = False
        self._ends: list[Callable[[], None]] = []
        self._gaps = Gaps()
        self._activate(bundle)
        self._watcher = self._watch(path) if path is not None else None
        _GUARDS.add(self)
        CARRIER.install()
        self.prices.warm()  # last: its imports would take turns with these steps

    @property
    def bundle(self) -> Bundle | None:
        """The bundle in force."""
        return self._active.bundle

    @property
    def revision(self) -> str:
        """The revision in force, hex; empty without a bundle."""
        return self._active.engine.revision

    def open_session(
        self,
        external_id: str | None = None,
        *,
        user: str = "",
        labels: Mapping[str, str] | None = None,
        application: str = "",
    ) -> Session:
        """Open a session, or join one that is open; each call wants a `close_session`.

        `application`: whose session it is, where one program serves the agents of several.
        """
        subject = subject_of(self.namespace, application or self.application, external_id, user, labels)
        session, first = self.sessions.open(subject)
        if abs(session.last - self._swept) > _SWEEP:
            self._swept = session.last
            for quiet in self.sessions.end_idle(session.last - self._idle):
                self.recorder.note(SessionEnded(at=session.last, session=quiet.id, how="idle"))
                self.sessions.drop(quiet)
        if first:
            self.recorder.note(SessionStarted(at=self.clock(), **msgspec.structs.asdict(session.subject)))
        return session

    def close_session(self, session: Session, how: Literal["explicit", "root", "idle", "error"] = "explicit") -> None:
        """Close what `open_session` opened; the session ends with the last."""
        if self.sessions.leave(session):
            self.recorder.note(SessionEnded(at=self.clock(), session=session.id, how=how))
            self.sessions.drop(session)

    def halt(self, session: Session, halt: Halt, *, span: str = "") -> None:
        """End a session: no act of it starts after this, in any thread, sub-agent or process. Holds its lock or not."""
        session.halt = halt
        self.recorder.outcome(
            SessionHalted(
                at=self.clock(), session=session.id, reason=halt.reason, policy=halt.policy, rule=halt.rule, span=span
            )
        )
        try:
            self.control.halt(session.id, halt.reason, halt.policy, halt.rule)
        except (OSError, JacklineError) as error:  # it holds in this process, and where the journal is read
            self.recorder.lose(error)

    def reload(self, bundle: Bundle) -> None:
        """Put another bundle in force, from the next check on.

        Raises BundleError where it needs what an adapter in use cannot offer; the one before stays.
        """
        with self._lock:
            self._gaps.check(bundle)
            self._activate(bundle)

    def enable(self, adapter: Adapter) -> None:
        """Let an adapter govern every agent of its framework in this process, until the guard is closed.

        Raises BundleError where a policy in force needs what the adapter cannot offer.
        """
        self.govern(adapter)
        adapter.enable(self)  # type: ignore[arg-type]
        self.at_close(functools.partial(adapter.disable, self))  # type: ignore[arg-type]

    def at_close(self, end: Callable[[], None]) -> None:
        """Call `end` when the guard is closed, before its journal is; what was asked for last ends first."""
        self._ends.append(end)

    def govern(self, adapter: Adapter) -> None:
        """Raises BundleError where a policy in force needs what an adapter that is about to be used cannot offer.

        What is put in force later is refused likewise.
        """
        with self._lock:
            self._gaps.take(adapter, self.bundle)

    def close(self) -> None:
        """Turn off what was turned on, end what is open, and close the journal. Calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        for end in reversed(self._ends):
            end()
        if self._watcher is not None:
            self._watcher.stop()
        for session in self.sessions.live():
            if session.opened:
                session.opened = 1
                self.close_session(session)
        CARRIER.remove()
        self.recorder.close()
        _GUARDS.discard(self)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _current(self, request: Request) -> Active:
        """What is in force for this request, after looking whether people have changed something."""
        seen = request.epoch
        if self.control.epoch != (self._epoch if seen is None else seen):
            self._follow(request)
        if self._watcher is not None:
            self._watcher.poll(request.at)
        return self._active

    def _follow(self, request: Request) -> None:
        """Since the guard looked, or the request did: a session stopped, an agent changed, a reload asked for."""
        with self._lock:
            epoch = self.control.epoch
            if epoch != self._epoch:
                self.registry.refresh()
                stops = self.control.stops()
                marked = self.control.halts() | stops.keys()
                for session in self.sessions.live():
                    if session.halt is not None or session.id in marked:
                        self._obey(session, stops)
                self._epoch = epoch  # not before: until then no other thread goes on
        request.agent = self.registry.facts(request.agent)
        request.ancestors = tuple(map(self.registry.facts, request.ancestors))
        if request.tool is not None:
            request.tool = self.registry.tool(request.agent, request.tool)
        else:
            request.tool = self.registry.taken(request.agent, request.action, request.resource)
        if request.model is not None and any(tool.provider for tool in request.model.tools):
            tools = (self.registry.tool(request.agent, each) if each.provider else each for each in request.model.tools)
            request.model = msgspec.structs.replace(request.model, tools=tuple(tools))
        request.view, request.epoch = None, epoch

    def _obey(self, session: Session, stops: Mapping[str, Stop] | None = None) -> None:
        """Halt a session that was halted or stopped elsewhere; lift the halt that a human lifted."""
        stop = (self.control.stops() if stops is None else stops).get(session.id)
        mark = self.control.halted(session.id)
        if stop is not None and session.halt is None:
            reason = "paused" if stop.pause else "stopped"
            self.halt(session, Halt(f"{reason} by {stop.who}: {stop.why}", "control", reason))
        elif mark is not None and session.halt is None:
            session.halt = Halt(mark.reason, mark.policy, mark.rule)
        elif mark is None and stop is None and session.halt is not None:
            reopening = self.control.reopening(session.id)
            if reopening is not None and reopening.at > session.lifted:
                session.halt, session.lifted = None, reopening.at

    def _activate(self, bundle: Bundle | None) -> None:
        from jackline.widening import widened  # noqa: PLC0415 - only where a bundle changes

        before = getattr(self, "_active", None)
        if bundle is None:
            self._active = Active(Engine(), None, "redacted")
            return
        engine = bundle.engine(call=self._workers.call, key=self.home.key())
        self.recorder.capture(bundle.capture)
        previous = before.bundle if before is not None else None
        event = BundleActivated(
            at=self.clock(),
            revision=bundle.revision,
            source=str(bundle.source),
            mode=bundle.mode,
            policies=tuple(item.name for item in engine.bound),
            previous=previous.revision if previous is not None else "",
            widened=widened(previous, bundle) if previous is not None else (),
        )
        self.recorder.note(event)
        self._active = Active(engine, bundle, bundle.capture)

    def _watch(self, path: Path) -> Watcher[Bundle]:
        from jackline.bundle import load_bundle  # noqa: PLC0415 - only where a bundle came from a file
        from jackline.reload import Watcher  # noqa: PLC0415

        def load(data: bytes) -> Bundle:
            return load_bundle(data, file=str(path), prices=lambda: self.prices, tool_schemas=self.registry.schemas())

        watcher = Watcher(
            path, load, loaded=self.reload, failed=self._rejected, revision=self.revision, clock=self.clock
        )
        watcher.start()
        return watcher

    def _rejected(self, error: Exception) -> None:
        bundle = self.bundle
        source = str(bundle.source) if bundle is not None else ""
        self.recorder.note(
            BundleRejected(at=self.clock(), source=source, error=str(error)[:2000], revision=self.revision)
        )

    def _registered(self, event: Event) -> None:
        """Put a registry event on record, and check the conditions about a tool that has appeared."""
        self.recorder.note(event)
        active = getattr(self, "_active", None)
        if active is None or active.bundle is None or not isinstance(event, (AgentSeen, ToolSeen)):
            return
        for tool in event.tools if isinstance(event, AgentSeen) else (event.tool,):
            problems = active.bundle.check_tool(tool.name, tool.parameters) if tool.parameters else ()
            if problems:
                told = tuple(map(str, problems))
                revision = active.bundle.revision
                self.recorder.note(BundleQuestioned(at=self.clock(), revision=revision, tool=tool.name, problems=told))

    def book_what_crashed(self) -> None:
        """What processes held when they were killed counts as spent: nobody knows what came of it."""
        for hold in self.ledger.recover():
            event = HoldBooked(at=self.clock(), reservation=hold.id, pid=hold.pid, settled=hold.booked)
            self.recorder.outcome(event)

    def _after_fork(self) -> None:
        """In the child of a fork: locks that nobody holds, and a process session of its own."""
        self._lock = threading.RLock()
        self._implicit = None
        self.recorder.after_fork()
        self.sessions.after_fork()
        self.registry.after_fork()

    def _at_exit(self) -> None:
        """Close what nobody closed. Sessions belong to the process that opened them, not to the child of a fork."""
        if self._pid == os.getpid():
            self.close()
        else:
            if self._implicit is not None:
                self.close_session(self._implicit.session)
            self.recorder.journal.close()


def _this_program() -> str:
    name = Path(sys.argv[0]).stem if sys.argv else ""
    return name if name and not name.startswith("-") else "python"


def _all_after_fork() -> None:
    for guard in list(_GUARDS):
        guard._after_fork()  # noqa: SLF001 - the one place that tells guards of a fork


def _all_at_exit() -> None:
    """A program that ends without `close` is not one that crashed: its journals say so."""
    for guard in list(_GUARDS):
        with contextlib.suppress(JacklineError, OSError):  # a home that is gone: nobody is left to be told
            guard._at_exit()  # noqa: SLF001 - the one place that tells guards of the end


os.register_at_fork(after_in_child=_all_after_fork)
atexit.register(_all_at_exit)
