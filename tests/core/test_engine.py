"""The combined answer: severity, phases, default deny, delegation, failures, observation."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackline.condition import EvaluationError, compile_condition
from jackline.decision import EFFECTS, SEVERITY, Finding, Verdict
from jackline.engine import Bound, Engine, facts
from jackline.events import Completed
from jackline.policy import Reach, State
from jackline.request import Agent, Request, Subject, Tool

SUBJECT = Subject(session="0" * 32)
AGENT = Agent(name="support", status="active")


class Fixed:
    """Answers always the same."""

    phase = "judge"
    reach = Reach()

    def __init__(self, answer, *, phase="judge", reach=None):
        self.answer = answer
        self.phase = phase
        self.reach = reach or Reach()
        self.asked = []
        self.seen = []

    def evaluate(self, request, state):
        self.asked.append(request)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer(request, state) if callable(self.answer) else self.answer

    def observe(self, event, state):
        self.seen.append(event)
        if event.action == "embedding":
            raise RuntimeError("cannot count")


class Granted(Fixed):
    governs = frozenset({"tool.call"})

    def __init__(self, answer, delegated=None):
        super().__init__(answer)
        self.delegated = delegated

    def delegates(self, request, ancestor):
        if isinstance(self.delegated, BaseException):
            raise self.delegated
        return self.delegated


def request(action="tool.call", tool="search", agent=AGENT, **facts):
    facts = {"args": {"q": "x"}, **facts}
    return Request(
        action=action,
        resource=tool,
        at=1.0,
        agent=agent,
        subject=SUBJECT,
        run="1" * 32,
        span="2" * 16,
        tool=Tool(name=tool) if action.startswith("tool.") else None,
        **facts,
    )


def decide(*policies, on=None, **options):
    bound = [p if isinstance(p, Bound) else Bound(p, f"p{n}") for n, p in enumerate(policies)]
    return Engine(bound, "rev", **options).decide(on or request(), {})


def verdict(effect, **facts):
    return Verdict(effect=effect, reason=f"because {effect}", **facts)


@given(st.lists(st.sampled_from(EFFECTS), min_size=1, max_size=6))
def test_the_most_severe_effect_wins_in_any_order(effects):
    found = {
        decide(*(Fixed(verdict(e)) for e in order)).effect
        for order in itertools.islice(itertools.permutations(effects), 6)
    }
    assert found == {max(effects, key=SEVERITY.__getitem__)}


def test_no_policy_allows_and_says_who_was_asked():
    decision = decide(Fixed(None), Fixed(None))
    assert (decision.effect, decision.evaluated, decision.verdicts) == ("allow", ("p0", "p1"), ())
    assert decision.revision == "rev"
    assert decision.permitted


def test_among_equals_the_first_names_itself():
    decision = decide(Fixed(verdict("deny", rule="a")), Fixed(verdict("deny", rule="b")))
    assert (decision.policy, decision.rule, decision.reason) == ("p0", "a", "because deny")
    assert [v.policy for v in decision.verdicts] == ["p0", "p1"]


def test_modifiers_come_first_whatever_the_listed_order():
    def redact(req, _state):
        return Verdict(effect="modify", args={"q": req.args["q"] + "!"})

    judge, meter = Fixed(None), Fixed(None, phase="meter")
    decision = decide(meter, judge, Fixed(redact, phase="modify"), Fixed(redact, phase="modify"))
    assert decision.args == {"q": "x!!"}
    assert judge.asked[0].args == {"q": "x!!"}
    assert judge.asked[0].original == {"q": "x"}
    assert decision.effect == "modify"
    assert decision.evaluated == ("p2", "p3", "p1", "p0")


def test_modified_arguments_of_an_observing_policy_are_not_used():
    redact = Fixed(Verdict(effect="modify", args={"q": "?"}), phase="modify")
    decision = decide(Bound(redact, "r", mode="observe"))
    assert decision.args is None
    assert (decision.effect, decision.would) == ("allow", "modify")


@pytest.mark.parametrize(
    "error", [RuntimeError("boom"), SystemExit(3), GeneratorExit(), type("Odd", (BaseException,), {})("x")]
)
def test_p10_a_policy_that_raises_anything_denies(error):
    decision = decide(Fixed(error))
    assert decision.effect == "deny"
    assert decision.rule == "error"
    assert f"policy 'p0' raised {type(error).__name__}" in decision.reason


def test_an_interrupt_by_the_user_is_not_swallowed():
    with pytest.raises(KeyboardInterrupt):
        decide(Fixed(KeyboardInterrupt()))


@pytest.mark.parametrize(
    "junk", ["allow", True, {"effect": "allow"}, 7, Verdict(effect="retry"), Verdict(effect="throttle")]
)
def test_p15_p16_an_unknown_verdict_denies(junk):
    decision = decide(Fixed(junk))
    assert decision.effect == "deny"
    assert "expected a Verdict with a known effect, or None" in decision.reason


def test_a_policy_may_halt_or_be_skipped_on_error():
    assert decide(Bound(Fixed(RuntimeError("x")), "h", on_error="halt")).effect == "halt"
    skipped = decide(Bound(Fixed(RuntimeError("x")), "s", on_error="skip"))
    assert skipped.effect == "allow"
    assert skipped.findings == (Finding(kind="policy error", place="s"),)


def test_without_an_explicit_allow_a_granting_policy_denies_by_default():
    decision = decide(Granted(None))
    assert (decision.effect, decision.rule) == ("deny", "default")
    assert decision.reason == "no policy permits tool.call 'search' for agent 'support'"
    assert decide(Granted(verdict("allow"))).effect == "allow"


def test_an_allow_of_another_policy_permits_nothing():
    assert decide(Granted(None), Fixed(verdict("allow"))).effect == "deny"


def test_a_granting_policy_that_failed_and_is_skipped_grants_nothing():
    assert decide(Bound(Granted(RuntimeError("x")), "g", on_error="skip")).effect == "deny"


def test_the_default_applies_only_to_the_actions_that_are_governed():
    assert decide(Granted(None), on=request("model.call", "gpt")).effect == "allow"


def test_an_observing_granting_policy_only_says_what_it_would_have_done():
    decision = decide(Bound(Granted(None), "g", mode="observe"))
    assert (decision.effect, decision.would) == ("allow", "deny")


def test_where_only_an_observing_policy_objects_the_decision_names_it():
    listed, watching = (
        Fixed(Verdict(effect="allow", reason="listed")),
        Fixed(Verdict(effect="deny", reason="too large")),
    )
    decision = decide(listed, Bound(watching, "watching", mode="observe"))
    assert (decision.effect, decision.would) == ("allow", "deny")
    assert (decision.policy, decision.reason) == ("watching", "too large")
    changed = Fixed(Verdict(effect="modify", args={"q": "?"}, reason="redacted"), phase="modify")
    decision = decide(changed, Bound(watching, "watching", mode="observe"))
    assert (decision.effect, decision.would, decision.reason) == ("modify", "deny", "redacted")


def test_p23_a_child_never_holds_more_than_each_ancestor_may_hand_on():
    boss = Agent(name="boss", status="active")
    child = request(ancestors=(boss,))
    own = verdict("allow")
    assert decide(Granted(own, delegated=verdict("allow")), on=child).effect == "allow"
    refused = decide(Granted(own, delegated=None), on=child)
    assert (refused.effect, refused.rule) == ("deny", "delegate")
    assert refused.reason == "agent 'boss' may not hand on tool.call 'search' to 'support'"
    said = decide(Granted(own, delegated=Verdict(effect="deny", reason="not that")), on=child)
    assert said.reason == "not that"
    assert decide(Granted(own, delegated=RuntimeError("x")), on=child).effect == "deny"


def test_an_ancestor_that_no_policy_selects_hands_on_everything():
    policy = Bound(Granted(verdict("allow")), "g", selects=lambda agent: agent.name == "support")
    assert decide(policy, on=request(ancestors=(Agent(name="boss"),))).effect == "allow"


def test_p57_a_meter_on_the_parent_counts_what_its_sub_agents_do():
    child = request(ancestors=(Agent(name="boss", status="active"),))

    def boss(agent):
        return agent.name == "boss"

    meter = Bound(Fixed(verdict("deny"), phase="meter"), "m", selects=boss)
    assert decide(meter, on=child).effect == "deny"
    assert decide(meter).effect == "allow"
    assert decide(Bound(Fixed(verdict("deny")), "judge", selects=boss), on=child).effect == "allow"


def test_agents_are_selected_and_a_query_that_fails_selects():
    other = Bound(Fixed(verdict("deny")), "other", selects=lambda agent: agent.name == "billing")
    assert decide(other).effect == "allow"

    def broken(agent):
        raise KeyError(agent)

    assert decide(Bound(Fixed(verdict("deny")), "broken", selects=broken)).effect == "deny"


@pytest.mark.parametrize(
    ("reach", "asked"),
    [
        (Reach(), True),
        (Reach(actions=frozenset({"tool.call"})), True),
        (Reach(actions=frozenset({"model.call"})), False),
        (Reach(tools=frozenset({"search"})), True),
        (Reach(tools=frozenset({"refund"})), False),
        (Reach(tool_prefixes=("sea",)), True),
        (Reach(tool_prefixes=("ref",)), False),
        (Reach(actions=frozenset({"tool.call"}), tools=frozenset({"x"}), tool_prefixes=("se",)), True),
    ],
)
def test_only_policies_that_can_match_are_asked(reach, asked):
    policy = Fixed(None, reach=reach)
    engine = Engine([Bound(policy, "p")])
    engine.decide(request(), {})
    assert bool(policy.asked) is asked
    assert engine.judges(request()) is asked


def test_a_policy_reached_in_two_ways_is_asked_once():
    policy = Fixed(None, reach=Reach(tools=frozenset({"search"}), tool_prefixes=("sea",)))
    Engine([Bound(policy, "p")]).decide(request(), {})
    assert len(policy.asked) == 1


def test_a_policy_reaching_only_tools_is_not_asked_about_models():
    policy = Fixed(verdict("deny"), reach=Reach(tools=frozenset({"search"})))
    assert decide(policy, on=request("model.call", "search")).effect == "allow"


def test_the_memo_follows_the_agent_and_is_bounded():
    policy = Bound(Fixed(verdict("deny")), "p", selects=lambda agent: agent.name == "a7")
    engine = Engine([policy])
    for number in range(5000):
        found = engine.decide(request(agent=Agent(name=f"a{number}", status="active")), {})
        assert found.effect == ("deny" if number == 7 else "allow")
    assert len(engine._index._memo) <= 4096


class Where(Fixed):
    """Answers None wherever its condition is false, and says so."""

    def __init__(self, source, answer):
        super().__init__(self.where)
        self.verdict = answer
        self.only_where = compile_condition(source, None)

    def where(self, request, state):
        try:
            return None if self.only_where.evaluate(facts(request)) is False else self.verdict
        except EvaluationError:
            return self.verdict


@pytest.mark.parametrize(
    ("source", "effect"),
    [("args.q == 'y'", "allow"), ("args.q == 'x'", "deny"), ("args.nope == 'x'", "deny"), ("args.q", "deny")],
)
@pytest.mark.parametrize("beside", [0, 1, 9, 70])
def test_policies_whose_conditions_are_all_false_are_not_asked(source, effect, beside):
    policies = [Where(source, verdict("deny")), *(Where(f"args.q == 'z{n}'", verdict("halt")) for n in range(beside))]
    bound = [Bound(policy, f"p{place}") for place, policy in enumerate(policies)]
    states = {}
    decision = Engine(bound).decide(request(), states)
    assert decision.effect == effect
    assert decision.evaluated == tuple(item.name for item in bound)
    passed_over = effect == "allow" and beside < 64
    assert {len(policy.asked) for policy in policies} == {0 if passed_over else 1}
    assert bool(states) is not passed_over


def test_conditions_see_what_an_earlier_policy_changed():
    mask = Fixed(lambda request, state: verdict("modify", args={"q": "***"}), phase="modify")
    before, after = Where("args.q == 'x'", verdict("halt")), Where("args.q == '***'", verdict("deny"))
    later = Where("original.q == 'x' && args.q != 'x'", verdict("escalate"))
    decision = decide(mask, before, after, later)
    assert (decision.effect, decision.args) == ("deny", {"q": "***"})
    assert [verdict.effect for verdict in decision.verdicts] == ["modify", "deny", "escalate"]


def test_a_policy_that_is_not_trusted_is_asked_whatever_it_says_of_itself():
    policy = Where("args.q == 'y'", verdict("deny"))
    assert Engine([Bound(policy, "p", trusted=False)]).decide(request(), {}).effect == "allow"
    assert len(policy.asked) == 1
    other = Fixed(verdict("deny"))
    other.only_where = "args.q == 'y'"
    assert decide(other).effect == "deny"


def test_in_observe_mode_nothing_is_refused_and_what_would_have_been_is_said():
    decision = decide(Fixed(verdict("halt", rule="r")), mode="observe")
    assert (decision.effect, decision.would, decision.mode) == ("allow", "halt", "observe")
    assert decision.reason == "because halt"


@pytest.mark.parametrize("status", ["suspended", "retired"])
def test_a_suspended_agent_may_do_nothing(status):
    decision = decide(on=request(agent=Agent(name="support", status=status)))
    assert decision.effect == "deny"
    assert (
        decision.reason == f"agent 'support' is {status}; permit it with: jackline agents set support --status active"
    )


def test_what_unregistered_agents_may_do_is_configured():
    seen = request(agent=Agent(name="stranger"))
    assert decide(on=seen).effect == "allow"
    refused = decide(on=seen, unregistered="deny")
    assert (refused.effect, refused.policy, refused.rule) == ("deny", "registry", "unregistered")
    unmanaged = request(agent=Agent(name="far", managed=False))
    assert decide(on=unmanaged).effect == "deny"
    assert decide(on=unmanaged, unmanaged="allow").effect == "allow"
    assert decide(on=request(agent=Agent(name="far", managed=False, status="active"))).effect == "allow"


def test_each_policy_has_its_own_memory_of_the_session():
    def count(_request, state):
        state.memory["n"] = state.memory.get("n", 0) + 1
        return verdict("deny") if state.memory["n"] > 2 else None

    engine = Engine([Bound(Fixed(count), "a"), Bound(Fixed(count), "b")])
    states: dict[str, State] = {}
    assert [engine.decide(request(), states).effect for _ in range(4)] == ["allow", "allow", "deny", "deny"]
    assert {name: state.memory for name, state in states.items()} == {"a": {"n": 4}, "b": {"n": 4}}


def test_outcomes_are_observed_by_those_who_can_be_asked_and_failures_are_counted():
    policy = Fixed(None)
    silent = Fixed(None)
    silent.observes = False
    engine = Engine([Bound(policy, "p"), Bound(silent, "s")])
    event = Completed(at=1, session="s", run="r", span="x", action="tool.call", resource="search", duration_ms=1)
    assert engine.observe(event, request(), {}) == 0
    assert policy.seen == [event]
    assert silent.seen == []
    bad = Completed(at=1, session="s", run="r", span="x", action="embedding", resource="e", duration_ms=1)
    assert engine.observe(bad, request("embedding", "e"), {}) == 1


def test_f08_an_untrusted_policy_gets_a_copy_that_it_may_change():
    def hostile(req, _state):
        req.args["q"] = "changed"
        req.agent.labels["x"] = "y"

    mine = request()
    engine = Engine([Bound(Fixed(hostile), "h", trusted=False)], call=lambda body: body())
    assert engine.waits(mine)
    engine.decide(mine, {})
    assert mine.args == {"q": "x"}
    assert mine.agent.labels == {}


def test_an_engine_without_workers_never_waits():
    assert not Engine([Bound(Fixed(None), "h", trusted=False)]).waits(request())


def test_long_junk_is_shortened_in_the_reason():
    assert len(decide(Fixed("x" * 500)).reason) < 200
