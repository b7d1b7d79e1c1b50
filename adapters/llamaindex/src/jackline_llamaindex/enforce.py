"""One act of an agent from its request to its outcome, and what the decision means for LlamaIndex's own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from llama_index.core.multi_modal_llms.base import MultiModalLLM

from jackline import act
from jackline.decision import Decision
from jackline.errors import Halted
from jackline.events import Usage
from jackline.plain import canonical, converted, plain
from jackline.request import Model, Tool
from jackline_llamaindex import offers, translate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jackline.guard import Guard
    from jackline.request import Agent, Request
    from jackline.session import Scope, Session
    from jackline_llamaindex.tools import KnownTool


class Act(act.Act):
    """One act of one guard, of LlamaIndex's values."""

    answers: Sequence[Agent] = ()
    """The agent whose word to the outside its result is, where there is one."""

    def rewrite(self, native: Any, before: Any, after: Any) -> Any:
        """The native value whose plain form is `after`; raises UnchangeableError."""
        return translate.rewrite(native, before, after)

    def ended(self) -> Halted | None:
        """What is raised where the session has ended meanwhile."""
        return ended(self.scope.session)

    def outputs(self, text: Any) -> Iterable[Request]:
        """The requests about a text as the output of the agents whose word it is."""
        request = self.request
        if request is not None:
            for above, agent in enumerate(self.answers):
                yield output_of(self.guard, request, agent, text, above)


def ended(session: Session) -> Halted | None:
    """The signal for a session that has ended; None where it goes on."""
    halt = session.halt
    if halt is None:
        return None
    return Halted(Decision(effect="halt", reason=halt.reason, policy=halt.policy, rule=halt.rule, session=session.id))


def output_of(guard: Guard, request: Request, agent: Agent, text: Any, above: int) -> Request:
    """The question about an agent's last word, under the span of the act that said it; it stands `above` its agent."""
    return msgspec.structs.replace(
        request,
        action="output",
        resource=agent.name,
        agent=agent,
        ancestors=request.ancestors[: request.depth - above],
        depth=request.depth - above,
        args={"result": text},
        original=None,
        tool=None,
        model=None,
        view=None,
        at=guard.clock(),
    )


class ToolAct(Act):
    """A tool's run: what is judged is what its body receives."""

    def __init__(self, guard: Guard, scope: Scope, known: KnownTool, call_id: str = "") -> None:
        super().__init__(guard, scope)
        self.known = known
        self.call_id = call_id
        self._native: dict[str, Any] = {}
        self._shared: dict[str, Any] = {}

    def ask(self, bound: dict[str, Any]) -> Request:
        """The request about a body's arguments, by name."""
        return self.built(lambda: self._request(bound))

    def permitted(self, bound: dict[str, Any]) -> dict[str, Any]:
        """What the body receives instead, where the decision changed something."""
        request, decision = self.request, self.decision
        if request is None or decision is None:
            return bound
        if self._shared and any(item != request.args[name] for name, item in self._shared.items()):
            raise self.refused("its arguments were changed while they were judged")
        if decision.args is None:
            return bound
        return self.foreseen(decision.args)

    def foreseen(self, args: dict[str, Any] | None) -> dict[str, Any]:
        """What the body would receive with these arguments; None: with its own."""
        if args is None or self.request is None:
            return self._native
        changed: dict[str, Any] = self.changed(self._native, self.request.args, args)
        return changed

    def _request(self, bound: dict[str, Any]) -> Request:
        self._native = bound
        args, self._shared = converted(bound, translate.value)
        tool = self.known.tool
        return self.guard.request("tool.call", tool.name, args, scope=self.scope, tool=tool, call_id=self.call_id)


class QueryAct(act.QueryAct, Act):
    """A retrieval or an embedding."""

    def value(self, sent: Any) -> Any:
        """A query, or texts, as plain data."""
        return translate.value(sent)


class SpawnAct(Act):
    """The start of an agent by another one."""

    def ask(self, name: str, given: Any) -> Request:
        """The request about an agent's start with this input."""
        return self.built(lambda: self.guard.request("agent.spawn", name, {"input": plain(given)}, scope=self.scope))


class ModelAct(Act):
    """A model call: its messages and limit before, its answer after."""

    def __init__(self, guard: Guard, scope: Scope, tools: Sequence[Tool], answers: Sequence[Agent] = ()) -> None:
        """`tools`: those that the agent has; `answers`: the agent whose output the text is, unless it calls tools."""
        super().__init__(guard, scope)
        self.tools = {tool.name: tool for tool in tools}
        self.answers = answers
        self.looked = True
        """Whether a policy looks at the answer as `model.return`; known once `holds` was asked."""
        self.received = 0
        """Bytes of the answer that were streamed so far."""
        self._messages: list[Any] = []

    def rewrite(self, native: Any, before: Any, after: Any) -> Any:
        """As any act's; a prompt is judged as a message and stays a text."""
        if isinstance(native, list) and native and isinstance(native[0], str):
            native, before, after = native[0], before[0]["content"], after[0]["content"]
            return [super().rewrite(native, before, after)]
        return super().rewrite(native, before, after)

    def ask(self, llm: Any, messages: Sequence[Any], kwargs: Mapping[str, Any]) -> Request:
        """The request about the messages (or the prompt) that the model would receive."""
        return self.built(lambda: self._request(llm, messages, kwargs))

    def permitted(self, messages: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The messages and arguments to use instead, where the decision changed something."""
        request, decision = self.request, self.decision
        if request is None or decision is None:
            return messages, kwargs
        if decision.args is not None:
            after = decision.args.get("messages")
            messages = self.changed(list(messages), self._messages, after)
        granted = decision.limits.get("max_tokens")
        declared = request.model.max_tokens if request.model is not None else None
        if granted is not None and (declared is None or granted < declared):
            kwargs = offers.limited(kwargs, granted)
        return messages, kwargs

    @property
    def holds(self) -> bool:
        """Whether a policy looks at the answer: nothing of it may be seen before."""
        request = self.request
        if request is None:
            return False
        self.looked = self.guard.judges_return(request)
        return self.looked or any(map(self.guard.judges, self.outputs(None)))

    def finished(self, response: Any, plain_answer: Any, told: Usage | None = None) -> None:
        """Record the answer with its tokens; `told` are those that a stream told before its last part."""
        if self.request is None or self.closed:
            return
        usage = offers.usage(response) or told or self._bound(plain_answer)
        self.complete(plain_answer, usage=usage, model=offers.answering_model(response))

    def broken(self, error: BaseException) -> None:
        """Close a call that broke off: with a reservation all of it is taken as spent, else what was received."""
        usage = None
        model = self.request.model if self.request is not None else None
        if model is not None and self.decision is not None and self.decision.reservation is None:
            usage = Usage(input=model.input_bytes, output=self.received, estimated=True)
        self.fail(error, usage)

    def _request(self, llm: Any, messages: Sequence[Any], kwargs: Mapping[str, Any]) -> Request:
        self._messages = [_plain_message(item) for item in messages]
        registry, agent = self.guard.registry, self.scope.agent
        named = offers.offered(kwargs)
        tools = [
            registry.tool(agent, Tool(name=name, provider=True))
            if provider
            else self.tools.get(name) or Tool(name=name)
            for name, provider in named
        ]
        limits = offers.Limits(llm, kwargs)
        model = Model(
            name=offers.name_of(llm, kwargs),
            provider=offers.provider_of(llm),
            max_tokens=limits.tokens,
            choices=limits.choices,
            tools=tuple(tools) if named else tuple(self.tools.values()),
            input_bytes=offers.size_of(self._messages, kwargs),
            opaque_input=offers.is_opaque(messages) or isinstance(llm, MultiModalLLM),  # its prompts come with images
            can_limit=limits.changeable,
        )
        return self.guard.request("model.call", model.name, {"messages": self._messages}, scope=self.scope, model=model)

    def _bound(self, answer: Any) -> Usage | None:
        """An upper bound where the provider tells nothing; None leaves it to what was reserved."""
        request, decision = self.request, self.decision
        if request is None or request.model is None or decision is None or decision.reservation is not None:
            return None
        return Usage(input=request.model.input_bytes, output=len(canonical(plain(answer))), estimated=True)


def _plain_message(item: Any) -> dict[str, Any]:
    return {"role": "user", "content": item} if isinstance(item, str) else translate.message(item)
