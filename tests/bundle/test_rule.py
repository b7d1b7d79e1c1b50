"""`use: rule`: its effects, what counts where its condition cannot be evaluated, and where it is asked at all."""

from __future__ import annotations

import pytest

from jackline.bundle import load_bundle
from jackline.decision import EFFECTS
from jackline.errors import BundleError
from jackline.policy import Policy, Reach, State
from jackline.rule import Rule

HEAD = "jackline: 1\npolicies:\n  - name: r\n    use: rule\n"


@pytest.fixture
def build(plugins):
    def make(text):
        lines = "".join(f"    {line}\n" for line in text.split("\n"))
        return load_bundle(HEAD + lines, plugins).entries[0].policy

    return make


@pytest.fixture
def answer(build, ask):
    def make(text, action="tool.call", **facts):
        return build(text).evaluate(ask(action, **facts), State())

    return make


def test_a_rule_is_a_policy_that_remembers_nothing(build):
    rule = build("effect: deny")
    assert isinstance(rule, Policy)
    assert isinstance(rule, Rule)
    assert (rule.phase, rule.observes) == ("judge", False)
    state = State()
    rule.observe(None, state)
    assert state.memory == {}


def test_a_rule_that_holds_answers_its_effect_and_reason(answer):
    text = "effect: escalate\non: tool.call\nwhen: args.amount > 500\nreason: large refunds need a human\nmode: observe\nwith: {to: [finance, cfo], expires: 30m}"
    verdict = answer(text, args={"amount": 501})
    assert (verdict.effect, verdict.reason, verdict.rule) == ("escalate", "large refunds need a human", "when")
    assert (verdict.policy, verdict.mode) == ("r", "observe")
    assert verdict.detail == {"to": ["finance", "cfo"], "expires": 1800.0}
    assert answer(text, args={"amount": 500}) is None


def test_without_a_reason_the_condition_is_the_reason(answer):
    assert answer("effect: deny\non: tool.call\nwhen: args.x == 1", args={"x": 1}).reason == "args.x == 1"
    verdict = answer("effect: deny\non: tool.call")
    assert (verdict.reason, verdict.rule, verdict.detail) == ("always deny", "always", {})


@pytest.mark.parametrize("effect", ["escalate", "deny", "halt"])
def test_a_condition_that_cannot_be_evaluated_counts_as_true(effect, answer):
    verdict = answer(f"effect: {effect}\non: tool.call\nwhen: args.amount > 500\nreason: too much", args={})
    assert (verdict.effect, verdict.rule) == (effect, "error")
    assert verdict.reason.startswith("too much (counted as true, since it cannot be evaluated: ")
    assert "amount" in verdict.reason


@pytest.mark.parametrize("amount", ["501", None, [501], {"value": 501}])
def test_text_never_becomes_a_number(amount, answer):
    text = "on: tool.call\nwhen: args.amount > 500\neffect: "
    assert answer(f"{text}deny", args={"amount": amount}).rule == "error"
    assert answer(f"{text}allow", args={"amount": amount}) is None


def test_an_allow_whose_condition_cannot_be_evaluated_does_not_answer(answer):
    assert answer("effect: allow\non: tool.call\nwhen: args.amount < 500", args={}) is None
    assert answer("effect: allow\non: tool.call\nwhen: args.amount < 500", args={"amount": 1}).effect == "allow"


@pytest.mark.parametrize(
    ("effect", "on_error", "expected"),
    [
        ("deny", "skip", None),
        ("halt", "skip", None),
        ("escalate", "deny", "deny"),
        ("halt", "deny", "deny"),
        ("deny", "halt", "halt"),
        ("allow", "deny", "deny"),
    ],
)
def test_on_error_says_what_counts_instead(effect, on_error, expected, answer):
    verdict = answer(f"effect: {effect}\non: tool.call\non_error: {on_error}\nwhen: args.x > 1", args={})
    assert (verdict and verdict.effect) == expected


def test_a_condition_that_gives_no_truth_value_counts_as_an_error(answer):
    verdict = answer("effect: deny\non: tool.call\nwhen: args.flag", args={"flag": "yes"})
    assert verdict.rule == "error"
    assert verdict.reason == (
        "args.flag (counted as true, since it cannot be evaluated: it gives 'yes', expected true or false)"
    )
    assert answer("effect: deny\non: tool.call\nwhen: args.flag", args={"flag": False}) is None


def test_a_rules_allow_permits_nothing_by_itself(plugins, ask):
    text = f"{HEAD}    effect: allow\n  - name: reads\n    use: access\n    with: {{allow: [crm.search]}}\n"
    engine = load_bundle(text, plugins).engine()
    decision = engine.decide(ask(), {})
    assert (decision.effect, decision.policy, decision.rule) == ("deny", "reads", "default")
    assert engine.decide(ask(tool="crm.search"), {}).effect == "allow"


@pytest.mark.parametrize("effect", ["allow", "escalate", "deny", "halt"])
def test_p35_each_effect_does_what_its_name_says(effect, plugins, ask):
    """Peers P35: `warn` and `log` rules blocked."""
    engine = load_bundle(f"{HEAD}    effect: {effect}\n    on: tool.call\n", plugins).engine()
    decision = engine.decide(ask(), {})
    assert decision.effect == effect
    assert decision.permitted is (effect == "allow")
    assert effect in EFFECTS


@pytest.mark.parametrize(
    ("text", "reach"),
    [
        ("effect: deny", Reach()),
        ("effect: deny\non: [output, tool.call]", Reach(actions=frozenset({"output", "tool.call"}))),
        ("effect: deny\nwhen: depth > 3", Reach()),
        ("effect: deny\non: tool.call\nwhen: args.x > 3", Reach(actions=frozenset({"tool.call"}))),
        (
            "effect: deny\non: tool.call\nwhen: tool.name == 'a' && args.x > 3",
            Reach(actions=frozenset({"tool.call"}), tools=frozenset({"a"})),
        ),
        (
            "effect: deny\non: [tool.call, tool.return]\nwhen: tool.name.startsWith('db.')",
            Reach(actions=frozenset({"tool.call", "tool.return"}), tools=frozenset(), tool_prefixes=("db.",)),
        ),
        (
            "effect: deny\nwhen: action == 'tool.call' && tool.name in ['a', 'b']",
            Reach(actions=frozenset({"tool.call"}), tools=frozenset({"a", "b"})),
        ),
        (
            "effect: deny\non: [model.call, output]\nwhen: action in ['output', 'retrieval']",
            Reach(actions=frozenset({"output"})),
        ),
        ("effect: deny\nwhen: action == 'output' || depth > 3", Reach()),
        ("effect: deny\nwhen: has(tool.name) && tool.name == 'a'", Reach()),
    ],
)
def test_a_rule_is_asked_only_where_it_can_hold(text, reach, build):
    assert build(text).reach == reach


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "on: output\nwhen: action == 'tool.call'",
            "7:11: the rule is never asked: its condition asks for tool.call, and `on` names output; name an action in `on` that the condition asks for",
        ),
        (
            "reason: x\nwhen: action == 'tool.call' && action == 'output'",
            "7:11: the rule is never asked: its condition asks for two actions at once; compare `action` with one of them",
        ),
        (
            "on: tool.call\nwhen: tool.name == 'a' && tool.name == 'b'",
            "7:11: the rule is never asked: no tool has all the names that its condition asks for; write tool.name in ['a', 'b'], or combine them with ||",
        ),
    ],
)
def test_a_rule_that_is_never_asked_is_refused(text, message, build):
    with pytest.raises(BundleError) as caught:
        build(f"effect: deny\n{text}")
    assert str(caught.value) == f"bundle:{message}"


def test_a_thousand_rules_that_cannot_match_are_not_asked(plugins, ask):
    rules = "".join(
        f"  - {{name: r{n}, use: rule, on: tool.call, effect: deny, when: tool.name == 't{n}' && args.x > 0}}\n"
        for n in range(1000)
    )
    engine = load_bundle(f"jackline: 1\npolicies:\n{rules}", plugins).engine()
    decision = engine.decide(ask(tool="t7", args={"x": 1}), {})
    assert (decision.effect, decision.evaluated) == ("deny", ("r7",))


def widens(build, new, old):
    return build(new).widens(build(old))


def test_a_rule_says_how_it_permits_more(build):
    base = "effect: deny\non: tool.call\nwhen: args.x > 1"
    assert widens(build, base, base) == ()
    assert widens(build, base.replace("deny", "halt"), base) == ()
    assert widens(build, base.replace("deny", "escalate"), base) == ("effect escalate instead of deny",)
    assert widens(build, base.replace("> 1", "> 2"), base) == ("another condition: args.x > 2",)
    assert widens(build, "effect: deny\non: tool.call", base) == (), "it now always applies"
    assert widens(build, base, "effect: deny\non: tool.call") == ("another condition: args.x > 1",)
    assert widens(build, "effect: allow", "effect: allow\nwhen: depth > 1") == (), "an allow permits nothing"
    one, two = "effect: escalate\nwith: {to: finance}", "effect: escalate\nwith: {to: [finance, cfo]}"
    assert widens(build, two, one) == ("also answered by cfo",)
    assert widens(build, one, two) == ()
    assert widens(build, one, "effect: escalate") == (), "before, anyone could answer"
    assert widens(build, "effect: escalate", one) == ("also answered by anyone",)
