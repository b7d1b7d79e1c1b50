"""What a server asks twice, takes back, or nobody answers, gets it nothing that policy would keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from relay_harness import between

from jackline_mcp.enforce import NO_METHOD, REFUSED, TIMED_OUT
from jackline_mcp.modern import Post

if TYPE_CHECKING:
    from pathlib import Path

    from relay_harness import Between

KEPT = """\
jackline: 1
policies:
  - {name: kept, use: rule, on: output, effect: deny, reason: keep it}
unregistered: allow
"""
USED = "the id 5 was used before, and no answer came: take another"


async def asked(relay: Between, method: str = "sampling/createMessage") -> None:
    relay.back.say(id=5, method=method, params={})
    assert (await relay.front.told())["method"] == method


async def refused(relay: Between, number: Any = 5, method: str = "ping") -> str:
    relay.back.say(id=number, method=method, params={})
    told = await relay.back.told()
    assert (told["id"], told["error"]["code"]) == (number, -32600)
    return str(told["error"]["message"])


async def test_a_question_under_the_id_of_an_open_one_does_not_take_its_place(tmp_path: Path) -> None:
    async with between(tmp_path, KEPT) as relay:
        await asked(relay)
        assert await refused(relay) == "the id 5 is that of a question still open"
        relay.front.say(id=5, result={"content": "mine"})
        assert (await relay.back.told())["error"]["code"] == REFUSED


async def test_nor_where_the_first_was_taken_back(tmp_path: Path) -> None:
    async with between(tmp_path, KEPT) as relay:
        await asked(relay)
        relay.back.say(method="notifications/cancelled", params={"requestId": 5})
        await relay.front.told()
        assert await refused(relay) == USED
        relay.front.say(id=5, result={"content": "mine"})
        await relay.pinged(1)
        await asked(relay, "ping")


async def test_an_id_is_of_bounded_size(tmp_path: Path) -> None:
    async with between(tmp_path) as relay:
        told = await refused(relay, "n" * 257)

    assert told == "an id of more than 256 characters is not taken"


@pytest.mark.parametrize("method", ["ping", "roots/list"])
async def test_a_question_that_nobody_answers_does_not_keep_a_call_open(tmp_path: Path, method: str) -> None:
    async with between(tmp_path) as relay:
        await asked(relay, method)
        relay.options = relay.options._replace(silence=0.01)
        relay.asks(7, "tools/call", name="read", arguments={})
        assert (await relay.back.told())["method"] == "tools/call"
        told = await relay.front.told()
        while (said := await relay.back.told()).get("id") != 5:
            assert said["method"] == "notifications/cancelled"

    assert (told["id"], told["error"]["code"]) == (7, TIMED_OUT)
    assert said["error"] == {"code": TIMED_OUT, "message": "the client has not answered it for 0 s"}


async def test_a_client_without_a_session_is_asked_nothing() -> None:
    post = Post()
    await post.send({"jsonrpc": "2.0", "id": 5, "method": "roots/list"})
    told = await post.receive()

    assert told is not None
    assert (told["id"], told["error"]["code"]) == (5, NO_METHOD)
    assert told["error"]["message"] == "'roots/list' cannot be answered by a client without a session"
    assert post.told.empty()
