"""`tools/list`: a caller is shown what it may use, and every description is looked at before a model reads it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from jackline_mcp.ambiguity import misread
from jackline_mcp.enforce import INTERNAL, error_of

if TYPE_CHECKING:
    from jackline_mcp.frames import Message
    from jackline_mcp.relay import Relay

_PAGES = 100
"""Pages of a list that are asked for."""
_KEYS = frozenset({"tools", "nextCursor"})


async def listed(relay: Relay, message: Message) -> Message:
    """The answer to a client's `tools/list`."""
    since = relay.catalogue.changes
    answer = await relay.ask(message)
    result = answer.get("result")
    if not isinstance(result, dict) or not _clear(result):
        return (
            answer if "error" in answer else error_of(message["id"], INTERNAL, "the server's list cannot be looked at")
        )
    if "tools" not in result:
        return answer
    params = message.get("params") or {}
    paged = bool(params.get("cursor")) or bool(result.get("nextCursor"))
    if paged and not relay.catalogue.complete:
        await learned(relay, params)
    tools = result["tools"]
    await asyncio.to_thread(relay.catalogue.learn, tools, whole=not paged, since=since)
    shown = await asyncio.to_thread(relay.catalogue.shown, tools, relay.scope)
    if len(shown) == len(tools):
        return answer
    # What is one caller's must not be kept for others.
    private = {"cacheScope": "private"} if "cacheScope" in result else {}
    return {**answer, "result": {**result, "tools": shown, **private}}


async def learned(relay: Relay, params: dict[str, Any]) -> None:
    """Ask the server for its whole list, for ourselves; a server without tools has none."""
    meta = params.get("_meta")
    own = {key: item for key, item in meta.items() if key != "progressToken"} if isinstance(meta, dict) else {}
    tools: list[Any] = []
    cursor: Any = None
    since = relay.catalogue.changes
    for _ in range(_PAGES):
        asked = {**({"_meta": own} if own else {}), **({"cursor": cursor} if cursor else {})}
        answer = await relay.ask_own("tools/list", asked)
        result = answer.get("result")
        if not isinstance(result, dict) or "tools" not in result or not _clear(result):
            break
        tools.extend(result["tools"])
        cursor = result.get("nextCursor")
        if not cursor:
            break
    await asyncio.to_thread(relay.catalogue.learn, tools, whole=True, since=since)


def _clear(result: dict[str, Any]) -> bool:
    """Whether a client finds no list where we see none: some match keys without regard to case."""
    return not misread(result, _KEYS) and isinstance(result.get("tools", []), list)
