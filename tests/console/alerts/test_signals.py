"""Each rule fires on a session that should fire it, of real guards that write real journals, and says so once."""

from __future__ import annotations

import pytest
from alerting import AT, BUDGET, BUNDLE
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import jackline
from jackline.alert_rules import DEFAULTS
from jackline.answers import public_text
from jackline.events import AgentAmended, BundleActivated, EventsLost
from jackline.journal import Journal
from jackline_console.alerts.signals import SIGNALS

COVERED = set()


def covers(*kinds):
    COVERED.update(kinds)
    return lambda function: function


def write(world, *events):
    """What another process of the home puts on record."""
    with Journal.open(world.home.journals, clock=world.clock) as journal:
        for event in events:
            journal.append(event)


@covers("session_cost")
def test_a_session_that_has_spent_half_warns_and_at_four_fifths_fires(world):
    one = world(BUDGET)
    with one.guard.session(id="s") as session:
        for _ in range(2):
            one.spend(0.26)
            one.clock.now += 1000
        one.look()
        row = one.fired("session-cost")
        assert (row.state, row.threshold, row.unit, row.group) == ("warning", 0.5, "share", {"session": session.id})
        assert row.value == pytest.approx(0.52, abs=0.001)
        assert row.message == f"session {session.id[:8]} of desk has spent 0.52 USD of 1.00 USD, 52%"
        one.spend(0.3)
        assert (one.fired("session-cost").state, one.fired("session-cost").threshold) == ("firing", 0.8)
        one.clock.now += 1
    row = one.fired("session-cost")
    assert (row.state, row.resolved_message) == ("resolved", "its session ended")
    assert [edge.state for edge in one.told.edges if edge.rule == "session-cost"] == ["warning", "firing", "resolved"]


@covers("session_cost")
def test_a_limit_stands_in_for_a_ceiling(world):
    one = world(f"{BUNDLE}alerts: {{rules: {{session-cost: {{when: {{limit: 0.10 USD}}}}}}}}\n")
    with one.guard.session(id="s"):
        one.spend(0.09)
        assert one.fired("session-cost").state == "firing"


@covers("cost_rate")
def test_two_dollars_a_minute_over_five_minutes_fire_and_a_pause_resolves(world):
    one = world()
    with one.guard.session(id="s") as session:
        for _ in range(12):
            one.spend(0.5)
            one.clock.now += 15
        row = one.fired("cost-rate")
        assert (row.unit, row.threshold, row.group) == ("micro_usd/min", 1_000_000, {"session": session.id})
        assert row.value >= 1_000_000
        one.wait(61)
        assert one.fired("cost-rate").state == "resolved"


@covers("burn_rate")
@pytest.mark.parametrize(("each", "gap", "calls"), [(0.1, 20, 5), (0.04, 60, 18)], ids=["fast", "slow"])
def test_a_budget_that_goes_too_fast_burns(world, each, gap, calls):
    one = world(BUDGET)
    with one.guard.session(id="s"):
        for number in range(calls):
            one.clock.now += gap if number else 0
            one.spend(each)
        row = one.fired("session-burn")
        assert row.unit == "x"
        assert row.value >= row.threshold == (6 if gap == 20 else 2)
        one.wait(1300, step=10)
        assert one.fired("session-burn").state == "resolved"


@covers("exhaustion")
def test_a_budget_that_will_be_spent_in_a_minute(world):
    one = world(BUDGET)
    with one.guard.session(id="s"):
        for _ in range(5):
            one.spend(0.12)
            one.clock.now += 12
        row = one.fired("session-exhaustion")
        assert (row.unit, row.threshold, row.severity) == ("s", 120, "critical")
        assert row.value < 120
        one.wait(70)
        assert one.fired("session-exhaustion").state == "resolved"


@covers("tool_failure_rate")
def test_a_tool_that_fails_in_three_of_ten_calls(world):
    one = world()
    good, bad = one.tool("search"), one.fail("search")
    with one.guard.session(id="s"):
        for number in range(10):
            (bad if number in (3, 6, 9) else good)(number)
            one.clock.now += 1
        row = one.fired("tool-failures")
        assert (row.group, row.value, row.threshold, row.unit) == ({"tool": "search"}, 0.3, 0.2, "share")
        assert row.message == "tool 'search' failed in 3 of 10 calls within 300 s"
        one.wait(400, step=5)
        assert one.fired("tool-failures").state == "no_data"
        one.wait(900, step=5)
        row = one.fired("tool-failures")
        assert (row.state, row.resolved_message) == ("resolved", "too little happens to judge by")
    assert [edge.state for edge in one.told.edges if edge.rule == "tool-failures"] == ["firing", "resolved"]


@covers("tool_failure_rate")
def test_denied_calls_are_no_failures(world):
    deny = "  - {name: no, use: rule, on: tool.call, when: args.value > 2, effect: deny}\n"
    one = world(BUNDLE.replace(" []", f"\n{deny}"))
    tool = one.tool("search")
    with one.guard.session(id="s"):
        for number in range(20):
            try:
                tool(number)
            except jackline.Denied:
                continue
        one.look()
    assert one.rows("tool-failures") == []
    assert one.rows("failing-tool") == []


@covers("tool_failure_rate")
def test_a_tool_that_fails_more_often_than_it_used_to(world):
    one = world()
    good, bad = one.tool("search"), one.fail("search")
    with one.guard.session(id="s"):
        for number in range(200):
            (bad if number % 50 == 0 else good)(number)
            one.clock.now += 60
        one.look()
        assert one.rows("tool-failures") == []
        for number in range(30):
            (bad if number % 10 == 0 else good)(number)
            one.clock.now += 5
        row = one.fired("tool-failures")
        assert row.value == pytest.approx(0.1, abs=0.03)
        assert 0.06 < row.threshold < row.value, "three times the share of the last 24 hours"


@covers("tool_failure_rate")
def test_what_was_denied_further_within_says_nothing_of_a_tool(world):
    """Neither a failure nor a call: with eight calls of its own, it is not judged."""
    one = world(
        BUNDLE.replace(" []", "\n  - {name: no, use: rule, on: tool.call, when: tool.name == 'pay', effect: deny}\n")
    )
    pay, good, bad = one.tool("pay"), one.tool("search"), one.fail("search")
    within = one.tool("search", pay)
    with one.guard.session(id="s"):
        for number in range(5):
            with pytest.raises(jackline.Denied):
                within(number)
            good(number)
        for number in range(3):
            bad(number)
        one.look()
    assert one.rows("tool-failures") == one.rows("failing-tool") == []


@covers("consecutive_failures")
def test_a_tool_that_fails_five_times_in_a_row(world):
    one = world()
    good, bad = one.tool("search"), one.fail("search")
    with one.guard.session(id="s") as session:
        for call in (bad, bad, good, bad, bad, bad, bad):
            call(1)
        one.look()
        assert one.rows("failing-tool") == []
        bad(2)
        row = one.fired("failing-tool")
        assert (row.group, row.value) == ({"session": session.id, "tool": "search"}, 5)
        assert row.message.endswith("'search' failed 5 times in a row, last with ValueError")
        one.clock.now += 1
        good(3)
        assert one.fired("failing-tool").resolved_message == "a call ended well"


@covers("session_duration")
def test_a_session_that_runs_for_longer_than_its_kind(world):
    one = world()
    tool = one.tool("step")
    for number in range(60):
        with one.guard.session(id=f"s{number}"):
            tool(1)
            one.clock.now += 10
            tool(2)
        one.clock.now += 1
    one.look()
    with one.guard.session(id="long") as session:
        one.tool("wait", lambda _: one.wait(35))(1)
        assert one.rows("long-session")[0].group == {"session": session.id}
    row = one.fired("long-session")
    assert 29 < row.threshold < 32
    assert row.value > row.threshold
    assert row.state == "resolved"


@covers("session_duration")
def test_too_few_sessions_are_no_measure(world):
    one = world()
    for number in range(40):
        with one.guard.session(id=f"s{number}"):
            one.tool("step")(1)
            one.clock.now += 1
    one.look()
    with one.guard.session(id="long"):
        one.tool("wait", lambda _: one.wait(100))(1)
    one.look()
    assert one.rows("long-session") == []


@covers("loop")
def test_the_same_call_three_times_with_the_same_result(world):
    one = world()
    same, other = one.tool("search"), one.tool("read")
    with one.guard.session(id="s"):
        same(1), same(1)
        one.look()
        assert one.rows("loop") == []
        same(1)
        assert one.fired("loop").message.endswith("made the same call of 'search' 3 times, with nothing new")
        one.clock.now += 1
        for number in range(10):
            other(number)
        assert one.fired("loop").resolved_message == "its last ten calls were others"


@covers("loop")
def test_two_calls_in_turn_three_times(world):
    one = world(f"{BUNDLE}alerts: {{rules: {{loop: {{when: {{repeats: 9}}}}}}}}\n")
    first, second = one.tool("search"), one.tool("read")
    with one.guard.session(id="s"):
        for _ in range(2):
            first(1), second(2)
        first(1)
        one.look()
        assert one.rows("loop") == []
        second(2)
        assert one.fired("loop").message.endswith("makes the same 2 calls in turn, for the 3. time")


@covers("loop")
def test_progress_is_no_loop(world):
    one = world()
    poll, page, answers = one.tool("status", lambda _: next(answers)), one.tool("page"), iter(range(100))
    check, edit = one.tool("test"), one.tool("edit")
    with one.guard.session(id="s"):
        for number in range(12):
            poll(7)
            page(number)
            check("passed")
            edit(number)
        one.look()
    assert one.rows("loop") == []


@covers("denial_burst")
def test_six_denials_within_five_minutes(world):
    one = world(BUNDLE.replace(" []", "\n  - {name: no, use: rule, on: tool.call, effect: deny}\n"))
    tool = one.tool("search")
    with one.guard.session(id="s"):
        for number in range(6):
            one.look()
            assert one.rows("denials") == []
            with pytest.raises(jackline.Denied):
                tool(number)
        row = one.fired("denials")
        assert (row.value, row.threshold, row.group) == (6, 5, {"agent": "desk"})
        one.wait(310)
        assert one.fired("denials").state == "resolved"


@covers("approval_age")
def test_a_question_that_nobody_answers_for_five_minutes(world):
    key = public_text(Ed25519PrivateKey.generate())
    ask = f'\napprovers: {{ana: {{key: "{key}"}}}}\n'
    ask += "policies:\n  - {name: ask, use: rule, on: tool.call, effect: escalate, with: {expires: 30m}}\n"
    one = world(f"jackline: 1{ask}")
    with one.guard.session(id="s") as session:
        with pytest.raises(jackline.ApprovalPending):
            one.tool("refund")(1)
        one.look()
        one.wait(298)
        assert one.rows("waiting-approval") == []
        one.wait(4)
        row = one.fired("waiting-approval")
        assert (row.group, row.threshold, row.unit) == ({"session": session.id}, 300, "s")
        assert row.message == "'desk' asks people for tool.call refund, for 300 s by now"
        assert one.rows("silent-session") == []
        one.wait(1800, step=10)
        assert one.fired("waiting-approval").resolved_message == "nobody is waited for any more"


@covers("silent_session")
def test_a_call_that_nothing_is_heard_of_for_two_minutes(world):
    one = world()
    with one.guard.session(id="s") as session:
        one.tool("wait", lambda _: one.wait(119))(1)
        one.look()
        assert one.rows("silent-session") == []
        one.tool("wait", lambda _: (one.look(), one.wait(121)))(1)
        assert one.rows("silent-session")[0].group == {"session": session.id}
        one.look()
        one.wait(1)
        assert one.fired("silent-session").resolved_message == "it is heard of again"
    one.look()
    one.wait(1000, step=10)
    assert len(one.rows("silent-session")) == 1, "a session that ended is not silent"


@covers("unpriced_calls")
def test_a_model_whose_price_nobody_knows(world):
    one = world()
    with one.guard.session(id="s"):
        one.spend(0.1, model="no-such-model-9", provider="nobody")
        row = one.fired("unpriced-calls")
        assert (row.group, row.value) == ({"agent": "desk"}, 1)
        assert row.message == "desk: 1 calls without a price, last 'no-such-model-9'"


@covers("unregistered_agent")
def test_an_agent_that_nobody_registered_until_somebody_does(world):
    one = world()
    with one.guard.session(id="s"):
        one.tool("search")(1)
    assert one.fired("unregistered-agent").group == {"agent": "desk"}
    one.clock.now += 1
    write(one, AgentAmended(at=one.clock.now, agent="desk", who="ana", why="known", changes={"status": "active"}))
    assert one.fired("unregistered-agent").resolved_message == "it is active now"


@covers("new_tool", "changed_tool")
def test_new_and_changed_tools_of_a_known_agent(world):
    one = world()
    with one.guard.session(id="s"):
        one.tool("search")(1)
        one.look()
        assert one.rows("new-tool") == one.rows("changed-tool") == []
        one.clock.now += 3600
        one.tool("refund")(1)

        def search(query: str, limit: int = 5) -> str:
            return query

        one.guard.tool(search)("x")
    changed, new = one.fired("changed-tool"), one.fired("new-tool")
    assert new.group == {"agent": "desk", "tool": "refund"}
    assert (changed.group, changed.severity) == ({"agent": "desk", "tool": "search"}, "warning")
    one.clock.now += 1
    write(one, AgentAmended(at=one.clock.now, agent="desk", who="ana", changes={"permit": {"refund": "*"}}))
    assert one.fired("new-tool").state == "resolved"
    assert one.fired("changed-tool").state == "firing"


@covers("lost_events")
def test_observations_that_were_lost(world):
    one = world()
    write(one, EventsLost(at=AT, count=3, reason="the journal could not be written"))
    row = one.fired("lost-events")
    assert (row.value, row.group, row.severity) == (3, {}, "critical")
    one.wait(3700, step=10)
    assert one.fired("lost-events").resolved_message == "it has not happened again"


@covers("widened_bundle")
def test_a_reload_that_permits_more_is_told_once_by_however_many_processes(world):
    one = world()
    event = BundleActivated(at=AT, revision="a" * 64, source="x", widened=("policy 'no' is gone", "limit is higher"))
    write(one, event)
    write(one, event)
    row = one.fired("widened-bundle")
    assert row.message == "a new bundle permits more: policy 'no' is gone (and 1 more)"
    assert one.lines() == [("alert_fired", "widened-bundle")]


def test_every_kind_has_a_test_and_a_default():
    assert COVERED == set(SIGNALS) == set(DEFAULTS.values())
