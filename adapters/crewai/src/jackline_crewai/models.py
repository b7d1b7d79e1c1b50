"""Around a model's body: its messages are judged before, its answer before anybody sees it."""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from crewai.events.types.llm_events import (
    LLMCallCompletedEvent,
    LLMCallFailedEvent,
    LLMStreamChunkEvent,
    LLMThinkingChunkEvent,
)
from crewai.llms import base_llm

from jackline.errors import Signal
from jackline.request import Tool
from jackline.session import CURRENT, joined
from jackline_crewai import translate
from jackline_crewai.enforce import ModelAct, ModelCall, ToolAct, abandon
from jackline_crewai.places import PLACE, Place, restore
from jackline_crewai.signals import ended

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextvars import Token

    from jackline_crewai.following import Follower

MODEL: ContextVar[ModelCall | None] = ContextVar("jackline_crewai_model", default=None)

_SHOWING = (LLMStreamChunkEvent, LLMThinkingChunkEvent, LLMCallCompletedEvent)
_NOTHING = object()
_NO_TOOL = "its agent has no such tool"


def continues(model: Any) -> bool:
    """Whether this is the way of a model call that was judged further out: `call` of a class and of its base."""
    call, place = MODEL.get(), PLACE.get()
    return call is not None and call.model is model and call.place is place


def told(usage: Any) -> None:
    """Take note of what a provider tells of its usage, in the very call: the model's own counters are shared."""
    call = MODEL.get()
    if call is not None and usage:
        call.told.append(usage)


def withheld(bus: Any, source: Any, event: Any) -> bool:
    """Whether an event shows an answer that is not judged yet; it is kept."""
    call = MODEL.get()
    if call is None or not call.holds or not isinstance(event, _SHOWING):
        return False
    call.events.append((bus, source, event))
    return True


class Calling:
    """One model call under every guard that follows it."""

    def __init__(
        self, followers: Sequence[Follower], model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        self._args, self._kwargs = args, kwargs
        given = args[0] if args else kwargs.get("messages")
        tools = args[1] if len(args) > 1 else kwargs.get("tools")
        self.original = model
        self.call = ModelCall(model, given, tools, kwargs)
        self.turn = self.call.turn()
        speaker = self.turn if self.turn is not None and self.turn.speaks else None
        _declare(followers)
        self.acts = [ModelAct(item, self.call, speaker) for item in followers]
        self._granted: list[int] = []
        self._tokens: tuple[Token[Any], ...] = ()
        self._before: dict[str, Any] = {}

    def _check_halted(self) -> None:
        """A session that was halted in this agent's run has ended there: CrewAI has made text of it, and goes on."""
        place = PLACE.get()
        agent = place.agent if place is not None else None
        if agent is not None and agent.run is not None:
            agent.run.check_halted()

    def _check_ended(self) -> None:
        """A session that was halted while the model answered: it swallows what the functions that it runs raise."""
        for act in self.acts:
            halt = act.scope.session.halt
            if halt is not None:
                raise ended(act.scope.session, halt)

    def open(self) -> None:
        """Ask every guard; raises where one refuses."""
        self._check_halted()
        try:
            for act in self.acts:
                act.check(act.ask())
                self._permitted(act)
        except BaseException as error:
            abandon(self.acts, error)
            raise

    async def aopen(self) -> None:
        """As `open`, without blocking the event loop."""
        self._check_halted()
        try:
            for act in self.acts:
                await act.acheck(act.ask())
                self._permitted(act)
        except BaseException as error:
            abandon(self.acts, error)
            raise

    def _permitted(self, act: ModelAct) -> None:
        granted = act.permitted()
        if granted is not None:
            self._granted.append(granted)

    def enter(self) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Begin the body; the model, and what it is called with."""
        call = self.call
        if self._granted:
            call.model = self._limited(min(self._granted))
        call.holds = any(act.holds for act in self.acts)
        call.place = Place("model", call.model, [act.inner for act in self.acts], PLACE.get())
        tokens: list[Token[Any]] = [CURRENT.set(joined(call.place.scopes)), PLACE.set(call.place), MODEL.set(call)]
        for variable in (base_llm._call_stop_override_var, base_llm._call_stream_override_var):  # noqa: SLF001
            overrides: Any = variable.get()
            if call.model is not self.original and overrides and id(self.original) in overrides:
                tokens.append(variable.set({**overrides, id(call.model): overrides[id(self.original)]}))
        self._tokens = tuple(tokens)
        if self._args:
            return call.model, (call.messages, *self._args[1:]), self._kwargs
        return call.model, (), {**self._kwargs, "messages": call.messages}

    def leave(self) -> None:
        """End the body."""
        restore(self._tokens)
        model = self.call.model
        if model is not self.original:
            _copied_back(self._before, model, self.original)

    def broken(self, error: BaseException) -> None:
        """Close a call that broke off."""
        for act in self.acts:
            act.broken(error)
        self._drop(str(error) or type(error).__name__)

    def finish(self, result: Any) -> Any:
        """Record the answer, and let through what every guard permits of it; raises where it is withheld."""
        given = result
        try:
            for act in reversed(self.acts):
                before = translate.answer(result)
                act.finished(before)
                if act.request is not None:
                    result = act.released(result, before, act.guard.returned(act.request, before))
                    asked, said = act.asked_output(result)
                    if asked is not None:
                        result = act.worded(result, said, act.guard.check(asked))
            self._check_refused()
            for attempt, args in self._unknown(result):
                with contextlib.suppress(Signal):
                    attempt.check(attempt.ask(args))
                    attempt.abandon(_NO_TOOL)
            self._check_ended()
        except BaseException as error:
            self._drop(str(error))
            raise
        self._show(given, result)
        return result

    async def afinish(self, result: Any) -> Any:
        """As `finish`, without blocking the event loop."""
        given = result
        try:
            for act in reversed(self.acts):
                before = translate.answer(result)
                act.finished(before)
                if act.request is not None:
                    result = act.released(result, before, await act.guard.areturned(act.request, before))
                    asked, said = act.asked_output(result)
                    if asked is not None:
                        result = act.worded(result, said, await act.guard.acheck(asked))
            self._check_refused()
            for attempt, args in self._unknown(result):
                with contextlib.suppress(Signal):
                    await attempt.acheck(attempt.ask(args))
                    attempt.abandon(_NO_TOOL)
            self._check_ended()
        except BaseException as error:
            self._drop(str(error))
            raise
        self._show(given, result)
        return result

    def _check_refused(self) -> None:
        """Raise what ended the session in a tool that this call has run itself."""
        place = self.call.place
        if place is not None and place.refusal is not None:
            raise place.refusal

    def _unknown(self, result: Any) -> Iterator[tuple[ToolAct, dict[str, Any]]]:
        """What the answer asks of tools that its agent does not have: attempts, which are asked about and on record."""
        if self.turn is None or self.call.last:
            return
        for name, args in translate.asked_tools(result, native_tools=bool(self.call.tools)):
            for act in self.acts:
                tools, agent = act.follower.tools, act.scope.agent
                if not tools.has(agent, name, loosely=not self.call.tools):
                    yield ToolAct(act.follower, Tool(name=name)), args

    def _limited(self, granted: int) -> Any:
        """The model with a smaller output limit; the caller's own, which others may be using, stays as it is."""
        copy = self.original.model_copy(update=translate.limited(self.original, granted))
        self._before = dict(getattr(copy, "__pydantic_private__", None) or {})
        return copy

    def _show(self, given: Any, result: Any) -> None:
        """Emit what was held back: as it was, or with the answer that policies let through."""
        shown = False
        for bus, source, event in self._held():
            if result is given:
                bus.emit(source, event)
            elif isinstance(event, LLMCallCompletedEvent):
                text = _as_shown(event.response, given, result)
                bus.emit(source, event.model_copy(update={"response": text}))
            elif isinstance(event, LLMStreamChunkEvent) and not shown and isinstance(result, str):
                shown = True
                bus.emit(source, event.model_copy(update={"chunk": result, "tool_call": None}))

    def _drop(self, why: str) -> None:
        """Emit nothing of an answer that is withheld, but that its call has ended."""
        for bus, source, event in self._held():
            if isinstance(event, LLMCallCompletedEvent):
                bus.emit(source, LLMCallFailedEvent(error=why, model=event.model, call_id=event.call_id))

    def _held(self) -> list[tuple[Any, Any, Any]]:
        events, self.call.events = self.call.events, []
        return events


def _as_shown(response: Any, given: Any, result: Any) -> Any:
    """A completed event's response with the changed answer; one that shows something else says no more than that."""
    if response == given or isinstance(result, str):
        return result
    return translate.value(result)


def _copied_back(before: dict[str, Any], copy: Any, model: Any) -> None:
    """What a call changed in a model's private state belongs to the model, not to the copy with the smaller limit."""
    for name, item in (getattr(copy, "__pydantic_private__", None) or {}).items():
        if before.get(name, _NOTHING) is not item:
            model.__pydantic_private__[name] = item


def _declare(followers: Sequence[Follower]) -> None:
    """Take note of an agent's tools, whenever they are others than before."""
    place = PLACE.get()
    agent = place.agent if place is not None else None
    if agent is None or agent.executor is None:
        return
    executor = agent.executor
    tools = getattr(executor, "original_tools", None) or getattr(executor, "_parsed_tools", None) or ()
    identity = tuple(map(id, tools))
    if agent.tools != identity:
        agent.tools = identity
        for follower in followers:
            scope = next((item for item in agent.scopes if item.guard is follower.guard), None)
            if scope is not None:
                follower.tools.declare(scope.agent, tools)


def call_model(followers: Sequence[Follower], body: Callable[..., Any], model: Any, args: Any, kwargs: Any) -> Any:
    """Call a model under every guard that follows the call."""
    calling = Calling(followers, model, args, kwargs)
    calling.open()
    try:
        model, args, kwargs = calling.enter()
        try:
            result = body(model, *args, **kwargs)
        finally:
            calling.leave()
    except BaseException as error:
        calling.broken(error)
        raise
    return calling.finish(result)


async def acall_model(
    followers: Sequence[Follower], body: Callable[..., Awaitable[Any]], model: Any, args: Any, kwargs: Any
) -> Any:
    """As `call_model`, without blocking the event loop."""
    calling = Calling(followers, model, args, kwargs)
    await calling.aopen()
    try:
        model, args, kwargs = calling.enter()
        try:
            result = await body(model, *args, **kwargs)
        finally:
            calling.leave()
    except BaseException as error:
        calling.broken(error)
        raise
    return await calling.afinish(result)
