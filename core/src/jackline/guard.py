"""The one object that users hold: it decides, reserves and records, in this order, before an act starts."""

from __future__ import annotations

import contextlib
from operator import attrgetter
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from jackline import outcome
from jackline.asking import FIRST, Answered, Asking, Manner, Put, Waiting
from jackline.decision import PERMITTING, Decision, Refusal
from jackline.errors import ApprovalPending, Denied, Halted, JournalError, LedgerError
from jackline.home import Home
from jackline.opening import known_schemas, load_prices
from jackline.plain import new_span_id, plain, words
from jackline.preview import permissible
from jackline.request import RETURNS, Action, Model, Request, Tool
from jackline.session import Halt, Scope, Session
from jackline.waiting import elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jackline.lifecycle import Active

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")

_CLAIMS = attrgetter("claims")
_ANSWERS = frozenset(RETURNS.values())


class Guard(Asking):
    """Decides and records for every agent that is attached to it. Thread-safe; used from any event loop."""

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> Guard:
        """Make a guard from a bundle file; raises BundleError where it is missing or invalid.

        `options` are those of `Guard`. A changed file is in force within a second; one that no longer loads leaves
        the last good bundle in force.
        """
        from jackline.bundle import load_bundle  # noqa: PLC0415 - pydantic and YAML only where a bundle is read

        home = Home(options.pop("home", None)).make()
        prices = options.pop("prices", None) or load_prices(home)
        bundle = load_bundle(Path(path), prices=lambda: prices, tool_schemas=known_schemas(home))
        return cls(bundle, home=home.path, prices=prices, path=Path(path), **options)

    def check(self, request: Request) -> Decision:
        """Decide about a request. The decision is on record when this returns; no policy makes it raise.

        Where a policy escalates and asks to be waited for (`wait: block`), this waits for people, unless it is called
        on an event loop: then the answer is that it is pending.
        """
        manner = FIRST
        while True:
            answer = self._attempt(request, manner)
            if isinstance(answer, Decision):
                return answer
            if answer is not None:
                manner = self._after(answer, request)

    async def acheck(self, request: Request) -> Decision:
        """As `check`, without blocking the event loop where a policy may wait or another thread is deciding.

        Where people are to be waited for, it waits whatever thread it is called in.
        """
        answer = await self._attempted(request, FIRST)
        return answer if isinstance(answer, Decision) else await self.aanswered(request, answer)

    async def aasked(self, request: Request) -> Decision | Waiting:
        """As `acheck`, but where people are to be waited for this says so at once: `aanswered` waits for them."""
        return await self._attempted(request, FIRST)

    async def aanswered(self, request: Request, answer: Decision | Waiting) -> Decision:
        """The decision about what `aasked` was asked, when people have answered."""
        while not isinstance(answer, Decision):
            answer = await self._attempted(request, await self._aafter(answer, request))
        return answer

    async def _attempted(self, request: Request, manner: Manner) -> Decision | Waiting:
        here: Decision | Waiting | None = None
        if not self._active.engine.waits(request):
            session = self.sessions.in_memory(request.subject)
            if session is None:
                here = self._attempt(request, manner._replace(on_loop=True))
            elif session.lock.acquire(blocking=False):
                try:
                    here = self._attempt(request, manner._replace(on_loop=True))
                finally:
                    session.lock.release()
        if here is not None:
            return here
        answer = await elsewhere(lambda: self._attempt(request, manner), lambda late: self._unwanted(request, late))
        assert answer is not None
        return answer

    def _attempt(self, request: Request, manner: Manner) -> Decision | Waiting | None:
        """Decide and record. Waiting: people are asked, and nothing is on record but the question.

        None: on an event loop, where people cannot be asked: again in a thread; nothing is on record.
        """
        active = self._active
        try:
            active = self._current(request)
            session = self.sessions.get(request.subject)
            with session.lock:
                session.last = request.at
                if session.told:
                    self._hear(session)
                began = perf_counter_ns()
                decision = self._decide(active, session, request, manner)
                if not isinstance(decision, Decision):
                    return decision
                took = (perf_counter_ns() - began) // 1000
                decision = self._write(active.engine, session, request, decision, took)
                if decision.effect in PERMITTING and request.action not in _ANSWERS:
                    session.calls += 1
                    session.model_calls += request.action == "model.call"
                    session.tool_calls += request.action == "tool.call"
            if session.told:
                self._hear(session)
        except Exception as error:  # noqa: BLE001 - what cannot be judged is not permitted, and on record
            return self._unjudged(active.engine, request, error)
        return decision

    def require(self, request: Request) -> Decision:
        """As `check`; raises Denied, Halted or ApprovalPending where the act may not go on."""
        return permitted(self.check(request))

    async def arequire(self, request: Request) -> Decision:
        """As `acheck`; raises Denied, Halted or ApprovalPending where the act may not go on."""
        return permitted(await self.acheck(request))

    def request(
        self,
        action: Action,
        resource: str,
        args: dict[str, Any],
        *,
        scope: Scope | None = None,
        span: str | None = None,
        tool: Tool | None = None,
        model: Model | None = None,
        call_id: str = "",
        facts: Mapping[str, Any] | None = None,
    ) -> Request:
        """The question about an act in `scope` (the current one where none is given). `args` must be plain data."""
        scope = scope if scope is not None else self.scope()
        epoch, registry = self._epoch, self.registry  # in this order: what is asked after it is as new, or newer
        agent = registry.facts(scope.agent)
        if model is not None:
            registry.model(agent, model.name)
        return Request(
            action=action,
            resource=resource,
            at=self.clock(),
            agent=agent,
            subject=scope.session.subject,
            run=scope.run,
            span=span if span is not None else new_span_id(),
            parent=scope.span,
            ancestors=tuple(map(registry.facts, scope.ancestors)) if scope.ancestors else (),
            depth=len(scope.ancestors),
            args=args,
            tool=registry.tool(agent, tool) if tool is not None else registry.taken(agent, action, resource),
            model=model,
            call_id=call_id,
            facts=dict(facts) if facts else {},
            session=scope.session.facts(),
            epoch=epoch,
        )

    def judges(self, request: Request) -> bool:
        """Whether a policy looks at this request at all: what none looks at need not be held back."""
        return self._active.engine.judges(request)

    def permissible(self, request: Request) -> bool:
        """Whether an act like this could be permitted with some arguments: nothing is recorded, reserved or changed."""
        return permissible(self._current(request).engine, request)

    def returned(self, request: Request, result: Any) -> Decision | None:
        """Judge what an act gave back, before anyone sees it. None where no policy looks at it."""
        action = RETURNS.get(request.action)
        if action is None or not self._active.engine.judges(request, action):
            return None
        return self.check(_return_of(request, action, plain(result), at=self.clock()))

    async def areturned(self, request: Request, result: Any) -> Decision | None:
        """As `returned`, without blocking the event loop."""
        action = RETURNS.get(request.action)
        if action is None or not self._active.engine.judges(request, action):
            return None
        return await self.acheck(_return_of(request, action, plain(result), at=self.clock()))

    @overload
    def tool(self, function: F, /) -> F: ...

    @overload
    def tool(
        self, *, name: str | None = None, read_only: bool | None = None, labels: Mapping[str, str] | None = None
    ) -> Callable[[F], F]: ...

    def tool(
        self,
        function: Any = None,
        *,
        name: str | None = None,
        read_only: bool | None = None,
        labels: Mapping[str, str] | None = None,
    ) -> Any:
        """Govern a plain function (sync, async or a generator): no call of it starts before it was judged.

        Use it as `@guard.tool` or `@guard.tool(read_only=True)`. Calls raise Denied, Halted or ApprovalPending.
        """
        from jackline.python import govern  # noqa: PLC0415 - it builds on the guard

        def decorate(body: Any) -> Any:
            return govern(self, body, name=name, read_only=read_only, labels=labels or {})

        return decorate if function is None else decorate(function)

    def attach(self, agent: T) -> T:
        """Govern one agent; the adapter is found by the agent's type.

        Raises BundleError where a policy in force needs what the adapter cannot offer.
        """
        from jackline.adapters import adapter_for  # noqa: PLC0415 - looked for only when one is needed

        adapter = adapter_for(agent)
        self.govern(adapter)
        return adapter.attach(self, agent)

    def _decide(self, active: Active, session: Session, request: Request, manner: Manner) -> Decision | Waiting | None:
        engine, epoch = active.engine, self._epoch
        if session.halt is not None:
            return outcome.halted(request, session.halt, engine.revision)
        decision: Decision = engine.decide(request, session.states)
        granted: tuple[Put, ...] = ()
        if decision.effect == "escalate" and active.bundle is not None and active.bundle.approvers:
            found = self._to_people(active, session, request, decision, manner, epoch)
            if not isinstance(found, Answered):
                return found
            decision, granted = found.decision, found.granted
        if decision.effect in PERMITTING and any(map(_CLAIMS, decision.verdicts)):
            decision = self._reserve(request, decision)
        if granted and decision.effect in PERMITTING and not self._use(granted, request, decision):
            return self._decide(active, session, request, manner)  # somebody was faster: it stands otherwise now
        return decision

    def _use(self, granted: tuple[Put, ...], request: Request, decision: Decision) -> bool:
        """Use up the approvals of an act; what is held for it is given back where that cannot be done."""
        used = False
        try:
            used = self._used(granted, request)
        finally:
            if not used and decision.reservation is not None:
                self._release(decision.reservation)
        return used

    def _reserve(self, request: Request, decision: Decision) -> Decision:
        """Hold the worst case in every scope at once; the ledger's no outranks the policies' yes."""
        claims = outcome.Claims(decision)
        try:
            answer = self.ledger.reserve(claims.claims, output=claims.output, shrink=claims.shrink, at=request.at)
        except LedgerError as error:
            return outcome.refused(request, f"the ledger cannot be used: {error}", "ledger", decision.revision)
        if isinstance(answer, Refusal):
            verdict = claims.refusal(answer)
            return msgspec.structs.replace(
                decision,
                effect=verdict.effect,
                reason=verdict.reason,
                policy=verdict.policy,
                rule=verdict.rule,
                verdicts=(*decision.verdicts, verdict),
            )
        if answer.output is None and not claims.observing:
            return msgspec.structs.replace(decision, reservation=answer)
        limits = {"max_tokens": answer.output} if claims.shrink and answer.output is not None else {}
        would = outcome.more_severe(decision, claims.observed(answer))
        if would is not None:
            return msgspec.structs.replace(
                decision,
                reservation=answer,
                limits=limits,
                would=would.effect,
                verdicts=(*decision.verdicts, would),
                **outcome.named(decision, would),
            )
        return msgspec.structs.replace(decision, reservation=answer, limits=limits)

    def _write(self, engine: Any, session: Session, request: Request, decision: Decision, took_us: int) -> Decision:
        """Put the decision on record before the act may start; what cannot be recorded is not permitted."""
        try:
            args = decision.args if decision.args is not None else request.args
            keep = self.recorder.keep_messages if isinstance(args.get("messages"), list) else self.recorder.keep
            digest, size = keep(args)
            event = outcome.decided(request, decision, digest, size, took_us)
            self.recorder.decision(event)
        except Exception as error:  # noqa: BLE001 - the journal's, or arguments of a policy's that no record can hold
            if engine.mode == "observe":
                self.recorder.lost += 1
                return decision
            if decision.reservation is not None:
                self._release(decision.reservation)
            if decision.effect != "halt":
                why = f"the decision could not be recorded: {error}"
                return self._noted(request, outcome.refused(request, why, "journal", engine.revision))
            event = None  # the session ends all the same
        if event is not None:
            self.observation_failures += engine.observe(event, request, session.states)
        if decision.effect == "halt" and session.halt is None:
            self.halt(session, Halt(decision.reason, decision.policy, decision.rule), span=request.span)
        return decision

    def _unjudged(self, engine: Any, request: Request, error: Exception) -> Decision:
        """A check that broke is a denial, and says what broke; where policies only observe, it would be one."""
        reason = f"it could not be judged: {type(error).__name__}: {words(error)}"
        decision = outcome.refused(request, reason, "error", engine.revision)
        if engine.mode == "observe":
            decision = msgspec.structs.replace(decision, effect="allow", mode="observe", would="deny")
        return self._noted(request, decision)

    def _noted(self, request: Request, decision: Decision) -> Decision:
        """Put on record what Jackline itself refuses, where that can be."""
        with contextlib.suppress(JournalError):
            self.recorder.decision(outcome.decided(request, decision, *self.recorder.keep(request.args)))
        return decision

    def _unwanted(self, request: Request, decision: Decision | Waiting | None) -> None:
        """Take back a permission whose asker was cancelled before it came: the act did not start."""
        if isinstance(decision, Decision) and decision.permitted:
            self.abandon(request, decision, "its caller was cancelled before the answer came")


def permitted(decision: Decision) -> Decision:
    """The decision itself; raises Denied, Halted or ApprovalPending where it does not permit the act."""
    if decision.effect in PERMITTING:
        return decision
    if decision.effect == "halt":
        raise Halted(decision)
    if decision.effect == "escalate":
        raise ApprovalPending(decision)
    raise Denied(decision)


def _return_of(request: Request, action: Action, result: Any, at: float | None = None) -> Request:
    """The question about what an act gave back: the same span, agent and resource."""
    return msgspec.structs.replace(
        request,
        action=action,
        args={"result": result},
        original=None,
        view=None,
        at=request.at if at is None else at,
    )
