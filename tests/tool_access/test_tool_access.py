from __future__ import annotations

import itertools
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jackline_tool_access
from jackline.bundle import load_bundle
from jackline.errors import BundleError
from jackline.plugins import installed_plugins
from jackline.policy import Granting, State
from jackline.request import Agent, Tool
from jackline.testing.policies import Context, request
from jackline_tool_access import ToolAccess

FINGERPRINT = "00aa11bb22cc33dd"


def policy(**options: Any) -> ToolAccess:
    return ToolAccess.build("lists", ToolAccess.Options.model_validate(options), Context())


def effect(subject: ToolAccess, name: str, **facts: Any) -> str | None:
    verdict = subject.evaluate(request("tool.call", name, tool=Tool(name=name, **facts)), State())
    return None if verdict is None else verdict.effect


def bundle_error(options: str) -> str:
    with pytest.raises(BundleError) as raised:
        load_bundle(f"jackline: 1\npolicies:\n  - name: p\n    use: tool_access\n    with: {options}\n")
    return str(raised.value)


def test_is_found_by_its_name_and_loads_nothing_before_it_is_used() -> None:
    target = installed_plugins().registrations.target("policy", "tool_access")
    assert target.distribution.startswith("jackline-tool-access")


def test_an_unknown_name_of_the_package_says_so() -> None:
    with pytest.raises(AttributeError, match="module 'jackline_tool_access' has no attribute 'Nothing'"):
        _ = jackline_tool_access.Nothing


@pytest.mark.parametrize(
    ("options", "governs", "reaches"),
    [
        ({"allow": []}, {"tool.call"}, {"tool.call", "model.call"}),
        ({"deny": ["x"]}, {"tool.call"}, {"tool.call", "model.call"}),
        ({"read_only": True}, {"tool.call"}, {"tool.call"}),
        ({"delegate": ["x"]}, {"tool.call"}, {"tool.call"}),
        ({"models": ["x"]}, {"model.call", "embedding"}, {"model.call", "embedding"}),
        ({"provider_tools": ["x"]}, set(), {"model.call"}),
        ({"spawn": True}, {"agent.spawn"}, {"agent.spawn"}),
        ({"spawn": False, "allow": []}, {"agent.spawn", "tool.call"}, {"agent.spawn", "tool.call", "model.call"}),
    ],
)
def test_governs_what_it_was_configured_for(options: dict[str, Any], governs: set[str], reaches: set[str]) -> None:
    subject = policy(**options)
    assert isinstance(subject, Granting)
    assert subject.governs == governs
    assert subject.reach.actions == reaches
    assert subject.reach.tools is None


@given(st.permutations(["search", "refund", "*", "re*", "[a-z]*"]), st.sampled_from(["refund", "re*", "*", "r?fund"]))
def test_a_deny_beats_every_allow_in_any_order(allowed: list[str], denied: str) -> None:
    subject = policy(allow=allowed, deny=["other", denied, "another"])
    assert effect(subject, "refund", status="known") == "deny"


@given(
    st.lists(st.sampled_from(["crm.get", "crm.*", "crm.g?t", "other"]), max_size=4),
    st.sampled_from(["known", "new", "changed"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_new_and_changed_tools_by_matrix(
    allowed: list[str], status: str, pinned: bool, new: bool, changed: bool
) -> None:
    """A model of the rule, beside the code: exact names permit new tools, only pins or the option changed ones."""
    entries: list[Any] = [*allowed, *([{"tool": "crm.get", "fingerprint": FINGERPRINT}] if pinned else [])]
    subject = policy(allow=entries, new_tools="allow" if new else "deny", changed_tools="allow" if changed else "deny")
    exact, glob = "crm.get" in allowed, bool({"crm.*", "crm.g?t"} & set(allowed))
    permitted = (
        pinned
        or {
            "known": exact or glob,
            "new": exact or (glob and new),
            "changed": (exact or glob) and changed,
        }[status]
    )
    expected = "allow" if permitted else ("deny" if exact or glob else None)
    assert effect(subject, "crm.get", status=status, fingerprint=FINGERPRINT) == expected


@given(st.text(min_size=1, max_size=12))
def test_any_name_that_is_not_listed_is_not_permitted(name: str) -> None:
    subject = policy(allow=["search"])
    assert (effect(subject, name) == "allow") == (name == "search")


def test_entries_with_conditions_stand_in_listed_order() -> None:
    rules = [
        {"tool": "refund", "when": "args.amount > 1000", "reason": "too much"},
        {"tool": "re*", "when": "args.amount > 100", "reason": "much"},
    ]
    for order in itertools.permutations(rules):
        subject = policy(allow=["refund"], deny=list(order))
        said = {}
        for amount in (5, 500, 5000):
            verdict = subject.evaluate(request("tool.call", "refund", args={"amount": amount}), State())
            assert verdict is not None
            said[amount] = (verdict.effect, verdict.reason)
        assert said[5] == ("allow", "listed")
        assert said[500] == ("deny", "much")
        assert said[5000] == ("deny", order[0]["reason"])


def test_a_condition_that_gives_no_boolean_is_the_stricter_answer() -> None:
    """P34: a condition never silently fails to match."""
    subject = policy(allow=[{"tool": "x", "when": "args.flag"}], deny=[{"tool": "y", "when": "args.flag"}])
    for flag, allowed, denied in (
        (True, "allow", "deny"),
        (False, None, None),
        ("true", None, "deny"),
        (1, None, "deny"),
    ):
        verdicts = [subject.evaluate(request("tool.call", name, args={"flag": flag}), State()) for name in ("x", "y")]
        assert [verdict and verdict.effect for verdict in verdicts] == [allowed, denied], flag


def test_a_reason_of_an_entry_is_what_is_told() -> None:
    subject = policy(allow=[{"tool": "search", "reason": "approved in review 12"}])
    verdict = subject.evaluate(request("tool.call", "search"), State())
    assert verdict is not None
    assert verdict.reason == "approved in review 12"
    assert verdict.policy == "lists"


def test_names_in_commands_are_quoted() -> None:
    subject = policy(allow=["a*"])
    asked = request("tool.call", "a; rm", tool=Tool(name="a; rm", status="new"), agent=Agent(name="the agent"))
    verdict = subject.evaluate(asked, State())
    assert verdict is not None
    assert "`jackline agents set 'the agent' --permit 'a; rm'`" in verdict.reason


def test_what_it_remembers_of_tools_is_bounded() -> None:
    subject = policy(allow=["tool-*"])
    for number in range(9000):
        assert effect(subject, f"tool-{number}") == "allow"
    assert 0 < len(subject._own._plans) <= 4096
    assert effect(subject, "tool-" + "x" * 10_000) == "allow"
    assert max(len(str(key[0])) for key in subject._own._plans) < 200


def test_a_tool_is_judged_by_what_it_is_now() -> None:
    """The plan that is remembered belongs to the tool's identity, not to its name."""
    subject = policy(allow=["search"], read_only=True)
    assert effect(subject, "search", read_only=True) == "allow"
    assert effect(subject, "search") == "deny"
    assert effect(subject, "search", read_only=True, status="changed") == "deny"
    assert effect(subject, "search", read_only=True) == "allow"


def test_delegates_answers_for_what_it_governs_alone() -> None:
    manager = Agent(name="manager")
    tools = policy(allow=["search"], models=["gpt-5"])
    assert tools.delegates(request("tool.call", "search"), manager).effect == "allow"  # type: ignore[union-attr]
    assert tools.delegates(request("tool.call", "refund"), manager) is None
    assert tools.delegates(request("tool.call", "search", tool=None), manager).effect == "allow"  # type: ignore[union-attr]
    assert tools.delegates(request("model.call", "gpt-5"), manager).effect == "allow"  # type: ignore[union-attr]
    assert tools.delegates(request("model.call", "gpt-4"), manager) is None
    assert policy(spawn=True).delegates(request("tool.call", "search"), manager) is None


def test_delegate_is_matched_as_allow_is() -> None:
    manager = Agent(name="manager")
    subject = policy(allow=[], delegate=["crm.*", {"tool": "refund", "when": "args.amount < 10"}], read_only=True)
    read = {"tool": Tool(name="crm.get", read_only=True)}
    handed = subject.delegates(request("tool.call", "crm.get", **read), manager)
    assert handed is not None
    assert (handed.effect, handed.rule) == ("allow", "delegate[0]: crm.*")
    writes = subject.delegates(request("tool.call", "crm.get"), manager)
    assert writes is not None
    assert writes.effect == "deny"
    new = subject.delegates(request("tool.call", tool=Tool(name="crm.new", read_only=True, status="new")), manager)
    assert new is not None
    assert new.effect == "deny"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "{}",
            "bundle:5:11: the policy decides nothing; give allow, deny, delegate, read_only, provider_tools, models, spawn or egress; allow: [] permits no tool",
        ),
        ("{alow: [x]}", "bundle:5:12: unknown key `alow`; did you mean 'allow'?"),
        ("{allow: search}", "bundle:5:19: `allow` is 'search', expected a list; write [search]"),
        ("{allow: [1]}", "bundle:5:20: `allow[0]`: 1 is no tool; write a name, a glob, or a map with tool: and when:"),
        (
            "{allow: ['crm.{a,b}']}",
            "bundle:5:20: `allow[0]`: 'crm.{a,b}' has braces, which globs here do not know; list each name; write [{] for the character",
        ),
        (
            "{allow: [{tool: 'a[b'}]}",
            "bundle:5:27: `allow[0].tool`: 'a[b' opens a character class and does not close it; write [[] for the character itself",
        ),
        ("{allow: [{when: 'true'}]}", "bundle:5:20: `tool` is missing; add `tool:`"),
        (
            "{allow: [{tool: x, when: args.n + 1}]}",
            "bundle:5:36: this condition gives int, expected bool; compare it with a value",
        ),
        (
            "{deny: [{tool: x, when: model.name == 'y'}]}",
            "bundle:5:35: `model` is not known on tool.call; ask for tool, args or agent",
        ),
        (
            "{allow: [{tool: 'x*', fingerprint: 00aa11bb22cc33dd}]}",
            "bundle:5:46: a fingerprint is one tool's, and 'x*' is a pattern; name that tool exactly",
        ),
        (
            "{allow: [{tool: x, fingerprint: XYZ}]}",
            "bundle:5:43: `allow[0].fingerprint` is 'XYZ'; it must match ^[0-9a-f]{16}$",
        ),
        ("{allow: [x], read_only: 'yes'}", "bundle:5:35: `read_only` is 'yes', expected true or false; write true"),
        (
            "{spawn: perhaps}",
            "bundle:5:19: `spawn`: 'perhaps' does not say which agents; write true, false or a list of agents' names",
        ),
        ("{allow: [x], new_tools: maybe}", "bundle:5:35: `new_tools` is 'maybe'; known: allow, deny"),
    ],
)
def test_what_a_bundle_may_not_say(options: str, message: str) -> None:
    """P11: wrong types and unknown keys are refused when the policy is loaded."""
    assert bundle_error(options) == message


def test_a_deny_list_can_pin_a_fingerprint_to_a_pattern() -> None:
    subject = policy(allow=["*"], deny=[{"tool": "*", "fingerprint": FINGERPRINT}])
    assert effect(subject, "x", fingerprint=FINGERPRINT) == "deny"
    assert effect(subject, "x", fingerprint="1" * 16) == "allow"


def test_the_schema_for_editors_takes_names_and_maps() -> None:
    schema = ToolAccess.Options.model_json_schema()
    jsonschema.validate({"allow": ["a", {"tool": "b", "when": "true"}], "spawn": True}, schema)
    jsonschema.validate({"spawn": ["a"]}, schema)
    with pytest.raises(jsonschema.ValidationError, match="is not valid under any of the given schemas"):
        jsonschema.validate({"allow": [1]}, schema)
