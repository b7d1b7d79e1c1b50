"""What LangChain's values look like as plain data, and back again: pure functions, no guard, no callback."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from langchain_core.caches import BaseCache
from langchain_core.documents import Document
from langchain_core.globals import get_llm_cache
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ChatMessage, ToolMessage
from langchain_core.prompt_values import PromptValue
from langgraph.types import Command

from jackline import rewriting
from jackline.events import Usage
from jackline.plain import canonical, is_plain, plain
from jackline.rewriting import UnchangeableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from langchain_core.outputs import LLMResult
    from langchain_core.tools import BaseTool

ROLES = {"human": "user", "HumanMessageChunk": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
"""LangChain's message types by the names that policies use for every framework; others keep their own."""

SESSION_KEYS = ("jackline_session_id", "session_id", "thread_id", "conversation_id")
"""Metadata that names the session, most telling first."""

CLIENT_TYPES = ("function", "custom", "bash_", "text_editor_", "computer_", "memory_", "local_shell", "apply_patch")
"""Types of offered tools that the client runs itself: they reach no server but the agent's own tools."""

AGENTS = frozenset({"LangGraph", "AgentExecutor"})
"""Names of runs that are agents where no patched entrance says so."""

_RICH_ITEMS, _RICH_DEPTH = 10_000, 16
"""Items, all together, and levels that are looked at one by one for what is LangChain's in them."""

_TEXT_BLOCKS = frozenset(
    {
        "text",
        "text-plain",
        "reasoning",
        "thinking",
        "tool_use",
        "tool_call",
        "tool_call_chunk",
        "tool_result",
        "refusal",
    }
)


def message(native: BaseMessage, *, result: bool = False) -> dict[str, Any]:
    """A message as `{"role", "content", ...}`; `result` adds what a tool keeps beside its message."""
    role = native.role if isinstance(native, ChatMessage) else ROLES.get(native.type, native.type)
    found: dict[str, Any] = {"role": role, "content": plain(native.content)}
    if native.name:
        found["name"] = native.name
    if isinstance(native, AIMessage):
        if native.tool_calls:
            found["tool_calls"] = [
                {"name": call["name"], "args": plain(call["args"]), "id": call["id"]} for call in native.tool_calls
            ]
        if native.invalid_tool_calls:
            found["invalid_tool_calls"] = plain(native.invalid_tool_calls)
    elif isinstance(native, ToolMessage):
        found["tool_call_id"] = native.tool_call_id
        if result and native.artifact is not None:
            found["artifact"] = value(native.artifact)
    if native.additional_kwargs:
        found["additional"] = plain(native.additional_kwargs)
    return found


def value(native: Any) -> Any:
    """Any value of LangChain's as plain data: messages, documents, commands and prompts by what they hold."""
    if is_plain(native):
        return native
    try:
        return _Rich().value(native, 0)
    except Exception:  # noqa: BLE001 - a hostile or large value must not break the check: it is as `plain` sees it
        return plain(native)


class _Rich:
    """One conversion, of a value that is neither deep nor large nor cyclic."""

    def __init__(self) -> None:
        self.left = _RICH_ITEMS

    def value(self, native: Any, depth: int) -> Any:
        kind = type(native)
        if kind is list or kind is tuple or kind is dict:
            self.left -= len(native)
            if self.left < 0 or depth > _RICH_DEPTH:
                raise ValueError("too large to look at one by one")
            if kind is not dict:
                return [self.value(item, depth + 1) for item in native]
            if all(type(key) is str and key[:1] != "$" for key in native):
                return {key: self.value(item, depth + 1) for key, item in native.items()}
            return plain(native)
        if isinstance(native, BaseMessage):
            return message(native, result=True)
        if isinstance(native, Document):
            return {"page_content": native.page_content, "metadata": plain(native.metadata)}
        if isinstance(native, Command):
            update, resume = self.value(native.update, depth + 1), self.value(native.resume, depth + 1)
            return {"update": update, "goto": plain(native.goto), "resume": resume}
        if isinstance(native, PromptValue):
            return [message(item) for item in native.to_messages()]
        return plain(native)


def rewrite(native: Any, before: Any, after: Any) -> Any:
    """The native value whose plain form is `after`, given the one whose plain form was `before`.

    Nothing of the caller's is changed in place. Raises UnchangeableError where the change has no native form.
    """
    if before is after or before == after:
        return native
    if isinstance(native, BaseMessage):
        return _rewritten_message(native, before, after)
    return rewriting.rewrite(native, before, after, rewrite)


def _rewritten_message(native: BaseMessage, before: Any, after: Any) -> BaseMessage:
    if not isinstance(after, dict) or before.keys() != after.keys():
        raise UnchangeableError(f"a {type(native).__name__} became something that is not such a message")
    update: dict[str, Any] = {}
    for key, item in after.items():
        if before[key] == item:
            continue
        if key == "content":
            update["content"] = item if isinstance(item, (str, list)) else _refused(native, key)
        elif key == "tool_calls":
            update["tool_calls"] = _rewritten_calls(native, before[key], item)
        elif key == "additional":
            update["additional_kwargs"] = rewrite(native.additional_kwargs, before[key], item)
        elif key in ("artifact", "invalid_tool_calls"):
            update[key] = rewrite(getattr(native, key), before[key], item)
        else:
            _refused(native, key)
    if isinstance(native, AIMessageChunk) and "tool_calls" in update:
        update["tool_call_chunks"] = [
            {"name": call["name"], "args": json.dumps(call["args"]), "id": call["id"], "index": place}
            for place, call in enumerate(update["tool_calls"])
        ]
    return native.model_copy(update=update)


def _refused(native: BaseMessage, key: str) -> Any:
    raise UnchangeableError(f"the {key} of a {type(native).__name__} cannot be changed")


def _rewritten_calls(native: Any, before: list[dict[str, Any]], after: Any) -> list[dict[str, Any]]:
    if not isinstance(after, list) or [call.get("id") for call in after] != [call["id"] for call in before]:
        _refused(native, "tool calls' order and ids")
    return [
        {**call, "name": new["name"], "args": rewrite(call["args"], old["args"], new["args"])}
        for call, old, new in zip(native.tool_calls, before, after, strict=True)
    ]


def arguments(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Bind positional values to `names`: positional and keyword arguments are the same action."""
    bound = dict(zip(names, args, strict=False))
    for place, extra in enumerate(args[len(names) :], len(names)):
        bound[f"arg{place}"] = extra
    return {**bound, **kwargs}


def input_of(messages: Iterable[dict[str, Any]], tools: Sequence[Any]) -> int:
    """UTF-8 bytes of what a model call sends: its messages and the schemas of its tools."""
    sent = [*messages, *tools] if tools else list(messages)
    try:
        return len(canonical(sent))
    except (TypeError, ValueError, OverflowError):
        return len(canonical(plain(sent)))


def is_opaque(messages: Iterable[dict[str, Any]]) -> bool:
    """Whether something is sent whose tokens its bytes do not bound: images, audio, files."""
    for item in messages:
        content = item["content"]
        if type(content) is list:
            for block in content:
                if isinstance(block, dict) and block.get("type", "text") not in _TEXT_BLOCKS:
                    return True
    return False


def offered(params: Mapping[str, Any]) -> list[tuple[str, bool]]:
    """The tools that a model call offers, as (name, runs at the provider)."""
    found: list[tuple[str, bool]] = []
    for tool in params.get("tools") or ():
        found.extend(_offered_tool(tool))
    found.extend((function["name"], False) for function in params.get("functions") or () if "name" in function)
    if params.get("web_search_options") is not None:
        found.append(("web_search", True))
    found.extend((f"mcp:{server.get('name', '')}", True) for server in params.get("mcp_servers") or ())
    return found


def _offered_tool(tool: Any) -> list[tuple[str, bool]]:
    if isinstance(tool, str):
        return [(tool, False)]
    if not isinstance(tool, dict):
        return [(str(getattr(tool, "name", None) or getattr(tool, "__name__", type(tool).__name__)), False)]
    function = tool.get("function")
    if isinstance(function, dict):
        return [(str(function.get("name", "")), False)]
    declared = tool.get("function_declarations")
    if isinstance(declared, (list, tuple)):
        return [(str(item.get("name", "") if isinstance(item, dict) else item.name), False) for item in declared]
    kind = tool.get("type")
    if isinstance(kind, str):
        client = kind.startswith(CLIENT_TYPES)
        return [(str(tool.get("name") or kind) if client else kind, not client)]
    if "name" in tool:
        return [(str(tool["name"]), False)]
    return [(str(next(iter(tool), "")), True)]


def model_name(
    params: Mapping[str, Any],
    metadata: Mapping[str, Any],
    serialized: Mapping[str, Any] | None,
    kwargs: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """The model that is asked: as the call's own arguments say, as requested, or the class's name."""
    own = (kwargs.get("model"), kwargs.get("model_name"))
    for found in (
        *own,
        metadata.get("ls_model_name"),
        params.get("model"),
        params.get("model_name"),
        params.get("model_id"),
    ):
        if isinstance(found, str) and found:
            return found
    return str((serialized or {}).get("name") or params.get("_type") or "unknown")


def answering_model(native: BaseMessage | None, output: Mapping[str, Any] | None) -> str:
    """The model that answered, where the response says; empty where it does not."""
    metadata = getattr(native, "response_metadata", None) or {}
    for source in (metadata, output or {}):
        for key in ("model_name", "model"):
            if isinstance(source.get(key), str):
                return str(source[key])
    return ""


def usage(native: Any, output: Mapping[str, Any] | None = None) -> Usage | None:
    """Tokens of one model call as the provider tells them; None where it tells nothing."""
    found = getattr(native, "usage_metadata", None)
    if found and "input_tokens" in found:
        entering, leaving = found.get("input_token_details") or {}, found.get("output_token_details") or {}
        return _sound(
            Usage(
                input=found.get("input_tokens") or 0,
                output=found.get("output_tokens") or 0,
                cache_read=entering.get("cache_read") or 0,
                cache_write=entering.get("cache_creation") or 0,
                reasoning=leaving.get("reasoning") or 0,
            )
        )
    counted = (output or {}).get("token_usage") or (output or {}).get("usage")
    if isinstance(counted, dict):
        entering, leaving = (
            next((counted[key] for key in keys if isinstance(counted.get(key), int)), None)
            for keys in (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
        )
        if entering is not None and leaving is not None:
            return _sound(Usage(input=entering, output=leaving))
    return None


def _sound(told: Usage) -> Usage | None:
    """What a provider tells, unless it cannot be: no call takes less than nothing, or nothing at all."""
    parts = (told.input, told.output, told.cache_read, told.cache_write, told.reasoning)
    return told if min(parts) >= 0 and (told.input or told.output) else None


def keeps_answers(model: Any) -> bool:
    """Whether answers may come from a cache of LangChain's: the model's own, or the process's."""
    cache = getattr(model, "cache", None)
    return cache is not False and (isinstance(cache, BaseCache) or get_llm_cache() is not None)


def cached(native: Any) -> bool:
    """Whether an answer came from LangChain's cache: the model was not asked, nothing is charged."""
    return (getattr(native, "usage_metadata", None) or {}).get("total_cost") == 0


def answer(result: LLMResult) -> Any:
    """The message of a result, or None for a completion model's text."""
    for row in result.generations:
        for generation in row:
            return getattr(generation, "message", None)
    return None


def text(result: LLMResult) -> str:
    """The text of a completion model's result."""
    return "".join(generation.text for row in result.generations for generation in row)


def external_session(metadata: Mapping[str, Any]) -> str:
    """The session that the caller names; empty where none is named."""
    for key in SESSION_KEYS:
        found = metadata.get(key)
        if found is not None and found != "":
            return str(found)
    return ""


def schema(tool: BaseTool) -> dict[str, Any]:
    """What identifies a tool beside its name: its description and the schema of what a model may pass."""
    declared = tool.tool_call_schema
    if not isinstance(declared, dict):
        declared = declared.model_json_schema() if hasattr(declared, "model_json_schema") else declared.schema()
    return {"description": tool.description, "parameters": declared}


def read_only(tool: BaseTool) -> bool | None:
    """What a tool declares about itself (MCP's `readOnlyHint`, or `read_only`); None where it declares nothing."""
    for key in ("read_only", "readOnlyHint"):
        found = (tool.metadata or {}).get(key)
        if isinstance(found, bool):
            return found
    return None


def is_agent(name: str, tags: list[str] | None, metadata: Mapping[str, Any]) -> bool:
    """Whether a run is an agent's, as far as a callback can tell."""
    if is_step(tags):
        return False
    return name in AGENTS or (bool(name) and metadata.get("lc_agent_name") == name)


def is_step(tags: list[str] | None) -> bool:
    """Whether a run is a step of a graph."""
    return any(tag.startswith("graph:step:") for tag in tags or ())


def last_word(outputs: Any) -> Any:
    """What an agent hands out: the last message's content, or whatever else it returns."""
    messages = outputs.get("messages") if isinstance(outputs, dict) else None
    if isinstance(messages, list) and messages:
        last = messages[-1]
        return getattr(last, "content", last)
    return outputs
