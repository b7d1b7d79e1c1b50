"""`subscriptions/listen` hears of no resource that a policy denies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from relay_harness import between

from jackline.journal import read
from jackline_mcp.enforce import INVALID, REFUSED

if TYPE_CHECKING:
    from pathlib import Path

POLICIES = """\
jackline: 1
policies:
  - {name: secrets, use: rule, on: retrieval, when: "args.query.startsWith('secret:')", effect: deny, reason: no secrets}
unregistered: allow
"""


def on_record(folder: Path) -> list[tuple[str, str]]:
    lines = [line for path in (folder / "home" / "journals").glob("*.jsonl") for line in read(path)]
    kinds = ("decided", "failed", "completed")
    return [(line.kind, line.event.resource) for line in lines if line.kind in kinds and line.event is not None]


async def test_each_resource_is_judged_and_what_is_permitted_goes_on_as_it_is(tmp_path: Path) -> None:
    wanted = {"resourceSubscriptions": ["note://one", "note://two"], "toolsListChanged": True}
    async with between(tmp_path, POLICIES, silence=0.0) as relay:
        relay.asks(7, "subscriptions/listen", notifications=wanted)
        sent = {"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": {"notifications": wanted}}
        assert await relay.back.told() == sent
        await relay.pinged(8)  # it is silent, and goes on
        relay.back.say(method="notifications/resources/updated", params={"uri": "note://one"})
        assert (await relay.front.told())["params"] == {"uri": "note://one"}
        relay.back.say(id=7, result={"resultType": "complete"})
        assert await relay.front.told() == {"jsonrpc": "2.0", "id": 7, "result": {"resultType": "complete"}}
    kinds = ("decided", "completed")
    assert sorted(on_record(tmp_path)) == sorted((kind, f"note://{one}") for kind in kinds for one in ("one", "two"))


async def test_one_that_is_denied_is_the_denial_of_the_whole(tmp_path: Path) -> None:
    async with between(tmp_path, POLICIES) as relay:
        uris = ["note://one", "secret://x"]
        relay.asks(7, "subscriptions/listen", notifications={"resourceSubscriptions": uris})
        told = await relay.front.told()
        assert told["error"]["code"] == REFUSED
        assert "no secrets" in told["error"]["message"]
        relay.asks(8, "ping")
        assert (await relay.back.told())["method"] == "ping"
    assert sorted(on_record(tmp_path)) == [
        ("decided", "note://one"),
        ("decided", "secret://x"),
        ("failed", "note://one"),
    ]


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"resource_subscriptions": ["secret://x"]}, "the key 'resource_subscriptions' may be read as"),
        ({"ResourceSubscriptions": ["secret://x"]}, "the key 'ResourceSubscriptions' may be read as"),
        ({"resourceSubscriptions": "secret://x"}, "`resourceSubscriptions` is no list of at most 1,000 texts"),
        ({"resourceSubscriptions": [["secret://x"]]}, "`resourceSubscriptions` is no list of at most 1,000 texts"),
        ({"resourceSubscriptions": ["note://x"] * 1001}, "`resourceSubscriptions` is no list of at most 1,000 texts"),
        (["secret://x"], "`notifications` is list, expected a map"),
    ],
)
async def test_what_is_not_plain_is_refused(tmp_path: Path, wanted: Any, why: str) -> None:
    async with between(tmp_path, POLICIES) as relay:
        relay.asks(7, "subscriptions/listen", notifications=wanted)
        told = await relay.front.told()
    assert told["error"]["code"] == INVALID
    assert why in told["error"]["message"]


async def test_without_resources_it_is_passed_on(tmp_path: Path) -> None:
    async with between(tmp_path, POLICIES) as relay:
        relay.asks(7, "subscriptions/listen", notifications={"toolsListChanged": True})
        assert (await relay.back.told())["params"] == {"notifications": {"toolsListChanged": True}}
    assert on_record(tmp_path) == []


async def test_a_list_that_changes_while_it_comes_is_asked_for_again(tmp_path: Path) -> None:
    async with between(tmp_path) as relay:
        relay.asks(7, "tools/list")
        await relay.back.told()
        relay.back.say(method="notifications/tools/list_changed", params={})
        await relay.front.told()
        relay.back.say(id=7, result={"tools": [{"name": "read", "inputSchema": {"type": "object"}}]})
        await relay.front.told()
        assert not relay.catalogue.complete
        relay.asks(8, "tools/call", name="read", arguments={})
        assert (await relay.back.told())["method"] == "tools/list"
