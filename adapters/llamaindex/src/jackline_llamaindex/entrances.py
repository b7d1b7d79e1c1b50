"""Around tools: whoever calls them, the guard is asked before, once for a call."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from jackline.errors import Halted, Signal
from jackline_llamaindex.calls import MARK, JudgedCall, arun_direct, run_direct, told
from jackline_llamaindex.following import FOLLOWERS
from jackline_llamaindex.tools import known, reads_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llama_index.core.tools import ToolOutput

    from jackline_llamaindex.following import Follower

_telling: ContextVar[Any] = ContextVar("jackline_llamaindex_telling", default=None)
"""The tool whose caller turns exceptions into text."""


def _call(tool: Any, followers: Sequence[Follower], args: Sequence[Any], kwargs: dict[str, Any]) -> JudgedCall:
    call = JudgedCall(tool, "")
    call.take(followers, kwargs, args)
    return call


def _given(tool: Any, changed: dict[str, Any] | None, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The call's arguments, by name where they were changed, with the context that LlamaIndex adds."""
    if changed is None:
        return args, kwargs
    context = known(tool).context
    own = {context: kwargs[context]} if context is not None and context in kwargs else {}
    return (), {**changed, **own}


def _told(call: JudgedCall, refusal: Signal) -> ToolOutput:
    """A refusal as text, where the caller turns exceptions into text of its own; raises it elsewhere."""
    if _telling.get() is not call.tool or isinstance(refusal, Halted):
        raise refusal
    return told(call.name, call.kwargs, refusal)


def telling(body: Callable[..., Any]) -> Callable[..., Any]:
    """`calling.call_tool`: a refusal is told as an agent's model is told it; a halt is raised (L9)."""

    def wrapper(tool: Any, *args: Any, **kwargs: Any) -> Any:
        token = _telling.set(tool)
        try:
            return _unless_halted(body(tool, *args, **kwargs))
        finally:
            _telling.reset(token)

    return wrapper


def atelling(body: Callable[..., Any]) -> Callable[..., Any]:
    """`calling.acall_tool`: as `telling`."""

    async def wrapper(tool: Any, *args: Any, **kwargs: Any) -> Any:
        token = _telling.set(tool)
        try:
            return _unless_halted(await body(tool, *args, **kwargs))
        finally:
            _telling.reset(token)

    return wrapper


def _unless_halted(output: Any) -> Any:
    error = getattr(output, "exception", None)
    if isinstance(error, Halted):
        raise error
    return output


def tool_entrance(*, leaf: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`__call__` or `call` of a tool. `leaf`: nothing below it leads to another entrance of the same call."""

    def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            mark = MARK.get()
            if mark is not None and mark.covers(self, args, kwargs):
                if not leaf:
                    return body(self, *args, **kwargs)
                mark.reached = True
                token = MARK.set(None)
                try:
                    return body(self, *args, **kwargs)
                finally:
                    MARK.reset(token)
            followers = FOLLOWERS.active(self)
            if not followers or reads_answer(self):
                return body(self, *args, **kwargs)

            def run(changed: dict[str, Any] | None) -> Any:
                given, named = _given(self, changed, args, kwargs)
                if leaf:
                    MARK.set(None)
                return body(self, *given, **named)

            call = _call(self, followers, args, kwargs)
            try:
                return run_direct(call, run)
            except Signal as refusal:
                return _told(call, refusal)

        return wrapper

    return wrap


def async_tool_entrance(*, leaf: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`acall` of a tool."""

    def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            mark = MARK.get()
            if mark is not None and mark.covers(self, args, kwargs):
                if not leaf:
                    return await body(self, *args, **kwargs)
                mark.reached = True
                token = MARK.set(None)
                try:
                    return await body(self, *args, **kwargs)
                finally:
                    MARK.reset(token)
            followers = FOLLOWERS.active(self)
            if not followers or reads_answer(self):
                return await body(self, *args, **kwargs)

            async def run(changed: dict[str, Any] | None) -> Any:
                given, named = _given(self, changed, args, kwargs)
                if leaf:
                    MARK.set(None)
                return await body(self, *given, **named)

            call = _call(self, followers, args, kwargs)
            try:
                return await arun_direct(call, run)
            except Signal as refusal:
                return _told(call, refusal)

        return wrapper

    return wrap
