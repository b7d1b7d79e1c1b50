"""A model call: its messages and limit before, its answer after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from jackline.events import Usage
from jackline.plain import canonical, plain, words
from jackline.request import Model
from jackline_langchain import limits, translate
from jackline_langchain.enforce import Act
from jackline_langchain.signals import signal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import BaseMessage

    from jackline.decision import Decision
    from jackline.guard import Guard
    from jackline.request import Agent, Request
    from jackline.session import Scope
    from jackline_langchain.tools import Tools


class ModelAct(Act):
    """A model call: its messages and limit before, its answer after."""

    def __init__(
        self, guard: Guard, scope: Scope, tools: Tools, *, facts: Mapping[str, Any], answers: Sequence[Agent] = ()
    ) -> None:
        """`facts`: `params`, `metadata`, `serialized` as the callback got them; `answers`: whose output its text is."""
        super().__init__(guard, scope)
        self.tools = tools
        self.params: Mapping[str, Any] = facts.get("params") or {}
        self.metadata: Mapping[str, Any] = facts.get("metadata") or {}
        self.serialized: Mapping[str, Any] = facts.get("serialized") or {}
        self.answers = answers
        self.received = 0
        """Bytes of the answer that were streamed so far."""
        self._messages: Any = []
        self._keeps_answers = False

    def ask(self, messages: Any, kwargs: Mapping[str, Any], model: BaseChatModel | None = None) -> Request:
        """The request about the messages (or prompts) that the model would receive."""
        return self.built(lambda: self._request(messages, kwargs, model))

    def permitted(self, messages: Any, kwargs: dict[str, Any], model: Any) -> tuple[Any, dict[str, Any], Any]:
        """The messages, arguments and model to use instead, where the decision changed something."""
        request, decision = self.request, self.decision
        if request is None or decision is None:
            return messages, kwargs, model
        if decision.args is not None:
            messages = self.changed(messages, self._messages, decision.args["messages"])
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
        return self.guard.judges_return(request) or any(map(self.guard.judges, self.outputs(None)))

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
            cached=self._keeps_answers and translate.cached(first),
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
            asked = filter(self.guard.judges, self.outputs(answer.get("content")))
            decisions += map(self.guard.check, asked)
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
        message, before = self.let_through(message, before, self.guard.returned(self.request, before))
        if self.answers and not getattr(message, "tool_calls", None):
            for asked in self.outputs(before.get("content")):
                if self.guard.judges(asked):
                    asked.args = {"result": before.get("content")}
                    message, before = self.worded(message, before, self.guard.check(asked))
        return message

    async def areturned(self, message: BaseMessage, before: Any) -> BaseMessage:
        """As `returned`, without blocking the event loop."""
        if self.request is None:
            return message
        message, before = self.let_through(message, before, await self.guard.areturned(self.request, before))
        if self.answers and not getattr(message, "tool_calls", None):
            for asked in self.outputs(before.get("content")):
                if self.guard.judges(asked):
                    asked.args = {"result": before.get("content")}
                    message, before = self.worded(message, before, await self.guard.acheck(asked))
        return message

    def let_through(self, message: BaseMessage, before: Any, answer: Decision | None) -> tuple[BaseMessage, Any]:
        """An answer as `model.return` was decided."""
        if answer is None:
            return message, before
        if not answer.permitted:
            raise signal(answer)
        after = answer.args["result"] if answer.args is not None else before
        return self._changed(message, before, after, answer), after

    def worded(self, message: BaseMessage, before: Any, answer: Decision) -> tuple[BaseMessage, Any]:
        """An answer as `output` was decided."""
        if not answer.permitted:
            raise signal(answer)
        if answer.args is None:
            return message, before
        after = {**before, "content": answer.args["result"]}
        return self._changed(message, before, after, answer), after

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
        except Exception as error:
            reason = f"its answer cannot be changed as policy asks: {words(error)}"
            raise signal(msgspec.structs.replace(answer, effect="deny", reason=reason)) from error
        return changed

    def _request(self, messages: Any, kwargs: Mapping[str, Any], model: Any) -> Request:
        params = {**self.params, **kwargs}
        self._keeps_answers = translate.keeps_answers(model)
        self._messages = [_plain_message(item) for item in messages]
        agent = self.scope.agent
        offers = params.get("tools") or ()
        asked = Model(
            name=translate.model_name(params, self.metadata, self.serialized, kwargs),
            provider=str(self.metadata.get("ls_provider") or ""),
            max_tokens=limits.limit_of(params, self.metadata),
            choices=limits.choices_of(params),
            tools=tuple(self.tools.offered(agent, translate.offered(params))),
            input_bytes=translate.input_of(self._messages, [*offers, *limits.schemas_of(params)]),
            opaque_input=translate.is_opaque(self._messages),
            can_limit=model is not None and _can_limit(model, kwargs, params),
        )
        args = {"messages": self._messages}
        return self.guard.request("model.call", asked.name, args, scope=self.scope, model=asked)

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


def limit_place(model: Any, kwargs: Mapping[str, Any]) -> str | None:
    """Where a smaller output limit can be put: an argument of the call that is there, or the model's own field."""
    fields = type(model).model_fields
    for name in limits.LIMITS:
        if kwargs.get(name) is not None or name in fields:
            return name
    return None


def _can_limit(model: Any, kwargs: Mapping[str, Any], params: Mapping[str, Any]) -> bool:
    return limit_place(model, kwargs) is not None and not limits.hides_limit(params)


def limited(model: Any, kwargs: dict[str, Any], granted: int) -> tuple[dict[str, Any], Any]:
    """Arguments and model with an output limit of at most `granted` tokens; the caller's objects stay as they are."""
    given = {name: kwargs[name] for name in limits.LIMITS if kwargs.get(name) is not None}
    if given:
        smaller = {name: item if type(item) is int and 0 < item < granted else granted for name, item in given.items()}
        return {**kwargs, **smaller}, model
    for name in limits.LIMITS:
        if name in type(model).model_fields:
            if name == "max_tokens":  # the one name that every provider package takes as an argument
                return {**kwargs, name: granted}, model
            return kwargs, model.model_copy(update={name: granted})
    return kwargs, model


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
