"""Only type-checked, never run: what a user's type checker knows about Jackline."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import jackline
from jackline.decision import Decision
from jackline.session import Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from jackline.policy import Policy, State
    from jackline.request import Request

guard = jackline.init("jackline.yaml")
assert_type(guard, jackline.Guard)
assert_type(jackline.Guard.load("jackline.yaml"), jackline.Guard)


@guard.tool
def refund(order: str, amount: float) -> str:
    return f"{amount} for {order}"


@guard.tool(name="lookup", read_only=True)
async def look_up(customer: str) -> int:
    return len(customer)


@guard.tool
def lines(path: str) -> Iterator[str]:
    yield path


@guard.tool
async def events(topic: str) -> AsyncIterator[bytes]:
    yield topic.encode()


class Agent:
    """Anything that an adapter knows."""


async def a_governed_function_keeps_its_type() -> None:
    assert_type(refund("A-7", 4.0), str)
    assert_type(await look_up("c-1"), int)
    assert_type(next(lines("a")), str)
    assert_type(await anext(events("a")), bytes)
    refund("A-7", "four")  # type: ignore[arg-type]
    assert_type(guard.attach(Agent()), Agent)


def a_session_is_live() -> None:
    with guard.session(id="job-17", user="u-9", labels={"purpose": "research"}) as session:
        assert_type(session, Session)
        assert_type(session.cost_usd, float)
        assert_type(session.halted, bool)


def an_error_says_which_decision() -> None:
    try:
        refund("A-7", 4.0)
    except jackline.Denied as denied:
        assert_type(denied.decision, Decision)
    except (jackline.Halted, jackline.ApprovalPending) as ended:
        assert_type(ended.decision, Decision)


def what_a_policy_is_asked(policy: Policy, request: Request, state: State) -> bool:
    verdict = policy.evaluate(request, state)
    return verdict is not None and verdict.effect == "deny"
