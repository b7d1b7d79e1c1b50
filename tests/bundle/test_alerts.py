"""`alerts:`: rules as data, with every mistake at its place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jackline.alert_rules import DEFAULTS, KINDS, default_rules
from jackline.bundle import load_bundle
from jackline.errors import BundleError

TEXT = "jackline: 1\nnotify: {{ops: {{apprise: env:OPS}}}}\nalerts: {said}\npolicies: []\n"


def rules(said):
    return {rule.name: rule for rule in load_bundle(TEXT.format(said=said)).alerts}


def test_without_a_word_the_defaults_are_in_force():
    assert {rule.name: rule for rule in load_bundle("jackline: 1\npolicies: []\n").alerts} == default_rules()
    assert list(DEFAULTS.values()) == list(KINDS)


def test_a_rule_with_the_name_of_a_default_replaces_it():
    said = "{rules: {loop: {when: {repeats: 5}, for: 30s, cooldown: 1h, channels: ops, severity: info}}}"
    found = rules(said)
    assert found.keys() == default_rules().keys()
    loop = found["loop"]
    assert (loop.kind, loop.severity, loop.for_s, loop.cooldown_s, loop.channels) == (
        "loop",
        "info",
        30,
        3600,
        ("ops",),
    )
    assert loop.when.model_dump() == {"repeats": 5, "cycles": 3}


def test_defaults_are_switched_off_one_by_one_or_all_at_once():
    assert rules("{rules: {loop: {enabled: false}}}").keys() == default_rules().keys() - {"loop"}
    assert rules("{defaults: false}") == {}
    assert list(rules("{defaults: false, rules: {loop: {}}}")) == ["loop"]


def test_several_rules_of_one_kind():
    found = rules("{rules: {dear: {kind: cost_rate, by: agent, when: {per_minute: 5 USD}}}}")
    assert found["dear"].plain() == {
        "rule": "dear",
        "kind": "cost_rate",
        "severity": "warning",
        "when": {"per_minute": 5_000_000, "calls": 3},
        "for_s": 0.0,
        "group": "agent",
        "cooldown_s": 600.0,
        "channels": [],
    }
    assert found["cost-rate"].when.per_minute == 1_000_000


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("{rulez: {}}", "3:10: unknown key `rulez`; did you mean 'rules'?"),
        ("{rules: {lop: {enabled: false}}}", "3:18: `kind` is missing; did you mean 'loop'?"),
        ("{rules: {x: {}}}", "3:18: `kind` is missing; add `kind:`; known: session_cost, cost_rate"),
        ("{rules: {x: {kind: lop}}}", "3:28: `kind` is 'lop'; did you mean 'loop'?"),
        ("{rules: {loop: {when: {repeat: 3}}}}", "3:32: unknown key `repeat`; did you mean 'repeats'?"),
        ("{rules: {loop: {when: {repeats: 1}}}}", "3:41: `repeats` is 1: it should be greater than or equal to 2"),
        ("{rules: {loop: {by: agent}}}", "3:29: 'loop' is not told apart by agent; known: session"),
        ("{rules: {loop: {by: agents}}}", "3:29: `by` is 'agents'; did you mean 'agent'?"),
        ("{rules: {loop: {channels: opps}}}", "3:35: 'opps' is nobody who is told; did you mean 'ops'?"),
        ("{rules: {loop: {for: 3}}}", "3:30: `for`: 3 is not a duration; write a number with ms, s, m, h, d or w: 30m"),
        ("{rules: {loop: {severity: bad}}}", "3:35: `severity` is 'bad'; known: critical, info, warning"),
        ("{rules: {loop: off}}", "3:24: 'loop' is no rule of alerts; write a map: {kind: loop}, or {enabled: false}"),
        ("{rules: {loop: {kind: }}}", "3:31: `kind` is empty; write a value, or leave the key out"),
        ("{rules: {cost-rate: {when: {per_minute: 3}}}}", "3:49: `per_minute`: 3 is not an amount of money; write 3"),
        ("off", "3:9: `alerts` is 'off', expected a map"),
    ],
)
def test_mistakes_are_named_with_their_place(said, told):
    with pytest.raises(BundleError) as raised:
        load_bundle(TEXT.format(said=said))
    assert told in str(raised.value)


def test_the_examples_of_the_documentation_load():
    text = (Path(__file__).resolve().parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(jackline: 1\n.*?)```", text, re.DOTALL)
    found = [{rule.name: rule for rule in load_bundle(example).alerts} for example in examples]
    assert found[0].keys() == default_rules().keys() - {"new-tool"} | {"dear-agents"}
    assert found[0]["dear-agents"].channels == ("ops",)
