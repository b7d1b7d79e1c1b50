"""LangChain agents whose tool waits for a human: told or blocked, approved, denied, edited and expired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fakes import Bodies, Scripted, ai
from langchain.agents import create_agent

import jackline
from jackline.answers import Answer, public_text, sign
from jackline_langchain import JacklineCallbackHandler, JacklineMiddleware

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CALL = ("refund", {"order": "o", "amount": 900})


class Desk:
    """A guard whose bundle asks Ana about refunds above 500, and Ana."""

    def __init__(self, folder: Path) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.bundle, self.home, self.now = folder / "jackline.yaml", folder / "home", 1_800_000_000.0
        self.write("tell")
        self.guard = jackline.Guard.load(self.bundle, home=self.home, application="app", clock=lambda: self.now)

    def write(self, wait: str) -> None:
        self.bundle.write_text(
            f"jackline: 1\napprovers: {{ana: {{key: '{public_text(self.key)}'}}}}\npolicies:\n  - name: refunds\n"
            "    use: rule\n    on: tool.call\n    when: tool.name == 'refund' && args.amount > 500\n"
            f"    effect: escalate\n    with: {{to: ana, expires: 30m, wait: {wait}}}\n"
        )

    def block(self) -> None:
        from jackline.bundle import load_bundle  # noqa: PLC0415 - one test

        self.write("block")
        self.guard.reload(load_bundle(self.bundle))

    def says(self, say: Any, **more: Any) -> None:
        (asked,) = [one for one in self.guard.approvals.all() if one.ended() is None]
        approval, question = asked.question.id, asked.fingerprint
        answer = Answer(approval=approval, question=question, say=say, who="ana", at=self.now, **more)
        asked.answer(sign(answer, self.key), say, self.now)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.guard.close()


@pytest.fixture(params=["handler", "middleware"])
def agent(request: pytest.FixtureRequest, desk: Desk) -> Any:
    """Make an agent and ask it once, in one thread of conversation: the text of its tool message."""

    def ask(bodies: Bodies, call_id: str) -> str:
        model = Scripted(ai("", (*CALL, call_id)), ai("done"))
        middleware = [JacklineMiddleware(desk.guard)] if request.param == "middleware" else []
        config: Any = {"configurable": {"thread_id": "t-1"}}
        if request.param == "handler":
            config["callbacks"] = [JacklineCallbackHandler(desk.guard)]
        found = create_agent(model, [bodies.refund()], middleware=middleware).invoke(
            {"messages": [("user", "x")]}, config
        )
        return str(found["messages"][2].content)

    return ask


def test_an_approved_call_runs_once_under_its_next_id(desk: Desk, agent: Any) -> None:
    bodies = Bodies()
    assert "is pending; it was not done)" in agent(bodies, "c1")
    assert "is pending; it was not done)" in agent(bodies, "c2")
    desk.says("approve")
    assert not bodies.ran
    assert "Approval needed" not in agent(bodies, "c3")
    assert len(bodies.got) == 1
    assert "is pending" in agent(bodies, "c4")
    assert len(bodies.got) == 1


def test_a_denied_call_never_runs(desk: Desk, agent: Any) -> None:
    bodies = Bodies()
    agent(bodies, "c1")
    desk.says("deny", why="no receipt")
    for call_id in ("c2", "c3"):
        assert agent(bodies, call_id) == "Not permitted by policy 'refunds': ana denied it: no receipt"
    assert not bodies.ran


def test_an_edited_call_runs_with_the_approved_arguments(desk: Desk, agent: Any) -> None:
    bodies = Bodies()
    agent(bodies, "c1")
    desk.says("edit", args={"order": "o", "amount": 450})
    agent(bodies, "c2")
    assert len(bodies.got) == 1
    assert bodies.got == [("refund", {"order": "o", "amount": 450})]


def test_an_expired_call_never_runs(desk: Desk, agent: Any) -> None:
    """P26: a silent approver denies."""
    bodies = Bodies()
    agent(bodies, "c1")
    desk.says("approve")
    desk.now += 1801
    assert "nobody approved it in time" in agent(bodies, "c1")
    assert not bodies.ran


async def test_calls_of_one_batch_are_answered_each_by_itself(desk: Desk) -> None:
    """P59: one approval for each call; a sibling that needs none does not wait."""
    desk.block()
    bodies = Bodies()
    calls = [("refund", {"order": "o", "amount": amount}, f"c{amount}") for amount in (900, 901, 5)]
    model = Scripted(ai("", *calls), ai("done"))
    agent = create_agent(model, [bodies.refund()])
    config: Any = {"callbacks": [JacklineCallbackHandler(desk.guard)], "configurable": {"thread_id": "t-1"}}
    asking = asyncio.create_task(agent.ainvoke({"messages": [("user", "x")]}, config))
    while len(list(desk.guard.approvals.all())) < 2 or not bodies.ran:  # noqa: ASYNC110 - files
        await asyncio.sleep(0.01)
    assert len(bodies.got) == 1
    for asked in list(desk.guard.approvals.all()):
        say: Any = "approve" if asked.question.args["amount"] == 901 else "deny"
        answer = Answer(
            approval=asked.question.id, question=asked.fingerprint, say=say, who="ana", at=desk.now, why="so be it"
        )
        asked.answer(sign(answer, desk.key), say, desk.now)
    found = await asyncio.wait_for(asking, 20)
    told = {message.tool_call_id: str(message.content) for message in found["messages"][2:5]}
    assert told["c900"] == "Not permitted by policy 'refunds': ana denied it: so be it"
    assert sorted(got["amount"] for _, got in bodies.got) == [5, 901]
    assert len(bodies.got) == 2
