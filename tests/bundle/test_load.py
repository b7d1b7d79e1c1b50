"""Loading: what a bundle becomes, which files are refused before they are read, and what has no place."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from jackline.bundle import MOST_BYTES, load_bundle, read_bundle
from jackline.condition import Schema
from jackline.engine import Engine
from jackline.errors import BundleError
from jackline.policy import State
from jackline.request import Agent

GOOD = """\
jackline: 1
policies:
  - name: refunds-need-a-human
    use: rule
    on: tool.call
    when: tool.name == 'refund' && args.amount > 500
    effect: escalate
    with: {to: [finance], expires: 30m}
  - name: ceiling
    use: spend
    agents: "'customer-research' in agent.labels"
    on: tool.call
    mode: observe
    on_error: halt
    with: {limit: 0.50 USD, names: x}
  - name: reads
    use: access
    on: [tool.call]
    trusted: true
    with: {allow: [crm.search]}
unregistered: deny
mode: enforce
capture: full
"""


def refusal(source, plugins, **options):
    with pytest.raises(BundleError) as caught:
        load_bundle(source, plugins, **options)
    return str(caught.value)


def test_a_bundle_is_its_entries_and_a_revision(plugins, tmp_path):
    path = tmp_path / "jackline.yaml"
    path.write_text(GOOD)
    bundle = load_bundle(path, plugins)
    assert bundle.revision == hashlib.sha256(GOOD.encode()).hexdigest()
    assert bundle.source == str(path)
    assert (bundle.mode, bundle.unregistered, bundle.unmanaged, bundle.capture) == ("enforce", "deny", "deny", "full")
    assert bundle.policies == ("refunds-need-a-human", "ceiling", "reads")
    rule, spend, access = bundle.entries
    assert (rule.use, rule.mode, rule.on_error, rule.trusted, rule.agents) == ("rule", "enforce", "deny", True, None)
    assert rule.policy.reach.tools == {"refund"}
    assert rule.options.to == ("finance",)
    assert rule.options.expires == 1800.0
    assert (spend.mode, spend.on_error, spend.trusted) == ("observe", "halt", False), "no pack of this project"
    assert spend.options.limit == 500_000
    assert spend.options.names == ("x",)
    assert spend.policy.reach.actions == {"tool.call"}, "narrowed by `on`"
    assert spend.policy.context.on == {"tool.call"}
    assert spend.policy.context.options is spend.options
    assert access.trusted is True
    assert access.policy.governs == {"tool.call"}
    assert repr(bundle) == f"Bundle({str(path)!r}, 3 policies, revision {bundle.revision[:12]})"


def test_text_bytes_and_paths_give_the_same(plugins, tmp_path):
    path = tmp_path / "b.yaml"
    path.write_text(GOOD)
    assert load_bundle(GOOD, plugins).revision == load_bundle(GOOD.encode(), plugins).revision
    assert load_bundle(str(path), plugins).revision == load_bundle(path, plugins).revision
    assert load_bundle(GOOD, plugins).source == "bundle"
    assert load_bundle(GOOD, plugins, file="x.yaml").source == "x.yaml"


def test_what_is_left_out_has_the_documented_default(plugins):
    bundle = load_bundle("jackline: 1\npolicies: []\n", plugins)
    assert (bundle.mode, bundle.capture, bundle.entries) == ("enforce", "redacted", ())
    assert (bundle.unregistered, bundle.unmanaged) == ("allow", "deny")
    said = load_bundle("jackline: 1\npolicies: []\nunregistered: allow\n", plugins)
    assert (said.unregistered, said.unmanaged) == ("allow", "allow")


def test_the_engine_has_the_bundles_policies(plugins, ask):
    bundle = load_bundle(GOOD, plugins)
    engine = bundle.engine()
    assert isinstance(engine, Engine)
    assert engine.revision == bundle.revision
    assert [item.name for item in engine.bound] == ["refunds-need-a-human", "ceiling", "reads"]
    decision = engine.decide(ask(args={"amount": 501}), {})
    assert (decision.effect, decision.policy, decision.rule) == ("deny", "reads", "default")
    decision = engine.decide(ask(tool="crm.search", labels={"customer-research": "1"}), {})
    assert decision.effect == "allow"
    assert decision.would == "deny", "the ceiling only observes"
    assert engine.decide(ask(tool="crm.search"), {}).evaluated == ("reads",), "the ceiling selects other agents"


def test_an_agents_query_that_cannot_be_evaluated_selects(plugins):
    text = (
        "jackline: 1\npolicies:\n  - {name: a, use: spend, with: {limit: 1 USD}, agents: agent.labels.tier == 'gold'}\n"
    )
    entry = load_bundle(text, plugins).entries[0]
    assert entry.selects(Agent(name="x", labels={"tier": "gold"}))
    assert not entry.selects(Agent(name="x", labels={"tier": "tin"}))
    assert entry.selects(Agent(name="x")), "no such label: it is not known, so it selects"
    assert load_bundle(GOOD, plugins).entries[0].selects(Agent(name="anyone"))


def test_an_agents_query_knows_the_agents_key(plugins):
    text = "jackline: 1\npolicies:\n  - {name: a, use: spend, with: {limit: 1 USD}, agents: agent.key == 'x@2'}\n"
    entry = load_bundle(text, plugins).entries[0]
    assert [entry.selects(Agent(name="x", version=version)) for version in ("", "2")] == [False, True]


def test_files_that_cannot_be_bundles_are_refused_before_they_are_read(plugins, tmp_path):
    missing = tmp_path / "missing.yaml"
    assert refusal(missing, plugins) == f"{missing}:1:1: there is no such file; create it, or name another"
    assert refusal(tmp_path, plugins) == (
        f"{tmp_path}:1:1: this is not a file; name the bundle's file, such as jackline.yaml"
    )
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert "this is not a file" in refusal(pipe, plugins)
    assert "embedded null" in refusal("a\0b", plugins)
    inside = tmp_path / "file"
    inside.write_text("x")
    assert refusal(inside / "x", plugins) == f"{inside / 'x'}:1:1: the file cannot be read: Not a directory"


def test_ten_megabytes_are_one_error_at_once(plugins, tmp_path):
    path = tmp_path / "large.yaml"
    path.write_bytes(b"a" * 10 * 1024 * 1024)
    expected = "the file has 10,485,760 bytes, a bundle has at most 1,048,576; nothing of it was read; keep data out of the bundle"
    begun = time.perf_counter()
    assert refusal(path, plugins) == f"{path}:1:1: {expected}"
    assert time.perf_counter() - begun < 0.1
    assert refusal(path.read_bytes(), plugins, file="x") == f"x:1:1: {expected}"


def test_a_file_that_grows_while_it_is_read_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "b.yaml"
    path.write_bytes(b"a" * (MOST_BYTES + 10))
    monkeypatch.setattr("jackline.bundle._check_size", lambda *_: None)
    assert len(read_bundle(path)) == MOST_BYTES + 1


def test_a_thousand_rules_load_in_less_than_a_second(plugins):
    rules = "".join(
        f"  - {{name: r{n}, use: rule, on: tool.call, effect: deny, when: tool.name == 't{n}' && args.x > {n}}}\n"
        for n in range(1000)
    )
    begun = time.perf_counter()
    bundle = load_bundle(f"jackline: 1\npolicies:\n{rules}", plugins)
    assert len(bundle.entries) == 1000
    assert time.perf_counter() - begun < 5.0, "seconds, with room for a busy machine"


def test_without_prices_a_policy_gets_the_price_table_when_it_asks(plugins, monkeypatch):
    monkeypatch.setattr("jackline.prices.Prices.load", lambda: "the table")
    context = load_bundle(GOOD, plugins).entries[1].policy.context
    assert context.prices() == "the table"
    given = load_bundle(GOOD, plugins, prices=lambda: "given").entries[1].policy.context
    assert given.prices() == "given"


SCHEMA = {"type": "object", "properties": {"amount": {"type": "number"}}, "additionalProperties": False}


def test_args_are_checked_against_the_schemas_of_known_tools(plugins):
    wrong = {**SCHEMA, "properties": {"amuont": {"type": "number"}}}
    assert load_bundle(GOOD, plugins, tool_schemas={"refund": SCHEMA}).unverified == ()
    found = refusal(GOOD, plugins, tool_schemas={"refund": wrong}, file="b.yaml")
    assert found.startswith("b.yaml:6:41: args has no field 'amount'")


def test_args_that_no_schema_could_check_are_named_and_checked_when_the_tool_appears(plugins):
    bundle = load_bundle(GOOD, plugins, file="b.yaml")
    assert [str(problem) for problem in bundle.unverified] == [
        "b.yaml:6:11: `args.amount` is not verified; it is checked when the schema of tool 'refund' is known",
    ]
    assert bundle.check_tool("refund", SCHEMA) == ()
    text = {**SCHEMA, "properties": {"amount": {"type": "string"}}}
    (problem,) = bundle.check_tool("refund", text)
    assert (problem.line, problem.column) == (6, 48)
    assert "cannot be compared" in problem.message
    assert bundle.check_tool("another", text) == ()
    anything = load_bundle(
        "jackline: 1\npolicies:\n  - {name: a, use: rule, on: tool.call, effect: deny, when: args.x == 1}\n", plugins
    )
    assert anything.unverified[0].hint == "it is checked when the schema of the tools that it is about is known"


def test_a_packs_conditions_compile_in_its_context(plugins, ask):
    text = "jackline: 1\npolicies:\n  - name: a\n    use: spend\n    with: {limit: 1 USD, rules: ['args.x > 1']}\n"
    policy = load_bundle(text, plugins).entries[0].policy
    assert policy.rules[0].holds({"args": {"x": 2}})
    assert policy.context.schema is Schema.default()
    assert policy.evaluate(ask(), State()).effect == "deny"
