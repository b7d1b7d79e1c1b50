"""What tracing peers have no alert for: one session, one agent, one tool, told as its event arrives."""

from __future__ import annotations

import pytest
from alerting import BUDGET

from jackline.request import Agent, Tool


def test_one_session_of_many_is_told_apart_as_its_event_comes(world):
    """P68: no alert by session, agent or user. Two sessions of one agent and one user: only the dear one is told."""
    one = world(BUDGET)
    with one.guard.session(id="cheap", user="u-9") as cheap:
        one.spend(0.01)
    with one.guard.session(id="dear", user="u-9") as dear:
        one.spend(0.60)
        one.look()  # one look at what came in, and no time passes: nothing is polled for
    assert [(row.rule, row.group) for row in one.rows("session-cost")] == [("session-cost", {"session": dear.id})]
    assert cheap.id not in str([row.group for row in one.rows()])
    assert [row.since for row in one.rows("session-cost")] == [one.clock.now]


@pytest.mark.parametrize("failing", ["desk", "shop"])
def test_one_agents_tool_is_told_apart(failing, world):
    """P68: by tool: what fails for one agent says nothing of another tool that works."""
    one = world()
    works, fails = one.tool("works"), one.fail("fails")
    with one.guard.session(id="s"), one.guard.run(Agent(name=failing)):
        for _ in range(6):
            works(1)
            fails()
    one.look()
    told = [row.group for row in one.rows() if "tool" in row.group]
    assert told, [(row.rule, row.message) for row in one.rows()]
    assert {group["tool"] for group in told} == {"fails"}


def test_one_agent_is_told_apart(world):
    """P68: by agent: ten refusals of one agent in five minutes, and one of another."""
    one = world(
        "jackline: 1\npolicies:\n  - {name: no, use: rule, on: tool.call, effect: deny, when: tool.name == 'x'}\n"
    )
    for name, count in (("calm", 1), ("pushy", 10)):
        with one.guard.session(), one.guard.run(Agent(name=name)):
            for _ in range(count):
                one.guard.check(one.guard.request("tool.call", "x", {}, tool=Tool(name="x")))
            one.look()
    told = [row.group["agent"] for row in one.rows() if row.rule == "denials"]
    assert [name.partition("@")[0] for name in told] == ["pushy"], [(row.rule, row.group) for row in one.rows()]
