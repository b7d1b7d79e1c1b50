"""What is reported never passes for a governed agent, nor decides what one may use, whoever comes first."""

from __future__ import annotations

import pytest
from reporting import Desk, span

from jackline.opening import open_registry
from jackline.registry import Registry
from jackline.request import Agent, Tool

AGENT = {"gen_ai.operation.name": "invoke_agent"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 10}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "wipe"}


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as made:
        yield made


def govern(desk, name, version="", tools=None):
    """See an agent as a governed process does, which writes to the same registry."""
    registry = Registry(desk.home.registry, lambda _: None, lambda: 1.0).open()
    return registry, registry.agent(Agent(name=name, version=version), tools=tools)


def report(desk, name, version="", trace="1" * 32):
    run = span(1, AGENT | {"gen_ai.agent.name": name}, trace=trace)
    more = {"service.version": version} if version else {}
    desk.report(run, span(2, CHAT, 1, trace), span(3, TOOL, 1, trace), **more)


@pytest.mark.parametrize("first", ["reported", "governed"])
def test_a_reported_name_with_a_mark_is_no_governed_agent_s_key(desk, first):
    if first == "governed":
        govern(desk, "support", "1.0")
    report(desk, "support@1.0")
    if first == "reported":
        govern(desk, "support", "1.0")
    roster = open_registry(desk.home).roster
    assert roster.parts("support@1.0") == ("support", "1.0")
    assert roster.entries["support"].facts("1.0").managed
    assert {row.agent for row in desk.store.usage(("agent",))} == {"support at 1.0"}


@pytest.mark.parametrize(
    ("governed", "told", "expected"),
    [
        (("sup@port", ""), ("sup", "port"), "sup (reported)@port"),
        (("a@b", "1"), ("a", "b@1"), "a@b at 1"),
        (("support", "1"), ("support", "1"), "support (reported)@1"),
    ],
)
def test_no_name_and_version_make_a_governed_agent_s_key(desk, governed, told, expected):
    govern(desk, *governed)
    report(desk, *told)
    assert {row.agent for row in desk.store.usage(("agent",))} == {expected}


def test_the_other_name_may_be_a_governed_agent_s_too(desk):
    govern(desk, "support")
    govern(desk, "support (reported)")
    report(desk, "support")
    assert {row.agent for row in desk.store.usage(("agent",))} == {"support (reported) (reported)"}


def test_all_that_is_reported_heeds_who_is_governed_by_then(desk):
    """Whichever of its reports the console looks into the registry for."""
    for number, name in enumerate(("one", "two"), 1):
        report(desk, name, trace=f"{number:032x}")
    govern(desk, "one")
    govern(desk, "two")
    for number, name in enumerate(("one", "two", "three"), 3):
        report(desk, name, trace=f"{number:032x}")
    calls = {row.agent: row.calls for row in desk.store.usage(("agent",))}
    assert calls == {"one": 1, "two": 1, "one (reported)": 1, "two (reported)": 1, "three": 1}


def test_what_is_reported_first_is_nothing_that_a_governed_agent_may_use(desk):
    report(desk, "support")
    (known,) = open_registry(desk.home).entries["support"].tools.values()
    assert known.permitted is None, "nobody permitted it"
    refund = Tool(name="refund", parameters={"type": "object"})
    registry, agent = govern(desk, "support", tools=(refund,))
    assert registry.tool(agent, Tool(name="wipe")).status == "new"
    assert registry.tool(agent, refund).status == "known"
    entry = open_registry(desk.home).entries["support"]
    assert (set(entry.tools), entry.models) == ({"refund", "wipe"}, set())
    registry.model(agent, "gpt-4o-mini")
    assert open_registry(desk.home).entries["support"].models == {"gpt-4o-mini"}


def test_an_agent_that_declares_nothing_settles_by_what_it_calls_though_it_was_reported_before(desk):
    report(desk, "support")
    registry, agent = govern(desk, "support")
    assert registry.tool(agent, Tool(name="wipe")).status == "known"
