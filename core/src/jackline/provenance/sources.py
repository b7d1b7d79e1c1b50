"""Who said what: the texts of a request or of a result, each with the origin of its words."""

from __future__ import annotations

import fnmatch
import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jackline.provenance.keys import LONGEST, texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jackline.request import Request

Said = Literal["user", "developer", "trusted", "untrusted", "model"]
_OWN_TEXT = frozenset({"text", "input_text"})
_MODEL_ROLES = frozenset({"assistant", "ai", "model"})
_DEVELOPER_ROLES = frozenset({"system", "developer"})
_TOOL_ROLES = frozenset({"tool", "function"})
_RESULT_BLOCKS = frozenset({"tool_result", "function_call_output"})


class Words(NamedTuple):
    """Texts that one somebody said."""

    said: Said
    value: Any
    asked: Any = None
    """Of a tool's result: the arguments that it was called with; what only repeats them is nobody's word."""


class Call(NamedTuple):
    """A tool that a model called, and all that it wrote of it."""

    tool: str = ""
    args: Any = None


class Sources:
    """Which tools a bundle trusts with what they give back."""

    __slots__ = ("_fields", "_patterns")

    def __init__(self, trusted_tools: Sequence[str] = ()) -> None:
        """`trusted_tools`: names and globs, as `fnmatch` reads them; every character counts.

        Behind `#` stands a field: nothing else of what the tool gives back is trusted then.
        """
        parts = [each.partition("#") for each in trusted_tools]
        self._patterns = tuple(pattern for pattern, hash_, _ in parts if not hash_)
        self._fields = tuple((pattern, field.split(".")) for pattern, hash_, field in parts if hash_)

    def trusts(self, tool: str) -> bool:
        """Whether what this tool gives back is trusted."""
        return any(fnmatch.fnmatchcase(tool, pattern) for pattern in self._patterns)

    def result(self, tool: str) -> Said:
        """How the words of a tool's result count."""
        return "trusted" if tool and self.trusts(tool) else "untrusted"

    def returned(self, tool: str, result: Any, asked: Any = None) -> Iterator[Words]:
        """The words of a tool's result; `asked`: the arguments that it was called with."""
        yield Words(self.result(tool), result, asked)
        fields = [field for pattern, field in self._fields if fnmatch.fnmatchcase(tool, pattern)]
        if fields and not self.trusts(tool):
            records = _structured(result)
            yield Words("trusted", [value for field in fields for value in _at(records, field)], asked)

    def outcome(self, request: Request, result: Any) -> Iterator[Words]:
        """What an act gave back."""
        if request.action in ("tool.call", "retrieval"):
            yield from self.returned(request.resource, result, request.args)
        elif request.action in ("model.call", "agent.spawn"):
            yield Words("model", result)

    def messages(self, messages: Sequence[Any]) -> Iterator[Words]:
        """What the messages of a model call tell, in their order."""
        calls: dict[str, Call] = {}
        for message in messages:
            if not isinstance(message, dict):
                yield Words("untrusted", message)
                continue
            role, content = str(message.get("role", "")), message.get("content")
            if role in _MODEL_ROLES:
                calls |= _calls(message)
                yield Words("model", [content, message.get("tool_calls")])
            elif role in _TOOL_ROLES:
                call = calls.get(str(message.get("tool_call_id", "")), Call(str(message.get("name") or "")))
                yield from self.returned(call.tool, content, call.args)
                yield Words("untrusted", message.get("artifact"))
            elif role in _DEVELOPER_ROLES:
                yield Words("developer", content)
            else:
                yield from self._content(content, "user" if role in ("user", "human") else "untrusted", calls)

    def _content(self, content: Any, said: Said, calls: Mapping[str, Call]) -> Iterator[Words]:
        """The parts of what a user sends: their own text, results of tools, documents."""
        for block in content if isinstance(content, list) else [content]:
            if isinstance(block, str):
                yield Words(said, block)
            elif isinstance(block, dict) and block.get("type") in _OWN_TEXT:
                yield Words(said, block.get("text"))
            elif isinstance(block, dict) and block.get("type") in _RESULT_BLOCKS:
                call = calls.get(str(block.get("tool_use_id") or block.get("call_id") or ""), Call())
                yield from self.returned(call.tool, block.get("content", block.get("output")), call.args)
            else:
                yield Words("untrusted", block)


def _calls(message: dict[str, Any]) -> dict[str, Call]:
    """The tools that a model's message calls, by the call's id."""
    found: dict[str, Call] = {}
    content = message.get("content")
    for call in [*(message.get("tool_calls") or ()), *(content if isinstance(content, list) else ())]:
        if not isinstance(call, dict):
            continue
        function = call.get("function")
        name = call.get("name") or (function.get("name") if isinstance(function, dict) else None)
        identity = call.get("id") or call.get("call_id")
        if isinstance(name, str) and isinstance(identity, str):
            found[identity] = Call(name, call)
    return found


def _structured(result: Any) -> Any:
    """A result with fields; a text that is JSON is read, of any other text no field is known."""
    if not isinstance(result, str):
        return result
    try:
        return json.loads(result) if len(result) <= LONGEST else None
    except (ValueError, RecursionError):
        return None


def _at(value: Any, field: Sequence[str]) -> Iterator[Any]:
    """What a field holds: of a record, or of each record of a list."""
    if isinstance(value, list):
        for one in value:
            if not isinstance(one, list):
                yield from _at(one, field)
    elif not field:
        yield value
    elif isinstance(value, dict) and field[0] in value:
        yield from _at(value[field[0]], field[1:])


def text_of(value: Any) -> str:
    """All texts of plain data, as one text of which each begins on a line of its own."""
    return value if isinstance(value, str) else "\n".join(texts(value))
