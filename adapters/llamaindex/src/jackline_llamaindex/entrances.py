"""Around tools: whoever calls them, the guard is asked before, once for a call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_llamaindex.calls import MARK, JudgedCall, arun_direct, run_direct
from jackline_llamaindex.following import FOLLOWERS
from jackline_llamaindex.tools import known

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline_llamaindex.following import Follower


def _call(tool: Any, followers: Sequence[Follower], args: Sequence[Any], kwargs: dict[str, Any]) -> JudgedCall:
    call = JudgedCall(tool, "")
    call.take(followers, kwargs)
    call.bound = known(tool).bound(args, kwargs)
    return call


def _given(tool: Any, changed: dict[str, Any] | None, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The call's arguments, by name where they were changed, with the context that LlamaIndex adds."""
    if changed is None:
        return args, kwargs
    context = known(tool).context
    own = {context: kwargs[context]} if context is not None and context in kwargs else {}
    return (), {**changed, **own}


def tool_entrance(*, leaf: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`__call__` or `call` of a tool. `leaf`: nothing below it leads to another entrance of the same call."""

    def wrap(body: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
            mark = MARK.get()
            if mark is not None and mark.covers(self, args, kwargs):
                if not leaf:
                    return body(self, *args, **kwargs)
                token = MARK.set(None)
                try:
                    return body(self, *args, **kwargs)
                finally:
                    MARK.reset(token)
            followers = FOLLOWERS.active(self)
            if not followers:
                return body(self, *args, **kwargs)

            def run(changed: dict[str, Any] | None) -> Any:
                given, named = _given(self, changed, args, kwargs)
                if leaf:
                    MARK.set(None)
                return body(self, *given, **named)

            return run_direct(_call(self, followers, args, kwargs), run)

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
                token = MARK.set(None)
                try:
                    return await body(self, *args, **kwargs)
                finally:
                    MARK.reset(token)
            followers = FOLLOWERS.active(self)
            if not followers:
                return await body(self, *args, **kwargs)

            async def run(changed: dict[str, Any] | None) -> Any:
                given, named = _given(self, changed, args, kwargs)
                if leaf:
                    MARK.set(None)
                return await body(self, *given, **named)

            return await arun_direct(_call(self, followers, args, kwargs), run)

        return wrapper

    return wrap
