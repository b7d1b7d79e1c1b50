"""One act of an agent in a framework, from its request to its outcome: what every adapter does alike."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from jackline.decision import Decision
from jackline.errors import ApprovalPending, Denied, Halted, Signal
from jackline.plain import canonical, plain, words
from jackline.request import Model
from jackline.rewriting import rewrite
from jackline.session import CURRENT, joined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import Token

    from jackline.events import Usage
    from jackline.guard import Guard
    from jackline.request import Request
    from jackline.session import Scope


class Act:
    """One act of one guard: asked for once, permitted or refused, and closed once. What is done `with` it is its child.

    An adapter derives from it to say what its framework is raised (`signal`) and how its values are changed
    (`rewrite`). It may be entered several times, one within the other or one after the other, also by tasks or threads
    at the same time.
    """

    endings: Mapping[str, str] = MappingProxyType({"GeneratorExit": "abandoned", "CancelledError": "cancelled"})
    """How the record names errors that are none, by the name of their class."""

    def __init__(self, guard: Guard, scope: Scope) -> None:
        self.guard = guard
        self.scope = scope
        self.request: Request | None = None
        self.decision: Decision | None = None
        self.closed = False
        self.refusal: Exception | None = None
        """What was raised in place of the body, or of its result."""
        self._tokens: list[Token[Scope | None]] = []

    def signal(self, decision: Decision) -> Exception:
        """What is raised where a decision does not permit the act."""
        return signal_of(decision)

    def rewrite(self, native: Any, before: Any, after: Any) -> Any:
        """The native value whose plain form is `after`; raises UnchangeableError."""
        return rewrite(native, before, after)

    @property
    def inner(self) -> Scope:
        """The scope of what happens inside."""
        return self.scope if self.request is None else self.scope.within(self.request.span, self.request.action)

    def built(self, build: Callable[[], Request]) -> Request:
        """The request; an error while making it is a denial, since what cannot be judged is not permitted."""
        try:
            self.request = build()
        except Exception as error:
            self.guard.recorder.lose(error)
            self.closed = True
            reason = f"the act could not be judged: {type(error).__name__}: {words(error)}"
            raise self._refusing(Decision(effect="deny", reason=reason, policy="jackline", rule="error")) from error
        return self.request

    def check(self, request: Request) -> None:
        """Ask the guard; raises where the act may not go on."""
        self.judged(self.guard.check(request))

    async def acheck(self, request: Request) -> None:
        """As `check`, without blocking the event loop."""
        self.judged(await self.guard.acheck(request))

    def judged(self, decision: Decision) -> None:
        """Take the decision; raises where the act may not go on."""
        self.decision = decision
        if not decision.permitted:
            self.closed = True
            raise self._refusing(decision)

    def changed(self, native: Any, before: Any, after: Any) -> Any:
        """What goes in, as the decision wants it; a change that has no native form is a denial."""
        try:
            return self.rewrite(native, before, after)
        except Exception as error:
            raise self.refused(f"its arguments cannot be changed as policy asks: {words(error)}") from error

    def released(self, native: Any, before: Any, answer: Decision | None) -> Any:
        """What came back, as the decision about it says; raises where it is withheld. `before` is its plain form."""
        if answer is None:
            return native
        if not answer.permitted:
            raise self._refusing(answer)
        if answer.args is None:
            return native
        try:
            return self.rewrite(native, before, answer.args["result"])
        except Exception as error:
            reason = f"its result cannot be changed as policy asks: {words(error)}"
            raise self._refusing(msgspec.structs.replace(answer, effect="deny", reason=reason)) from error

    def refused(self, why: str) -> Exception:
        """The denial of an act that was permitted with a change which cannot be made; it did not start."""
        self.abandon(why)
        decision = self.decision or Decision(effect="deny")
        changes = {"effect": "deny", "policy": "jackline", "rule": "changed", "reason": why}
        return self._refusing(msgspec.structs.replace(decision, **changes))

    def abandon(self, why: str) -> None:
        """Close an act that did not start."""
        if self.request is not None and self.decision is not None and not self.closed:
            self.closed = True
            try:
                self.guard.abandon(self.request, self.decision, why)
            except Exception as error:  # noqa: BLE001 - as in `complete`
                self.guard.recorder.lose(error)

    def complete(self, result: Any, **facts: Any) -> None:
        """Close an act that ended well; `facts` are those of `Guard.complete`: usage, model, cached."""
        if self.request is not None and self.decision is not None and not self.closed:
            self.closed = True
            try:
                self.guard.complete(self.request, self.decision, result, **facts)
            except Exception as error:  # noqa: BLE001 - the act is done: what goes wrong with its record is counted
                self.guard.recorder.lose(error)

    def fail(self, error: BaseException | str, usage: Usage | None = None, **facts: Any) -> None:
        """Close an act that ended with an error, or that its caller left; `facts` are those of `Guard.fail`."""
        if self.request is not None and self.decision is not None and not self.closed:
            self.closed = True
            try:
                self.guard.fail(self.request, self.decision, self._named(error), usage=usage, **facts)
            except Exception as broken:  # noqa: BLE001 - as in `complete`
                self.guard.recorder.lose(broken)

    def _named(self, error: BaseException | str) -> BaseException | str:
        return error if isinstance(error, str) else self.endings.get(type(error).__name__, error)

    def _refusing(self, decision: Decision) -> Exception:
        self.refusal = self.signal(decision)
        return self.refusal

    def __enter__(self) -> Self:
        self._tokens.append(CURRENT.set(joined((self.inner,))))
        return self

    def __exit__(self, *_: object) -> None:
        for token in reversed(self._tokens):
            try:
                CURRENT.reset(token)
            except ValueError:  # another context's, which leaves by itself
                continue
            self._tokens.remove(token)
            return


def signal_of(decision: Decision) -> Signal:
    """Denied, Halted or ApprovalPending: what plain Python is raised."""
    return {"halt": Halted, "escalate": ApprovalPending}.get(decision.effect, Denied)(decision)


class QueryAct(Act):
    """A retrieval or an embedding: text goes out, nothing that is judged comes back."""

    def __init__(self, guard: Guard, scope: Scope, action: str, resource: str, key: str) -> None:
        super().__init__(guard, scope)
        self.action: Any = action
        self.resource = resource
        self.key = key
        self._sent: Any = None

    def value(self, sent: Any) -> Any:
        """A query, or texts, as plain data; where a framework has types of its own, from them."""
        return plain(sent)

    def ask(self, sent: Any) -> Request:
        """The request about a query, or about texts."""
        self._sent = sent
        return self.built(self._request)

    def permitted(self, sent: Any) -> Any:
        """The query to use instead, where the decision changed it."""
        if self.decision is None or self.decision.args is None or self.request is None:
            return sent
        return self.changed(sent, self.request.args[self.key], self.decision.args[self.key])

    def _request(self) -> Request:
        sent = self.value(self._sent)
        model = None
        if self.action == "embedding":
            model = Model(name=self.resource, input_bytes=len(canonical(plain(sent))))
        return self.guard.request(self.action, self.resource, {self.key: sent}, scope=self.scope, model=model)
