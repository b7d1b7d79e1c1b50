"""What a reload that permits more says of itself."""

from __future__ import annotations

import pytest

from jackline.bundle import load_bundle
from jackline.widening import widened

RULE = "  - {name: r, use: rule, on: [tool.call, output], effect: deny, when: depth > 3}\n"
SPEND = "  - {name: s, use: spend, with: {limit: 1 USD}}\n"
ACCESS = "  - {name: a, use: access, with: {allow: [x]}}\n"


@pytest.fixture
def compare(plugins):
    def make(old, new):
        return widened(*(load_bundle(f"jackline: 1\n{text}", plugins) for text in (old, new)))

    return make


def policies(*entries):
    return "policies:\n" + "".join(entries)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (RULE, RULE, ()),
        (RULE, RULE + SPEND, ()),
        (RULE + SPEND, RULE, ("policy 's': removed",)),
        (RULE, RULE.replace("deny,", "deny, mode: observe,"), ("policy 'r': only observes",)),
        (RULE.replace("deny,", "deny, mode: observe,"), RULE, ()),
        (RULE, RULE.replace("deny,", "deny, on_error: skip,"), ("policy 'r': skipped when it fails",)),
        (RULE, RULE.replace("depth > 3", "depth > 4"), ("policy 'r': another condition: depth > 4",)),
        (RULE, RULE.replace("[tool.call, output]", "output"), ("policy 'r': no longer asked on tool.call",)),
        (RULE, RULE.replace("on: [tool.call, output], ", ""), ()),
        (
            RULE.replace("on: [tool.call, output], ", ""),
            RULE.replace("[tool.call, output]", "[tool.call, output, agent.spawn]"),
            (
                "policy 'r': no longer asked on embedding, http.request, model.call, model.return, retrieval, tool.return",
            ),
        ),
        (SPEND, SPEND.replace("1 USD", "2 USD"), ("policy 's': limit raised by 1000000",)),
        (SPEND, SPEND.replace("1 USD", "0.5 USD"), ()),
        (
            SPEND,
            SPEND.replace("spend, ", "spend, agents: agent.team == 't', "),
            ("policy 's': other agents are selected: agent.team == 't'",),
        ),
        (SPEND.replace("spend, ", "spend, agents: agent.team == 't', "), SPEND, ()),
        (SPEND, "  - {name: s, use: rule, effect: deny}\n", ("policy 's': uses rule instead of spend",)),
        (
            ACCESS,
            ACCESS.replace("[x]", "[x, y]"),
            ("policy 'a': other options, and access cannot say whether it permits more",),
        ),
        (ACCESS, ACCESS, ()),
        (
            ACCESS,
            ACCESS + ACCESS.replace("name: a", "name: b"),
            ("policy 'b': new, and can permit what the others do not",),
        ),
        (RULE, RULE + ACCESS, ()),
    ],
)
def test_policies(old, new, expected, compare):
    assert compare(policies(old), policies(new)) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("policies: []", "policies: []\nmode: observe", ("the whole bundle only observes",)),
        ("policies: []\nmode: observe\nunregistered: deny", "policies: []", ()),
        ("policies: []\nunregistered: deny", "policies: []", ("agents that are not registered may act",)),
        ("policies: []", "policies: []\nunregistered: allow", ("agents that only report may act",)),
        (
            "policies: []\nunregistered: deny",
            "policies: []\nunregistered: allow",
            ("agents that are not registered may act", "agents that only report may act"),
        ),
        ("policies: []", "policies: []\nunregistered: deny", ()),
    ],
)
def test_the_whole_bundle(old, new, expected, compare):
    assert compare(old, new) == expected


def test_a_pack_that_fails_to_compare_is_named(compare, pack, monkeypatch):
    monkeypatch.setattr(pack.Spend, "widens", lambda self, previous: 1 / 0)
    assert compare(policies(SPEND), policies(SPEND)) == (
        "policy 's': spend cannot say whether it permits more: ZeroDivisionError: division by zero",
    )
