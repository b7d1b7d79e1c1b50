"""How an act ends: its outcome on record, its reservation settled, its session and the policies told of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from jackline import outcome
from jackline.condition.functions import ORIGIN
from jackline.errors import JacklineError, LedgerError
from jackline.events import Completed, Failed, HoldBooked, Http, Usage
from jackline.plain import plain, words
from jackline.request import RETURNS
from jackline.runs import Runs
from jackline.waiting import on_event_loop

if TYPE_CHECKING:
    from jackline.decision import Decision, Reservation
    from jackline.events import Cost
    from jackline.request import Model, Request
    from jackline.session import Session


class Closing(Runs):
    """Outcomes of a guard's acts."""

    def judges_return(self, request: Request) -> bool:
        """Whether a policy looks at what this act gives back; if so, hold it until `returned` has answered."""
        action = RETURNS.get(request.action)
        return action is not None and self._active.engine.judges(request, action)

    def complete(
        self,
        request: Request,
        decision: Decision,
        result: Any = None,
        *,
        usage: Usage | None = None,
        model: str = "",
        cached: bool = False,
        http: Http | None = None,
    ) -> Completed:
        """Record that an act ended well: its result's digest, tokens and cost; settle its reservation.

        `usage` None for a model call means that the provider told nothing: the upper bound is taken. `model` is what
        the provider says answered. `cached`: the answer came from a cache, so nothing is charged. `http`: what came of
        an outgoing request.
        """
        now = self.clock()
        cost = None
        if request.model is not None:
            usage, cost = self._priced(request, request.model, decision, usage, model, cached=cached)
        actual, cost = outcome.booked(decision.reservation, cost, usage)
        if cached:
            actual = {"usd": 0, "tokens": 0, "calls": 0}
        value = plain(result)
        digest, size = "", 0
        if result is not None:
            digest, size = self.recorder.keep(value, unjudged=self.judges_return(request))
        self._hear_result(request, value)
        event = Completed(
            at=now,
            session=decision.session,
            run=request.run,
            span=request.span,
            action=request.action,
            resource=request.resource,
            duration_ms=max(0.0, round((now - request.at) * 1000, 3)),
            result=digest,
            size=size,
            usage=usage,
            cost=cost,
            model=model,
            settled=outcome.settled(decision.reservation, actual),
            http=http,
        )
        self._close_act(request, decision, event, actual)
        return event

    def heard(
        self,
        text: str,
        origin: Literal["user", "trusted", "untrusted"] = "user",
        *,
        session: Session | None = None,
    ) -> None:
        """Let a session (the current one) know a text and whose words it is; the application vouches for both.

        For programs whose prompts no adapter sees, and for what their user says later in a run. Nothing is kept of it
        but keyed hashes, and nothing at all where no condition of the bundle asks.
        """
        if origin not in ORIGIN[:3]:
            raise ValueError(f"{origin!r} is no origin that can be vouched for; one of {', '.join(ORIGIN[:3])}")
        tracing = self._active.engine.tracing
        if tracing is not None:
            session = session if session is not None else self.scope().session
            with session.lock:
                tracing.heard(text, origin, session.states)

    def _hear_result(self, request: Request, value: Any) -> None:
        """Let the session remember where the words of a result come from, where a condition asks."""
        tracing = self._active.engine.tracing
        if tracing is None or value is None:
            return
        try:
            session = self.sessions.get(request.subject)
        except (OSError, JacklineError) as error:  # the act is over all the same, and its outcome comes on record
            self.recorder.lose(error)
            return
        tracing.outcome(request, value, session.states)

    def fail(
        self,
        request: Request,
        decision: Decision,
        error: BaseException | str,
        *,
        usage: Usage | None = None,
        http: Http | None = None,
    ) -> Failed:
        """Record that an act ended with an error or was cancelled. What it may have cost is booked in full."""
        now = self.clock()
        cost = None
        if usage is not None and request.model is not None:
            usage, cost = self._priced(request, request.model, decision, usage, "")
        actual, cost = outcome.booked(decision.reservation, cost, usage)
        event = Failed(
            at=now,
            session=decision.session,
            run=request.run,
            span=request.span,
            action=request.action,
            resource=request.resource,
            error=error if isinstance(error, str) else _class_name(error),
            message=words(error)[:1000] if self._active.capture == "full" and not isinstance(error, str) else "",
            duration_ms=max(0.0, round((now - request.at) * 1000, 3)),
            usage=usage,
            cost=cost,
            settled=outcome.settled(decision.reservation, actual),
            http=http,
        )
        self._close_act(request, decision, event, actual)
        return event

    def abandon(self, request: Request, decision: Decision, why: str) -> Failed:
        """Record that a permitted act did not start (its caller shows that), and give its reservation back."""
        event = Failed(
            at=self.clock(),
            session=decision.session,
            run=request.run,
            span=request.span,
            action=request.action,
            resource=request.resource,
            error="abandoned",
            message=why,
        )
        self.recorder.outcome(event)
        if decision.reservation is not None:
            self._release(decision.reservation)
        self._tell(event, request)
        return event

    def book(self, reservation: Reservation) -> None:
        """Count a whole hold as spent: this process will not know what came of the act."""
        try:
            booked = self.ledger.book(reservation)
        except LedgerError as error:  # the hold stays, and counts as spent
            self.recorder.lose(error)
            return
        self.recorder.outcome(HoldBooked(at=self.clock(), reservation=reservation.id, pid=os.getpid(), settled=booked))

    def record(self, event: Completed | Failed, request: Request) -> None:
        """Put an outcome on record that `complete` and `fail` do not fit; policies are told of it."""
        self.recorder.outcome(event)
        self._tell(event, request)

    def _priced(
        self,
        request: Request,
        asked: Model,
        decision: Decision,
        usage: Usage | None,
        model: str,
        *,
        cached: bool = False,
    ) -> tuple[Usage, Cost | None]:
        """Tokens and cost of a model call; `model` is what the provider says answered."""
        if usage is None:
            granted = decision.reservation.output if decision.reservation is not None else None
            output = granted if granted is not None else asked.max_tokens
            usage = Usage(input=asked.input_bytes, output=output or 0, estimated=True)
        if cached:
            return usage, outcome.FREE
        names = (model, asked.name) if model else (asked.name,)
        for name in names:
            cost = self.prices.cost(name, asked.provider, usage, request.at)
            if cost is not None:
                return usage, cost
        return usage, outcome.configured(decision, usage)

    def _close_act(self, request: Request, decision: Decision, event: Completed | Failed, actual: Any) -> None:
        """Journal, then settle, then tell the policies."""
        self.recorder.outcome(event)
        if decision.reservation is not None:
            try:
                self.ledger.settle(decision.reservation, actual, event.at)
            except LedgerError as error:  # the hold stays, and counts as spent
                self.recorder.lose(error)
        self._tell(event, request)

    def _tell(self, event: Completed | Failed, request: Request) -> None:
        """Add an outcome to its session, and tell the policies of it."""
        try:
            session = self.sessions.get(request.subject)
        except (OSError, JacklineError) as error:  # the outcome is on record
            self.recorder.lose(error)
            return
        told = session.told
        if not told and not self._active.engine.observes_elsewhere and session.lock.acquire(blocking=False):
            try:
                self._count(session, event, request)
            finally:
                session.lock.release()
        else:
            told.append((event, request))
        if told:
            self._hear(session)

    def _hear(self, session: Session) -> None:
        """Take note of outcomes; whoever holds the lock takes note of those that an event loop cannot wait to tell."""
        if session.told and self._active.engine.observes_elsewhere and on_event_loop():
            from asyncio import get_running_loop  # noqa: PLC0415 - it runs, so it is loaded

            get_running_loop().run_in_executor(None, self._hear, session)
            return
        while session.told:
            if not session.lock.acquire(blocking=False):
                if on_event_loop():
                    return
                session.lock.acquire()
            try:
                while session.told:
                    event, request = session.told.popleft()
                    self._count(session, event, request)
            finally:
                session.lock.release()

    def _count(self, session: Session, event: Completed | Failed, request: Request) -> None:
        if event.cost is not None:
            session.cost_micro_usd += event.cost.micro_usd
        elif request.model is not None and isinstance(event, Completed):
            session.unpriced += 1
        if event.usage is not None:
            session.tokens += event.usage.input + event.usage.output
        self.observation_failures += self._active.engine.observe(event, request, session.states)

    def _release(self, reservation: Reservation) -> None:
        try:
            self.ledger.release(reservation)
        except LedgerError as error:  # the hold stays, and counts as spent
            self.recorder.lose(error)


def _class_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
