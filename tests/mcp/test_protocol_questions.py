"""What a server asks of its client, and what it is answered: unchanged, in both eras, and judged where policy says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp import MCPError
from mcp_harness import ERAS
from mcp_types import (
    CreateMessageResult,
    ElicitResult,
    ErrorData,
    ListRootsResult,
)
from mcp_ways import PIPES_AND_HTTP, WAYS

from jackline_mcp.enforce import REFUSED

if TYPE_CHECKING:
    from mcp_ways import Ways

SAID = CreateMessageResult.model_validate(
    {
        "role": "assistant",
        "content": {"type": "text", "text": "It is eve@example.com", "_meta": {"vendor/deep": {"a": [None, 1.5]}}},
        "model": "m-1",
        "stopReason": "endTurn",
    }
)
ACCEPTED = ElicitResult(action="accept", content={"mail": "eve@example.com"})
ROOTS = ListRootsResult.model_validate({"roots": [{"uri": "file:///srv/eve", "name": "eve", "_meta": {"v": 1}}]})
ANSWERS = {"sampling": SAID, "elicitation": ACCEPTED, "roots": ROOTS}
METHODS = {"sampling": "sampling/createMessage", "elicitation": "elicitation/create", "roots": "roots/list"}


def json_of(answer: Any) -> Any:
    return json.loads(answer.model_dump_json(by_alias=True, exclude_none=True))


class User:
    """The client's side: what it was asked, and what it answers."""

    def __init__(self, **answers: Any) -> None:
        self.asked: list[Any] = []
        self.answers = {**ANSWERS, **answers}

    async def sample(self, _context: Any, params: Any) -> Any:
        self.asked.append(json_of(params))
        return self.answers["sampling"]

    async def elicit(self, _context: Any, params: Any) -> Any:
        self.asked.append(json_of(params))
        return self.answers["elicitation"]

    async def roots(self, _context: Any) -> Any:
        self.asked.append({})
        return self.answers["roots"]

    def options(self) -> dict[str, Any]:
        return {
            "sampling_callback": self.sample,
            "elicitation_callback": self.elicit,
            "list_roots_callback": self.roots,
        }


def answered(ways: Ways) -> list[Any]:
    """What reached the server."""
    return [json.loads(line.removeprefix("answered ")) for line in ways.ran if line.startswith("answered ")]


@ERAS
@WAYS
async def test_questions_and_answers_are_the_same_as_without_a_gateway(ways: Ways, way: str, mode: Any) -> None:
    bare = "bare far" if way == "far" else "bare"
    heard: dict[str, list[Any]] = {}
    told: dict[str, list[Any]] = {}
    for one in (bare, way):
        user = User()
        with ways.up(one):
            async with ways.to(one, mode=mode, **user.options()) as client:
                found = [await client.call_tool("ask", {"what": what}) for what in ANSWERS]
        heard[one], told[one] = user.asked, [each.model_dump() for each in found]

    reached = answered(ways)
    assert heard[way] == heard[bare]
    assert told[way] == told[bare]
    assert reached[3:] == reached[:3] == [json_of(answer) for answer in ANSWERS.values()]
    handed = [event for event in ways.on_record("decided") if event.action == "output"]
    assert [event.effect for event in handed] == ["allow"] * 3
    if mode == "legacy":
        assert [event.resource for event in handed] == list(METHODS.values())
    else:
        assert [event.resource for event in handed] == ["tools/call"] * 3


ALLOWED = "unregistered: allow\n"
KEPT = "{name: no, use: rule, on: output, effect: deny, reason: keep it}"
PII = """\
jackline: 1
policies:
  - {name: pii, use: pii, on: [tool.return, output], with: {entities: [EMAIL], action: redact}}
unregistered: allow
"""


@ERAS
@WAYS
async def test_personal_data_is_taken_out_both_ways(ways: Ways, way: str, mode: Any) -> None:
    ways.policies(PII)
    user = User()
    with ways.up(way):
        async with ways.to(way, mode=mode, **user.options()) as client:
            for what in ("sampling", "elicitation"):
                await client.call_tool("ask", {"what": what})

    assert "example.com" not in json.dumps(user.asked)
    assert user.asked[0]["messages"][0]["content"]["text"].startswith("Who is ")
    sampled, elicited = answered(ways)
    assert sampled["content"]["text"].startswith("It is ")
    assert sampled["content"]["_meta"] == {"vendor/deep": {"a": [None, 1.5]}}
    assert elicited["action"] == "accept"
    assert "example.com" not in json.dumps([sampled, elicited])


@PIPES_AND_HTTP
async def test_an_answer_that_policy_refuses_does_not_reach_the_server(ways: Ways, way: str) -> None:
    ways.policies(f"jackline: 1\npolicies:\n  - {KEPT}\n{ALLOWED}")
    user = User()
    with ways.up(way):
        async with ways.to(way, mode="legacy", **user.options()) as client:
            with pytest.raises(MCPError, match="Not permitted by policy 'no': keep it"):
                await client.call_tool("ask", {"what": "elicitation"})
            assert not (await client.call_tool("measure", {"what": "x"})).is_error

    assert len(user.asked) == 1
    assert answered(ways) == []


@PIPES_AND_HTTP
async def test_a_try_with_answers_that_policy_refuses_does_not_reach_the_server(ways: Ways, way: str) -> None:
    ways.policies(f"jackline: 1\npolicies:\n  - {KEPT}\n{ALLOWED}")
    user = User()
    with ways.up(way):
        async with ways.to(way, mode="auto", **user.options()) as client:
            told = await client.call_tool("ask", {"what": "elicitation"})

    assert told.is_error
    assert told.content[0].text == "Not permitted by policy 'no': keep it"
    assert answered(ways) == []
    assert ways.ran == ["ask elicitation"]


@PIPES_AND_HTTP
async def test_a_question_that_policy_refuses_is_not_seen_by_the_client(ways: Ways, way: str) -> None:
    rule = "{name: no, use: rule, on: tool.return, effect: deny, reason: nobody is asked}"
    ways.policies(f"jackline: 1\npolicies:\n  - {rule}\n{ALLOWED}")
    user = User()
    with ways.up(way):
        async with ways.to(way, mode="legacy", **user.options()) as client:
            told = await client.call_tool("ask", {"what": "sampling"})

    assert told.is_error
    assert told.content[0].text == "Not permitted by policy 'no': nobody is asked"
    assert user.asked == []
    assert answered(ways) == []


@PIPES_AND_HTTP
async def test_a_client_that_declines_is_heard(ways: Ways, way: str) -> None:
    user = User(sampling=ErrorData(code=-1, message="the user said no"), elicitation=ElicitResult(action="decline"))
    with ways.up(way):
        async with ways.to(way, mode="legacy", **user.options()) as client:
            with pytest.raises(MCPError, match="the user said no"):
                await client.call_tool("ask", {"what": "sampling"})
            declined = await client.call_tool("ask", {"what": "elicitation"})

    assert json.loads(declined.content[0].text) == {"action": "decline"}


async def test_nothing_is_answered_in_a_session_that_was_ended(ways: Ways) -> None:
    rule = "{name: end, use: rule, on: output, effect: halt, reason: enough}"
    ways.policies(f"jackline: 1\npolicies:\n  - {rule}\n{ALLOWED}")
    user = User()
    async with ways.to("wrap", mode="legacy", **user.options()) as client:
        with pytest.raises(MCPError, match="enough") as ended:
            await client.call_tool("ask", {"what": "roots"})
        after = await client.call_tool("measure", {"what": "x"})

    assert ended.value.error.code == REFUSED
    assert after.content[0].text == "Session ended by policy 'end': enough"
    assert answered(ways) == []
    assert ways.ran == ["ask roots"]
