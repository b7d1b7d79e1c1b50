"""Around models: each call is judged once, outermost; what its answer is, is judged before anybody sees it."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jackline.errors import Signal
from jackline_llamaindex import offers
from jackline_llamaindex.answers import Answer
from jackline_llamaindex.enforce import ModelAct, ended
from jackline_llamaindex.following import FOLLOWERS
from jackline_llamaindex.runs import RUN, inside, scope_of
from jackline_llamaindex.steps import STEP
from jackline_llamaindex.tools import known
from jackline_llamaindex.tracing import HELD

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence

    from jackline_llamaindex.following import Follower
    from jackline_llamaindex.runs import Within

ASKED: ContextVar[Any] = ContextVar("jackline_llamaindex_model", default=None)
"""The model that is being asked: its own further entrances are parts of the same call (L19)."""

_END = object()
"""Stands for a stream's end."""


class Asked:
    """One call of a model, for every guard that follows it."""

    def __init__(self, llm: Any, followers: Sequence[Follower], *, chat: bool, streamed: bool) -> None:
        self.llm = llm
        self.chat = chat
        self.streamed = streamed
        running, step = RUN.get(), STEP.get()
        self.step = step if step is not None and step.agent.llm is llm else None
        tools = [known(tool).tool for tool in self.step.tools.values()] if self.step is not None else []
        self.counted = False
        """Whether tokens were asked for that the caller did not ask for."""
        self.acts: list[ModelAct] = []
        for follower in followers:
            run = running.of(follower.guard) if running is not None and self.step is not None else None
            answers = run.answers if run is not None else ()
            self.acts.append(ModelAct(follower.guard, scope_of(follower.guard), tools, answers))

    def open(self, sent: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Ask every guard; what the model is sent then."""
        messages: Any = sent if self.chat else [sent]
        try:
            for act in self.acts:
                act.check(act.ask(self.llm, messages, kwargs))
                messages, kwargs = act.permitted(messages, kwargs)
        except BaseException as error:
            self._abandon(error)
            raise
        return self._sent(messages), self._counted(kwargs)

    async def aopen(self, sent: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """As `open`, without blocking the event loop."""
        messages: Any = sent if self.chat else [sent]
        try:
            for act in self.acts:
                await act.acheck(act.ask(self.llm, messages, kwargs))
                messages, kwargs = act.permitted(messages, kwargs)
        except BaseException as error:
            self._abandon(error)
            raise
        return self._sent(messages), self._counted(kwargs)

    def _sent(self, messages: Any) -> Any:
        return messages if self.chat else messages[0]

    def _counted(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Ask for a stream's tokens where the provider wants to be asked (L22)."""
        if not self.streamed or not offers.tells_usage_on_request(self.llm):
            return kwargs
        own = kwargs.get("stream_options") or (getattr(self.llm, "additional_kwargs", None) or {}).get("stream_options")
        if own is not None:
            return kwargs
        self.counted = True
        return {**kwargs, "stream_options": {"include_usage": True}}

    def _abandon(self, error: BaseException) -> None:
        why = "another guard refused it" if isinstance(error, Signal) else f"{type(error).__name__} came before it"
        for act in self.acts:
            act.abandon(why)

    def broken(self, error: BaseException, answer: Answer | None = None) -> None:
        """Record that the call broke off."""
        for act in self.acts:
            act.broken(error)
        if answer is not None:
            answer.traced(error)

    def left(self) -> None:
        """Record that nobody took the stream."""
        self.broken(GeneratorExit())

    def within(self, answer: Answer) -> Within:
        """What the model does is done below its acts, and tracers are told of it when it was judged."""
        return inside(self.acts, (ASKED, self.llm), (HELD, answer.traces))

    def answer(self) -> Answer:
        """What comes back of it."""
        return Answer(self.llm, self.acts, self.step, chat=self.chat, counted=self.counted)


def _asked(llm: Any, *, chat: bool, streamed: bool = False) -> Asked | None:
    """The call, where a guard follows it and it is no part of one that was judged."""
    if ASKED.get() is llm:
        return None
    followers = FOLLOWERS.active(llm)
    return Asked(llm, followers, chat=chat, streamed=streamed) if followers else None


def _parts(args: tuple[Any, ...], kwargs: dict[str, Any], *, chat: bool) -> tuple[Any, Callable[..., Any]]:
    """What is sent, and how a call with something else is made."""
    name = "messages" if chat else "prompt"
    if args:
        return args[0], lambda sent, named: ((sent, *args[1:]), named)
    return kwargs.pop(name, None), lambda sent, named: ((), {name: sent, **named})


def plain_call(*, chat: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`chat` or `complete`."""

    def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            asked = _asked(self, chat=chat)
            if asked is None:
                return body(self, *args, **kwargs)
            named = dict(kwargs)
            sent, call = _parts(args, named, chat=chat)
            given, named = call(*asked.open(sent, named))
            answer = asked.answer()
            try:
                with asked.within(answer):
                    response = body(self, *given, **named)
            except BaseException as error:
                asked.broken(error, answer)
                raise
            return answer.released(response)

        return wrapper

    return wrap


def async_call(*, chat: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`achat` or `acomplete`."""

    def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            asked = _asked(self, chat=chat)
            if asked is None:
                return await body(self, *args, **kwargs)
            named = dict(kwargs)
            sent, call = _parts(args, named, chat=chat)
            given, named = call(*await asked.aopen(sent, named))
            answer = asked.answer()
            try:
                with asked.within(answer):
                    response = await body(self, *given, **named)
            except BaseException as error:
                asked.broken(error, answer)
                raise
            return await answer.areleased(response)

        return wrapper

    return wrap


def stream_call(*, chat: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`stream_chat` or `stream_complete`: the call is timed to the stream's end (L21)."""

    def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            asked = _asked(self, chat=chat, streamed=True)
            if asked is None:
                return body(self, *args, **kwargs)
            named = dict(kwargs)
            sent, call = _parts(args, named, chat=chat)
            given, named = call(*asked.open(sent, named))
            answer = asked.answer()
            try:
                with asked.within(answer):
                    stream = body(self, *given, **named)
            except BaseException as error:
                asked.broken(error, answer)
                raise
            passed = _passed(asked, answer, stream)
            weakref.finalize(passed, asked.left)
            return passed

        return wrapper

    return wrap


def async_stream_call(*, chat: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`astream_chat` or `astream_complete`."""

    def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            asked = _asked(self, chat=chat, streamed=True)
            if asked is None:
                return await body(self, *args, **kwargs)
            named = dict(kwargs)
            sent, call = _parts(args, named, chat=chat)
            given, named = call(*await asked.aopen(sent, named))
            answer = asked.answer()
            try:
                with asked.within(answer):
                    stream = await body(self, *given, **named)
            except BaseException as error:
                asked.broken(error, answer)
                raise
            passed = _apassed(asked, answer, stream)
            weakref.finalize(passed, asked.left)
            return passed

        return wrapper

    return wrap


def _passed(asked: Asked, answer: Answer, stream: Any) -> Generator[Any, None, None]:
    steps = iter(stream)
    try:
        while True:
            with asked.within(answer):
                part = next(steps, _END)
            if part is _END:
                break
            if answer.flows(part):
                yield part
    except BaseException as error:
        asked.broken(error, answer)
        close = getattr(stream, "close", None)
        if close is not None:
            close()
        raise
    yield from answer.rest()


async def _apassed(asked: Asked, answer: Answer, stream: Any) -> AsyncGenerator[Any, None]:
    steps = aiter(stream)
    try:
        while True:
            with asked.within(answer):
                part = await anext(steps, _END)
            if part is _END:
                break
            if answer.flows(part):
                yield part
    except BaseException as error:
        asked.broken(error, answer)
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
        raise
    for part in await answer.arest():
        yield part


def predict_and_call(body: Callable[..., Any]) -> Callable[..., Any]:
    """`predict_and_call` tells tools' exceptions as text; a session that ended meanwhile is no text (L9)."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _unless_ended(self, body(self, *args, **kwargs))

    return wrapper


def apredict_and_call(body: Callable[..., Any]) -> Callable[..., Any]:
    """As `predict_and_call`."""

    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        return _unless_ended(self, await body(self, *args, **kwargs))

    return wrapper


def _unless_ended(llm: Any, answer: Any) -> Any:
    for follower in FOLLOWERS.active(llm):
        halted = ended(scope_of(follower.guard).session)
        if halted is not None:
            raise halted
    return answer


MODELS = {
    "chat": plain_call(chat=True),
    "achat": async_call(chat=True),
    "stream_chat": stream_call(chat=True),
    "astream_chat": async_stream_call(chat=True),
    "complete": plain_call(chat=False),
    "acomplete": async_call(chat=False),
    "stream_complete": stream_call(chat=False),
    "astream_complete": async_stream_call(chat=False),
    "predict_and_call": predict_and_call,
    "apredict_and_call": apredict_and_call,
}
