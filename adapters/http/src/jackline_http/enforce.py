"""One request from the question about it to its outcome: asked by every guard, refused or sent, closed once."""

from __future__ import annotations

import threading
import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self

from jackline.act import Act
from jackline.events import Http
from jackline.plain import words
from jackline.session import CURRENT, joined
from jackline_http.signals import signal

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from jackline.decision import Decision
    from jackline.guard import Guard
    from jackline.request import Request
    from jackline.session import Scope
    from jackline_http.translate import Sending

_OWN_THREADS = "jackline"
_JUDGING: ContextVar[bool] = ContextVar("jackline_http_judging", default=False)
"""Whether a guard is being asked: what its policies send is not an agent's act."""

LIVE: dict[str, Exchange] = {}
"""Requests that are being sent, by their spans: what is connected to meanwhile is theirs."""


_open: weakref.WeakSet[Exchange] = weakref.WeakSet()
"""Requests that were permitted and have not ended."""


class Governing:
    """The guards that are asked about requests of this process."""

    def __init__(self) -> None:
        self.guards: tuple[Guard, ...] = ()

    def asks(self) -> bool:
        """Whether anybody is to be asked about what is sent here and now."""
        return bool(self.guards) and not _JUDGING.get() and not threading.current_thread().name.startswith(_OWN_THREADS)


GOVERNING = Governing()


class HttpAct(Act):
    """A request, as one guard is asked about it."""

    def __init__(self, guard: Guard, scope: Scope, family: type[Exception], native: object) -> None:
        super().__init__(guard, scope)
        self._family = family
        self._native = native

    def signal(self, decision: Decision) -> Exception:
        """An error of the library's own family, which is Jackline's too."""
        return signal(self._family, decision, self._native)


class Exchange:
    """A request on its way. What it is sent with is its child; a library beneath that sends the same joins it."""

    def __init__(
        self,
        library: str,
        family: type[Exception],
        native: Any,
        sending: Sending,
        guards: tuple[Guard, ...] | None = None,
    ) -> None:
        """`guards`: who is asked; every one that governs requests where nobody is named."""
        self.native = native
        self.sending = sending
        self.status = 0
        self.received: int | None = None
        self.attached = False
        """Whether a response is watched until it ends."""
        self.reading = False
        """Whether more of the response is being read: what is closed meanwhile is not yet its end."""
        self.content: Any = None
        """What the response's body is read from, where that is an object of the library's own."""
        self._family = family
        self._libraries = {library}
        self._guards = GOVERNING.guards if guards is None else guards
        self._acts: list[HttpAct] = []
        self._asked = False
        self._spent = False
        self._depth = 0
        self._open = [True]
        self._span = ""
        self._token: Token[Scope | None] | None = None

    @classmethod
    def of(cls, library: str, family: type[Exception], native: Any, describe: Callable[[], Sending]) -> Exchange:
        """The request that a call belongs to: one that a library above has asked about, or a new one."""
        above = passing()
        if above is not None:
            below = None if above.is_of(native) else describe()
            if below is None or above.takes(library, below):
                return above
            return cls(library, family, native, below)
        return cls(library, family, native, describe())

    def is_of(self, native: object) -> bool:
        """Whether this very object is being sent, and was not sent before."""
        return not self._spent and native is not None and native is self.native

    def takes(self, library: str, below: Sending) -> bool:
        """Whether a library beneath sends this request: once, since a second time is another request."""
        if self._spent or library in self._libraries or below.destination != self.sending.destination:
            return False
        self._libraries.add(library)
        return True

    def is_handed_to(self, library: str) -> bool:
        """Whether a library beneath sent it, and watches what comes back."""
        return library in self._libraries

    def ask(self) -> Sending:
        """Ask every guard; what may be sent. Raises where it may not go out."""
        if self._asked:
            return self.sending
        token = _JUDGING.set(True)
        try:
            for guard in self._guards:
                act, request = self._act(guard)
                act.check(request)
                self._take(act)
        except BaseException as error:
            self._drop(error)
            raise
        finally:
            _JUDGING.reset(token)
        _open.add(self)
        return self.sending

    async def aask(self) -> Sending:
        """As `ask`, without blocking the event loop."""
        if self._asked:
            return self.sending
        token = _JUDGING.set(True)
        try:
            for guard in self._guards:
                act, request = self._act(guard)
                await act.acheck(request)
                self._take(act)
        except BaseException as error:
            self._drop(error)
            raise
        finally:
            _JUDGING.reset(token)
        _open.add(self)
        return self.sending

    def _act(self, guard: Guard) -> tuple[HttpAct, Request]:
        self._asked = True
        scope = guard.scope()
        above = LIVE.get(scope.span)
        if above is not None:  # a redirect or a retry: the next request of the same tool
            scope = above._scope_of(guard) or scope  # noqa: SLF001 - its own kind
        act = HttpAct(guard, scope, self._family, self.native)
        sending = self.sending
        request = act.built(
            lambda: guard.request(
                "http.request", sending.host, sending.args(), scope=scope, facts=sending.facts(scope.action)
            )
        )
        return act, request

    def _take(self, act: HttpAct) -> None:
        self._acts.append(act)
        request, decision = act.request, act.decision
        if request is not None and decision is not None and decision.args is not None:
            try:
                self.sending = self.sending.rewritten(request.args, decision.args)
            except Exception as error:
                raise act.refused(f"the request cannot be changed as policy asks: {words(error)}") from error

    def _drop(self, error: BaseException) -> None:
        """It was not sent: a guard refused it, or its caller went away."""
        for act in self._acts:
            act.abandon(f"the request was not sent: {type(error).__name__}")
        self._open.clear()

    def __del__(self) -> None:
        self.close("abandoned")  # whoever sent it let go of it, and of what came back

    def is_asked_of(self, guard: Guard) -> bool:
        """Whether this guard has permitted it."""
        return any(act.guard is guard for act in self._acts)

    def unchangeable(self, error: Exception) -> Exception:
        """The denial of a request that may only be sent with a change which the library does not take."""
        why = f"the request cannot be changed as policy asks: {words(error)}"
        refusals = [act.refused(why) for act in self._acts]
        self._open.clear()
        return refusals[0] if refusals else error

    def _scope_of(self, guard: Guard) -> Scope | None:
        return next((act.scope for act in self._acts if act.guard is guard), None)

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1 and self._acts:
            inner = joined([act.inner for act in self._acts])
            self._token = CURRENT.set(inner)
            self._span = inner.span
            LIVE[inner.span] = self
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._depth -= 1
        self._spent = True
        if error is not None:
            self.close(error)
        if self._depth == 0 and self._token is not None:
            LIVE.pop(self._span, None)
            CURRENT.reset(self._token)
            self._token = None

    def count(self, size: int) -> None:
        """Take note of bytes of the response's body."""
        self.received = (self.received or 0) + size

    def close(self, error: BaseException | str | None = None) -> None:
        """Put the outcome on record, once: the response has ended, or what is left of it is not wanted."""
        try:
            self._open.pop()
        except IndexError:
            return
        told = Http(status=self.status, sent=self.sending.size, received=self.received)
        for act in self._acts:
            if error is None:
                act.complete(None, http=told)
            else:
                act.fail(error, http=told)


def end_open(guard: Guard) -> None:
    """Put on record what has not ended while the guard is still there to do so."""
    for exchange in list(_open):
        if exchange.is_asked_of(guard):
            exchange.close(None if exchange.status else "abandoned")


def passing() -> Exchange | None:
    """The request that is being sent here and now."""
    scope = CURRENT.get()
    return None if scope is None else LIVE.get(scope.span)
