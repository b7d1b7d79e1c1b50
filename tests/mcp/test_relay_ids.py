"""Ids that are used again do not take an answer past judgement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from relay_harness import between

from jackline_mcp.enforce import NO_METHOD, TIMED_OUT
from jackline_mcp.unanswered import KEPT, Unanswered

if TYPE_CHECKING:
    from pathlib import Path

SECRET = {"content": [{"type": "text", "text": "the secret"}]}
NO_RESULTS = """\
jackline: 1
policies:
  - {name: kept, use: rule, on: tool.return, effect: deny, reason: keep it}
unregistered: allow
"""
ASKED = pytest.mark.parametrize("method", ["tools/call", "tools/list", "prompts/list"])


@ASKED
async def test_an_answer_that_comes_late_is_not_that_to_another_request(tmp_path: Path, method: str) -> None:
    async with between(tmp_path, NO_RESULTS) as relay:
        relay.asks(7, method, name="read", arguments={})
        assert (await relay.back.told())["method"] == method
        relay.front.say(method="notifications/cancelled", params={"requestId": 7})
        assert (await relay.back.told())["method"] == "notifications/cancelled"
        relay.asks(7, "ping")
        assert (await relay.front.told())["error"]["code"] == -32600
        relay.back.say(id=7, result=SECRET)
        await relay.pinged(8)

        assert relay.front.given_up == [7]
        relay.asks(7, "ping")  # its answer came: the id is free
        assert await relay.back.told() == {"jsonrpc": "2.0", "id": 7, "method": "ping", "params": {}}


async def test_nor_after_a_silence(tmp_path: Path) -> None:
    async with between(tmp_path, NO_RESULTS, silence=0.01) as relay:
        relay.asks(7, "tools/call", name="read", arguments={})
        assert (await relay.front.told())["error"]["code"] == TIMED_OUT
        relay.asks(7, "ping")
        refused = await relay.front.told()
        relay.back.say(id=7, result=SECRET)
        await relay.pinged(8)

    assert refused["error"]["message"] == "the id 7 was used before, and no answer came: take another"


async def test_a_call_that_was_given_up_before_it_was_sent_leaves_its_id_free(tmp_path: Path) -> None:
    async with between(tmp_path) as relay:
        relay.asks(7, "tools/call", name="read", arguments={"try": 1})
        relay.front.say(method="notifications/cancelled", params={"requestId": 7})
        relay.asks(7, "tools/call", name="read", arguments={"try": 2})
        sent = await relay.back.told()
        relay.asks(7, "ping")
        refused = await relay.front.told()
        relay.back.say(id=7, result=SECRET)
        told = await relay.front.told()

    assert sent["params"]["arguments"] == {"try": 2}
    assert refused["error"]["message"] == "the id 7 is that of a request still open"
    assert told["result"] == SECRET


async def test_texts_are_bounded_as_ids_and_in_number(tmp_path: Path) -> None:
    async with between(tmp_path) as relay:
        for number in range(KEPT):
            relay.unanswered.add(f"call {number}")
        relay.asks(1, "ping")
        full = await relay.front.told()
        relay.back.say(id="call 0", result=SECRET)
        await relay.pinged("call 0")
        relay.asks("n" * 257, "ping")
        long = await relay.front.told()

    assert full["error"]["message"] == "1000 requests are open, and no more may be"
    assert long["error"]["message"] == "an id of more than 256 characters is not taken"


def test_whoever_counts_up_may_give_up_as_often_as_they_want() -> None:
    ids = Unanswered()
    for number in range(3 * KEPT):
        assert number not in ids
        ids.add(number)

    assert len(ids) == 0
    assert all(number in ids for number in range(3 * KEPT))
    ids.came(3 * KEPT - 1)
    assert 3 * KEPT - 1 not in ids
    ids.came(1)
    assert 1 in ids
    assert ids


async def test_what_is_open_for_long_is_answered_all_the_same(tmp_path: Path) -> None:
    async with between(tmp_path) as relay:
        relay.asks(1, "tools/call", name="read", arguments={})
        relay.asks(2, "prompts/list")
        for _ in range(2):
            await relay.back.told()
        for number in range(3, 2 * KEPT):
            relay.unanswered.add(number)
        for number in (1, 2):
            relay.back.say(id=number, result=SECRET)
            assert (await relay.front.told())["result"] == SECRET


@pytest.mark.parametrize("end", ["answered", "cancelled"])
@pytest.mark.parametrize("method", ["tools/call", "prompts/list"])
async def test_nothing_is_kept_of_a_request_that_is_over(tmp_path: Path, method: str, end: str) -> None:
    async with between(tmp_path) as relay:
        relay.asks(7, method, name="read", arguments={}, _meta={"progressToken": "t"})
        await relay.back.told()
        relay.back.say(method="notifications/progress", params={"progressToken": "t", "progress": 1})
        await relay.front.told()
        assert relay.kept() == [{"t": 7}, {7: "t"}, 7]
        if end == "answered":
            relay.back.say(id=7, result=SECRET)
            await relay.front.told()
        else:
            relay.front.say(method="notifications/cancelled", params={"requestId": 7})
            await relay.back.told()
        await relay.pinged(8)

        assert relay.kept() == [{}, {}]


@pytest.mark.parametrize(("method", "token"), [("no/such", "t"), ("tools/call", "t" * 257)])
async def test_nor_of_one_that_is_none_and_no_long_token(tmp_path: Path, method: str, token: str) -> None:
    async with between(tmp_path) as relay:
        relay.asks(7, method, name="read", arguments={}, _meta={"progressToken": token})
        if method == "no/such":
            assert (await relay.front.told())["error"]["code"] == NO_METHOD
        await relay.pinged(8)

        assert relay.kept() == [{}, {}]
