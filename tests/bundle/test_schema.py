"""The JSON Schema of bundles: valid, and of one mind with the loader where shapes are concerned."""

from __future__ import annotations

import jsonschema
import pytest

from jackline.bundle import load_bundle
from jackline.bundle_schema import bundle_schema
from jackline.errors import BundleError
from jackline.plugins import installed_plugins
from jackline.yaml_source import parse


@pytest.fixture
def schema(plugins):
    return bundle_schema(plugins)


def policy(text):
    return f"jackline: 1\npolicies:\n  - {text}\n"


GOOD = [
    "jackline: 1\npolicies: []\n",
    "jackline: 1\npolicies: []\nmode: observe\nunregistered: deny\ncapture: none\n",
    policy("{name: r, use: rule, effect: deny}"),
    policy(
        "{name: r, use: rule, effect: deny, on: tool.call, when: depth > 3, reason: x, agents: agent.managed, on_error: skip, mode: observe, trusted: true}"
    ),
    policy("{name: r, use: rule, effect: escalate, on: [tool.call], with: {to: a, expires: 30m}}"),
    policy("{name: s, use: spend, with: {limit: 0.50 USD, limits: [{per: day}], names: [a], count: 2}}"),
    policy("{name: a, use: access, with: {allow: x}}"),
]
BAD = [
    "policies: []\n",
    "jackline: 2\npolicies: []\n",
    "jackline: 1\npolicies: {}\n",
    "jackline: 1\npolicies: []\nmode: of\n",
    "jackline: 1\npolicies: []\nextra: 1\n",
    "jackline: 1\npolicies: []\nunregistered:\n",
    policy("{use: rule, effect: deny}"),
    policy("{name: r, use: rule}"),
    policy("{name: r, use: rule, effect: retry}"),
    policy("{name: r, use: rule, effect: deny, when: }"),
    policy("{name: r, use: rule, effect: deny, on: []}"),
    policy("{name: r, use: rule, effect: deny, on: [tool.cal]}"),
    policy("{name: r, use: rule, effect: deny, with: {to: []}}"),
    policy("{name: r, use: rule, effect: deny, with: {expires: 30}}"),
    policy("{name: r, use: rule, with: {effect: deny}}"),
    policy("{name: s, use: spend}"),
    policy("{name: s, use: spend, with: {}}"),
    policy("{name: s, use: spend, with: {limit: 5}}"),
    policy("{name: s, use: spend, with: {limit: 5 EUR}}"),
    policy("{name: s, use: spend, with: {limit: 5 USD, limits: [{pre: day}]}}"),
    policy("{name: s, use: spend, effect: deny, with: {limit: 5 USD}}"),
    policy("{name: s, use: nothing}"),
    policy("{name: a b, use: access, with: {allow: x}}"),
]


def test_the_schema_is_one(schema):
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    rule = schema["$defs"]["policy_rule"]
    assert rule["properties"]["use"] == {"const": "rule"}
    assert rule["required"] == ["name", "use", "effect"]
    assert rule["description"] == "Answers with its effect where its condition is true."
    assert rule["properties"]["when"]["description"] == "The condition; without it the rule always applies."
    assert set(rule["properties"]["with"]["properties"]) == {"to", "expires", "approvals", "wait"}
    assert schema["$defs"]["policy_spend"]["required"] == ["name", "use", "with"]
    assert "spend_Limits" in schema["$defs"]


@pytest.mark.parametrize("text", GOOD)
def test_what_loads_is_valid(text, schema, plugins):
    load_bundle(text, plugins)
    jsonschema.Draft202012Validator(schema).validate(parse(text.encode(), "b").data)


@pytest.mark.parametrize("text", BAD)
def test_what_has_a_wrong_shape_is_neither(text, schema, plugins):
    with pytest.raises(BundleError):
        load_bundle(text, plugins)
    assert not jsonschema.Draft202012Validator(schema).is_valid(parse(text.encode(), "b").data)


def test_a_policy_that_cannot_be_imported_is_left_out_and_named(plugins, pack):
    del pack.Spend
    schema = bundle_schema(plugins)
    assert "policy_spend" not in schema["$defs"]
    assert schema["$comment"].startswith(
        "policy 'spend' from plugin 'test-pack' cannot be used: jackline_test_pack has no 'Spend'"
    )
    jsonschema.Draft202012Validator.check_schema(schema)


def test_a_policy_without_a_docstring_has_an_empty_description(plugins, pack):
    assert bundle_schema(plugins)["$defs"]["policy_phaseless"]["description"] == ""


def test_the_schema_of_everything_that_is_installed_is_valid():
    schema = bundle_schema(installed_plugins())
    jsonschema.Draft202012Validator.check_schema(schema)
    for name in installed_plugins().registrations.names("policy"):
        assert f"policy_{name}" in schema["$defs"]


@pytest.mark.parametrize(
    ("rules", "fits"),
    [
        ({"loop": {"enabled": False}}, True),
        ({"loop": {"when": {"repeats": 4}, "for": "30s"}}, True),
        ({"mine": {"kind": "loop", "when": {"repeats": 4}}}, True),
        ({"loop": {"kind": "cost_rate", "when": {"per_minute": "2 USD"}}}, True),
        ({"mine": {"when": {"repeats": 4}}}, False),
        ({"loop": {"when": {"repeat": 4}}}, False),
        ({"loop": {"by": "agent"}}, False),
        ({"cost-rate": {"when": {"per_minute": 2}}}, False),
    ],
)
def test_rules_of_alerts_fit_where_the_loader_takes_them(rules, fits):
    schema = bundle_schema(installed_plugins())
    found = jsonschema.Draft202012Validator(schema).is_valid(
        {"jackline": 1, "policies": [], "alerts": {"rules": rules}}
    )
    assert found is fits
