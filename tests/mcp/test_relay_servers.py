"""What a server says so that a client could read in it what nobody has judged does not reach the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from relay_harness import between

from jackline_mcp.enforce import INTERNAL

if TYPE_CHECKING:
    from pathlib import Path

EVIL = {"content": [{"type": "text", "text": "evil"}]}
LISTED = [{"name": "read", "inputSchema": {"type": "object"}}]


@pytest.mark.parametrize("answer", [{"result": {}, "Result": EVIL}, {"result": {}, "ERROR": {}}, {"Result": EVIL}])
@pytest.mark.parametrize("method", ["tools/call", "ping"])
async def test_an_answer_with_a_key_of_another_case_is_none(
    tmp_path: Path, method: str, answer: dict[str, Any]
) -> None:
    async with between(tmp_path) as relay:
        relay.asks(7, method, name="read", arguments={})
        await relay.back.told()
        relay.back.say(id=7, **answer)
        told = await relay.front.told()

    assert told["error"]["code"] == INTERNAL
    assert "evil" not in str(told)


@pytest.mark.parametrize(
    "said",
    [
        {"method": "roots/list", "id": 5, "result": EVIL},
        {"method": "roots/list", "id": 5, "Error": EVIL},
        {"method": "roots/list", "id": 5, "Params": EVIL},
        {"method": "notifications/message", "PARAMS": EVIL},
        {"method": "notifications/message", "ID": 7, "result": EVIL},
    ],
)
async def test_nor_is_a_question_or_a_note(tmp_path: Path, said: dict[str, Any]) -> None:
    async with between(tmp_path) as relay:
        relay.back.say(**said)
        if "id" in said:
            told = await relay.back.told()
            assert told["error"] == {"code": -32600, "message": "what it is could be read in two ways"}
        await relay.pinged(8)


@pytest.mark.parametrize("key", ["Tools", "TOOLS", "nextcursor", "NextCursor"])
@pytest.mark.parametrize("besides", [{}, {"tools": LISTED}])
async def test_a_list_is_shown_where_it_was_looked_at(tmp_path: Path, key: str, besides: dict[str, Any]) -> None:
    async with between(tmp_path) as relay:
        relay.asks(7, "tools/list")
        await relay.back.told()
        relay.back.say(id=7, result={**besides, key: [{"name": "evil"}]})
        told = await relay.front.told()

    assert told["error"] == {"code": INTERNAL, "message": "the server's list cannot be looked at"}


async def test_nor_is_it_learned(tmp_path: Path) -> None:
    async with between(tmp_path) as relay:
        relay.asks(7, "tools/call", name="evil", arguments={})
        asked = await relay.back.told()
        relay.back.say(id=asked["id"], result={"tools": LISTED, "Tools": [{"name": "evil"}]})
        await relay.back.told()

        assert not relay.catalogue.knows("evil")
        assert asked["method"] == "tools/list"


async def test_an_error_instead_of_a_list_is_passed_on(tmp_path: Path) -> None:
    error = {"code": -32601, "message": "no tools here"}
    async with between(tmp_path) as relay:
        relay.asks(7, "tools/list")
        await relay.back.told()
        relay.back.say(id=7, error=error)

        assert (await relay.front.told())["error"] == error
