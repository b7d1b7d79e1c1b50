"""Native values as plain data and back, and what a model call asks for: tables, no guard."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from llama_index.core.base.llms.types import ImageBlock, ToolCallBlock
from llama_index.core.base.response.schema import Response
from llama_index.core.llms import ChatMessage, ChatResponse, CompletionResponse, MockLLM, TextBlock
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.core.tools import FunctionTool, ToolOutput, ToolSelection
from llama_index.core.workflow import Context
from pydantic import BaseModel, Field

from jackline.events import Usage
from jackline.rewriting import UnchangeableError
from jackline_llamaindex import offers, tools, translate

CALL = {"name": "send", "args": {"to": "ann"}, "id": "c1"}


def block(kwargs: Any, name: str = "send", call_id: str = "c1") -> ToolCallBlock:
    return ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=kwargs)


def output(raw: Any, content: str | None = None, **more: Any) -> ToolOutput:
    text = str(raw) if content is None else content
    return ToolOutput(tool_name="t", content=text, raw_input={}, raw_output=raw, **more)


def node(text: str, **metadata: Any) -> NodeWithScore:
    return NodeWithScore(node=TextNode(text=text, metadata=metadata), score=0.5)


# --- messages


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (ChatMessage(role="user", content="hi"), {"role": "user", "content": "hi"}),
        (ChatMessage(role="system", content="be kind"), {"role": "system", "content": "be kind"}),
        (ChatMessage(role="developer", content="x"), {"role": "system", "content": "x"}),
        (ChatMessage(role="model", content="x"), {"role": "assistant", "content": "x"}),
        (ChatMessage(role="chatbot", content="x"), {"role": "assistant", "content": "x"}),
        (ChatMessage(role="function", content="x"), {"role": "tool", "content": "x"}),
        (ChatMessage(role="assistant"), {"role": "assistant", "content": ""}),
        (
            ChatMessage(role="tool", content="42", additional_kwargs={"tool_call_id": "c1"}),
            {"role": "tool", "content": "42", "tool_call_id": "c1"},
        ),
        (
            ChatMessage(role="assistant", content="x", additional_kwargs={"refusal": "no"}),
            {"role": "assistant", "content": "x", "additional": {"refusal": "no"}},
        ),
        (
            ChatMessage(role="assistant", blocks=[block({"to": "ann"})]),
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
        ),
        (
            ChatMessage(role="assistant", blocks=[TextBlock(text="so"), block('{"to": "ann"}')]),
            {"role": "assistant", "content": "so", "tool_calls": [CALL]},
        ),
        (
            ChatMessage(role="assistant", blocks=[block("not json")]),
            {"role": "assistant", "content": "", "tool_calls": [{**CALL, "args": "not json"}]},
        ),
    ],
)
def test_a_message_as_plain_data(native: ChatMessage, expected: dict[str, Any]) -> None:
    assert translate.message(native) == expected


def test_calls_that_the_model_tells_better_are_taken() -> None:
    native = ChatMessage(role="assistant", content="", additional_kwargs={"tool_calls": ["native"]})
    told = [ToolSelection(tool_id="c1", tool_name="send", tool_kwargs={"to": "ann"})]
    assert translate.message(native, told)["tool_calls"] == [CALL]


def test_other_blocks_than_text_are_shown_one_by_one() -> None:
    native = ChatMessage(role="user", blocks=[TextBlock(text="see"), ImageBlock(url="https://a.example/x.png")])
    text, image = translate.message(native)["content"]
    assert text["text"] == "see"
    assert "https://a.example/x.png" in json.dumps(image)
    assert offers.is_opaque([native])
    assert not offers.is_opaque([ChatMessage(role="user", content="see"), "prompt"])


def test_several_texts_are_one_content() -> None:
    native = ChatMessage(role="user", blocks=[TextBlock(text="a"), TextBlock(text="b")])
    assert translate.message(native)["content"] == "a\nb"
    changed = translate.rewrite(native, translate.message(native), {"role": "user", "content": "c"})
    assert [part.text for part in changed.blocks] == ["c"]
    assert [part.text for part in native.blocks] == ["a", "b"]


@pytest.mark.parametrize(
    ("native", "change"),
    [
        (ChatMessage(role="user", content="hi ann"), {"content": "hi bob"}),
        (ChatMessage(role="assistant", blocks=[block({"to": "ann"})]), {"content": "new"}),
        (
            ChatMessage(role="assistant", blocks=[TextBlock(text="so"), block({"to": "ann"})]),
            {"tool_calls": [{**CALL, "args": {"to": "bob"}}]},
        ),
        (
            ChatMessage(role="assistant", blocks=[TextBlock(text="so"), block('{"to": "ann"}')]),
            {"tool_calls": [{**CALL, "args": {"to": "bob"}}], "content": "new"},
        ),
        (
            ChatMessage(role="assistant", content="x", additional_kwargs={"note": "ann", "tool_call_id": "c1"}),
            {"additional": {"note": "bob"}},
        ),
    ],
)
def test_a_changed_message_reads_as_it_was_changed(native: ChatMessage, change: dict[str, Any]) -> None:
    before = translate.message(native)
    kept = native.model_dump()
    after = {**before, **change}
    assert translate.message(translate.rewrite(native, before, after)) == after
    assert native.model_dump() == kept


def test_a_message_that_did_not_change_is_the_same_one() -> None:
    native = ChatMessage(role="user", content="hi")
    assert translate.rewrite(native, translate.message(native), translate.message(native)) is native


@pytest.mark.parametrize(
    ("after", "message"),
    [
        ({"role": "system", "content": "hi", "tool_calls": [CALL]}, "the role of a message cannot be changed"),
        ({"role": "user"}, "a ChatMessage became something that is no such thing"),
        ("text", "a ChatMessage became something that is no such thing"),
        ({"role": "user", "content": 7, "tool_calls": [CALL]}, "a message's text became something that is no text"),
        ({"role": "user", "content": "hi", "tool_calls": []}, "can be changed, not added or removed"),
        (
            {"role": "user", "content": "hi", "tool_calls": [{**CALL, "name": "other"}]},
            "the names and ids of a message's tool calls cannot be changed",
        ),
    ],
)
def test_a_change_that_has_no_native_form(after: Any, message: str) -> None:
    native = ChatMessage(role="user", blocks=[TextBlock(text="hi"), block({"to": "ann"})])
    with pytest.raises(UnchangeableError, match=message):
        translate.rewrite(native, translate.message(native), after)


class Function(BaseModel):
    name: str = "send"
    arguments: str = '{"to": "ann"}'


class ProviderCall(BaseModel):
    id: str = "c1"
    function: Function = Function()


@pytest.mark.parametrize(
    "kept",
    [
        {"tool_calls": [ProviderCall()]},
        {"tool_calls": [{"function": {"arguments": '{"to": "ann"}'}}]},
        {"calls": [("send", {"to": "ann"})]},
        {"function_call": {"name": "send", "arguments": {"to": "ann"}}},
    ],
)
def test_arguments_are_replaced_wherever_a_provider_keeps_them(kept: dict[str, Any]) -> None:
    native = ChatMessage(role="assistant", blocks=[block({"to": "ann"})], additional_kwargs=kept)
    changed = translate.replaced(native, [({"to": "ann"}, {"to": "bob"})])
    assert "ann" not in repr(changed)
    assert repr(changed).count("bob") == 2
    assert repr(native).count("ann") == 2


def test_what_is_nested_too_deep_is_left_alone() -> None:
    deep: Any = {"to": "ann"}
    for _ in range(20):
        deep = [deep]
    assert translate.within(deep, {"to": "ann"}, {}) == deep


# --- results


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        (output("found"), "found"),
        (output({"a": 1}), {"a": 1}),
        (output(7), 7),
        (output("raw", "text"), {"content": "text", "raw_output": "raw"}),
        (
            output([node("x", page=1)], "x"),
            {"content": "x", "raw_output": [{"node": {"text": "x", "metadata": {"page": 1}}, "score": 0.5}]},
        ),
        (
            output(Response("it is", [node("x")], {"a": 1})),
            {
                "response": "it is",
                "source_nodes": [{"node": {"text": "x", "metadata": {}}, "score": 0.5}],
                "metadata": {"a": 1},
            },
        ),
    ],
)
def test_what_a_tool_gave_back(native: ToolOutput, expected: Any) -> None:
    assert translate.result(native) == expected
    assert translate.value(native) == expected


def hidden(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("secret", "[h]")
    if isinstance(value, dict):
        return {key: hidden(item) for key, item in value.items()}
    return [hidden(item) for item in value] if isinstance(value, list) else value


class Odd:
    def __str__(self) -> str:
        return "the secret"


@pytest.mark.parametrize(
    "native",
    [
        output("the secret"),
        output({"a": ["secret"]}),
        output("the secret", "its secret"),
        output(Response("the secret", [node("a secret", page="secret")])),
        output([node("the secret", page="secret")], "the secret"),
        output(ChatMessage(role="user", content="secret"), "secret"),
        output(Odd(), "the secret"),
    ],
)
def test_text_and_raw_output_are_changed_together_l8(native: ToolOutput) -> None:
    before = translate.result(native)
    changed = translate.rewrite(native, before, hidden(before))
    assert "secret" not in f"{changed.content} {changed!r}"
    assert "[h]" in changed.content
    assert "secret" in native.content
    assert "secret" in str(native.raw_output)


def test_an_exception_does_not_outlive_its_changed_text() -> None:
    native = output("the secret", is_error=True, exception=ValueError("the secret"))
    changed = translate.rewrite(native, "the secret", "[h]")
    assert changed.exception is None
    assert changed.is_error


def test_nodes_are_copied_and_changed() -> None:
    native = node("the secret", page="secret")
    before = translate.value(native)
    changed = translate.rewrite(native, before, {**hidden(before), "score": 0.1})
    assert translate.value(changed) == {"node": {"text": "the [h]", "metadata": {"page": "[h]"}}, "score": 0.1}
    assert native.node.get_content() == "the secret"


def test_a_changed_response_keeps_nothing_of_what_the_provider_sent_but_tokens() -> None:
    response = ChatResponse(
        message=ChatMessage(role="assistant", content="secret"), raw={"usage": {"a": 1}, "text": "secret"}, delta="ret"
    )
    changed = translate.with_answer(response, ChatMessage(role="assistant", content="[h]"), "[h]")
    assert changed.raw == {"usage": {"a": 1}}
    assert "secret" not in repr(changed)
    assert translate.with_answer(response.model_copy(update={"raw": None}), response.message, None).raw is None


# --- tools


def send(to: str, body: str = "hello", *rest: str, copies: int = 2, **more: Any) -> str:
    """Send a mail."""
    return f"{to}{body}{rest}{copies}{more}"


def wait(ctx: Context, to: str) -> str:
    """Wait."""
    return to


wait.__annotations__ = {"ctx": Context, "to": str, "return": str}


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [
        (("ann",), {}, {"to": "ann", "body": "hello", "copies": 2}),
        ((), {"to": "ann"}, {"to": "ann", "body": "hello", "copies": 2}),
        (("ann", "hi", "x"), {}, {"to": "ann", "body": "hi", "copies": 2, "arg2": "x"}),
        ((), {"to": "ann", "cc": "bob"}, {"to": "ann", "body": "hello", "copies": 2, "cc": "bob"}),
    ],
)
def test_arguments_are_bound_by_name_l6(args: Any, kwargs: Any, expected: Any) -> None:
    assert tools.known(FunctionTool.from_defaults(send)).bound(args, kwargs) == expected


def count(copies: int = Field(default=2)) -> str:
    """Count."""
    return str(copies)


def test_a_default_that_is_a_field_is_what_the_body_receives() -> None:
    native = FunctionTool.from_defaults(count)
    body_has = "2" if native.call().content == "2" else None  # LlamaIndex 0.14.10 gives it the field
    assert str(tools.known(native).bound((), {}).get("copies")) == str(body_has)


def test_no_policy_sees_the_context_that_llamaindex_adds() -> None:
    known = tools.known(FunctionTool.from_defaults(wait))
    assert known.context == "ctx"
    assert known.bound((), {"to": "ann", "ctx": object()}) == {"to": "ann"}
    assert known.bound(("ann",), {}) == {"to": "ann"}


def test_partial_parameters_are_arguments() -> None:
    native = FunctionTool.from_defaults(send, partial_params={"body": "fixed"})
    assert tools.known(native).bound((), {"to": "ann"})["body"] == "fixed"


def test_a_tool_is_known_until_it_says_something_else() -> None:
    native = FunctionTool.from_defaults(send)
    known = tools.known(native)
    assert tools.known(native) is known
    native.metadata.description = "Send another mail."
    again = tools.known(native)
    assert again.tool.fingerprint != known.tool.fingerprint
    assert again.tool.parameters["properties"]["to"] == {"title": "To", "type": "string"}


@pytest.mark.parametrize(("name", "expected"), [("read_only", True), ("readOnlyHint", False), ("other", None)])
def test_what_a_tool_declares_about_itself(name: str, expected: bool | None) -> None:
    native = FunctionTool.from_defaults(send)
    setattr(native.metadata, name, expected)
    assert tools.known(native).tool.read_only is expected


# --- model calls


def said(raw: Any = None, **more: Any) -> ChatResponse:
    return ChatResponse(message=ChatMessage(role="assistant", content="x"), raw=raw, **more)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (said({"usage": {"prompt_tokens": 7, "completion_tokens": 3}}), Usage(input=7, output=3)),
        (said({"usage": SimpleNamespace(input_tokens=7, output_tokens=3)}), Usage(input=7, output=3)),
        (said(SimpleNamespace(usage={"prompt_tokens": 7, "completion_tokens": 3})), Usage(input=7, output=3)),
        (said({"usage_metadata": {"prompt_token_count": 7, "candidates_token_count": 3}}), Usage(input=7, output=3)),
        (said({"prompt_eval_count": 7, "eval_count": 3}), Usage(input=7, output=3)),
        (said(additional_kwargs={"prompt_tokens": 7, "completion_tokens": 3}), Usage(input=7, output=3)),
        (
            CompletionResponse(text="x", raw={"usage": {"prompt_tokens": 7, "completion_tokens": 3}}),
            Usage(input=7, output=3),
        ),
        (
            said(
                {
                    "usage": {
                        "prompt_tokens": 7,
                        "completion_tokens": 3,
                        "prompt_tokens_details": {"cached_tokens": 2},
                        "completion_tokens_details": {"reasoning_tokens": 1},
                    }
                }
            ),
            Usage(input=7, output=3, cache_read=2, reasoning=1),
        ),
        (
            said(
                {
                    "usage": {
                        "input_tokens": 7,
                        "output_tokens": 3,
                        "cache_read_input_tokens": 100,
                        "cache_creation_input_tokens": 10,
                    }
                }
            ),
            Usage(input=117, output=3, cache_read=100, cache_write=10),
        ),
        (said({"usage": None}), None),
        (said({"usage": {"prompt_tokens": 0, "completion_tokens": 0}}), None),
        (said({"usage": {"prompt_tokens": -1, "completion_tokens": 3}}), None),
        (said({"usage": {"prompt_tokens": 7}}), None),
        (said(), None),
    ],
)
def test_tokens_as_providers_tell_them(response: Any, expected: Usage | None) -> None:
    assert offers.usage(response) == expected


@pytest.mark.parametrize(
    ("fields", "kwargs", "tokens", "changeable"),
    [
        ({}, {}, None, True),
        ({"max_tokens": 100}, {}, 100, False),
        ({"max_tokens": 100}, {"max_tokens": 50}, 100, False),
        ({}, {"max_completion_tokens": 50}, 50, True),
        ({}, {"max_tokens": 0}, None, True),
        ({}, {"extra_body": {"max_tokens": 50}}, 50, False),
    ],
)
def test_the_limit_that_a_call_declares(
    fields: dict[str, Any], kwargs: dict[str, Any], tokens: int | None, changeable: bool
) -> None:
    limits = offers.Limits(MockLLM(**fields), kwargs)
    assert (limits.tokens, limits.changeable) == (tokens, changeable)


@pytest.mark.parametrize(
    ("kwargs", "expected"),
    [
        ({}, {"max_tokens": 10}),
        ({"max_tokens": 50, "stop": "x"}, {"max_tokens": 10, "stop": "x"}),
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 50}, {"max_completion_tokens": 10}),
    ],
)
def test_a_smaller_limit_stands_where_the_provider_reads_it(kwargs: dict[str, Any], expected: dict[str, Any]) -> None:
    assert offers.limited(kwargs, 10) == expected


@pytest.mark.parametrize(("kwargs", "expected"), [({}, 1), ({"n": 3}, 3), ({"extra_body": {"best_of": 2}}, 2)])
def test_how_many_answers_a_call_asks_for(kwargs: dict[str, Any], expected: int) -> None:
    assert offers.Limits(MockLLM(), kwargs).choices == expected


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function", "function": {"name": "send"}}, ("send", False)),
        ({"name": "send", "input_schema": {}}, ("send", False)),
        ({"type": "function", "name": "send"}, ("send", False)),
        ({"type": "web_search_preview"}, ("web_search_preview", True)),
        (FunctionTool.from_defaults(send), ("send", False)),
        (send, ("function", False)),
    ],
)
def test_the_tools_that_a_call_offers(tool: Any, expected: tuple[str, bool]) -> None:
    assert offers.offered({"tools": [tool]}) == [expected]


class Named(MockLLM):
    provider: str = "acme"


@pytest.mark.parametrize(("llm", "expected"), [(MockLLM(), ""), (Named(), "acme")])
def test_who_runs_a_model(llm: Any, expected: str) -> None:
    assert offers.provider_of(llm) == expected


def test_a_distribution_of_llamaindex_names_its_provider() -> None:
    kind = type("Claude", (MockLLM,), {"__module__": "llama_index.llms.anthropic.base"})
    assert offers.provider_of(kind()) == "anthropic"


def test_the_model_that_is_asked_and_the_one_that_answers() -> None:
    assert offers.name_of(MockLLM(), {}) == "unknown"
    assert offers.name_of(MockLLM(), {"model": "other"}) == "other"
    assert offers.answering_model(said({"model": "this"})) == "this"
    assert offers.answering_model(said()) == ""


def test_what_is_sent_counts_with_its_schemas() -> None:
    messages = [{"role": "user", "content": "hi"}]
    assert offers.size_of(messages, {}) == len('[{"content":"hi","role":"user"}]')
    assert offers.size_of(messages, {"tools": [{"name": "send"}]}) > offers.size_of(messages, {}) + 10
    assert offers.size_of([{"content": {1, 2}}], {}) > 0
