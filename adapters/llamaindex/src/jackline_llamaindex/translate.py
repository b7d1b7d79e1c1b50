"""What LlamaIndex's values look like as plain data, and back again: pure functions, no guard, no wrap."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.types import ChatMessage, ContentBlock, TextBlock
from llama_index.core.base.response.schema import Response
from llama_index.core.schema import BaseNode, NodeWithScore
from llama_index.core.tools.types import ToolOutput

from jackline import rewriting
from jackline.plain import is_plain, plain
from jackline.rewriting import UnchangeableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llama_index.core.base.llms.types import ChatResponse
    from llama_index.core.tools import ToolSelection

ROLES = {"chatbot": "assistant", "model": "assistant", "function": "tool", "developer": "system"}
"""LlamaIndex's roles by the names that policies use for every framework; others keep their own."""

SESSION_KEYS = ("jackline_session_id", "session_id", "thread_id", "conversation_id")
"""What `run` is given, or `instrument_tags`, that names the session, most telling first."""

_ID = "tool_call_id"
_DEPTH = 12
"""Levels of a message's additional data that are searched for arguments."""


def message(native: ChatMessage, calls: Sequence[ToolSelection] | None = None) -> dict[str, Any]:
    """A message as `{"role", "content", ...}`; `calls` are its tool calls where the model tells them better."""
    role = native.role.value
    found: dict[str, Any] = {"role": ROLES.get(role, role), "content": content(native)}
    asked = _calls(native) if calls is None else [_call(c.tool_name, c.tool_kwargs, c.tool_id) for c in calls]
    if asked:
        found["tool_calls"] = asked
    additional = native.additional_kwargs
    if additional:
        if _ID in additional:
            found[_ID] = plain(additional[_ID])
        rest = {key: item for key, item in additional.items() if key != _ID}
        if rest:
            found["additional"] = plain(rest)
    return found


def content(native: ChatMessage) -> Any:
    """A message's text, or its blocks where it has others than text and tool calls."""
    blocks = [block for block in native.blocks if getattr(block, "block_type", "") != "tool_call"]
    if not blocks:
        return ""
    if len(blocks) == 1 and type(blocks[0]) is TextBlock:
        return plain(blocks[0].text)
    if all(isinstance(block, TextBlock) for block in blocks):
        return plain(native.content or "")
    return [value(block) for block in blocks]


def _calls(native: ChatMessage) -> list[dict[str, Any]]:
    return [
        _call(block.tool_name, block.tool_kwargs, block.tool_call_id)  # type: ignore[union-attr]
        for block in native.blocks
        if getattr(block, "block_type", "") == "tool_call"
    ]


def _call(name: str, kwargs: Any, call_id: str | None) -> dict[str, Any]:
    return {"name": name, "args": plain(parsed(kwargs)), "id": call_id or ""}


def parsed(kwargs: Any) -> Any:
    """A call's arguments: some models give them as JSON text."""
    if isinstance(kwargs, str):
        try:
            return json.loads(kwargs)
        except ValueError:
            return kwargs
    return kwargs


def value(native: Any) -> Any:
    """Any value of LlamaIndex's as plain data: messages, nodes and answers by what they hold."""
    if isinstance(native, ToolOutput):
        return result(native)
    if is_plain(native):
        return native
    if isinstance(native, ChatMessage):
        return message(native)
    if isinstance(native, NodeWithScore):
        return {"node": value(native.node), "score": plain(native.score)}
    if isinstance(native, BaseNode):
        return {"text": plain(native.get_content()), "metadata": plain(native.metadata)}
    if isinstance(native, Response):
        nodes = [value(node) for node in native.source_nodes]
        return {"response": plain(native.response), "source_nodes": nodes, "metadata": plain(native.metadata)}
    if "block_type" in getattr(type(native), "model_fields", ()):
        return {name: value(_text_of(getattr(native, name))) for name in type(native).model_fields}
    if isinstance(native, (list, tuple)) and len(native) <= 1000:  # noqa: PLR2004 - more are as `plain` sees them
        return [value(item) for item in native]
    return plain(native)


def _text_of(field: Any) -> Any:
    return str(field) if type(field).__module__ == "pydantic.networks" else field


def result(output: ToolOutput) -> Any:
    """What a tool gave back: its function's own value, and the text beside it where that says something else."""
    if not is_simple(output):
        return {"content": texts(output.blocks), "raw_output": value(output.raw_output)}
    own = value(output.raw_output)
    if type(own) is str or not _is_opaque(own):
        return own
    return texts(output.blocks)


def _is_opaque(own: Any) -> bool:
    """Whether plain data leaves something out that the text of the same value may say."""
    if isinstance(own, dict):
        return any(key[:1] == "$" for key in own) or any(map(_is_opaque, own.values()))
    return isinstance(own, list) and any(map(_is_opaque, own))


def is_simple(output: ToolOutput) -> bool:
    """Whether a tool's text is its function's value as text, and nothing else."""
    blocks = output.blocks
    return len(blocks) == 1 and type(blocks[0]) is TextBlock and blocks[0].text == _text(output.raw_output)


def _text(raw: Any) -> Any:
    return raw if type(raw) is str else str(raw)


def texts(blocks: Sequence[ContentBlock]) -> Any:
    """The text of blocks, or the blocks where some are no text."""
    if all(isinstance(block, TextBlock) for block in blocks):
        return plain("\n".join(block.text for block in blocks))  # type: ignore[union-attr]
    return [value(block) for block in blocks]


def rewrite(native: Any, before: Any, after: Any) -> Any:
    """The native value whose plain form is `after`, given the one whose plain form was `before`.

    Nothing of the caller's is changed in place. Raises UnchangeableError where the change has no native form.
    """
    if before is after or before == after:
        return native
    if isinstance(native, ChatMessage):
        return _rewritten_message(native, before, after)
    if isinstance(native, ToolOutput):
        return _rewritten_output(native, before, after)
    if isinstance(native, NodeWithScore):
        fields = _changed(native, before, after)
        node = rewrite(native.node, before["node"], after["node"])
        return native.model_copy(update={"node": node} | ({"score": after["score"]} if "score" in fields else {}))
    if isinstance(native, BaseNode):
        return _rewritten_node(native, before, after)
    return rewriting.rewrite(native, before, after, rewrite)


def _changed(native: Any, before: Any, after: Any) -> set[str]:
    if not isinstance(before, dict) or not isinstance(after, dict) or before.keys() != after.keys():
        raise UnchangeableError(f"a {type(native).__name__} became something that is no such thing")
    return {key for key, item in after.items() if before[key] != item}


def _rewritten_node(native: BaseNode, before: Any, after: Any) -> BaseNode:
    changed = _changed(native, before, after)
    copy = native.model_copy(deep=True)
    if "text" in changed:
        copy.set_content(after["text"])
    if "metadata" in changed:
        copy.metadata = rewriting.rewrite(native.metadata, before["metadata"], after["metadata"])
    return copy


def _rewritten_message(native: ChatMessage, before: Any, after: Any) -> ChatMessage:
    update: dict[str, Any] = {}
    for key in _changed(native, before, after):
        if key == "content":
            update["blocks"] = _with_content(update.get("blocks", native.blocks), before[key], after[key])
        elif key == "tool_calls":
            new = replaced(native.model_copy(update=update), pairs(before[key], after[key]))
            update = {"blocks": new.blocks, "additional_kwargs": new.additional_kwargs}
        elif key == "additional":
            own = rewriting.rewrite(native.additional_kwargs, before[key], after[key])
            update["additional_kwargs"] = {**own, **_id_of(native)}
        else:
            raise UnchangeableError(f"the {key} of a message cannot be changed")
    return native.model_copy(update=update)


def _id_of(native: ChatMessage) -> dict[str, Any]:
    return {key: native.additional_kwargs[key] for key in (_ID,) if key in native.additional_kwargs}


def _with_content(blocks: Sequence[Any], before: Any, after: Any) -> list[Any]:
    """Blocks with other text: it goes where the first text was, the rest of the text is dropped."""
    places = [place for place, block in enumerate(blocks) if getattr(block, "block_type", "") != "tool_call"]
    if isinstance(before, list):
        if not isinstance(after, list) or len(after) != len(before):
            raise UnchangeableError("a message's blocks can be changed, not added or removed")
        changed = dict(zip(places, zip(before, after, strict=True), strict=True))
        return [rewrite(block, *changed[place]) if place in changed else block for place, block in enumerate(blocks)]
    if not isinstance(after, str):
        raise UnchangeableError("a message's text became something that is no text")
    if not places:
        return [TextBlock(text=after), *blocks]
    return [
        block.model_copy(update={"text": after}) if place == places[0] else block
        for place, block in enumerate(blocks)
        if place == places[0] or place not in places
    ]


def pairs(before: Any, after: Any) -> list[tuple[Any, Any]]:
    """What changed in a message's calls, as (arguments before, arguments after)."""
    if not isinstance(after, list) or len(before) != len(after):
        raise UnchangeableError("a message's tool calls can be changed, not added or removed")
    for old, new in zip(before, after, strict=True):
        if (old["name"], old["id"]) != (new.get("name"), new.get("id")):
            raise UnchangeableError("the names and ids of a message's tool calls cannot be changed")
    return [(old["args"], new["args"]) for old, new in zip(before, after, strict=True) if old["args"] != new["args"]]


def replaced(native: ChatMessage, changes: Iterable[tuple[Any, Any]]) -> ChatMessage:
    """A message whose calls have other arguments, wherever it keeps them: in blocks, or as its provider sent them."""
    for old, new in changes:
        blocks = [
            block.model_copy(update={"tool_kwargs": _like(block.tool_kwargs, new)})  # type: ignore[union-attr]
            if getattr(block, "block_type", "") == "tool_call" and _is_same(block.tool_kwargs, old)  # type: ignore[union-attr]
            else block
            for block in native.blocks
        ]
        additional = within(native.additional_kwargs, old, new)
        native = native.model_copy(update={"blocks": blocks, "additional_kwargs": additional})
    return native


def _is_same(given: Any, args: Any) -> bool:
    return bool(given == args) or (isinstance(given, str) and bool(parsed(given) == args))


def _like(given: Any, new: Any) -> Any:
    return json.dumps(new) if isinstance(given, str) else new


def within(native: Any, old: Any, new: Any, depth: int = 0) -> Any:
    """`native` with `new` in every place that holds `old`, as data or as JSON text; a copy where there is one."""
    if depth > _DEPTH:
        return native
    if isinstance(native, str):
        return json.dumps(new) if native[:1] == "{" and parsed(native) == old else native
    if isinstance(native, dict):
        if native == old:
            return new
        return {key: within(item, old, new, depth + 1) for key, item in native.items()}
    if isinstance(native, (list, tuple)):
        items = [within(item, old, new, depth + 1) for item in native]
        return items if isinstance(native, list) else tuple(items)
    if hasattr(type(native), "model_fields"):
        fields = {name: getattr(native, name, None) for name in type(native).model_fields}
        changed = {name: within(item, old, new, depth + 1) for name, item in fields.items()}
        update = {name: item for name, item in changed.items() if item != fields[name]}
        return native.model_copy(update=update) if update else native
    return native


def _rewritten_output(native: ToolOutput, before: Any, after: Any) -> ToolOutput:
    """A tool's output with another value: the text that the model reads and the raw value beside it."""
    if is_simple(native):
        raw = _raw(native.raw_output, before, after) if before == value(native.raw_output) else after
        return told(native, [TextBlock(text=_text(raw))], raw)
    changed = _changed(native, before, after)
    blocks: list[Any] = list(native.blocks)
    if "content" in changed:
        if isinstance(before["content"], str):
            if not isinstance(after["content"], str):
                raise UnchangeableError("a tool's text became something that is no text")
            blocks = [TextBlock(text=after["content"])]
        else:
            blocks = _with_content(blocks, before["content"], after["content"])
    return told(native, blocks, _raw(native.raw_output, before["raw_output"], after["raw_output"]))


def _raw(native: Any, before: Any, after: Any) -> Any:
    """The raw value beside a tool's text; where it cannot be changed, its plain form stands for it."""
    try:
        return rewrite(native, before, after)
    except (UnchangeableError, KeyError, TypeError):
        return after


def told(native: ToolOutput, blocks: list[Any], raw: Any) -> ToolOutput:
    """The same output with other text and another value; an exception that it kept is gone."""
    return ToolOutput(
        tool_name=native.tool_name,
        blocks=blocks,
        raw_input=native.raw_input,
        raw_output=raw,
        is_error=native.is_error,
    )


def with_answer(response: ChatResponse, answer: ChatMessage, delta: str | None) -> ChatResponse:
    """A response with another message; of what the provider sent, only the tokens stay."""
    usage = response.raw.get("usage") if isinstance(response.raw, dict) else getattr(response.raw, "usage", None)
    raw = {"usage": usage} if usage is not None else None
    counts = {key: item for key, item in response.additional_kwargs.items() if type(item) is int}
    update = {"message": answer, "raw": raw, "delta": delta, "logprobs": None, "additional_kwargs": counts}
    return response.model_copy(update=update)


def given(native: Any) -> Any:
    """What an agent is started with, from the arguments of its `run`, as plain data."""
    return message(native)["content"] if isinstance(native, ChatMessage) else plain(native)
