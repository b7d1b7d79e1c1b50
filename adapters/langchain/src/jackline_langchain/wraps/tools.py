"""Tools: the public entrances, and the bodies below them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from langchain_core.tools import BaseTool

from jackline_langchain import bodies, following
from jackline_langchain.enforce import message_of
from jackline_langchain.entrances import TOOL, ToolEntrance
from jackline_langchain.signals import DeniedTool, PendingTool

if TYPE_CHECKING:
    from collections.abc import Callable


def _tool_run(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        following.reach(type(self), BaseTool, BODIES)
        entrance = ToolEntrance(self, tool_input, _own_entrance(self))
        token = TOOL.set(entrance)
        try:
            return _worded(self, entrance, kwargs, original(self, tool_input, *args, **kwargs))
        except (DeniedTool, PendingTool) as refusal:
            call_id = kwargs.get("tool_call_id")
            if not entrance.acts or call_id is None:
                raise
            return message_of(refusal, self.name, call_id)
        finally:
            TOOL.reset(token)

    return run


def _tool_arun(original: Callable[..., Any]) -> Callable[..., Any]:
    async def arun(self: BaseTool, tool_input: Any, *args: Any, **kwargs: Any) -> Any:
        following.reach(type(self), BaseTool, BODIES)
        entrance = ToolEntrance(self, tool_input, _own_entrance(self))
        token = TOOL.set(entrance)
        try:
            return _worded(self, entrance, kwargs, await original(self, tool_input, *args, **kwargs))
        except (DeniedTool, PendingTool) as refusal:
            call_id = kwargs.get("tool_call_id")
            if not entrance.acts or call_id is None:
                raise
            return message_of(refusal, self.name, call_id)
        finally:
            TOOL.reset(token)

    return arun


def _worded(tool: BaseTool, entrance: ToolEntrance, kwargs: dict[str, Any], result: Any) -> Any:
    """What a run gives back: the refusal itself, where the tool's `handle_tool_error` has words of its own for it."""
    refusal = next((act.refusal for act in entrance.acts if act.refusal is not None), None)
    if refusal is None:
        return result
    call_id = kwargs.get("tool_call_id")
    return str(refusal) if call_id is None else message_of(refusal, tool.name, call_id)


def _tool_body(original: Callable[..., Any]) -> Callable[..., Any]:
    def _run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        acts, token = _entered(self)
        try:
            if not acts:
                return original(self, *args, **kwargs)
            return bodies.run_tool(acts, functools.partial(original, self), args, kwargs)
        finally:
            if token is not None:
                TOOL.reset(token)

    return _run


def _tool_abody(original: Callable[..., Any]) -> Callable[..., Any]:
    async def _arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        acts, token = _entered(self)
        try:
            if not acts:
                return await original(self, *args, **kwargs)
            return await bodies.arun_tool(acts, functools.partial(original, self), args, kwargs)
        finally:
            if token is not None:
                TOOL.reset(token)

    return _arun


def _entered(tool: BaseTool) -> tuple[Any, Any]:
    """The acts of the call that reaches a body; a body that is called directly is an act of its own."""
    entrance = TOOL.get()
    if entrance is not None and entrance.native is tool:
        if entrance.entered:
            return (), None
        entrance.entered = True
        return entrance.acts, None
    acts = following.tool_acts(tool)
    if not acts:
        return (), None
    entrance = ToolEntrance(tool, None)
    entrance.entered = True
    return acts, TOOL.set(entrance)


def _own_entrance(tool: BaseTool) -> ToolEntrance | None:
    """The entrance of a tool's own that this call came in by."""
    entrance = TOOL.get()
    return entrance if entrance is not None and entrance.outer and entrance.native is tool else None


def _opened(tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolEntrance | None:
    """An entrance of the tool's own with its acts; None where the call came in by one, or nobody follows it."""
    if not isinstance(tool, BaseTool) or _own_entrance(tool) is not None:
        return None
    given = args[0] if args else kwargs.get("input", kwargs.get("tool_input"))
    config = args[1] if args[1:] and isinstance(args[1], dict) else kwargs.get("config")
    if config is None and kwargs.get("callbacks") is not None:
        config = {"callbacks": kwargs["callbacks"], "metadata": kwargs.get("metadata") or {}}
    entrance = ToolEntrance(tool, given)
    entrance.acts += following.own_entrance_acts(tool, given, config, kwargs.get("tool_call_id"))
    entrance.entered = entrance.outer = True
    return entrance if entrance.acts else None


def _own_run(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        entrance = _opened(self, args, kwargs)
        if entrance is None:
            return original(self, *args, **kwargs)
        token = TOOL.set(entrance)
        try:
            return bodies.run_tool(entrance.acts, functools.partial(original, self), args, kwargs)
        except (DeniedTool, PendingTool) as refusal:
            if not entrance.acts[0].call_id:
                raise
            return message_of(refusal, self.name, entrance.acts[0].call_id)
        finally:
            TOOL.reset(token)

    return run


def _own_arun(original: Callable[..., Any]) -> Callable[..., Any]:
    async def arun(self: BaseTool, *args: Any, **kwargs: Any) -> Any:
        entrance = _opened(self, args, kwargs)
        if entrance is None:
            return await original(self, *args, **kwargs)
        token = TOOL.set(entrance)
        try:
            return await bodies.arun_tool(entrance.acts, functools.partial(original, self), args, kwargs)
        except (DeniedTool, PendingTool) as refusal:
            if not entrance.acts[0].call_id:
                raise
            return message_of(refusal, self.name, entrance.acts[0].call_id)
        finally:
            TOOL.reset(token)

    return arun


BODIES = {"_run": _tool_body, "_arun": _tool_abody}
OWN = {**BODIES, "run": _own_run, "invoke": _own_run, "arun": _own_arun, "ainvoke": _own_arun}
"""What a class of tools has of its own: its bodies, and entrances in place of LangChain's."""
ENTRANCES = {"run": _tool_run, "arun": _tool_arun, "_arun": _tool_abody}
