"""What an agent may use at all, asked without side effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jackline.bundle import load_bundle
from jackline.guard import Guard
from jackline.request import Tool

if TYPE_CHECKING:
    from pathlib import Path

RULE = "{{name: r, use: rule, on: tool.call, when: {when}, effect: {effect}}}"


def shown(tmp_path: Path, policies: str, *names: str, more: str = "") -> list[str]:
    text = f"jackline: 1\npolicies: [{policies}]\n{more}"
    with Guard(load_bundle(text.encode()), home=tmp_path, application="t") as guard, guard.session(id="s"):
        journals = sorted((tmp_path / "journals").glob("*.jsonl"))
        requests = [guard.request("tool.call", name, {}, tool=Tool(name=name)) for name in names]
        before = [path.read_bytes() for path in journals]
        found = [one.resource for one in requests if guard.permissible(one)]
        assert [path.read_bytes() for path in journals] == before
        return found


@pytest.mark.parametrize(
    ("when", "effect", "found"),
    [
        ("tool.name == 'a'", "deny", ["b"]),
        ("tool.name == 'a'", "halt", ["b"]),
        ("tool.name == 'a'", "escalate", ["a", "b"]),
        ("args.amount > 5", "deny", ["a", "b"]),
        ("has(args.amount)", "deny", ["a", "b"]),
        ("tool.name == 'a' && args.amount > 5", "deny", ["a", "b"]),
        ("'x' in args", "deny", ["a", "b"]),
        ("size(args) == 0", "deny", ["a", "b"]),
        ("original.amount > 5", "deny", ["a", "b"]),
    ],
)
def test_what_depends_on_arguments_is_possible(tmp_path: Path, when: str, effect: str, found: list[str]) -> None:
    assert shown(tmp_path, RULE.format(when=f'"{when}"', effect=effect), "a", "b") == found


def test_only_what_is_permitted_is_possible(tmp_path: Path) -> None:
    access = "{name: t, use: tool_access, with: {allow: [a, {tool: b, when: args.x == 1}]}}"
    assert shown(tmp_path, access, "a", "b", "c") == ["a", "b"]


def test_observing_hides_nothing(tmp_path: Path) -> None:
    rule = "{name: r, use: rule, on: tool.call, effect: deny, mode: observe}"
    assert shown(tmp_path, rule, "a") == ["a"]
    assert shown(tmp_path, rule.replace(", mode: observe", ""), "a") == []
    assert shown(tmp_path, rule.replace(", mode: observe", ""), "a", more="mode: observe") == ["a"]


def test_agents_that_nobody_registered(tmp_path: Path) -> None:
    assert shown(tmp_path, "", "a", more="unregistered: deny") == []
