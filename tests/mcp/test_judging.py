"""How a client's request becomes an act: on what it is judged, how it is changed, and that each act has its outcome."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from jackline.decision import Decision
from jackline.errors import Denied
from jackline.guard import Guard
from jackline.journal import read
from jackline.plain import MAX_NODES
from jackline_mcp.ambiguity import ambiguity
from jackline_mcp.calls import Call
from jackline_mcp.enforce import McpAct
from jackline_mcp.frames import EndError
from jackline_mcp.relay import Options
from jackline_mcp.translate import changed, judged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BY_NAME = {"ref": {"type": "ref/prompt", "name": "greet"}, "argument": {"name": "who", "value": "An"}}


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text("jackline: 1\npolicies: []\nunregistered: allow\n", encoding="utf-8")
    with Guard.load(bundle, home=tmp_path / "home") as guard:
        yield guard


def endings(guard: Guard, folder: Path) -> list[Any]:
    """The kinds of what is on record of acts, and how they ended."""
    guard.close()
    lines = [line for path in (folder / "home" / "journals").glob("*.jsonl") for line in read(path)]
    return [
        getattr(line.event, "error", line.kind) for line in lines if line.kind in ("decided", "failed", "completed")
    ]


@pytest.mark.parametrize(
    ("ref", "about"),
    [
        ({"type": "ref/prompt", "name": "greet", "title": "Greet"}, "completion:greet"),
        ({"type": "ref/resource", "uri": "note://{who}"}, "completion:note://{who}"),
    ],
)
def test_a_completion_is_judged_by_what_its_ref_is_about(ref: dict[str, Any], about: str) -> None:
    found = judged("completion/complete", {**BY_NAME, "ref": ref})
    assert found is not None
    assert found.resource == about
    assert found.args["ref"] == ref
    assert found.args["query"] == "An"


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"ref": {"type": "ref/resource", "uri": "secret://x", "name": "harmless"}}, "`ref` has the key 'name'"),
        ({"ref": {"type": "ref/prompt", "name": "greet", "uri": "secret://x"}}, "`ref` has the key 'uri'"),
        ({"ref": {"type": "ref/prompt", "name": "greet", "URI": "secret://x"}}, "`ref` has the key 'URI'"),
        ({"ref": {"type": "ref/prompt", "name": "greet", "Name": "secret"}}, "`ref` has the key 'Name'"),
        ({"ref": {"type": "ref/prompt", "name": "greet", "Type": "ref/resource"}}, "`ref` has the key 'Type'"),
        ({"ref": {"type": "ref/tool", "name": "greet"}}, "`ref.type` is 'ref/tool', expected one of 'ref/prompt'"),
        ({"ref": {"type": ["ref/prompt"], "name": "greet"}}, "`ref.type` is "),
        ({"ref": {"name": "greet"}}, "`ref.type` is 'None'"),
        ({"ref": {"type": "ref/resource"}}, "`uri` is NoneType, expected text"),
        ({"argument": {"name": "who", "Value": "secret"}}, "`argument` has the key 'Value'"),
    ],
)
def test_a_ref_that_may_be_about_another_thing_is_refused(params: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        judged("completion/complete", {**BY_NAME, **params})


def test_a_completion_is_changed_with_its_ref() -> None:
    found = judged("completion/complete", BY_NAME)
    assert found is not None
    ref = {"type": "ref/prompt", "name": "other"}
    after = changed("completion/complete", BY_NAME, {**found.args, "ref": ref, "query": "B"})
    assert after == {"ref": ref, "argument": {"name": "who", "value": "B"}}


@pytest.mark.parametrize(
    ("method", "params", "left", "why"),
    [
        ("resources/read", {"uri": "note://one"}, "query", "`query` is NoneType, expected text"),
        ("prompts/get", {"name": "greet", "arguments": {}}, "query", "`query` is NoneType, expected text"),
        ("prompts/get", {"name": "greet", "arguments": {}}, "arguments", "`arguments` is missing"),
        ("completion/complete", BY_NAME, "argument", "`argument` is missing"),
        ("completion/complete", BY_NAME, "ref", "`ref` is missing"),
    ],
)
def test_a_change_that_has_no_place_is_a_denial_with_an_outcome(
    guard: Guard, tmp_path: Path, method: str, params: dict[str, Any], left: str, why: str
) -> None:
    how = judged(method, params)
    assert how is not None
    with guard.session():
        act = McpAct(guard, guard.scope())
        request = act.built(lambda: guard.request(how.action, how.resource, how.args))
        act.check(request)
        kept = {key: item for key, item in how.args.items() if key != left}
        act.decision = Decision(effect="modify", args=kept)
        with pytest.raises(Denied) as denied:
            act.sent(method, params)
    assert why in str(denied.value)
    assert "its arguments cannot be changed as policy asks" in str(denied.value)
    assert endings(guard, tmp_path) == ["decided", "abandoned"]


@pytest.mark.parametrize("leaves", ["cancelled", "its end is gone"])
async def test_what_is_permitted_while_its_caller_leaves_is_closed(
    guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves: str
) -> None:
    decided = asyncio.Event()

    async def aasked(_request: Any) -> Any:
        return SimpleNamespace(asked=())

    async def aanswered(request: Any, _answer: Any) -> Decision:
        decision = await guard.acheck(request)
        decided.set()
        return decision

    class Front:
        async def send(self, _message: Any, _about: Any = None) -> None:
            await decided.wait()
            if leaves != "cancelled":
                raise EndError("it is closed")

    monkeypatch.setattr(guard, "aasked", aasked)
    monkeypatch.setattr(guard, "aanswered", aanswered)
    params = {"uri": "note://one", "_meta": {"progressToken": 1}}
    with guard.session():
        relay: Any = SimpleNamespace(guard=guard, scope=guard.scope(), options=Options(), front=Front())
        call = Call(relay, {"id": 1, "method": "resources/read", "params": params})
        call.act.built(lambda: guard.request("retrieval", "note://one", {"query": "note://one"}))
        assert call.act.request is not None
        deciding = asyncio.create_task(call._decided(call.act.request))
        await decided.wait()
        if leaves == "cancelled":
            deciding.cancel()
        with pytest.raises(asyncio.CancelledError if leaves == "cancelled" else EndError):
            await deciding
    assert endings(guard, tmp_path) == ["decided", "abandoned"]


def test_a_message_of_more_values_than_are_judged_is_refused_without_looking_on() -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a", "arguments": {}}}
    assert ambiguity({**message, "params": {"name": "a", "arguments": {"x": [0] * (MAX_NODES - 10)}}}) == ""
    wide = {"name": "a", "arguments": [{"y": 1, "Y": 2}, [0] * MAX_NODES]}
    assert ambiguity({**message, "params": wide}) == "its params have more than 100,000 values"
    deep: list[Any] = []
    for _ in range(MAX_NODES + 1):
        deep = [deep]
    assert ambiguity({**message, "params": {"name": "a", "arguments": deep}}) == (
        "its params have more than 100,000 values"
    )
