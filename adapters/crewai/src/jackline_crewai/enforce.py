"""One act of an agent from its request to its outcome, and what the decision means for CrewAI's own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jackline.act import Act
from jackline.errors import Signal
from jackline.events import Usage
from jackline.plain import canonical, converted, plain
from jackline.request import Model
from jackline.rewriting import UnchangeableError, rewrite
from jackline_crewai import translate
from jackline_crewai.places import LAST, PLACE, scope_of
from jackline_crewai.signals import signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jackline.decision import Decision
    from jackline.request import Request, Tool
    from jackline_crewai.following import Follower
    from jackline_crewai.places import Place


class CrewAct(Act):
    """One act of one guard in CrewAI."""

    def __init__(self, follower: Follower) -> None:
        guard = follower.guard
        super().__init__(guard, scope_of(guard) or guard.scope())
        self.follower = follower

    def signal(self, decision: Decision) -> Signal:
        """CrewAI's own stop, which nothing there retries."""
        return signal(decision)

    def output(self, text: Any) -> Request | None:
        """The request about a text as the output of the agent whose word it is."""
        agent = self.scope.agent
        if self.request is None:
            return None
        return msgspec.structs.replace(
            self.request,
            action="output",
            resource=agent.name,
            args={"result": text},
            original=None,
            tool=None,
            model=None,
            view=None,
            at=self.guard.clock(),
        )


class ToolAct(CrewAct):
    """A tool's run: what is judged is what its body receives."""

    def __init__(self, follower: Follower, tool: Tool) -> None:
        super().__init__(follower)
        self.tool = tool
        self._shared: dict[str, Any] = {}
        self._native: Mapping[str, Any] = {}

    def ask(self, native: Mapping[str, Any]) -> Request:
        """The request about a body's arguments, by name."""
        self._native = native
        return self.built(self._request)

    def permitted(self, native: dict[str, Any]) -> dict[str, Any]:
        """What the body receives instead, where the decision changed something."""
        request, decision = self.request, self.decision
        if request is not None and self._shared and any(v != request.args[k] for k, v in self._shared.items()):
            raise self.refused("its arguments were changed while they were judged")
        if request is None or decision is None or decision.args is None:
            return native
        changed: dict[str, Any] = self.changed(native, request.args, decision.args)
        return changed

    def _request(self) -> Request:
        args, self._shared = converted(self._native, translate.value)
        return self.guard.request("tool.call", self.tool.name, args, scope=self.scope, tool=self.tool)


class SpawnAct(CrewAct):
    """An agent is started by another agent."""

    def ask(self, name: str, given: Any) -> Request:
        """The request about starting the agent `name` with what it is given."""
        args = {"input": translate.value(given)}
        return self.built(lambda: self.guard.request("agent.spawn", name, args, scope=self.scope))


class QueryAct(CrewAct):
    """A retrieval or an embedding: text goes out, nothing that is judged comes back."""

    def __init__(self, follower: Follower, action: Any, resource: str, key: str) -> None:
        super().__init__(follower)
        self.action = action
        self.resource = resource
        self.key = key

    def ask(self, sent: Any) -> Request:
        """The request about a query, or about texts."""
        args = {self.key: translate.value(sent)}
        model = None
        if self.action == "embedding":
            model = Model(name=self.resource, input_bytes=len(canonical(plain(args))))
        return self.built(lambda: self.guard.request(self.action, self.resource, args, scope=self.scope, model=model))

    def permitted(self, sent: Any) -> Any:
        """The query to use instead, where the decision changed it."""
        if self.decision is None or self.decision.args is None or self.request is None:
            return sent
        return self.changed(sent, self.request.args[self.key], self.decision.args[self.key])


class ModelCall:
    """A model call as it is made: what its wraps pass on, and what is learned of it while it goes on."""

    __slots__ = ("events", "holds", "keywords", "last", "messages", "model", "place", "told", "tools")

    def __init__(self, model: Any, messages: Any, tools: Any, keywords: Mapping[str, Any]) -> None:
        self.model = model
        self.messages = messages
        self.tools = tools
        self.keywords = keywords
        self.last = LAST.get() is not None and LAST.get() is PLACE.get()
        """Whether its answer is an agent's last word, whatever it asks for."""
        self.place: Place | None = None
        self.told: list[Any] = []
        """What the provider told of its usage, in this call alone."""
        self.holds = False
        """Whether a policy looks at the answer: nothing of it may be seen before."""
        self.events: list[tuple[Any, Any, Any]] = []
        """CrewAI's events that show the answer, held back: (bus, source, event)."""

    def turn(self) -> Place | None:
        """The agent whose turn this call is: it does what the answer asks for, or it has answered."""
        place = PLACE.get()
        agent = place.agent if place is not None else None
        if self.last:
            return agent
        if agent is None or agent.executor is None or "available_functions" not in self.keywords:
            return None
        own = getattr(agent.executor, "callbacks", None)
        own = own if own is not None else getattr(agent.executor, "_callbacks", None)
        return agent if own is not None and self.keywords.get("callbacks") is own else None


class ModelAct(CrewAct):
    """A model call: its messages and limit before, its answer after."""

    def __init__(self, follower: Follower, call: ModelCall, speaker: Place | None) -> None:
        super().__init__(follower)
        self.call = call
        self.speaker = speaker
        self._messages: list[dict[str, Any]] = []

    def ask(self) -> Request:
        """The request about the messages that the model would receive."""
        return self.built(self._request)

    def permitted(self) -> int | None:
        """Put what the decision changed into the call; the output limit granted, where it is smaller."""
        request, decision, call = self.request, self.decision, self.call
        if request is None or decision is None:
            return None
        if decision.args is not None:
            call.messages = self.changed(call.messages, self._messages, decision.args["messages"])
        granted = decision.limits.get("max_tokens")
        declared = request.model.max_tokens if request.model is not None else None
        return granted if granted is not None and (declared is None or granted < declared) else None

    def rewrite(self, native: Any, before: Any, after: Any) -> Any:
        """Messages on the way in, an answer on the way out."""
        if isinstance(before, list):
            return translate.rewrite_messages(native, before, after)
        return translate.rewrite_answer(native, before, after)

    @property
    def holds(self) -> bool:
        """Whether a policy looks at the answer."""
        if self.request is None:
            return False
        asked = self.output("") if self.speaker is not None else None
        return self.guard.judges_return(self.request) or (asked is not None and self.guard.judges(asked))

    def finished(self, before: Mapping[str, Any]) -> None:
        """Record the answer with its tokens."""
        usage = translate.usage(self.call.told) or self._bound(before)
        self.complete(before, usage=usage, model=self.request.model.name if self.request and self.request.model else "")

    def asked_output(self, result: Any) -> tuple[Request | None, Any]:
        """The request about an answer as its agent's output, with what is judged; None where it is no final word."""
        if self.speaker is None or translate.is_calls(result):
            return None, None
        text = translate.final_text(result, native_tools=bool(self.call.tools)) if isinstance(result, str) else result
        if text is None and not self.call.last:
            return None, None
        text = result if text is None else text
        before = translate.value(text)
        self.speaker.said = before
        asked = self.output(before)
        return (asked, before) if asked is not None and self.guard.judges(asked) else (None, None)

    def worded(self, result: Any, before: Any, answer: Decision) -> Any:
        """An answer as `output` was decided; raises where it is withheld."""
        if not answer.permitted:
            raise self._refusing(answer)
        if answer.args is None:
            return result
        after = answer.args["result"]
        try:
            if isinstance(result, str):
                changed: Any = translate.with_final_text(result, before, after)
            else:
                changed = rewrite(result, before, after)
        except (UnchangeableError, KeyError, TypeError) as error:
            reason = f"its answer cannot be changed as policy asks: {error}"
            raise self._refusing(msgspec.structs.replace(answer, effect="deny", reason=reason)) from error
        if self.speaker is not None:
            self.speaker.said = after
        return changed

    def broken(self, error: BaseException) -> None:
        """Close a call that broke off: with a reservation all of it is taken as spent, else what was sent and told."""
        usage = translate.usage(self.call.told)
        if usage is None and self.decision is not None and self.decision.reservation is None:
            model = self.request.model if self.request is not None else None
            usage = Usage(input=model.input_bytes if model is not None else 0, estimated=True)
        self.fail(error, usage)

    def _request(self) -> Request:
        call, follower, agent = self.call, self.follower, self.scope.agent
        model = call.model
        self._messages = translate.messages(call.messages)
        settings = translate.limit_of(model)
        asked = Model(
            name=str(model.model),
            provider=str(getattr(model, "provider", "") or ""),
            max_tokens=settings,
            choices=translate.choices_of(model),
            tools=tuple(follower.tools.offered(agent, [*translate.offered(call.tools), *translate.built_in(model)])),
            input_bytes=translate.input_of(self._messages, call.tools, call.keywords.get("response_model")),
            opaque_input=translate.is_opaque(self._messages),
            can_limit=translate.can_limit(model),
        )
        args = {"messages": self._messages}
        return self.guard.request("model.call", asked.name, args, scope=self.scope, model=asked)

    def _bound(self, before: Any) -> Usage | None:
        """An upper bound where the provider tells nothing; None leaves it to what was reserved."""
        request, decision = self.request, self.decision
        if request is None or request.model is None or decision is None or decision.reservation is not None:
            return None
        return Usage(input=request.model.input_bytes, output=len(canonical(plain(before))), estimated=True)


def abandon(acts: Sequence[Act], error: BaseException) -> None:
    """Close acts that were permitted and do not start."""
    why = "another guard refused it" if isinstance(error, Signal) else f"{type(error).__name__} came before it started"
    for act in acts:
        act.abandon(why)
