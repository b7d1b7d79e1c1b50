"""An agent of one framework asks one of another: one session, one tree, one budget, one end."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from mixed import FRAMEWORKS, MICRO_USD, TASK, run

from jackline import Halted
from jackline.decision import Verdict
from jackline.testing.paths import Step
from jackline.testing.records import assert_accounted, assert_nothing_after_halt, assert_stored
from jackline.testing.scripted import Scripted, on_record, refusing, replacing

DEEP = list(itertools.permutations(FRAMEWORKS, 3))
"""Every order of the three; the pairs among them are every pair."""
MODES = ("sync", "async", "thread")
CHAINS = [pytest.param(chain, mode, id=f"{'-'.join(chain)}-{mode}") for chain in DEEP for mode in MODES]
everywhere = pytest.mark.parametrize(("chain", "mode"), CHAINS)


def in_turn(names: str, cases: list[tuple[Any, ...]]) -> Any:
    """Each case on every order of the three, in a mode that changes from one to the next."""
    found = []
    for place, case in enumerate(cases):
        for turn, chain in enumerate(DEEP):
            mode = MODES[(place + turn) % len(MODES)]
            found.append(pytest.param(chain, mode, *case, id=f"{'-'.join(chain)}-{mode}-{place}"))
    return pytest.mark.parametrize(f"chain, mode, {names}", found)


TREE = [
    "tool.call pay",
    "agent.spawn a2",
    "tool.call ask_a2",
    "agent.spawn a1",
    "tool.call ask_a1",
    "run a0",
]


def way_up(guard: Any, span: str) -> list[str]:
    """What stands above a span, from itself to the root; a crew is started by the program, whose run is left out."""
    above = {event.span: (f"run {event.agent}", event.parent) for event in on_record(guard, "run_started")}
    above |= {event.span: (f"{event.action} {event.resource}", event.parent) for event in decided(guard)}
    found = []
    while span:
        name, span = above[span]
        found.append(name)
    return found if found[-1] != "run tests" else found[:-1]


def decided(guard: Any, *actions: str) -> list[Any]:
    returns = ("tool.return", "model.return", "output")
    events = on_record(guard, "decided")
    return [event for event in events if (event.action in actions if actions else event.action not in returns)]


def acting(effect: Any, action: Any, agent: str, resource: str = "", after: int = 0) -> Scripted:
    """Answer about one agent's acts, from a certain one of them on."""
    seen: Counter[str] = Counter()

    def answer(request: Any) -> Verdict | None:
        if request.agent.name != agent or (resource and request.resource != resource):
            return None
        seen[agent] += 1
        return Verdict(effect=effect, reason="enough") if seen[agent] > after else None

    return Scripted(answer, action)


@everywhere
def test_one_session_and_one_tree(world: Any, chain: tuple[str, ...], mode: str) -> None:
    guard = world.guard()
    assert run(world.chain(*chain, mode=mode), mode) == "I was told: I was told: I was told: pay is done"
    assert world.counts.ran["pay"] == 1
    assert world.counts.asked == {"a0": 2, "a1": 2, "a2": 2}
    (session,) = on_record(guard, "session_started")
    assert {event.session for event in on_record(guard, "run_started", "run_ended", "decided", "completed")} == {
        session.session
    }
    (ended,) = on_record(guard, "session_ended")
    assert (ended.session, ended.how) == (session.session, "root")
    (paid,) = decided(guard, "tool.call")[2:]
    assert way_up(guard, paid.span) == TREE
    runs = {event.agent: event for event in on_record(guard, "run_started") if event.agent != "tests"}
    assert [runs[name].depth for name in ("a0", "a1", "a2")] == [0, 1, 2]
    assert [runs[name].parent_run for name in ("a1", "a2")] == [runs[name].run for name in ("a0", "a1")]
    assert {event.run for event in on_record(guard, "run_ended")} == {
        event.run for event in on_record(guard, "run_started")
    }
    for event in decided(guard):
        assert event.run == runs[event.agent].run
    found = {event.agent.name: event.agent.framework for event in on_record(guard, "agent_seen")}
    assert {name: found[name] for name in runs} == dict(zip(("a0", "a1", "a2"), chain, strict=True))
    assert_accounted(guard)


@in_turn("application", [("tests",), ("a0",), ("a1",)])
def test_every_policy_sees_who_stands_above(world: Any, chain: tuple[str, ...], mode: str, application: str) -> None:
    """Also where an agent has this program's name."""
    asked: dict[str, list[str]] = {}

    def note(request: Any) -> None:
        asked[f"{request.action} {request.resource}"] = [agent.name for agent in request.ancestors]
        assert request.depth == len(request.ancestors)

    world.guard(Scripted(note, "tool.call", "agent.spawn"), application=application)
    run(world.chain(*chain, mode=mode), mode)
    assert asked == {
        "tool.call ask_a1": [],
        "agent.spawn a1": [],
        "tool.call ask_a2": ["a0"],
        "agent.spawn a2": ["a0"],
        "tool.call pay": ["a0", "a1"],
    }


@in_turn("most", [(1,), (2,), (3,), (4,), (5,)])
def test_one_ceiling_holds_for_all_of_them(world: Any, chain: tuple[str, ...], mode: str, most: int) -> None:
    limit = f"{{limit: {most} calls, count: [model.call], per: session, on_exceed: halt}}"
    guard = world.guard(bundle=f"  - {{name: calls, use: budget, with: {limit}}}\n")
    with pytest.raises(Halted, match=f"Session ended by policy 'calls': {most} calls? per session"):
        run(world.chain(*chain, mode=mode), mode)
    assert world.counts.asked.total() == most
    assert_nothing_after_halt(guard)
    assert_accounted(guard)


@everywhere
def test_what_all_of_them_spend_is_one_sum(world: Any, chain: tuple[str, ...], mode: str) -> None:
    guard = world.guard(bundle="  - {name: usd, use: budget, with: {limit: 1 USD, per: session}}\n")
    with guard.session(id="job") as session:
        run(world.chain(*chain, mode=mode), mode)
        assert session.cost_micro_usd == 6 * MICRO_USD
    costs = [event.cost.micro_usd for event in on_record(guard, "completed") if event.cost is not None]
    assert costs == [MICRO_USD] * 6
    settled = Counter()
    for event in on_record(guard, "completed"):
        settled.update(event.settled)
    assert list(settled.values()) == [6 * MICRO_USD]
    assert_stored(guard, "job", 6 * MICRO_USD)


RIGHTS = {
    "a0": "{allow: [ask_a1], delegate: [ask_a2, pay]}",
    "a1": "{allow: [ask_a2], delegate: [pay]}",
    "a2": "{allow: [pay]}",
}


def lists(**changed: str) -> str:
    return "".join(
        f"  - {{name: of-{name}, use: tool_access, agents: agent.name == '{name}', with: {changed.get(name, text)}}}\n"
        for name, text in RIGHTS.items()
    )


@everywhere
def test_a_child_may_do_what_all_above_it_hand_on(world: Any, chain: tuple[str, ...], mode: str) -> None:
    world.guard(bundle=lists())
    assert run(world.chain(*chain, mode=mode), mode).endswith("pay is done")
    assert world.counts.ran["pay"] == 1


@in_turn(
    "changed, teller",
    [
        ({"a0": "{allow: [ask_a1], delegate: [ask_a2]}"}, "a2"),
        ({"a0": "{allow: [ask_a1]}"}, "a1"),
        ({"a1": "{allow: [ask_a2]}"}, "a2"),
        ({"a2": "{allow: []}"}, "a2"),
    ],
)
def test_a_child_may_do_nothing_that_one_above_it_does_not_hand_on(
    world: Any, chain: tuple[str, ...], mode: str, changed: dict[str, str], teller: str
) -> None:
    """P44: a sub-agent never holds more than its parents may hand on, whatever framework they are of."""
    guard = world.guard(bundle=lists(**changed))
    answer = run(world.chain(*chain, mode=mode), mode)
    assert world.counts.ran["pay"] == 0
    (told,) = world.counts.told[teller]
    assert told.startswith("Not permitted by policy 'of-")
    assert answer.endswith(told)
    (denied,) = [event for event in decided(guard, "tool.call") if event.effect == "deny"]
    assert (denied.agent, denied.reason in told) == (teller, True)


@in_turn(
    "action, agent, resource, asked",
    [
        ("tool.call", "a2", "pay", {"a0": 1, "a1": 1, "a2": 1}),
        ("tool.return", "a2", "pay", {"a0": 1, "a1": 1, "a2": 1}),
        ("model.call", "a2", "", {"a0": 1, "a1": 1}),
        ("model.return", "a2", "", {"a0": 1, "a1": 1, "a2": 1}),
        ("agent.spawn", "a1", "a2", {"a0": 1, "a1": 1}),
        ("tool.return", "a1", "ask_a2", {"a0": 1, "a1": 1, "a2": 2}),
        ("model.call", "a1", "", {"a0": 1}),
    ],
)
def test_a_halt_deep_inside_ends_all_of_them(
    world: Any, chain: tuple[str, ...], mode: str, action: Any, agent: str, resource: str, asked: dict[str, int]
) -> None:
    guard = world.guard(acting("halt", action, agent, resource))
    with pytest.raises(Halted, match="Session ended by policy 'p0': enough"):
        run(world.chain(*chain, mode=mode), mode)
    assert world.counts.asked == asked
    assert_nothing_after_halt(guard)
    assert_accounted(guard)
    assert len(on_record(guard, "session_halted")) == 1
    assert {event.run for event in on_record(guard, "run_ended")} == {
        event.run for event in on_record(guard, "run_started")
    }


@everywhere
def test_a_halt_is_no_later_runs_business(world: Any, chain: tuple[str, ...], mode: str) -> None:
    """A new session starts as if nothing had been."""
    guard = world.guard(acting("halt", "tool.call", "a2", "pay"))
    with pytest.raises(Halted):
        run(world.chain(*chain, mode=mode), mode)
    assert run(world.agent(chain[0], "alone", [Step("fine")]), mode) == "fine"
    first, second = on_record(guard, "session_started")
    assert first.session != second.session


@everywhere
def test_the_next_model_is_told_of_a_denial_and_all_go_on(world: Any, chain: tuple[str, ...], mode: str) -> None:
    guard = world.guard(refusing("tool.call", "not today", agent="a2", tool="pay"))
    refusal = "Not permitted by policy 'p0': not today"
    assert run(world.chain(*chain, mode=mode), mode) == f"I was told: I was told: I was told: {refusal}"
    assert world.counts.told["a2"] == [refusal]
    assert world.counts.ran["pay"] == 0
    assert_accounted(guard)


@in_turn(
    "action, agent, told",
    [("agent.spawn", "a1", "a1"), ("model.call", "a2", "a1"), ("model.return", "a2", "a1")],
)
def test_whoever_asked_an_agent_that_was_refused_is_told(
    world: Any, chain: tuple[str, ...], mode: str, action: Any, agent: str, told: str
) -> None:
    """A denied model or start ends that agent; its caller's model is told by its tool."""
    guard = world.guard(acting("deny", action, agent))
    answer = run(world.chain(*chain, mode=mode), mode)
    refusal = "Not permitted by policy 'p0': enough"
    assert world.counts.told[told] == [refusal]
    assert answer == f"I was told: I was told: {refusal}"
    assert_accounted(guard)


@everywhere
def test_only_the_outermost_agents_word_is_an_output(world: Any, chain: tuple[str, ...], mode: str) -> None:
    guard = world.guard(replacing("output", "done", "[gone]"))
    assert run(world.chain(*chain, mode=mode), mode) == "I was told: I was told: I was told: pay is [gone]"
    assert [event.resource for event in decided(guard, "output")] == ["a0"]
    assert world.counts.told == {
        "a0": ["I was told: I was told: pay is done"],
        "a1": ["I was told: pay is done"],
        "a2": ["pay is done"],
    }


@everywhere
def test_what_is_hidden_deep_inside_reaches_nobody(world: Any, chain: tuple[str, ...], mode: str) -> None:
    world.guard(replacing("tool.return", "done", "[gone]", agent="a2"))
    assert run(world.chain(*chain, mode=mode), mode).endswith("pay is [gone]")
    assert "done" not in str(world.counts.told)


@everywhere
def test_what_a_tool_is_asked_is_changed_before_the_next_agent_hears_it(
    world: Any, chain: tuple[str, ...], mode: str
) -> None:
    heard: list[Any] = []

    def note(request: Any) -> None:
        heard.append(request.args["input"])

    world.guard(replacing("tool.call", TASK, "[changed]", agent="a0"), Scripted(note, "agent.spawn"))
    run(world.chain(*chain, mode=mode), mode)
    assert "[changed]" in str(heard[0])
    assert TASK not in str(heard[0])


@everywhere
def test_each_of_two_guards_sees_the_whole_tree(world: Any, chain: tuple[str, ...], mode: str) -> None:
    guards = [world.guard(), world.guard()]
    run(world.chain(*chain, mode=mode), mode)
    assert world.counts.ran["pay"] == 1
    for guard in guards:
        (paid,) = decided(guard, "tool.call")[2:]
        assert way_up(guard, paid.span) == TREE
        assert len(on_record(guard, "session_started")) == 1
        assert_accounted(guard)


@in_turn("place, effect", [(0, "deny"), (1, "deny"), (0, "halt"), (1, "halt")])
def test_one_guards_no_is_enough(world: Any, chain: tuple[str, ...], mode: str, place: int, effect: Any) -> None:
    policies: list[list[Any]] = [[], []]
    policies[place] = [acting(effect, "tool.call", "a2", "pay")]
    guards = [world.guard(*each) for each in policies]
    if effect == "halt":
        with pytest.raises(Halted, match="Session ended by policy 'p0': enough"):
            run(world.chain(*chain, mode=mode), mode)
    else:
        assert run(world.chain(*chain, mode=mode), mode).endswith("Not permitted by policy 'p0': enough")
    assert world.counts.ran["pay"] == 0
    for guard in guards:
        assert_accounted(guard)
        assert len({event.session for event in on_record(guard, "run_started")}) == 1
