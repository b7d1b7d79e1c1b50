"""One act of an agent from its request to its outcome, and what the decision means for LangChain's own values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from jackline.decision import Decision
from jackline.errors import Signal
from jackline.events import Usage
from jackline.plain import canonical, plain
from jackline.request import Model, Tool
from langchain_core.callbacks.base import RunManagerMixin
from langchain_core.messages import ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from jackline_langchain import translate
from jackline_langchain.signals import failed_closed, signal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jackline.guard import Guard
    from jackline.request import Request
    from jackline.session import Scope
    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from jackline_langchain.runs import Node
    from jackline_langchain.tools import KnownTool, NamedTool, Tools


class Act:
    """One act of one guard: asked for once, permitted or refused, and closed once."""

    tool = False
    """Whether a refusal is told to the model instead of ending the call."""

    def __init__(self, guard: Guard, scope: Scope) -> None:
        self.guard = guard
        self.scope = scope
        self.request: Request | None = None
        self.decision: Decision | None = None
        self.closed = False
        self.direct = False
        """Asked from a callback, since no entrance leads to the body: nothing can be changed there."""
        self.node: Node | None = None
        """The run that this act is, where LangChain told of one."""

    @property
    def inner(self) -> Scope:
        """The scope of what happens inside."""
        return self.scope if self.request is None else self.scope.within(self.request.span)

    def built(self, build: Callable[[], Request]) -> Request:
        """The request; an error while making it is a denial, since what cannot be judged is not permitted."""
        try:
            self.request = build()
        except Exception as error:
            self.guard.recorder.lose(error)
            raise failed_closed(error, type(self).__name__.lower(), tool=self.tool) from error
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
            if decision.effect == "halt" and self.node is not None:
                self.node.root.halted = decision
            raise signal(decision, tool=self.tool)

    def rewritten(self, native: Any, before: Any, after: Any) -> Any:
        """The native value as the decision wants it; a change that has no native form is a denial."""
        try:
            return translate.rewrite(native, before, after)
        except translate.UnchangeableError as error:
            raise self.refused(f"its arguments cannot be changed as policy asks: {error}") from error

    def refused(self, why: str) -> Signal:
        """The denial of an act that was permitted with a change which cannot be made; it did not start."""
        self.abandon(why)
        decision = self.decision or Decision(effect="deny")
        return signal(msgspec.structs.replace(decision, effect="deny", reason=why), tool=self.tool)

    def abandon(self, why: str) -> None:
        """Close an act that did not start."""
        if self.request is not None and self.decision is not None and not self.closed:
            self.closed = True
            self.guard.abandon(self.request, self.decision, why)

    def complete(self, result: Any, **facts: Any) -> None:
        """Close an act that ended well; `result` is plain data."""
        if self.request is not None and self.decision is not None and not self.closed:
            self.closed = True
            self.guard.complete(self.request, self.decision, result, **facts)

    def fail(self, error: BaseException | str, usage: Usage | None = None) -> None:
        """Close an act that ended with an error."""
        if self.node is not None and self.node.act is self:  # not every callback comes where a call is cancelled
            self.node.leave()
        if self.request is not None and self.decision is not None and not self.closed:
            self.closed = True
            self.guard.fail(self.request, self.decision, _named(error), usage=usage)


def _named(error: BaseException | str) -> BaseException | str:
    names = {"GeneratorExit": "abandoned", "CancelledError": "cancelled", "GraphInterrupt": "interrupted"}
    return error if isinstance(error, str) else names.get(type(error).__name__, error)


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

    def ask(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Request:
        """The request about a body's real arguments."""
        return self.built(lambda: self._request(self._bound(args, kwargs)))

    def ask_raw(self) -> Request:
        """The request about arguments that were not parsed."""
        raw = self.raw if isinstance(self.raw, dict) else {self.known.names[0] if self.known.names else "input": self.raw}
        return self.built(lambda: self._request(raw))

    def permitted(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What the body receives instead, where the decision changed something."""
        request, decision = self.request, self.decision
        if request is None or decision is None or decision.args is None:
            return args, kwargs
        after = self.rewritten(self._native, request.args, decision.args)
        names = self.known.names[: len(args)]
        if any(name not in after for name in names):
            raise self.refused("a positional argument cannot be taken away")
        kept = {key: item for key, item in kwargs.items() if key not in self._native}
        changed = {key: item for key, item in after.items() if key not in names}
        return tuple(after[name] for name in names) or args, {**changed, **kept}

    def released(self, result: Any, before: Any, answer: Decision | None) -> Any:
        """A tool's result as the decision about it says; raises where it is withheld."""
        if answer is None:
            return result
        if not answer.permitted:
            raise signal(answer, tool=True)
        if answer.args is None:
            return result
        try:
            return translate.rewrite(result, before, answer.args["result"])
        except (translate.UnchangeableError, KeyError) as error:
            reason = f"its result cannot be changed as policy asks: {error}"
            raise signal(msgspec.structs.replace(answer, effect="deny", reason=reason), tool=True) from error

    def _request(self, native: dict[str, Any]) -> Request:
        self._native = native
        args = {name: translate.value(item) for name, item in native.items()}
        tool = self.known.tool
        return self.guard.request(
            "tool.call", tool.name, args, scope=self.scope, tool=tool, call_id=self.call_id
        )

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        hidden = self.known.hidden(kwargs)
        visible = {
            key: item
            for key, item in kwargs.items()
            if key not in hidden and not isinstance(item, RunManagerMixin)
        }
        bound = translate.arguments(self.known.names, args, visible) if args else visible
        missing = self.known.defaults
        return {**missing, **bound} if any(name not in bound for name in missing) else bound


def message_of(refusal: Signal, name: str, call_id: str) -> ToolMessage:
    """What the model is told of a refused tool call."""
    return ToolMessage(str(refusal), tool_call_id=call_id, name=name, status="error")


class ModelAct(Act):
    """A model call: its messages and limit before, its answer after."""

    def __init__(
        self, guard: Guard, scope: Scope, tools: Tools, *, facts: Mapping[str, Any], answers: bool = False
    ) -> None:
        """`facts`: `params`, `metadata`, `serialized` as the callback got them; `answers`: its text is an output."""
        super().__init__(guard, scope)
        self.tools = tools
        self.params: Mapping[str, Any] = facts.get("params") or {}
        self.metadata: Mapping[str, Any] = facts.get("metadata") or {}
        self.serialized: Mapping[str, Any] = facts.get("serialized") or {}
        self.answers = answers
        self.received = 0
        """Bytes of the answer that were streamed so far."""
        self._messages: Any = []

    def ask(self, messages: Any, kwargs: Mapping[str, Any], model: BaseChatModel | None = None) -> Request:
        """The request about the messages (or prompts) that the model would receive."""
        return self.built(lambda: self._request(messages, {**self.params, **kwargs}, model))

    def permitted(self, messages: Any, kwargs: dict[str, Any], model: Any) -> tuple[Any, dict[str, Any], Any]:
        """The messages, arguments and model to use instead, where the decision changed something."""
        request, decision = self.request, self.decision
        if request is None or decision is None:
            return messages, kwargs, model
        if decision.args is not None:
            messages = self.rewritten(messages, self._messages, decision.args["messages"])
        granted = decision.limits.get("max_tokens")
        declared = request.model.max_tokens if request.model is not None else None
        if granted is not None and model is not None and (declared is None or granted < declared):
            kwargs, model = limited(model, kwargs, granted)
        return messages, kwargs, model

    @property
    def holds(self) -> bool:
        """Whether a policy looks at the answer: nothing of it may be seen before."""
        request = self.request
        if request is None:
            return False
        return self.guard.judges_return(request) or (self.answers and self.guard.judges(self._output(request, None)))

    def finished(self, messages: Sequence[Any], output: Mapping[str, Any] | None, text: str = "") -> list[Any]:
        """Record the answer (one message for each choice) with its tokens; returns the plain form of each."""
        answers = [translate.message(message) if message is not None else text for message in messages]
        if self.request is None or self.closed:
            return answers
        first = messages[0] if messages else None
        answer = answers[0] if len(answers) == 1 else answers
        self.complete(
            answer,
            usage=translate.usage(first, output) or self._bound(answer),
            model=translate.answering_model(first, output),
            cached=translate.cached(first),
        )
        for message in messages:
            self._note_unknown(message)
        return answers

    def reviewed(self, answer: Any) -> None:
        """Judge an answer where it cannot be changed any more: all or nothing."""
        if self.request is None:
            return
        decisions = [self.guard.returned(self.request, answer)]
        if self.answers and isinstance(answer, dict) and not answer.get("tool_calls"):
            asked = self._output(self.request, answer.get("content"))
            decisions.append(self.guard.check(asked) if self.guard.judges(asked) else None)
        for decision in decisions:
            if decision is not None and not decision.permitted:
                raise signal(decision)
            if decision is not None and decision.args is not None:
                reason = "its answer cannot be changed on this path"
                raise signal(msgspec.structs.replace(decision, effect="deny", reason=reason))

    def returned(self, message: BaseMessage, before: Any) -> BaseMessage:
        """The answer as policies let it through; raises where it is withheld."""
        if self.request is None:
            return message
        message, before = self.released(message, before, self.guard.returned(self.request, before))
        if self.answers and not getattr(message, "tool_calls", None):
            asked = self._output(self.request, before.get("content"))
            if self.guard.judges(asked):
                return self.worded(message, before, self.guard.check(asked))
        return message

    async def areturned(self, message: BaseMessage, before: Any) -> BaseMessage:
        """As `returned`, without blocking the event loop."""
        if self.request is None:
            return message
        message, before = self.released(message, before, await self.guard.areturned(self.request, before))
        if self.answers and not getattr(message, "tool_calls", None):
            asked = self._output(self.request, before.get("content"))
            if self.guard.judges(asked):
                return self.worded(message, before, await self.guard.acheck(asked))
        return message

    def released(self, message: BaseMessage, before: Any, answer: Decision | None) -> tuple[BaseMessage, Any]:
        """An answer as `model.return` was decided."""
        if answer is None:
            return message, before
        if not answer.permitted:
            raise signal(answer)
        after = answer.args["result"] if answer.args is not None else before
        return self._changed(message, before, after, answer), after

    def worded(self, message: BaseMessage, before: Any, answer: Decision) -> BaseMessage:
        """An answer as `output` was decided."""
        if not answer.permitted:
            raise signal(answer)
        if answer.args is None:
            return message
        return self._changed(message, before, {**before, "content": answer.args["result"]}, answer)

    def broken(self, error: BaseException) -> None:
        """Close a call that broke off: with a reservation all of it is taken as spent, else what was received."""
        usage = None
        if self.request is None or self.decision is None or self.request.model is None:
            self.fail(error)
            return
        if self.decision.reservation is None:
            sent = self.request.model.input_bytes
            usage = Usage(input=sent, output=self.received, estimated=True)
        self.fail(error, usage)

    def _changed(self, message: BaseMessage, before: Any, after: Any, answer: Decision) -> BaseMessage:
        try:
            changed: BaseMessage = translate.rewrite(message, before, after)
        except translate.UnchangeableError as error:
            reason = f"its answer cannot be changed as policy asks: {error}"
            raise signal(msgspec.structs.replace(answer, effect="deny", reason=reason)) from error
        return changed

    def _request(self, messages: Any, params: Mapping[str, Any], model: Any) -> Request:
        self._messages = [_plain_message(item) for item in messages]
        agent = self.scope.agent
        offers = params.get("tools") or ()
        asked = Model(
            name=translate.model_name(params, self.metadata, self.serialized),
            provider=str(self.metadata.get("ls_provider") or ""),
            max_tokens=translate.limit_of(params, self.metadata),
            choices=params["n"] if isinstance(params.get("n"), int) else 1,
            tools=tuple(self.tools.offered(agent, translate.offered(params))),
            input_bytes=translate.input_of(self._messages, offers),
            opaque_input=translate.is_opaque(self._messages),
            can_limit=model is not None and limit_place(model, params) is not None,
        )
        args = {"messages": self._messages}
        return self.guard.request("model.call", asked.name, args, scope=self.scope, model=asked)

    def _output(self, request: Request, text: Any) -> Request:
        return msgspec.structs.replace(
            request,
            action="output",
            resource=request.agent.name,
            args={"result": text},
            original=None,
            model=None,
            view=None,
            at=self.guard.clock(),
        )

    def _bound(self, answer: Any) -> Usage | None:
        """An upper bound where the provider tells nothing; None leaves it to what was reserved."""
        request, decision = self.request, self.decision
        if request is None or request.model is None or decision is None or decision.reservation is not None:
            return None
        return Usage(input=request.model.input_bytes, output=len(canonical(plain(answer))), estimated=True)

    def _note_unknown(self, message: Any) -> None:
        """Tools that a model asks for and that its agent does not have are seen, too."""
        request = self.request
        for call in getattr(message, "tool_calls", None) or ():
            offered = request is not None and request.model is not None and request.model.tools
            if not any(tool.name == call["name"] for tool in offered or ()):
                self.tools.seen(self.scope.agent, call["name"])


def _plain_message(item: Any) -> dict[str, Any]:
    return {"role": "user", "content": item} if isinstance(item, str) else translate.message(item)


def limit_place(model: Any, params: Mapping[str, Any]) -> str | None:
    """Where a smaller output limit can be put: an argument of the call that is there, or the model's own field."""
    for name in translate.LIMITS:
        if params.get(name) is not None or name in type(model).model_fields:
            return name
    return None


def limited(model: Any, kwargs: dict[str, Any], granted: int) -> tuple[dict[str, Any], Any]:
    """Arguments and model with an output limit of at most `granted` tokens; the caller's objects stay as they are."""
    for name in translate.LIMITS:
        if kwargs.get(name) is not None:
            return {**kwargs, name: granted}, model
    for name in translate.LIMITS:
        if name in type(model).model_fields:
            if name == "max_tokens":  # the one name that every provider package takes as an argument
                return {**kwargs, name: granted}, model
            return kwargs, model.model_copy(update={name: granted})
    return kwargs, model


class QueryAct(Act):
    """A retrieval or an embedding: text goes out, nothing that is judged comes back."""

    def __init__(self, guard: Guard, scope: Scope, action: str, resource: str, key: str) -> None:
        super().__init__(guard, scope)
        self.action: Any = action
        self.resource = resource
        self.key = key
        self._sent: Any = None

    def ask(self, sent: Any) -> Request:
        """The request about a query, or about texts."""
        self._sent = sent
        return self.built(self._request)

    def permitted(self, sent: Any) -> Any:
        """The query to use instead, where the decision changed it."""
        if self.decision is None or self.decision.args is None or self.request is None:
            return sent
        return self.rewritten(sent, self.request.args[self.key], self.decision.args[self.key])

    def _request(self) -> Request:
        sent = translate.value(self._sent)
        model = None
        if self.action == "embedding":
            model = Model(name=self.resource, input_bytes=len(canonical(plain(sent))))
        return self.guard.request(self.action, self.resource, {self.key: sent}, scope=self.scope, model=model)


def with_message(generation: ChatGeneration, message: Any) -> ChatGeneration:
    """The same generation with another message; LangChain's cache keeps the old one."""
    if message is generation.message:
        return generation
    kind = ChatGenerationChunk if isinstance(generation, ChatGenerationChunk) else ChatGeneration
    return kind(message=message, generation_info=generation.generation_info)


def with_messages(result: ChatResult, messages: Sequence[Any]) -> ChatResult:
    """The same result with other messages."""
    if all(message is generation.message for message, generation in zip(messages, result.generations, strict=True)):
        return result
    generations = [with_message(*pair) for pair in zip(result.generations, messages, strict=True)]
    return ChatResult(generations=generations, llm_output=result.llm_output)
