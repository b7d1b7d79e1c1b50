"""What tracers are told: of an act whose result is judged, they hear when it was judged, and what was let through.

LlamaIndex's own wraps around models and tools tell tracers of a result before this adapter's wraps have it.
"""

from __future__ import annotations

import contextlib
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks import CBEventType, EventPayload
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDS = (LLMChatEndEvent, LLMCompletionEndEvent)
_PARTS = (LLMChatInProgressEvent, LLMCompletionInProgressEvent)


class Traces:
    """What is to be told of one act, kept until its result was judged."""

    def __init__(self, native: Any, *, model: bool) -> None:
        self.native = native
        self.model = model
        self._kept: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def keep(self, tell: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Tell it later."""
        self._kept.append((tell, args, kwargs))

    def tell(self) -> None:
        """Tell everything as it was."""
        self._tell(lambda tell, args, kwargs: tell(*args, **kwargs))

    def tell_changed(self, before: Any, after: Any) -> None:
        """Tell it with the result as it was let through."""
        if before is after:
            self.tell()
        else:
            self._tell(lambda *kept: _changed(after, *kept))

    def tell_refused(self, error: BaseException) -> None:
        """Tell that the result was withheld."""
        self._tell(lambda *kept: _refused(error, *kept))

    def _tell(self, how: Callable[..., None]) -> None:
        if not self._kept:
            return
        kept, self._kept = self._kept, []
        token = HELD.set(None)
        try:
            for each in kept:
                with contextlib.suppress(Exception):  # a tracer of somebody else's
                    how(*each)
        finally:
            HELD.reset(token)


HELD: ContextVar[Traces | None] = ContextVar("jackline_llamaindex_held", default=None)


def _changed(after: Any, tell: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    event = args[1] if len(args) > 1 else None
    if isinstance(event, _PARTS):
        return
    if isinstance(event, _ENDS):
        tell(args[0], event.model_copy(update={"response": after}), *args[2:], **kwargs)
    elif "result" in kwargs:
        shown = after if type(kwargs["result"]) is type(after) else kwargs["result"]
        tell(*args, **{**kwargs, "result": shown})
    elif isinstance(kwargs.get("payload"), dict):
        tell(*args, **{**kwargs, "payload": {**kwargs["payload"], EventPayload.RESPONSE: after}})


def _refused(error: BaseException, tell: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    event = args[1] if len(args) > 1 else None
    if isinstance(event, (*_PARTS, *_ENDS)):
        return
    if "result" in kwargs:
        named = {key: item for key, item in kwargs.items() if key != "result"}
        args[0].span_drop(*args[1:], **named, err=error)
    elif isinstance(kwargs.get("payload"), dict):
        tell(*args, **{**kwargs, "payload": {EventPayload.EXCEPTION: error}})


def event(body: Callable[..., Any]) -> Callable[..., Any]:
    """`Dispatcher.event`."""

    def wrapper(self: Any, event: Any, **kwargs: Any) -> Any:
        held = HELD.get()
        if held is not None and held.model and isinstance(event, (*_PARTS, *_ENDS)):
            return held.keep(body, (self, event), kwargs)
        return body(self, event, **kwargs)

    return wrapper


def span_exit(body: Callable[..., Any]) -> Callable[..., Any]:
    """`Dispatcher.span_exit`: it is told the result."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        held = HELD.get()
        if held is not None and held.native is not None and kwargs.get("instance") is held.native:
            return held.keep(body, (self, *args), kwargs)
        return body(self, *args, **kwargs)

    return wrapper


def on_event_end(body: Callable[..., Any]) -> Callable[..., Any]:
    """`CallbackManager.on_event_end`: the older callbacks are told the response."""

    def wrapper(self: Any, event_type: Any, *args: Any, **kwargs: Any) -> Any:
        held = HELD.get()
        if held is not None and held.model and event_type == CBEventType.LLM and "payload" in kwargs:
            return held.keep(body, (self, event_type, *args), kwargs)
        return body(self, event_type, *args, **kwargs)

    return wrapper
