"""What must hold for a condition to be true, found for an engine's index; never more than that."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackline.condition import Conjuncts, EvaluationError, Schema, compile_condition


def found(source: str) -> Conjuncts:
    return compile_condition(source, Schema.default()).conjuncts


NONE = frozenset[str]()


@pytest.mark.parametrize(
    ("source", "tools", "prefixes", "actions"),
    [
        ("true", None, (), None),
        ("tool.name == 'a'", {"a"}, (), None),
        ("'a' == tool.name", {"a"}, (), None),
        ("tool['name'] == 'a'", None, (), None),
        ("tool.name in ['a', 'b']", {"a", "b"}, (), None),
        ("tool.name in []", NONE, (), None),
        ("tool.name in ['a', run]", None, (), None),
        ("tool.name.startsWith('db.')", NONE, ("db.",), None),
        ("tool.name.startsWith(run)", None, (), None),
        ("run.startsWith('db.')", None, (), None),
        ("tool.name.endsWith('db.')", None, (), None),
        ("action == 'tool.call'", None, (), {"tool.call"}),
        ("action in ['tool.call', 'tool.return']", None, (), {"tool.call", "tool.return"}),
        ("action.startsWith('tool.')", None, (), None),
        ("tool.name != 'a'", None, (), None),
        ("!(tool.name == 'a')", None, (), None),
        ("tool.name > 'a'", None, (), None),
        ("tool.name == run", None, (), None),
        ("run == 'a'", None, (), None),
        ("'a' in agent.labels", None, (), None),
        ("action == 'tool.call' && tool.name == 'a' && args.x > 1", {"a"}, (), {"tool.call"}),
        ("args.x > 1 && (tool.name == 'a' && run == 'b')", {"a"}, (), None),
        ("tool.name == 'a' && tool.name == 'b'", NONE, (), None),
        ("tool.name in ['a', 'b'] && tool.name in ['b', 'c']", {"b"}, (), None),
        ("tool.name in ['db.a', 'x'] && tool.name.startsWith('db.')", {"db.a"}, (), None),
        ("tool.name.startsWith('db.') && tool.name == 'db.a'", {"db.a"}, (), None),
        ("tool.name.startsWith('db.') && tool.name.startsWith('db.x')", NONE, ("db.x",), None),
        ("tool.name.startsWith('a') && tool.name.startsWith('b')", NONE, (), None),
        ("action == 'tool.call' && action in ['tool.call', 'output']", None, (), {"tool.call"}),
        ("tool.name == 'a' || tool.name.startsWith('b')", {"a"}, ("b",), None),
        ("(tool.name == 'a' || tool.name == 'b') && args.x > 1", {"a", "b"}, (), None),
        ("tool.name == 'a' || run == 'b'", None, (), None),
        (
            "tool.name == 'a' && action == 'tool.call' || tool.name == 'b' && action == 'output'",
            {"a", "b"},
            (),
            {"tool.call", "output"},
        ),
        ("tool.name == 'a' && action == 'tool.call' || tool.name == 'b'", {"a", "b"}, (), None),
        ("has(tool.name) ? tool.name == 'a' : false", None, (), None),
        ("[1].exists(x, tool.name == 'a')", None, (), None),
    ],
)
def test_conjuncts(source: str, tools: set[str] | None, prefixes: tuple[str, ...], actions: set[str] | None) -> None:
    assert found(source) == Conjuncts(tools, prefixes, actions)  # type: ignore[arg-type]


parts = st.sampled_from(
    [
        "tool.name == 'a'",
        "tool.name == 'ab'",
        "tool.name in ['a', 'b']",
        "tool.name.startsWith('a')",
        "tool.name.startsWith('ab')",
        "action == 'tool.call'",
        "action in ['tool.call', 'output']",
        "args.nope == 1",
        "depth == 1",
        "!(tool.name == 'a')",
    ]
)
trees = st.recursive(
    parts,
    lambda inner: st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda each: f"({' '.join(each)})"),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(trees, st.sampled_from(["a", "ab", "abc", "b", "c"]), st.sampled_from(["tool.call", "output", "tool.return"]))
def test_where_they_do_not_hold_the_whole_is_false_without_an_error(source: str, name: str, action: str) -> None:
    condition = compile_condition(source, Schema.default())
    conjuncts = condition.conjuncts
    reached = conjuncts.tools is None or name in conjuncts.tools or name.startswith(conjuncts.tool_prefixes)
    reached = reached and (conjuncts.actions is None or action in conjuncts.actions)
    try:
        value = condition.evaluate({"tool": {"name": name}, "action": action, "args": {}, "depth": 1})
    except EvaluationError:
        value = None
    assert reached or value is False
