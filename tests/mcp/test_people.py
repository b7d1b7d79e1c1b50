"""A call that waits for people: its client hears so, gets the result or a clear word, and is never left hanging."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from mcp_harness import ERAS

from jackline.answers import Answer, public_text, sign
from jackline.approvals import Approvals
from jackline_mcp.enforce import META

if TYPE_CHECKING:
    from mcp_harness import Wrap

    from jackline.answers import Say
    from jackline.approvals import Asked


class Ana:
    """The one who may answer."""

    def __init__(self, wrap: Wrap, wait: str) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        self.key = Ed25519PrivateKey.generate()
        self.approvals = Approvals(wrap.home / "approvals")
        wrap.policies(
            f"jackline: 1\napprovers:\n  ana: {{key: '{public_text(self.key)}'}}\npolicies:\n"
            "  - {name: gate, use: rule, on: tool.call, when: tool.name == 'delete', effect: escalate,\n"
            f"     reason: deleting needs a person, with: {{to: ana, expires: 30m, wait: {wait}}}}}\n"
            "unregistered: allow\n"
        )

    async def asked(self) -> Asked:
        """The question, as soon as there is one."""
        async with asyncio.timeout(20):
            while not (found := [one for one in self.approvals.all() if one.ended() is None]):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found[0]

    def says(self, asked: Asked, say: Say) -> None:
        at = asked.question.asked
        answer = Answer(approval=asked.question.id, question=asked.fingerprint, say=say, who="ana", at=at, why="seen")
        asked.answer(sign(answer, self.key), say, at)


@ERAS
async def test_a_call_waits_with_progress_and_gets_its_result(wrap: Wrap, mode: Any) -> None:
    ana = Ana(wrap, "block")
    heard: list[tuple[float, str | None]] = []

    async def hear(progress: float, _total: float | None, message: str | None) -> None:
        heard.append((progress, message))

    async with wrap.client(mode=mode) as client:
        call = asyncio.create_task(client.call_tool("delete", {"account": "a"}, progress_callback=hear))
        asked = await ana.asked()
        async with asyncio.timeout(20):
            while not heard:  # noqa: ASYNC110 - it comes from another process
                await asyncio.sleep(0.01)
        assert wrap.ran == []
        ana.says(asked, "approve")
        answer = await call

    assert answer.content[0].text == "deleted"
    assert wrap.ran == ["delete a"]
    assert heard[0] == (1e-6, f"waits for a person (ana) to answer approval {asked.question.id[:12]}")


@ERAS
async def test_a_no_is_told_and_nothing_runs(wrap: Wrap, mode: Any) -> None:
    ana = Ana(wrap, "block")
    async with wrap.client(mode=mode) as client:
        call = asyncio.create_task(client.call_tool("delete", {"account": "a"}))
        ana.says(await ana.asked(), "deny")
        answer = await call

    assert answer.is_error
    assert answer.content[0].text.startswith("Not permitted by policy 'gate'")
    assert wrap.ran == []


@pytest.mark.parametrize(("wait", "options"), [("block", ["--wait", "0.3"]), ("tell", [])])
async def test_what_takes_too_long_is_said_and_taken_up_by_the_next_try(
    wrap: Wrap, wait: str, options: list[str]
) -> None:
    ana = Ana(wrap, wait)
    wrap.options += options
    async with wrap.client(mode="legacy") as client:
        first = await client.call_tool("delete", {"account": "a"})
        asked = await ana.asked()
        assert wrap.ran == []
        ana.says(asked, "approve")
        second = await client.call_tool("delete", {"account": "a"})
        third = await client.call_tool("find", {"query": "x"})

    assert first.is_error
    assert "deleting needs a person" in first.content[0].text
    assert asked.question.id[:12] in first.content[0].text
    assert first.meta is not None
    assert first.meta[META]["approvals"] == [asked.question.id]
    assert second.content[0].text == "deleted"
    assert not third.is_error
    assert wrap.ran == ["delete a", "find x"]
