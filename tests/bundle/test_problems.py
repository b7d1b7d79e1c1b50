"""What is wrong, where, and what would be right: every message of a bundle that is refused."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackline.bundle import load_bundle
from jackline.errors import SHOWN, BundleError

HEAD = "jackline: 1\npolicies:\n"


def problems(text, plugins, **options):
    with pytest.raises(BundleError) as caught:
        load_bundle(text if "\n" in text else text + "\n", plugins, file="b.yaml", **options)
    return [str(problem).removeprefix("b.yaml:") for problem in caught.value.problems]


def same(found, expected):
    """Compare; an expectation that ends in `...` leaves the rest to the conditions' own tests."""
    cut = [
        line[: len(wanted) - 3] + "..." if wanted.endswith("...") else line
        for line, wanted in zip(found, expected, strict=False)
    ]
    return [*cut, *found[len(expected) :]] == expected or pytest.fail(f"{found} is not {expected}")


def rule(text):
    return f"{HEAD}  - name: r\n    use: rule\n" + "".join(f"    {line}\n" for line in text.split("\n"))


def spend(text):
    return f"{HEAD}  - name: s\n    use: spend\n    with:\n" + "".join(f"      {line}\n" for line in text.split("\n"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[1]", ["1:1: a bundle is a map; the file starts with `jackline: 1`"]),
        ("jackline", ["1:1: a bundle is a map; the file starts with `jackline: 1`"]),
        ("policies: []", ["1:1: `jackline` is missing; the file starts with `jackline: 1`"]),
        ("jackline: 1", ["1:1: `policies` is missing; write `policies:` and a list; an empty one is `policies: []`"]),
        ("jackline: 2\npolicies: []", ["1:11: `jackline` is 2; expected 1"]),
        ("jackline: '1'\npolicies: []", ["1:11: `jackline` is '1'; expected 1"]),
        ("jackline: 1\npolicies: {}", ["2:11: `policies` is {}, expected a list"]),
        ("jackline: 1\npolicies: rule", ["2:11: `policies` is 'rule', expected a list; write [rule]"]),
        ("jackline: 1\npolicies:", ["2:10: `policies` is empty; write a value, or leave the key out"]),
        ("jackline: 1\npolicies: [rule]", ["2:12: a policy is a map; write `- name:` and `use:`"]),
        ("jackline: 1\npolicies: []\nmode: Observe", ["3:7: `mode` is 'Observe'; did you mean 'observe'?"]),
        ("jackline: 1\npolicies: []\nmode: on", ["3:7: `mode` is 'on'; known: enforce, observe"]),
        (
            "jackline: 1\npolicies: []\nunregistred: deny",
            ["3:1: unknown key `unregistred`; did you mean 'unregistered'?"],
        ),
        ("jackline: 1\npolicies: []\ncapture: all", ["3:10: `capture` is 'all'; known: full, none, redacted"]),
        (f"{HEAD}  - use: rule\n    effect: deny", ["3:5: `name` is missing; give the policy a name of its own"]),
        (f"{HEAD}  - name: a", ["3:5: `use` is missing; say which policy it is: `use: rule`"]),
        (f"{HEAD}  - name: a\n    use: [rule]", ['4:10: `use` is ["rule"], expected text']),
        (
            f"{HEAD}  - name: registry\n    use: rule\n    effect: deny",
            ["3:11: `name`: the name 'registry' is taken by the agents' own standing; call the policy something else"],
        ),
        (
            f"{HEAD}  - name: a b\n    use: rule\n    effect: deny",
            ["3:11: `name` is 'a b'; it must match ^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"],
        ),
        (f"{HEAD}  - name: 7\n    use: rule\n    effect: deny", ['3:11: `name` is 7, expected text; quote it: "7"']),
        (f"{HEAD}  - name: a\n    use: rul\n", ["4:10: unknown policy 'rul'; did you mean 'rule'?"]),
        (
            f"{HEAD}  - name: a\n    use: pii\n",
            ["4:10: the policy 'pii' is not installed; install it: pip install jackline-pii"],
        ),
        (
            f"{HEAD}  - name: a\n    use: circut_breaker\n",
            [
                "4:10: unknown policy 'circut_breaker'; did you mean 'circuit_breaker'? It is not installed: pip install jackline-circuit-breaker"
            ],
        ),
        (
            f"{HEAD}  - name: a\n    use: cedar\n",
            [
                "4:10: unknown policy 'cedar'; known: access, budget, circuit_breaker, escalation, phaseless, pii, reachless, rule, shapeless, spend, tool_access"
            ],
        ),
        (
            f"{HEAD}  - {{name: a, use: rule, effect: deny}}\n  - {{name: b, use: rule, effect: deny}}\n  - {{name: a, use: rule, effect: deny}}",
            ["5:12: the name 'a' is used twice; the first is on line 3; call one of the two something else"],
        ),
    ],
)
def test_the_whole_file(text, expected, plugins):
    assert problems(text, plugins) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on: tool.call", ["3:5: `effect` is missing; write `effect:` and allow, escalate, deny or halt"]),
        ("effect: modify", ["5:13: `effect` is 'modify'; known: allow, deny, escalate, halt"]),
        ("effect: alow", ["5:13: `effect` is 'alow'; did you mean 'allow'?"]),
        ("effect: deny\non: tool.cal", ["6:9: `on` is 'tool.cal'; did you mean 'tool.call'?"]),
        (
            "effect: deny\non: [tool.call, llm]",
            [
                "6:21: `on[1]` is 'llm'; known: agent.spawn, embedding, http.request, model.call, model.return, output, retrieval, tool.call, tool.return"
            ],
        ),
        ("effect: deny\non: []", ["6:9: `on`: the list is empty; name at least one, or leave the key out"]),
        ("effect: deny\nwhen:", ["6:10: `when` is empty; write a value, or leave the key out"]),
        ("effect: deny\nwhen: true", ['6:11: `when` is true, expected text; quote it: "true"']),
        ("effect: deny\nwhn: depth > 3", ["6:5: unknown key `whn`; did you mean 'when'?"]),
        ("effect: deny\non_error: ignore", ["6:15: `on_error` is 'ignore'; known: deny, halt, skip"]),
        ("effect: deny\ntrusted: yes", ["6:14: `trusted` is 'yes', expected true or false; write true"]),
        ("effect: deny\nmode: observ", ["6:11: `mode` is 'observ'; did you mean 'observe'?"]),
        ("effect: deny\nwith: {to: [a]}", ["6:16: `to` belongs to `effect: escalate`; leave it out"]),
        ("effect: halt\nwith: {expires: 5m}", ["6:21: `expires` belongs to `effect: escalate`; leave it out"]),
        (
            "effect: escalate\nwith: {expires: 30}",
            ["6:21: `expires`: 30 is not a duration; write a number with ms, s, m, h, d or w: 30m"],
        ),
        ("effect: escalate\nwith: {too: x}", ["6:12: unknown key `too`; did you mean 'to'?"]),
        ("with: {effect: deny}\neffect: deny", ["5:12: `effect` does not stand under `with:`; write it beside `use:`"]),
        ("effect: deny\nwith: [x]", ['6:11: `with` is ["x"], expected a map']),
        (
            "effect: deny\nagents: agent.nam == 'x'",
            ["6:19: agent has no field 'nam'..."],
        ),
        ("effect: deny\nagents: tool.name == 'x'", ["6:13: there is no 'tool'..."]),
        (
            "effect: deny\nagents: agent.name",
            ["6:13: this condition gives string, expected bool; compare it with a value"],
        ),
        ("effect: deny\nagents: agent.name ==", ["6:26: the condition ends too early..."]),
        ("effect: deny\nwhen: depth", ["6:11: this condition gives int, expected bool; compare it with a value"]),
        (
            "effect: deny\non: model.call\nwhen: tool.name == 'x'",
            [
                "7:11: `tool` is not known on model.call; write `on: [tool.call, tool.return]`, or guard it: action == 'tool.call' && ..."
            ],
        ),
        (
            "effect: deny\nwhen: model.name == 'x'",
            [
                "6:11: `model` is not known on tool.call; write `on: [model.call, model.return]`, or guard it: action == 'model.call' && ..."
            ],
        ),
        (
            "effect: deny\nwhen: http.host == 'x'",
            [
                "6:11: `http` is not known on model.call; write `on: [http.request]`, or guard it: action == 'http.request' && ..."
            ],
        ),
    ],
)
def test_a_rule(text, expected, plugins):
    assert same(problems(rule(text), plugins), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("limit: 0.5", ["6:14: `limit`: 0.5 is not an amount of money; write 0.5 USD"]),
        ("limit: 1 USD\ncount: '100'", ["7:14: `count` is '100', expected a whole number; leave the quotes out: 100"]),
        ("limit: 1 USD\ncount: 1.5", ["7:14: `count` is 1.5, expected a whole number"]),
        (
            "limit: 1 USD\ncount: '9999999999999999999999'",
            ["7:14: `count` is '9999999999999999999999', expected a whole number"],
        ),
        ("limit: 1 USD\ncount: many", ["7:14: `count` is 'many', expected a whole number"]),
        ("limit: 1 USD\nstrict: 1", ["7:15: `strict` is 1, expected true or false"]),
        ("limit: 1 USD\nlimits: [{per: day}, {pre: day}]", ["7:29: unknown key `pre`; did you mean 'per'?"]),
        (
            "limit: 1 USD\nlimits: [{most: 5 EUR}]",
            [
                "7:23: `limits[0].most`: '5 EUR' is not an amount of money; prices are in US dollars: write the amount in USD"
            ],
        ),
        ("limit: 1 USD\nnames: [a, 2]", ['7:18: `names[1]` is 2, expected text; quote it: "2"']),
        ("limit: 1 USD\nnames: 2", ['7:14: `names` is 2, expected text; quote it: "2"']),
        ("limit: 1 USD\nrules: x", ["7:14: `rules` is 'x', expected a list; write [x]"]),
        (
            "limit: 1 USD\nrules:\n  - depth > 1\n  - dept > 1",
            ["9:11: there is no 'dept'..."],
        ),
        (
            "limit: 1 USD\nrules: ['dept > 1', 'depth']",
            [
                "7:16: there is no 'dept'...",
                "7:27: this condition gives int, expected bool; compare it with a value",
            ],
        ),
        ("limit: 1 USD\ncount: 12", ["6:7: the options of 'spend' could not be checked: KeyError: 'a dozen'"]),
        ("limit: 1 USD\ncount: 13", ["7:14: 13 is unlucky; take another"]),
        ("limit: 1 USD\ncount: 14", ["4:10: 14 is too many"]),
        ("limit: 1 USD\ncount: 15", ["4:10: policy 'spend' could not be built: RuntimeError: broken pack"]),
    ],
)
def test_a_packs_options(text, expected, plugins):
    assert same(problems(spend(text), plugins), expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("use: spend", ["3:5: `limit` is missing; add `limit:`"]),
        ("use: spend\nwith: {limit: 1 USD}\neffect: deny", ["6:5: `effect` belongs to `use: rule`; leave it out"]),
        (
            "use: spend\nwith: {limit: 1 USD}\non: output",
            ["4:10: it answers only model.call, tool.call, none of which `on` names"],
        ),
        (
            "use: phaseless\nwith: {limit: 1 USD}",
            ["4:10: Phaseless has the phase 'later', expected one of modify, judge, meter"],
        ),
        ("use: reachless\nwith: {allow: x}", ["4:10: Reachless has the reach None, expected a Reach"]),
        (
            "use: shapeless\nwith: {allow: x}",
            ["4:10: what int built is no policy: it needs phase, reach, evaluate and observe"],
        ),
    ],
)
def test_a_pack_in_an_entry(text, expected, plugins):
    lines = "".join(f"    {line}\n" for line in text.split("\n"))
    assert problems(f"{HEAD}  - name: p\n{lines}", plugins) == expected


def test_all_problems_are_found_in_one_load_and_stand_in_the_files_order(plugins):
    text = """\
polices: []
jackline: "1"
policies:
  - name: x
    use: rule
    efect: deny
    effect: retry
    when: >-
      tool.nam == 'refund'
      && args.amount > 500
    agents: agnt.name == 'x'
  - name: x
    use: spend
    with: {limit: 1, limit: 2}
"""
    assert [line.partition(";")[0] for line in problems(text, plugins)] == [
        "1:1: unknown key `polices`",
        "2:11: `jackline` is '1'",
        "6:5: unknown key `efect`",
        "7:13: `effect` is 'retry'",
        "9:12: tool has no field 'nam'",
        "11:13: there is no 'agnt'",
        "12:11: the name 'x' is used twice",
        "14:19: `limit`: 1 is not an amount of money",
        "14:22: `limit` is given twice",
    ]


def test_where_the_form_is_wrong_what_follows_from_that_is_left_out(plugins):
    assert problems(rule("effect: deny\nwhen: !has(args.x)"), plugins) == [
        "6:11: the tag !has(args.x) is not used here; a value that starts with ! is quoted as a whole",
    ]


def test_the_place_within_a_condition_is_the_files(plugins):
    text = rule('effect: deny\non: tool.call\nwhen: "tool.name == \\"x\\"\n  && args.x > 5\n  && sesion.calls > 3"')
    assert problems(text, plugins)[0].startswith("9:10: there is no 'sesion'")
    literal = rule("effect: deny\non: tool.call\nwhen: |\n  tool.name == 'x' &&\n    dept > 3")
    assert problems(literal, plugins)[0].startswith("9:9: there is no 'dept'")


def test_the_text_of_an_error_fits_on_a_screen(plugins):
    many = HEAD + "".join(f"  - {{name: r{n}, use: rule, effect: no}}\n" for n in range(40))
    with pytest.raises(BundleError) as caught:
        load_bundle(many, plugins, file="b.yaml")
    lines = str(caught.value).split("\n")
    assert len(lines) == SHOWN + 1
    assert lines[0] == "b.yaml:3:35: `effect` is 'no'; known: allow, deny, escalate, halt"
    assert lines[-1] == "and 30 more"
    assert len(caught.value.problems) == 40
    assert all(len(line) < 160 for line in lines)


def test_long_values_are_cut(plugins):
    found = problems(rule(f"effect: {'x' * 500}"), plugins)
    assert found == [f"5:13: `effect` is '{'x' * 56}...; known: allow, deny, escalate, halt"]


def test_p11_a_value_of_the_wrong_type_and_an_unknown_key_are_refused_at_load(plugins):
    """Peers P11: a rule's "100" raised TypeError when asked, and so allowed."""
    assert problems(rule("effect: deny\non: tool.call\nwhen: args.amount > 5 && depth > '100'"), plugins) == [
        "7:36: depth (an int) and '100' (a string) cannot be compared; nothing is converted by itself; did you mean 100?",
    ]
    assert problems(spend("limit: 1 USD\ncount: '100'"), plugins)
    assert problems(rule("effect: deny\nthreshold: 5"), plugins)


@pytest.mark.parametrize("effect", ["skip", "retry", "require_approval", "block", "warn", "ALLOW ", "Deny"])
def test_p15_an_unknown_effect_is_refused_at_load(effect, plugins):
    """Peers P15: unknown verdicts ran."""
    (found,) = problems(rule(f"effect: {effect!r}"), plugins)
    assert found.startswith(f"5:13: `effect` is {effect!r}; ")


@pytest.mark.parametrize(
    "when",
    [
        "tool.nmae == 'x'",
        "tool.name == x",
        "tool.name = 'x'",
        "tool.name == 'x",
        "tool.name contains 'x'",
        "not (tool.name == 'x')",
        "tool.name == 100",
        "tool.status == 'brandnew'",
        "Tool.name == 'x'",
        "tool.name AND true",
        "tool.name == 'x' or depth > 1",
        "depth > 1,000",
    ],
)
def test_p34_a_condition_that_could_never_match_is_refused_at_load(when, plugins):
    """Peers P34: such rules loaded and never fired."""
    quoted = when.replace("'", "''")
    (found,) = problems(rule(f"effect: deny\non: tool.call\nwhen: '{quoted}'"), plugins)
    assert found.startswith("7:")


@pytest.mark.parametrize("use", ["cedar", "rego", "opa", "Rule"])
def test_p47_an_unsupported_kind_of_policy_fails_at_load(use, plugins):
    """Peers P47: `type: cedar` loaded and raised when asked."""
    assert problems(f"{HEAD}  - name: a\n    use: {use}\n", plugins)[0].startswith(f"4:10: unknown policy '{use}'")


WORDS = ["rule", "spend", "tool.call", "deny", "1 USD", "depth > 1", "x", "", "a: b", "'", "agent.name == 'x'", "30m"]
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 10**20), st.floats(), st.sampled_from(WORDS), st.text(max_size=5)
)
KEYS = st.sampled_from(
    ["name", "use", "on", "when", "effect", "with", "agents", "mode", "limit", "rules", "to", "x", ""]
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)
ENTRIES = st.fixed_dictionaries({"name": LEAVES, "use": st.sampled_from(["rule", "spend", "access"])}, optional={
    "on": VALUES, "when": LEAVES, "effect": LEAVES, "with": VALUES, "agents": LEAVES, "mode": LEAVES, "on_error": LEAVES,
})  # fmt: skip


@given(
    st.fixed_dictionaries(
        {"jackline": st.just(1), "policies": st.lists(ENTRIES | VALUES, max_size=3)}, optional={"x": VALUES}
    )
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_file_says_it_loads_or_says_what_is_wrong_within_the_file(plugins, data):
    text = yaml.safe_dump(data, allow_unicode=True)
    error = refused(text, plugins)
    if error is None:
        assert load_bundle(text, plugins).engine() is not None
        return
    lines = text.split("\n")
    assert error.problems
    for problem in error.problems:
        assert problem.message
        assert problem.column <= len(lines[problem.line - 1]) + 1


def refused(text, plugins):
    try:
        load_bundle(text, plugins, file="b.yaml")
    except BundleError as error:
        return error
    return None
