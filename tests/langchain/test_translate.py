"""Native values as plain data and back: tables, no guard."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from fakes import ai
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, Generation, LLMResult
from langchain_core.prompt_values import ChatPromptValue
from langchain_core.tools import StructuredTool, Tool, tool
from langgraph.types import Command
from pydantic import BaseModel

from jackline.events import Usage
from jackline_langchain import limits, translate

CALL = {"name": "send", "args": {"to": "a@b.example"}, "id": "c1"}


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (HumanMessage("hi"), {"role": "user", "content": "hi"}),
        (HumanMessage("hi", name="ann"), {"role": "user", "content": "hi", "name": "ann"}),
        (SystemMessage("be kind"), {"role": "system", "content": "be kind"}),
        (AIMessageChunk("to"), {"role": "assistant", "content": "to"}),
        (ChatMessage("x", role="critic"), {"role": "critic", "content": "x"}),
        (FunctionMessage("x", name="f"), {"role": "function", "content": "x", "name": "f"}),
        (
            ai("", ("send", {"to": "a@b.example"}, "c1")),
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
        ),
        (
            AIMessage("x", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}),
            {"role": "assistant", "content": "x", "additional": {"function_call": {"name": "f", "arguments": "{}"}}},
        ),
        (ToolMessage("42", tool_call_id="c1"), {"role": "tool", "content": "42", "tool_call_id": "c1"}),
        (
            HumanMessage([{"type": "text", "text": "hi"}]),
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        ),
    ],
)
def test_a_message_as_plain_data(native: Any, expected: dict[str, Any]) -> None:
    assert translate.message(native) == expected


def test_invalid_tool_calls_are_seen_too() -> None:
    native = AIMessage("", invalid_tool_calls=[{"name": "send", "args": "{", "id": "c9", "error": "no JSON"}])
    assert translate.message(native)["invalid_tool_calls"][0]["args"] == "{"


def test_an_artifact_is_part_of_a_result_and_not_of_what_the_model_is_sent() -> None:
    native = ToolMessage("42", tool_call_id="c1", artifact={"ssn": "1"})
    assert "artifact" not in translate.message(native)
    assert translate.value(native)["artifact"] == {"ssn": "1"}


@dataclasses.dataclass
class Row:
    name: str
    size: int


class Person(BaseModel):
    name: str
    age: int = 3


def _swap(found: Any) -> Any:
    if isinstance(found, str):
        return found.replace("secret", "[gone]")
    if isinstance(found, dict):
        return {key: _swap(item) for key, item in found.items()}
    return [_swap(item) for item in found] if isinstance(found, list) else found


ROUND = [
    ("a secret", "a [gone]"),
    ({"a": ["secret"], "n": 1}, {"a": ["[gone]"], "n": 1}),
    (("secret", 2), ("[gone]", 2)),
    (Row("secret", 1), Row("[gone]", 1)),
    (Person(name="secret"), Person(name="[gone]")),
    (Document("secret", metadata={"from": "secret"}), Document("[gone]", metadata={"from": "[gone]"})),
    (HumanMessage("secret", id="h"), HumanMessage("[gone]", id="h")),
    (
        ToolMessage("secret", tool_call_id="c", artifact=["secret"]),
        ToolMessage("[gone]", tool_call_id="c", artifact=["[gone]"]),
    ),
    (ai("x", ("send", {"to": "secret"}, "c1")), ai("x", ("send", {"to": "[gone]"}, "c1"))),
    (
        AIMessage("", additional_kwargs={"function_call": {"arguments": "secret"}}),
        AIMessage("", additional_kwargs={"function_call": {"arguments": "[gone]"}}),
    ),
    (
        Command(update={"messages": [ToolMessage("secret", tool_call_id="c")], "n": object}, goto="next"),
        Command(update={"messages": [ToolMessage("[gone]", tool_call_id="c")], "n": object}, goto="next"),
    ),
    ({"deep": [Person(name="secret"), object]}, {"deep": [Person(name="[gone]"), object]}),
    (ChatPromptValue(messages=[HumanMessage("secret")]).to_messages(), [HumanMessage("[gone]")]),
]


@pytest.mark.parametrize(("native", "expected"), ROUND, ids=[type(native).__name__ for native, _ in ROUND])
def test_a_changed_value_goes_back_into_its_native_form_and_leaves_the_old_one_alone(
    native: Any, expected: Any
) -> None:
    before = translate.value(native)
    kept = repr(native)
    assert translate.rewrite(native, before, _swap(before)) == expected
    assert repr(native) == kept


def test_an_unchanged_value_is_the_same_object() -> None:
    native = [HumanMessage("x"), ToolMessage("y", tool_call_id="c")]
    before = translate.value(native)
    assert translate.rewrite(native, before, translate.value(native)) is native
    changed = translate.rewrite(native, before, [before[0], {**before[1], "content": "z"}])
    assert changed[0] is native[0]


@pytest.mark.parametrize(
    ("native", "after", "wrong"),
    [
        (object(), "x", "a object cannot be given other content"),
        ([HumanMessage("x")], [], "1 items became 0; items can be changed, not added or removed"),
        (HumanMessage("x"), "y", "a HumanMessage became something that is not such a message"),
        (HumanMessage("x"), {"role": "system", "content": "x"}, "the role of a HumanMessage cannot be changed"),
        (HumanMessage("x"), {"role": "user", "content": 3}, "the content of a HumanMessage cannot be changed"),
        (Row("x", 1), {"name": "x"}, "a Row cannot be given other fields"),
        (
            ai("", ("send", {}, "c1")),
            {"role": "assistant", "content": "", "tool_calls": []},
            "the tool calls' order and ids of a AIMessage cannot be changed",
        ),
    ],
)
def test_a_change_without_a_native_form_is_refused(native: Any, after: Any, wrong: str) -> None:
    with pytest.raises(translate.UnchangeableError, match=wrong):
        translate.rewrite(native, translate.value(native), after)


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        ((), {"order": "o", "amount": 5}, {"order": "o", "amount": 5}),
        (("o", 5), {}, {"order": "o", "amount": 5}),
        (("o",), {"amount": 5}, {"order": "o", "amount": 5}),
        (("o", 5, 6), {}, {"order": "o", "amount": 5, "arg2": 6}),
    ],
)
def test_positional_and_keyword_arguments_are_the_same_action_p13(args: Any, kwargs: Any, expected: Any) -> None:
    assert translate.arguments(("order", "amount"), args, kwargs) == expected


@pytest.mark.parametrize(
    ("offer", "expected"),
    [
        ({"tools": ["add"]}, [("add", False)]),
        ({"tools": [{"type": "function", "function": {"name": "add"}}]}, [("add", False)]),
        ({"tools": [{"type": "function", "name": "add", "parameters": {}}]}, [("add", False)]),
        ({"tools": [{"name": "add", "input_schema": {}}]}, [("add", False)]),
        ({"tools": [{"type": "web_search"}]}, [("web_search", True)]),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, [("web_search_20250305", True)]),
        ({"tools": [{"type": "code_interpreter", "container": {}}]}, [("code_interpreter", True)]),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, [("bash", False)]),
        ({"tools": [{"google_search": {}}]}, [("google_search", True)]),
        ({"tools": [{"function_declarations": [{"name": "add"}]}]}, [("add", False)]),
        ({"functions": [{"name": "add"}]}, [("add", False)]),
        ({"web_search_options": {}}, [("web_search", True)]),
        ({"mcp_servers": [{"name": "crm"}]}, [("mcp:crm", True)]),
        ({"tools": [Person]}, [("Person", False)]),
        ({}, []),
    ],
)
def test_tools_that_run_at_the_provider_are_told_apart(offer: dict[str, Any], expected: Any) -> None:
    assert translate.offered(offer) == expected


@pytest.mark.parametrize(
    ("message", "output", "expected"),
    [
        (ai("x", usage=(10, 5)), None, Usage(input=10, output=5)),
        (
            AIMessage(
                "x",
                usage_metadata={
                    "input_tokens": 9,
                    "output_tokens": 4,
                    "total_tokens": 13,
                    "input_token_details": {"cache_read": 5, "cache_creation": 2},
                    "output_token_details": {"reasoning": 3},
                },
            ),
            None,
            Usage(input=9, output=4, cache_read=5, cache_write=2, reasoning=3),
        ),
        (AIMessage("x"), {"token_usage": {"prompt_tokens": 7, "completion_tokens": 2}}, Usage(input=7, output=2)),
        (None, {"token_usage": {"prompt_tokens": 7, "completion_tokens": 2}}, Usage(input=7, output=2)),
        (AIMessage("x"), {"token_usage": {}}, None),
        (AIMessage("x"), {"token_usage": {"prompt_tokens": 7}}, None),
        (AIMessage("x"), None, None),
    ],
)
def test_usage_is_read_without_a_model_name_p62(message: Any, output: Any, expected: Usage | None) -> None:
    assert translate.usage(message, output) == expected


def test_a_cache_hit_is_known() -> None:
    hit = AIMessage("x", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "total_cost": 0})
    assert translate.cached(hit)
    assert not translate.cached(ai("x"))
    assert not translate.cached(None)


@pytest.mark.parametrize(
    ("params", "metadata", "limit"),
    [
        ({"max_tokens": 10}, {}, 10),
        ({"max_completion_tokens": 11}, {}, 11),
        ({"num_predict": 12}, {}, 12),
        ({}, {"ls_max_tokens": 13}, 13),
        ({"max_tokens": None}, {}, None),
        ({"max_tokens": True}, {}, None),
        ({}, {}, None),
    ],
)
def test_the_declared_limit(params: Any, metadata: Any, limit: int | None) -> None:
    assert limits.limit_of(params, metadata) == limit


@pytest.mark.parametrize(
    ("params", "metadata", "serialized", "name"),
    [
        ({"model": "a"}, {"ls_model_name": "b"}, {"name": "C"}, "b"),
        ({"model": "a"}, {}, {"name": "C"}, "a"),
        ({"model_name": "a"}, {}, None, "a"),
        ({}, {}, {"name": "C"}, "C"),
        ({"_type": "fake"}, {}, None, "fake"),
        ({}, {}, None, "unknown"),
    ],
)
def test_the_requested_model_p53(params: Any, metadata: Any, serialized: Any, name: str) -> None:
    assert translate.model_name(params, metadata, serialized) == name


def test_the_model_that_answered() -> None:
    assert translate.answering_model(ai("x"), None) == "gpt-4o-mini-2024-07-18"
    assert translate.answering_model(AIMessage("x"), {"model_name": "m"}) == "m"
    assert translate.answering_model(None, None) == ""


@pytest.mark.parametrize(
    ("metadata", "session"),
    [
        ({"jackline_session_id": "j", "session_id": "s", "thread_id": "t", "conversation_id": "c"}, "j"),
        ({"session_id": "s", "thread_id": "t"}, "s"),
        ({"thread_id": "t", "conversation_id": "c"}, "t"),
        ({"conversation_id": "c"}, "c"),
        ({"thread_id": 7}, "7"),
        ({"thread_id": 0}, "0"),
        ({"session_id": "", "thread_id": "t"}, "t"),
        ({}, ""),
    ],
)
def test_the_session_that_the_caller_names(metadata: dict[str, Any], session: str) -> None:
    assert translate.external_session(metadata) == session


def test_bytes_of_a_model_call_count_its_tools_and_every_byte() -> None:
    messages = [translate.message(HumanMessage("größe"))]
    bare = translate.input_of(messages, [])
    assert bare >= len("größe".encode())
    assert translate.input_of(messages, [{"type": "function"}]) > bare
    assert translate.input_of(messages, [Person]) > bare


@pytest.mark.parametrize(
    ("content", "opaque"),
    [
        ("text", False),
        ([{"type": "text", "text": "x"}, "y"], False),
        ([{"type": "image_url", "image_url": {"url": "data:"}}], True),
        ([{"type": "input_audio"}], True),
    ],
)
def test_what_bytes_do_not_bound_is_opaque(content: Any, opaque: bool) -> None:
    assert translate.is_opaque([translate.message(HumanMessage(content))]) is opaque


def test_a_tools_schema_is_its_description_and_parameters() -> None:
    @tool
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    found = translate.schema(add)
    assert found["description"] == "Add."
    assert set(found["parameters"]["properties"]) == {"a", "b"}
    given = StructuredTool(name="x", description="d", args_schema={"type": "object"}, func=print)
    assert translate.schema(given)["parameters"]["type"] == "object"
    assert translate.schema(Tool("t", print, "d"))["description"] == "d"


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [({"readOnlyHint": True}, True), ({"read_only": False}, False), ({"readOnlyHint": None}, None), (None, None)],
)
def test_what_a_tool_declares_about_itself(metadata: Any, expected: bool | None) -> None:
    assert translate.read_only(Tool("t", print, "d", metadata=metadata)) is expected


def test_the_message_of_a_result() -> None:
    answer = ai("x")
    assert translate.answer(LLMResult(generations=[[ChatGeneration(message=answer)]])) is answer
    assert translate.answer(LLMResult(generations=[[Generation(text="x")]])) is None
    assert translate.answer(LLMResult(generations=[])) is None
