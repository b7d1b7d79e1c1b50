"""One act of an agent from its request to its outcome, and what the decision means for LangChain's own values."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec
from langchain_core.messages import ToolMessage
from langgraph.errors import GraphInterrupt

from jackline import act
from jackline.errors import Signal
from jackline.plain import converted, words
from jackline_langchain import pausing, translate
from jackline_langchain.signals import paused, signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jackline.decision import Decision
    from jackline.events import Usage
    from jackline.guard import Guard
    from jackline.request import Agent, Request
    from jackline.session import Scope
    from jackline_langchain.runs import Node
    from jackline_langchain.tools import KnownTool, NamedTool


class Act(act.Act):
    """One act of one guard: asked for once, permitted or refused, and closed once."""

    tool = False
    """Whether a refusal is told to the model instead of ending the call."""
    endings = MappingProxyType({**act.Act.endings, "GraphInterrupt": "interrupted", "PausedCall": "interrupted"})

    def __init__(self, guard: Guard, scope: Scope) -> None:
        super().__init__(guard, scope)
        self.direct = False
        """Asked from a callback, since no entrance leads to the body: nothing can be changed there."""
        self.node: Node | None = None
        """The run that this act is, where LangChain told of one."""
        self.answers: Sequence[Agent] = ()
        """The agents whose word to the outside its result is, innermost first."""

    def signal(self, decision: Decision) -> Signal:
        """What LangChain is raised: it decides who is told."""
        return signal(decision, tool=self.tool)

    def rewrite(self, native: Any, before: Any, after: Any) -> Any:
        """The native value whose plain form is `after`; raises UnchangeableError."""
        return translate.rewrite(native, before, after)

    def built(self, build: Callable[[], Request]) -> Request:
        """The request, which says whether it can be paused."""

        def marked() -> Request:
            request = build()
            pausing.mark(request)
            return request

        return super().built(marked)

    def judged(self, decision: Decision) -> None:
        """Take the decision; raises where the act may not go on."""
        if self.request is not None and pausing.wanted(self.request, decision):
            self.decision, self.closed = decision, True
            raise paused(decision, *pausing.question(self.request, decision))
        if decision.effect == "halt" and self.node is not None:
            self.node.root.halted = decision
        super().judged(decision)

    def outputs(self, text: Any) -> list[Request]:
        """The request about a text as the output of each agent whose word it is."""
        request = self.request
        if request is None:
            return []
        return [
            msgspec.structs.replace(
                request,
                action="output",
                resource=agent.name,
                agent=agent,
                ancestors=request.ancestors[: request.depth - above],
                depth=request.depth - above,
                args={"result": text},
                pausable=False,
                original=None,
                tool=None,
                model=None,
                view=None,
                at=self.guard.clock(),
            )
            for above, agent in enumerate(self.answers)
        ]

    def fail(self, error: BaseException | str, usage: Usage | None = None, **facts: Any) -> None:
        """Close an act that ended with an error."""
        if isinstance(error, GraphInterrupt) and not self.closed:
            pausing.interrupted(self.guard, self.request, self.decision)
        if self.node is not None and self.node.act is self:  # not every callback comes where a call is cancelled
            self.node.leave()
        super().fail(error, usage, **facts)


class ToolAct(Act):
    """A tool's run: what is judged is what its body receives."""

    tool = True

    def __init__(self, guard: Guard, scope: Scope, known: KnownTool | NamedTool, call_id: str, raw: Any) -> None:
        super().__init__(guard, scope)
        self.known = known
        self.call_id = call_id
        self.raw = raw
        """The arguments as the model gave them, for calls whose body is never reached."""
        self._native: dict[str, Any] = {}
        self._shared: dict[str, Any] = {}
        self.above: OwnEntranceAct | None = None
        """The act of the tool's own entrance, which has asked about this very call."""

    def check(self, request: Request) -> None:
        """Ask the guard, once for a call; raises where the act may not go on."""
        if not self._asked_above(request):
            super().check(request)

    async def acheck(self, request: Request) -> None:
        """As `check`, without blocking the event loop."""
        if not self._asked_above(request):
            await super().acheck(request)

    def _asked_above(self, request: Request) -> bool:
        above = self.above
        if above is None or above.request is None or above.decision is None or above.request.args != request.args:
            return False
        self.request, self.decision, self.closed = above.request, above.decision, True
        above.passed_on = True
        return True

    def ask(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Request:
        """The request about a body's real arguments."""
        return self.built(lambda: self._request(self._bound(args, kwargs)))

    def ask_raw(self) -> Request:
        """The request about arguments that were not parsed."""
        raw = (
            self.raw if isinstance(self.raw, dict) else {self.known.names[0] if self.known.names else "input": self.raw}
        )
        return self.built(lambda: self._request(raw))

    def permitted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the body receives instead, where the decision changed something."""
        request, decision = self.request, self.decision
        if request is not None and any(item != request.args[name] for name, item in self._shared.items()):
            raise self.refused("its arguments were changed while they were judged")
        if request is None or decision is None or decision.args is None:
            return args, kwargs
        after = self.changed(self._native, request.args, decision.args)
        names = self.known.names[: len(args)]
        if any(name not in after for name in names):
            raise self.refused("a positional argument cannot be taken away")
        kept = {key: item for key, item in kwargs.items() if key not in self._native}
        changed = {key: item for key, item in after.items() if key not in names}
        return tuple(after[name] for name in names) or args, {**changed, **kept}

    def said(self, result: Any, asked: Request, answer: Decision) -> Any:
        """What the agent hands out as it is, as `output` was decided; its run ends where that is withheld."""
        if not answer.permitted:
            raise signal(answer)
        if answer.args is None:
            return result
        try:
            return translate.rewrite(result, asked.args["result"], answer.args["result"])
        except Exception as error:
            reason = f"its result cannot be changed as policy asks: {words(error)}"
            raise signal(msgspec.structs.replace(answer, effect="deny", reason=reason)) from error

    def attempted(self) -> None:
        """Put an attempt on record whose body was not reached: its arguments were not valid."""
        try:
            self.check(self.ask_raw())
        except Signal:
            if self.decision is not None and self.decision.effect == "halt":
                raise
            return
        self.abandon("its arguments were not valid")

    def handed_out(self, result: Any) -> None:
        """Note that a result was judged as an output."""
        if self.answers and self.node is not None:
            self.node.root.answered = result

    def _request(self, native: dict[str, Any]) -> Request:
        self._native = native
        args, self._shared = converted(native, translate.value)
        tool = self.known.tool
        return self.guard.request("tool.call", tool.name, args, scope=self.scope, tool=tool, call_id=self.call_id)

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        visible = {name: kwargs[name] for name in self.known.visible(kwargs)}
        bound = translate.arguments(self.known.names, args, visible) if args else visible
        missing = self.known.defaults
        return {**missing, **bound} if any(name not in bound for name in missing) else bound


class OwnEntranceAct(ToolAct):
    """A call of a tool whose class has a `run` or `invoke` of its own: judged by what it is given."""

    passed_on = False
    """LangChain's entrance was reached with the same arguments: the result is judged there."""

    def ask(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Request:
        """The request about the arguments as they are given."""
        return self.ask_raw()

    def permitted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the entrance is given; a change of arguments has no place there."""
        if self.decision is not None and self.decision.args is not None:
            raise self.refused("its arguments cannot be changed, since its class has an entrance of its own")
        return args, kwargs

    def released(self, native: Any, before: Any, answer: Decision | None) -> Any:
        """The result as the decision about it says."""
        return native if self.passed_on else super().released(native, before, answer)


def message_of(refusal: Exception, name: str, call_id: str) -> ToolMessage:
    """What the model is told of a refused tool call."""
    return ToolMessage(str(refusal), tool_call_id=call_id, name=name, status="error")


class QueryAct(act.QueryAct, Act):
    """A retrieval or an embedding."""

    def value(self, sent: Any) -> Any:
        """A query, or texts, as plain data."""
        return translate.value(sent)
