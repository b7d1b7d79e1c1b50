"""Native values as plain data and back: tables, no guard."""

from __future__ import annotations

import json
from typing import Any

import pytest
from crewai import BaseLLM
from openai.types.chat import ChatCompletionMessageToolCall
from pydantic import BaseModel

from jackline.events import Usage
from jackline.rewriting import UnchangeableError
from jackline_crewai import translate


class Report(BaseModel):
    title: str


class Model(BaseLLM):
    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        return "x"


class Gemini(Model):
    max_output_tokens: int | None = None


class OpenAI(Model):
    max_completion_tokens: int | None = None


class Use:
    """As Anthropic gives a tool call."""

    def __init__(self) -> None:
        self.id, self.name, self.input = "t1", "send", {"to": "a@b.example"}


ARGS = {"to": "a@b.example"}
CALL = {"name": "send", "args": ARGS, "id": "c1"}
DICT = {"id": "c1", "type": "function", "function": {"name": "send", "arguments": json.dumps(ARGS)}}
OBJECT = ChatCompletionMessageToolCall.model_validate(DICT)
BEDROCK = {"toolUseId": "c1", "name": "send", "input": ARGS}
THOUGHT = "Thought: I know\nFinal Answer: it is sesame"
ACTION = 'Thought: a tool\nAction: send mail\nAction Input: {"to": "a@b.example"}'


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ({"role": "user", "content": "hi"}, {"role": "user", "content": "hi"}),
        ({"role": "user", "content": "hi", "cache_breakpoint": True}, {"role": "user", "content": "hi"}),
        ({"role": "user", "content": "hi", "name": "ann"}, {"role": "user", "content": "hi", "name": "ann"}),
        (
            {"role": "assistant", "content": None, "tool_calls": [DICT]},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
        ),
        (
            {"role": "tool", "content": "42", "tool_call_id": "c1", "name": "send"},
            {"role": "tool", "content": "42", "tool_call_id": "c1", "name": "send"},
        ),
        (
            {"role": "user", "content": "look", "files": {"a": 1}},
            {"role": "user", "content": "look", "additional": {"files": {"a": 1}}},
        ),
        (object(), {"role": "user", "content": {"$opaque": "builtins.object"}}),
    ],
)
def test_a_message_as_plain_data(native: Any, expected: dict[str, Any]) -> None:
    assert translate.message(native) == expected


def test_a_text_is_what_a_user_says() -> None:
    assert translate.messages("hi") == [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("native", [DICT, OBJECT, BEDROCK])
def test_a_tool_call_of_any_provider(native: Any) -> None:
    assert translate.tool_call(native) == CALL


def test_a_tool_call_without_an_id_has_none() -> None:
    assert translate.tool_call({"function": {"name": "send", "arguments": "{}"}}) == {
        "name": "send",
        "args": {},
        "id": "",
    }


@pytest.mark.parametrize(
    ("given", "expected"), [('{"a": 1}', {"a": 1}), ("", {}), ("not json", "not json"), ({"a": 1}, {"a": 1})]
)
def test_arguments_as_text_or_as_an_object(given: Any, expected: Any) -> None:
    assert translate.arguments(given) == expected


def test_messages_changed_are_new_ones() -> None:
    native = [{"role": "user", "content": "sesame", "cache_breakpoint": True}, {"role": "user", "content": "b"}]
    before = translate.messages(native)
    after = [{**before[0], "content": "[gone]"}, before[1]]
    changed = translate.rewrite_messages(native, before, after)
    assert changed[0] == {"role": "user", "content": "[gone]", "cache_breakpoint": True}
    assert changed[1] is native[1]
    assert native[0]["content"] == "sesame"


def test_a_text_changed_is_a_text() -> None:
    before = translate.messages("sesame")
    assert translate.rewrite_messages("sesame", before, [{"role": "user", "content": "[gone]"}]) == "[gone]"


def test_arguments_of_earlier_calls_can_be_changed() -> None:
    native = [{"role": "assistant", "content": None, "tool_calls": [DICT], "raw_tool_call_parts": [1]}]
    before = translate.messages(native)
    after = [{**before[0], "tool_calls": [{**CALL, "args": {"to": "x"}}]}]
    (changed,) = translate.rewrite_messages(native, before, after)
    assert json.loads(changed["tool_calls"][0]["function"]["arguments"]) == {"to": "x"}
    assert "raw_tool_call_parts" not in changed
    assert changed["content"] is None
    assert native[0]["tool_calls"] == [DICT]


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ([], "1 messages became 0; they can be changed, not added or removed"),
        ([{"role": "user"}], "a message became something that is not such a message"),
    ],
)
def test_messages_that_have_no_native_form(after: Any, why: str) -> None:
    native = [{"role": "user", "content": "hi"}]
    with pytest.raises(UnchangeableError) as raised:
        translate.rewrite_messages(native, translate.messages(native), after)
    assert str(raised.value) == why


@pytest.mark.parametrize(
    ("native", "expected"),
    [
        ("hi", {"role": "assistant", "content": "hi"}),
        ([DICT], {"role": "assistant", "content": "", "tool_calls": [CALL]}),
        (Report(title="x"), {"role": "assistant", "content": {"title": "x"}}),
        ([], {"role": "assistant", "content": []}),
    ],
)
def test_an_answer_as_plain_data(native: Any, expected: dict[str, Any]) -> None:
    assert translate.answer(native) == expected


@pytest.mark.parametrize("native", [DICT, OBJECT, BEDROCK])
def test_a_tool_call_changed_keeps_its_providers_form(native: Any) -> None:
    before = translate.answer([native])
    after = {**before, "tool_calls": [{**CALL, "args": {"to": "x"}}]}
    (changed,) = translate.rewrite_answer([native], before, after)
    assert type(changed) is type(native)
    assert translate.tool_call(changed) == {**CALL, "args": {"to": "x"}}
    assert translate.tool_call(native) == CALL


def test_a_structured_answer_changed_is_of_its_class() -> None:
    before = translate.answer(Report(title="sesame"))
    after = {**before, "content": {"title": "[gone]"}}
    assert translate.rewrite_answer(Report(title="sesame"), before, after) == Report(title="[gone]")


@pytest.mark.parametrize(
    ("native", "update", "why"),
    [
        ("hi", {"content": 1}, "an answer's text became something that is no text"),
        ("hi", {"role": "user"}, "an answer became something that is not an answer"),
        ([DICT], {"content": "hi"}, "an answer that asks for tools has no text"),
        ([DICT], {"tool_calls": []}, "tool calls' order and ids cannot be changed"),
        ([Use()], {"tool_calls": [{**CALL, "id": "t1", "args": {}}]}, "a Use cannot be given other content"),
    ],
)
def test_answers_that_have_no_native_form(native: Any, update: dict[str, Any], why: str) -> None:
    before = translate.answer(native)
    with pytest.raises(UnchangeableError) as raised:
        translate.rewrite_answer(native, before, {**before, **update})
    assert str(raised.value) == why


@pytest.mark.parametrize(
    ("native", "native_tools", "expected"),
    [
        ("all of it", True, "all of it"),
        (THOUGHT, False, "it is sesame"),
        (THOUGHT, True, THOUGHT),
        (ACTION, False, None),
        ("no form at all", False, "no form at all"),
        ([DICT], False, None),
    ],
)
def test_the_final_word_of_an_answer(native: Any, native_tools: bool, expected: str | None) -> None:
    assert translate.final_text(native, native_tools=native_tools) == expected


def test_another_final_word_in_the_same_answer() -> None:
    assert translate.with_final_text(THOUGHT, "it is sesame", "no") == "Thought: I know\nFinal Answer: no"
    assert translate.with_final_text("sesame", "sesame", "no") == "no"
    with pytest.raises(UnchangeableError, match="an answer's text became something that is no text"):
        translate.with_final_text("sesame", "sesame", {"a": 1})


@pytest.mark.parametrize(
    ("native", "native_tools", "expected"),
    [
        ([DICT], True, [("send", ARGS)]),
        (ACTION, False, [("send_mail", ARGS)]),
        (ACTION, True, []),
        (THOUGHT, False, []),
        ("no form at all", False, []),
        (Report(title="x"), False, []),
    ],
)
def test_the_tools_that_an_answer_asks_for(native: Any, native_tools: bool, expected: Any) -> None:
    assert translate.asked_tools(native, native_tools=native_tools) == expected


def test_what_is_sent_is_bounded_by_its_bytes() -> None:
    sent = [{"role": "user", "content": "hi"}]
    alone = translate.input_of(sent, None, None)
    assert alone == len('[{"content":"hi","role":"user"}]')
    assert translate.input_of(sent, [{"a": 1}], None) == alone + len(',[{"a":1}]')
    assert translate.input_of(sent, None, Report) > alone


@pytest.mark.parametrize(
    ("sent", "opaque"),
    [
        ({"role": "user", "content": "hi"}, False),
        ({"role": "user", "content": [{"type": "text", "text": "hi"}]}, False),
        ({"role": "user", "content": [{"type": "image_url"}]}, True),
        ({"role": "user", "content": "look", "additional": {"files": {}}}, True),
    ],
)
def test_what_bytes_do_not_bound(sent: dict[str, Any], opaque: bool) -> None:
    assert translate.is_opaque([sent]) is opaque


def test_tools_that_are_offered() -> None:
    tools = [{"type": "function", "function": {"name": "send"}}, {"name": "find"}, {"type": "web_search"}]
    assert translate.offered(tools) == [("send", False), ("find", False), ("web_search", True)]
    assert translate.offered(None) == []


@pytest.mark.parametrize(
    ("model", "limit", "can", "granted"),
    [
        (Model(model="m"), None, True, {"max_tokens": 7}),
        (Model(model="m", max_tokens=5), 5, True, {"max_tokens": 5}),
        (Model(model="m", max_tokens=50), 50, True, {"max_tokens": 7}),
        (Model(model="m", num_predict=9), 9, False, {"max_tokens": 7}),
        (Gemini(model="m"), None, True, {"max_output_tokens": 7}),
        (Gemini(model="m", max_output_tokens=50), 50, True, {"max_output_tokens": 7}),
        (OpenAI(model="m"), None, True, {"max_completion_tokens": 7}),
        (OpenAI(model="m", provider="own"), None, True, {"max_tokens": 7}),
        (
            OpenAI(model="m", max_tokens=9, max_completion_tokens=50),
            50,
            True,
            {"max_tokens": 7, "max_completion_tokens": 7},
        ),
        (Model(model="m", max_tokens=0), None, True, {"max_tokens": 0}),
    ],
)
def test_the_limit_of_a_model(model: Any, limit: int | None, can: bool, granted: dict[str, int]) -> None:
    assert translate.limit_of(model) == limit
    assert translate.can_limit(model) is can
    assert translate.limited(model, 7) == granted


def test_how_many_answers_are_asked_for() -> None:
    assert translate.choices_of(Model(model="m")) == 1
    assert translate.choices_of(Model(model="m", n=3)) == 3


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([{"prompt_tokens": 11, "completion_tokens": 7}], Usage(input=11, output=7)),
        ([{"input_tokens": 11, "output_tokens": 7}], Usage(input=11, output=7)),
        (
            [{"prompt_tokens": 11, "completion_tokens": 7, "cached_tokens": 4, "reasoning_tokens": 2}],
            Usage(input=11, output=7, cache_read=4, reasoning=2),
        ),
        ([{"prompt_tokens": 11, "completion_tokens": 7}] * 2, Usage(input=22, output=14)),
        ([], None),
        ([{}], None),
        ([None], None),
        ([{"prompt_tokens": 0, "completion_tokens": 0}], None),
        ([{"prompt_tokens": -5, "completion_tokens": 7}], None),
    ],
)
def test_usage_as_providers_tell_it(told: Any, expected: Usage | None) -> None:
    assert translate.usage(told) == expected


@pytest.mark.parametrize(
    ("inputs", "session", "flow", "user"),
    [
        (None, "", "", ""),
        ({}, "", "", ""),
        ({"topic": "x"}, "", "", ""),
        ({"session_id": "s", "user_id": 7}, "s", "s", "7"),
        ({"session_id": "s", "jackline_session_id": "j", "jackline_user_id": "u", "user_id": 7}, "j", "j", "u"),
        ({"id": "state"}, "", "state", ""),
        ({"thread_id": 0}, "0", "0", ""),
    ],
)
def test_the_session_that_inputs_name(inputs: Any, session: str, flow: str, user: str) -> None:
    assert translate.external_session(inputs) == session
    assert translate.external_session(inputs, flow=True) == flow
    assert translate.user_of(inputs) == user
