"""What CrewAI's values look like as plain data, and back again: pure functions, no guard, no contextvar."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from crewai.agents.constants import FINAL_ANSWER_ACTION
from crewai.agents.parser import AgentAction, AgentFinish, OutputParserError, parse
from crewai.types.usage_metrics import UsageMetrics
from crewai.utilities.agent_utils import extract_tool_call_info
from crewai.utilities.string_utils import sanitize_tool_name
from pydantic import BaseModel

from jackline.events import Usage
from jackline.plain import canonical, is_plain, plain
from jackline.rewriting import UnchangeableError, rewrite

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SESSION_KEYS = ("jackline_session_id", "session_id", "thread_id", "conversation_id")
"""Inputs of a crew or flow that name the session, most telling first."""

USERS = ("jackline_user_id", "user_id")
"""Inputs that name for whom a session is."""

LIMITS = ("max_completion_tokens", "max_output_tokens", "max_tokens")
"""How CrewAI's models call the output limit."""

_HIDDEN = frozenset((*LIMITS, "max_new_tokens", "num_predict", "maxTokens", "maxOutputTokens", "max_tokens_to_sample"))
"""Further parameters of a model that are a limit where a smaller one cannot be put."""

_OWN_KEYS = frozenset(
    {"role", "content", "name", "tool_calls", "tool_call_id", "cache_breakpoint", "raw_tool_call_parts"}
)
"""Keys of a message that are named apart, or that say nothing which its other keys do not."""

_TEXT_BLOCKS = frozenset({"text", "tool_use", "tool_result", "thinking", "reasoning"})


# --- messages


def messages(native: Any) -> list[dict[str, Any]]:
    """A model call's messages as `{"role", "content", ...}`; a text is what a user says."""
    if isinstance(native, str):
        return [{"role": "user", "content": plain(native)}]
    return [message(item) for item in native] if isinstance(native, (list, tuple)) else [_opaque(native)]


def _opaque(native: Any) -> dict[str, Any]:
    return {"role": "user", "content": plain(native)}


def message(native: Any) -> dict[str, Any]:
    """One message of CrewAI's."""
    if not isinstance(native, dict):
        return _opaque(native)
    content = native.get("content")
    found: dict[str, Any] = {
        "role": str(native.get("role", "user")),
        "content": "" if content is None else plain(content),
    }
    if native.get("name"):
        found["name"] = plain(native["name"])
    if native.get("tool_calls"):
        found["tool_calls"] = [tool_call(call) for call in native["tool_calls"]]
    if native.get("tool_call_id"):
        found["tool_call_id"] = plain(native["tool_call_id"])
    if not _OWN_KEYS.issuperset(native):
        found["additional"] = plain({key: item for key, item in native.items() if key not in _OWN_KEYS})
    return found


def tool_call(native: Any) -> dict[str, Any]:
    """One tool call that a model asks for, whatever provider's form it has."""
    info = extract_tool_call_info(native)
    if info is None:
        return {"name": "", "args": plain(native), "id": ""}
    identity, name, args = info
    made_up = f"call_{id(native)}"  # CrewAI's, where the provider gives no id
    return {"name": name, "args": arguments(args), "id": "" if identity == made_up else plain(identity)}


def arguments(given: Any) -> Any:
    """A tool call's arguments: providers write them as JSON text or as an object."""
    if isinstance(given, str):
        try:
            return plain(json.loads(given)) if given else {}
        except ValueError:
            return given
    return plain(given)


def rewrite_messages(native: Any, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> Any:
    """The messages whose plain form is `after`; the caller's list and its messages stay as they are."""
    if len(before) != len(after):
        raise UnchangeableError(
            f"{len(before)} messages became {len(after)}; they can be changed, not added or removed"
        )
    if isinstance(native, str):
        return _rewritten({"role": "user", "content": native}, before[0], after[0])["content"]
    return [_rewritten(*three) for three in zip(native, before, after, strict=True)]


def _rewritten(native: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    if before == after:
        return native
    if not isinstance(native, dict) or before.keys() != after.keys():
        raise UnchangeableError("a message became something that is not such a message")
    changed = dict(native)
    for key, item in after.items():
        if before[key] == item:
            continue
        if key == "tool_calls":
            changed[key] = rewrite_calls(native[key], before[key], item)
            changed.pop("raw_tool_call_parts", None)  # the same calls in a provider's form
        elif key == "additional":
            changed.update(rewrite({name: native[name] for name in before[key]}, before[key], item))
        else:
            changed[key] = rewrite(native[key], before[key], item)
    return changed


# --- answers


def answer(native: Any) -> dict[str, Any]:
    """What a model answered, as a message of the assistant's."""
    if isinstance(native, str):
        return {"role": "assistant", "content": plain(native)}
    if is_calls(native):
        return {"role": "assistant", "content": "", "tool_calls": [tool_call(item) for item in native]}
    return {"role": "assistant", "content": plain(native)}


def is_calls(native: Any) -> bool:
    """Whether an answer asks for tools."""
    return isinstance(native, list) and bool(native) and extract_tool_call_info(native[0]) is not None


def rewrite_answer(native: Any, before: Mapping[str, Any], after: Any) -> Any:
    """The answer whose plain form is `after`."""
    if before == after:
        return native
    if not isinstance(after, dict) or before.keys() != after.keys() or before["role"] != after["role"]:
        raise UnchangeableError("an answer became something that is not an answer")
    if "tool_calls" in before:
        if after["content"] != before["content"]:
            raise UnchangeableError("an answer that asks for tools has no text")
        return rewrite_calls(native, before["tool_calls"], after["tool_calls"])
    content = after["content"]
    if isinstance(native, str) and not isinstance(content, str):
        raise UnchangeableError("an answer's text became something that is no text")
    return rewrite(native, before["content"], content)


def rewrite_calls(native: Sequence[Any], before: Sequence[Mapping[str, Any]], after: Any) -> list[Any]:
    """Tool calls with other names or arguments, each in its provider's form."""
    if not isinstance(after, list) or [call.get("id") for call in after] != [call["id"] for call in before]:
        raise UnchangeableError("tool calls' order and ids cannot be changed")
    return [_rewritten_call(*three) for three in zip(native, before, after, strict=True)]


def _rewritten_call(native: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    if before == after:
        return native
    for name, args, text in (("function", "arguments", True), ("function_call", "args", False)):
        inner = _get(native, name)
        if inner is not None:
            given = _get(inner, args)
            new = json.dumps(after["args"]) if text and isinstance(given, str) else after["args"]
            return _with(native, {name: _with(inner, {"name": after["name"], args: new})})
    for args in ("input", "arguments"):
        if _get(native, args) is not None:
            given = _get(native, args)
            return _with(
                native,
                {"name": after["name"], args: json.dumps(after["args"]) if isinstance(given, str) else after["args"]},
            )
    raise UnchangeableError(f"a {type(native).__name__} cannot be given other arguments")


def _get(native: Any, key: str) -> Any:
    return native.get(key) if isinstance(native, dict) else getattr(native, key, None)


def _with(native: Any, update: dict[str, Any]) -> Any:
    if isinstance(native, dict):
        return {**native, **update}
    if isinstance(native, BaseModel):
        return native.model_copy(update=update)
    raise UnchangeableError(f"a {type(native).__name__} cannot be given other content")


def final_text(native: Any, *, native_tools: bool) -> str | None:
    """An agent's final word in a model's text; None where it has none. With `native_tools`, all of the text is."""
    if not isinstance(native, str):
        return None
    if native_tools:
        return native
    try:
        found = parse(native)
    except OutputParserError:
        return native
    return found.output if isinstance(found, AgentFinish) and isinstance(found.output, str) else None


def with_final_text(native: str, before: str, after: Any) -> str:
    """The model's text with another final word."""
    if not isinstance(after, str):
        raise UnchangeableError("an answer's text became something that is no text")
    if native == before:
        return after
    head, mark, _tail = native.rpartition(FINAL_ANSWER_ACTION)
    return f"{head}{mark} {after}"


def asked_tools(native: Any, *, native_tools: bool) -> list[tuple[str, dict[str, Any]]]:
    """The tools that an answer asks for, with the arguments that it gives; in its text where not `native_tools`."""
    if is_calls(native):
        return [(call["name"], named(call["args"])) for call in map(tool_call, native)]
    if native_tools or not isinstance(native, str):
        return []
    try:
        found = parse(native)
    except OutputParserError:
        return []
    if not isinstance(found, AgentAction):
        return []
    return [(sanitize_tool_name(found.tool), named(arguments(found.tool_input)))]


def named(args: Any) -> dict[str, Any]:
    """Arguments by name, whatever was given for them."""
    return args if isinstance(args, dict) else {"input": args}


# --- what a model call is


def input_of(sent: Iterable[dict[str, Any]], tools: Any, schema: Any) -> int:
    """UTF-8 bytes of what a model call sends: its messages, the schemas of its tools and of its answer."""
    extra = [plain(tools)] if tools else []
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        extra.append(schema.model_json_schema())
    rendered = [*sent, *extra]
    try:
        return len(canonical(rendered))
    except (TypeError, ValueError, OverflowError):
        return len(canonical(plain(rendered)))


def is_opaque(sent: Iterable[Mapping[str, Any]]) -> bool:
    """Whether something is sent whose tokens its bytes do not bound: images, audio, files."""
    for item in sent:
        if "files" in (item.get("additional") or ()):
            return True
        content = item["content"]
        if type(content) is list:
            for block in content:
                if isinstance(block, dict) and block.get("type", "text") not in _TEXT_BLOCKS:
                    return True
    return False


def offered(tools: Any) -> list[tuple[str, bool]]:
    """The tools that a model call offers, as (name, runs at the provider)."""
    found: list[tuple[str, bool]] = []
    for tool in tools or ():
        function = _get(tool, "function")
        kind = _get(tool, "type")
        if function is not None:
            found.append((str(_get(function, "name") or ""), False))
        elif isinstance(kind, str) and kind not in ("function", "custom"):
            found.append((kind, True))
        else:
            found.append((str(_get(tool, "name") or ""), False))
    return found


def built_in(model: Any) -> list[tuple[str, bool]]:
    """The tools of a model's own settings, as (name, runs at the provider): CrewAI is not asked for them."""
    names = getattr(model, "builtin_tools", None) or ()
    types = getattr(getattr(model, "_responses_delegate", None) or model, "BUILTIN_TOOL_TYPES", {})
    return [*((str(types.get(name, name)), True) for name in names), *offered(_additional(model).get("tools"))]


@functools.cache
def _limits(kind: Any) -> tuple[str, ...]:
    """The fields of a class of models that are its output limit."""
    fields = getattr(kind, "model_fields", {})
    return tuple(name for name in LIMITS if name in fields)


def _settings(model: Any) -> dict[str, Any]:
    kind: Any = type(model)
    return {name: getattr(model, name) for name in _limits(kind)}


def limit_of(model: Any) -> int | None:
    """The output limit that a model's own settings declare, in tokens; None where they declare none.

    Where several are given, which one the provider goes by is not known: the largest counts.
    """
    found = list(_settings(model).values())
    found += [item for name, item in _additional(model).items() if name in _HIDDEN]
    limits = [int(item) for item in found if isinstance(item, (int, float)) and not isinstance(item, bool)]
    return max(limits) if limits and min(limits) > 0 else None


def can_limit(model: Any) -> bool:
    """Whether a smaller limit can be put where the model will look for it."""
    return not getattr(model, "limitless", False) and _HIDDEN.isdisjoint(_additional(model))


def limited(model: Any, granted: int) -> dict[str, int]:
    """The settings with which a model writes at most `granted` tokens."""
    given = _settings(model)
    smaller = {name: min(int(item), granted) for name, item in given.items() if isinstance(item, (int, float))}
    if smaller:
        return smaller
    if "max_output_tokens" in given:
        return {"max_output_tokens": granted}
    newer = "max_completion_tokens" in given and getattr(model, "provider", "") in ("openai", "azure")
    return {"max_completion_tokens" if newer else "max_tokens": granted}


def choices_of(model: Any) -> int:
    """How many answers a model call asks for at most."""
    found = (getattr(model, "n", None), _additional(model).get("n"))
    return max((item for item in found if type(item) is int), default=1)


def _additional(model: Any) -> Mapping[str, Any]:
    found = getattr(model, "additional_params", None)
    return found if isinstance(found, dict) else {}


def usage(told: Iterable[Any]) -> Usage | None:
    """Tokens of one model call as its provider told them, maybe in parts; None where it told nothing."""
    parts = [UsageMetrics.from_provider_dict(part) for part in told if isinstance(part, dict)]
    found = [part for part in parts if part is not None]
    if not found:
        return None
    total = found[0]
    for part in found[1:]:
        total.add_usage_metrics(part)
    counts = (total.prompt_tokens, total.completion_tokens, total.cached_prompt_tokens, total.reasoning_tokens)
    if min(counts) < 0 or not (total.prompt_tokens or total.completion_tokens):
        return None
    return Usage(
        input=total.prompt_tokens,
        output=total.completion_tokens,
        cache_read=total.cached_prompt_tokens,
        cache_write=max(0, total.cache_creation_tokens),
        reasoning=total.reasoning_tokens,
    )


# --- sessions and values


def external_session(inputs: Any, *, flow: bool = False) -> str:
    """The session that the caller names; empty where none is named. A flow's `id` names its kept state."""
    if isinstance(inputs, dict):
        for key in (*SESSION_KEYS, "id") if flow else SESSION_KEYS:
            found = inputs.get(key)
            if found is not None and found != "":
                return str(found)
    return ""


def user_of(inputs: Any) -> str:
    """For whom the session is; empty where the caller does not say."""
    if isinstance(inputs, dict):
        return next((str(inputs[key]) for key in USERS if inputs.get(key)), "")
    return ""


def value(native: Any) -> Any:
    """Any value of CrewAI's as plain data."""
    return native if is_plain(native) else plain(native)
