"""What is normal fires nothing: recorded sessions that succeeded, and a thousand seeded ones with a clock of their own."""

from __future__ import annotations

import contextlib
import json
import random
import sys

import pytest
from alerting import AT, BUDGET, Clock, World

from jackline.alert_rules import default_rules
from jackline.ingest import ingest
from jackline_console.alerts.preview import preview

SEED = 20261123
CALL_RULES = {"tool-failures", "failing-tool", "loop", "denials"}
TIME_AND_COST = (
    "session-cost",
    "cost-rate",
    "session-burn",
    "session-exhaustion",
    "long-session",
    "silent-session",
    "waiting-approval",
)


def show(line):
    """What was measured: pytest shows it with `-s`."""
    sys.stdout.write(f"{line}\n")


@pytest.fixture(scope="module")
def recorded(shared_data):
    path = shared_data / "trajectories" / "taubench" / "gpt-4o-airline.json"
    if not path.is_file():
        pytest.skip("the recorded sessions of taubench are not among the shared data sets")
    return json.loads(path.read_text("utf-8"))


def calls_of(session):
    results = {step["tool_call_id"]: str(step["content"]) for step in session["traj"] if step["role"] == "tool"}
    for step in session["traj"]:
        for call in step.get("tool_calls") or ():
            function = call["function"]
            yield function["name"], json.loads(function["arguments"]), results.get(call["id"], "")


def play(one, session, name, *, errors):
    """Run a recorded session's calls under a real guard, three seconds apart."""

    def act(result):
        if errors and result.startswith("Error"):
            raise LookupError(result)
        return result

    with one.guard.session(id=name) as opened:
        for tool, arguments, result in calls_of(session):
            with contextlib.suppress(LookupError):
                one.tool(tool, lambda _, result=result: act(result))(arguments)
            one.clock.now += 3
    return opened.id


@pytest.mark.parametrize("errors", [False, True], ids=["results", "errors"])
def test_no_call_or_failure_rule_fires_on_a_session_that_succeeded(world, recorded, errors):
    """Also where results that tell of errors are failures of the tool. Those that did not succeed do fire some."""
    one = world()
    good = [session for session in recorded if session["reward"] == 1.0]
    bad = [session for session in recorded if session["reward"] != 1.0]
    assert (len(good), len(bad)) == (31, 69)
    for number, session in enumerate(good):
        play(one, session, f"good-{number}", errors=errors)
        one.clock.now += 60
    one.look()
    assert [(row.rule, row.message) for row in one.rows() if row.rule in CALL_RULES] == []
    one.clock.now += 3600
    for number, session in enumerate(bad):
        play(one, session, f"bad-{number}", errors=errors)
        one.clock.now += 600
    one.look()
    found = [row for row in one.rows() if row.rule in CALL_RULES]
    by_rule = {rule: sum(row.rule == rule for row in found) for rule in sorted({row.rule for row in found})}
    show(f"fired in 31 sessions that succeeded: 0; in 69 that did not: {by_rule}")
    assert found, "the rules look at the calls"


def normal(one, chance, number):
    """One session of 4 to 12 steps: a model call of some cents and seconds, and a tool that seldom fails."""
    clock = one.clock
    with one.guard.session(id=f"normal-{number}"):
        budget = chance.uniform(0.05, 0.45)
        steps = chance.randint(4, 12)
        shares = [chance.uniform(0.5, 1.5) for _ in range(steps)]
        for share in shares:
            clock.now += chance.uniform(2, 12)
            one.spend(budget * share / sum(shares))

            def work(value):
                clock.now += chance.uniform(0.1, 10)
                if chance.random() < 0.02:
                    raise TimeoutError
                return value

            with contextlib.suppress(TimeoutError):
                one.tool(chance.choice(["search", "read", "write"]), work)(chance.randrange(10**9))
    clock.now += chance.uniform(1, 20)


def test_no_time_or_cost_rule_fires_on_a_thousand_normal_sessions(tmp_path):
    """Four guards side by side, each with its own clock; then one session that is none of this, and is found."""
    chance = random.Random(SEED)
    worlds = [World(tmp_path, BUDGET, Clock(AT + chance.uniform(0, 60))) for _ in range(4)]
    for number in range(1000):
        normal(worlds[number % 4], chance, number)
    one = worlds[0]
    ingest(one.home.path, one.store)
    until = max(each.clock.now for each in worlds)
    rules = [default_rules()[name] for name in TIME_AND_COST]
    found = preview(one.store, rules, AT, until)
    show(f"1,000 normal sessions over {until - AT:.0f} s, {found.evaluated} events: {len(found.edges)} alerts")
    assert found.evaluated > 30_000
    assert [(edge.rule, edge.message) for edge in found.edges] == []

    with one.guard.session(id="runaway"):
        for _ in range(60):
            one.spend(0.016)
            one.tool("search", lambda _: setattr(one.clock, "now", one.clock.now + 15))(1)
        one.tool("search", lambda _: setattr(one.clock, "now", one.clock.now + 130))(1)
    ingest(one.home.path, one.store)
    after = {edge.rule for edge in preview(one.store, rules, AT, one.clock.now).edges}
    assert after == {"session-cost", "session-burn", "session-exhaustion", "long-session", "silent-session"}
    for each in worlds:
        each.close()
