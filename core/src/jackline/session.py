"""Who acts: the session that budgets bound, one agent's run, the current step; they follow into threads."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from jackline.plain import canonical, new_run_id, new_span_id
from jackline.request import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jackline.events import Completed, Failed
    from jackline.policy import State
    from jackline.request import Agent, Request


class Halt(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a session has ended for good (or, paused, until a human reopens it)."""

    reason: str
    policy: str = ""
    rule: str = ""


def session_id(namespace: str, application: str, external_id: str) -> str:
    """32 hex digits; the same external id of another application or namespace is another session."""
    return hashlib.sha256(canonical([namespace, application, external_id])).hexdigest()[:32]


class Session:
    """One job for one user, across runs and sub-agents. Its lock makes deciding and reserving one step."""

    __slots__ = (
        "calls",
        "cost_micro_usd",
        "depth_seen",
        "ended",
        "halt",
        "last",
        "lifted",
        "lock",
        "model_calls",
        "opened",
        "started",
        "states",
        "subject",
        "tokens",
        "told",
        "tool_calls",
        "unpriced",
        "within",
    )

    def __init__(self, subject: Subject, started: float) -> None:
        self.subject = subject
        self.started = started
        self.last = started
        # A signal handler or a finaliser may act in the middle of a check of its own thread.
        self.lock = threading.RLock()
        self.states: dict[str, State] = {}
        self.halt: Halt | None = None
        self.lifted = 0.0
        """When the last halt was lifted that this process knows of; an older reopening lifts nothing."""
        self.told: deque[tuple[Completed | Failed, Request]] = deque()
        """Outcomes that policies have not been told of yet."""
        self.cost_micro_usd = 0
        self.tokens = 0
        self.calls = 0
        self.model_calls = 0
        self.tool_calls = 0
        self.unpriced = 0
        self.depth_seen = 0
        self.opened = 0
        self.within = 0
        """Callers that are inside `guard.session(...)`: their session does not end idle."""
        self.ended = False

    @property
    def id(self) -> str:
        """32 hex digits."""
        return self.subject.session

    @property
    def cost_usd(self) -> float:
        """What this process has recorded as spent in the session, in dollars."""
        return self.cost_micro_usd / 1_000_000

    @property
    def halted(self) -> bool:
        """Whether no further act of this session may start."""
        return self.halt is not None

    def facts(self) -> dict[str, Any]:
        """The session so far, as conditions see it."""
        return {
            "cost_usd": self.cost_micro_usd / 1_000_000,
            "calls": self.calls,
            "model_calls": self.model_calls,
            "tool_calls": self.tool_calls,
            "started": self.started,
        }


class Scope(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where an act happens: the session, the run, the agent, and the span that is the parent of what comes next."""

    guard: Any
    """The guard whose session this is; another guard does not see it."""
    session: Session
    run: str
    span: str
    """The parent of the next span; empty at the root of a session."""
    agent: Agent
    ancestors: tuple[Agent, ...] = ()
    action: str = ""
    """The action of the act that this is inside of, `tool.call` in a tool's body; empty outside of acts."""
    program: bool = False
    """This program acts, not an agent; an agent may have the program's name."""
    others: tuple[Scope, ...] = ()
    """Where the caller is for other guards, where several govern; they lead to no others themselves."""

    @property
    def depth(self) -> int:
        """How many agents stand above this one."""
        return len(self.ancestors)

    def within(self, span: str, action: str = "") -> Scope:
        """The scope of what happens inside `span`, the act of an `action`."""
        return Scope(
            guard=self.guard,
            session=self.session,
            run=self.run,
            span=span,
            agent=self.agent,
            ancestors=self.ancestors,
            action=action,
            program=self.program,
            others=self.others,
        )

    def spawn(self, agent: Agent, *, span: str | None = None) -> Scope:
        """The scope of a sub-agent's run: same session, another run, one level deeper."""
        return Scope(
            guard=self.guard,
            session=self.session,
            run=new_run_id(),
            span=span if span is not None else new_span_id(),
            agent=agent,
            ancestors=(*self.ancestors, self.agent),
        )


CURRENT: ContextVar[Scope | None] = ContextVar("jackline_scope", default=None)


def scope_of(guard: object) -> Scope | None:
    """The scope of this guard's that the caller is in; None where it is in none."""
    scope = CURRENT.get()
    if scope is None or scope.guard is guard:
        return scope
    return next((other for other in scope.others if other.guard is guard), None)


def joined(scopes: Sequence[Scope]) -> Scope:
    """The last of these scopes, one for each guard, to be made the current one: it leads to the others.

    The current scopes of guards that are not among them stay theirs.
    """
    last, before = scopes[-1], CURRENT.get()
    if len(scopes) == 1 and not last.others and (before is None or (before.guard is last.guard and not before.others)):
        return last
    around = () if before is None else (before, *before.others)
    guards = [scope.guard for scope in scopes]
    others = (*scopes[:-1], *(scope for scope in around if not any(scope.guard is guard for guard in guards)))
    return replace(last, others=tuple(replace(scope, others=()) if scope.others else scope for scope in others))


@contextlib.contextmanager
def entered(scope: Scope) -> Iterator[Scope]:
    """Make `scope` the current one."""
    token = CURRENT.set(joined((scope,)))
    try:
        yield scope
    finally:
        CURRENT.reset(token)


class Stay:
    """A stay in a scope that ends when it likes: other guards' stays begin and end in between, in any order."""

    __slots__ = ("_before", "_own", "_token", "scope")

    def __init__(self, scope: Scope) -> None:
        """Make `scope` the current one of its guard."""
        self.scope = scope
        self._before = scope_of(scope.guard)
        self._own = joined((scope,))
        self._token = CURRENT.set(self._own)

    def end(self) -> None:
        """Take it out of the current scopes; in another context than it began in, nothing is changed."""
        current = CURRENT.get()
        try:
            CURRENT.reset(self._token)
        except ValueError:
            return
        if current is None or (current is self._own and not current.others):
            return
        # What was before may have ended by now: what is current without this one is what holds.
        rest = [scope for scope in (current, *current.others) if scope.guard is not self.scope.guard]
        if len(rest) == len(current.others) + 1:
            return
        rest += [self._before] if self._before is not None else []
        bare = [replace(scope, others=()) if scope.others else scope for scope in rest]
        CURRENT.set(replace(bare[0], others=tuple(bare[1:])) if bare else None)


def subject_of(
    namespace: str, application: str, external_id: str | None, user: str, labels: Mapping[str, str] | None
) -> Subject:
    """The identity of a session; one without an external id is a new one."""
    identity = session_id(namespace, application, external_id) if external_id else new_run_id()
    return Subject(
        session=identity,
        external_id=external_id or "",
        user=user,
        labels=dict(labels or {}),
        application=application,
        namespace=namespace,
    )


class _Carrier:
    """Carries the current scope into new threads and executors, where contextvars alone do not follow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before: list[tuple[type, str, Callable[..., Any], Callable[..., Any]]] = []

    def install(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                for owner, name, carrying in _CARRYING:
                    before = getattr(owner, name)
                    self._before.append((owner, name, before, carrying(before)))
                    setattr(owner, name, self._before[-1][-1])

    def remove(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                while self._before:
                    owner, name, before, ours = self._before.pop()
                    if getattr(owner, name) is ours:  # what somebody else has wrapped stays, and carries nothing
                        setattr(owner, name, before)


def _start(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def start(self: threading.Thread) -> None:
        scope = CURRENT.get()
        if scope is not None:
            run = self.run
            self.run = lambda: _within(scope, run)  # type: ignore[method-assign]
        original(self)

    return start


def _submit(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def submit(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        # Also where there is no scope: a pool's thread must not keep that of whoever started it.
        return original(self, _within, CURRENT.get(), fn, *args, **kwargs)

    return submit


def _within(scope: Scope | None, body: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = CURRENT.set(scope)
    try:
        return body(*args, **kwargs)
    finally:
        CURRENT.reset(token)


_CARRYING = ((threading.Thread, "start", _start), (ThreadPoolExecutor, "submit", _submit))

CARRIER = _Carrier()
