"""What two readers of one message could take differently; it is refused, since only one of them was judged.

Go's encoding/json, .NET's reader and others match keys without regard to case: where we read `method` and `args.path`,
such a server may take `Method` and `args.Path`. A request without an id is none for us, and may be one for a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.plain import MAX_NODES

if TYPE_CHECKING:
    from jackline_mcp.frames import Message

KEYS = frozenset({"jsonrpc", "id", "method", "params", "result", "error"})
"""What a message consists of."""
_PARAMS = frozenset({"_meta", "argument", "arguments", "context", "name", "notifications", "ref", "uri"})
"""What of a request's params is judged."""


def ambiguity(message: Message) -> str:
    """What of a client's message is ambiguous, in words; empty where nothing is."""
    params = message.get("params") or {}
    return _variant(message, KEYS) or _variant(params, _PARAMS) or _twice(params) or _shape(message)


def is_answer(message: Message) -> bool:
    """Whether an answer has what one needs, and not two things of which only one would be judged."""
    if ("result" in message) == ("error" in message):
        return False
    error = message.get("error")
    if "error" not in message:
        return isinstance(message["result"], dict)
    return isinstance(error, dict) and type(error.get("code")) is int and isinstance(error.get("message"), str)


def misread(found: dict[str, Any], known: frozenset[str]) -> str:
    """A key that is none of those known, but that a reader without regard to case would take for one; or empty."""
    if found.keys() <= known:
        return ""
    folded = {key.casefold() for key in known}
    return next((key for key in found if key not in known and key.casefold() in folded), "")


def _variant(found: dict[str, Any], known: frozenset[str]) -> str:
    key = misread(found, known)
    return f"the key {key[:50]!r} may be read as '{key.casefold()}'" if key else ""


def _twice(params: dict[str, Any]) -> str:
    waiting: list[Any] = [params]
    room = MAX_NODES  # as much as policies are shown of it
    while waiting:
        one = waiting.pop()
        if not isinstance(one, (list, dict)):
            continue
        room -= len(one)
        if room < 0:
            return f"its params have more than {MAX_NODES:,} values"
        if isinstance(one, list):
            waiting.extend(one)
        else:
            waiting.extend(one.values())
            seen: dict[str, str] = {}
            for key in one:
                other = seen.setdefault(key.casefold(), key)
                if other is not key:
                    return f"the keys {other[:50]!r} and {key[:50]!r} may be read as one"
    return ""


def _shape(message: Message) -> str:
    method = message.get("method")
    if method is None:
        answers = "id" in message and ("result" in message) != ("error" in message)
        return "" if answers else "it is neither a request nor an answer: no method, and not one of result and error"
    if "result" in message or "error" in message:
        return "it is a request and an answer at once"
    if "id" not in message and not method.startswith("notifications/"):
        return f"'{method[:100]}' has no id: what is judged needs one"
    return ""
