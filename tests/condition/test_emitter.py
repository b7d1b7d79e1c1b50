"""The code object: made of few kinds of nodes, naming nothing but its table, and only ever a faster way to the same answer."""

from __future__ import annotations

import ast
import warnings
from typing import Any

import pytest

from jackline.condition import EvaluationError, Schema, compile_condition, emitter
from jackline.condition.parser import parse

SOURCES = [
    "tool.name.startsWith('db.') && args.amount > 500 && !('finance' in agent.labels)",
    "args.a == 'x' || args.b != 2 || args.c == null || args.d != true || args.e == args.f || 1 == args.g",
    "'x' < args.a && args.b >= 2.5 && 1 < args.c && args.d <= 3 && args.d <= args.e",
    "has(tool.name) && has(args.a.b) ? args.a['b'][0] : {'a': [1, 2u, b'', null]}",
    "args.l.exists(x, args.l.all(y, x == y)) && args.l.exists_one(x, x in ['a']) && type(args.a) == int",
    "args.l.filter(x, x in args.l).map(x, x != 1, -x + 1 * 2 / 3 % 4 - 5) == []",
    "args.a.matches('x+') && args.a.lowerAscii().contains('y') && size(args.a) == 1 && dyn(args.a) == nope(1)",
    "'abc'['x'] == 1 || [1]['x'] == 1 || 1 == null || null == null || true == 1 || 'a'.x == 1 || [1].x == 1",
]
KINDS = {
    *(ast.Expression, ast.Lambda, ast.arguments, ast.arg, ast.Name, ast.Constant, ast.Load, ast.Store),
    *(ast.Call, ast.Subscript, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.IfExp, ast.NamedExpr, ast.List, ast.Tuple),
    *(ast.And, ast.Or, ast.Not, ast.Is, ast.IsNot, ast.In, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE),
}


@pytest.mark.parametrize("source", SOURCES)
def test_only_few_kinds_of_nodes_are_made(source: str) -> None:
    root, _ = emitter.expression(parse(source))
    assert {type(node) for node in ast.walk(root)} <= KINDS
    called = [node.func for node in ast.walk(root) if isinstance(node, ast.Call)]
    assert all(isinstance(each, (ast.Name, ast.Lambda)) for each in called)


def test_every_kind_of_node_is_needed() -> None:
    made = {type(node) for source in SOURCES for node in ast.walk(emitter.expression(parse(source))[0])}
    assert made == KINDS


@pytest.mark.parametrize("source", SOURCES)
def test_python_finds_nothing_to_warn_of(source: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        emitter.build(parse(source))


def test_a_code_object_that_names_more_is_refused() -> None:
    for source in ("facts.__class__", "lambda facts: eval", "[x.y for x in facts]", "getattr(facts, 'x')"):
        with pytest.raises(AssertionError, match="the emitter named"):
            emitter.verify(compile(source, "<test>", "eval"), emitter.GLOBALS)


def test_there_are_no_builtins() -> None:
    assert emitter.GLOBALS["__builtins__"] == {}
    condition = compile_condition("depth == 1", Schema.default())
    condition.evaluate({"depth": 1})
    assert condition.run.__globals__["__builtins__"] == {}  # type: ignore[attr-defined]


def test_the_code_object_is_made_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    build = emitter.build
    monkeypatch.setattr(emitter, "build", lambda tree: made.append(tree) or build(tree))
    condition = compile_condition("depth == 1", Schema.default())
    assert made == []
    assert [condition.evaluate({"depth": depth}) for depth in (1, 2)] == [True, False]
    assert len(made) == 1


def test_where_no_code_object_can_be_made_the_tree_is_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(tree: Any) -> Any:
        raise RecursionError

    monkeypatch.setattr(emitter, "build", build)
    condition = compile_condition("args.nope == 1 || depth == 1", Schema.default())
    assert [condition.evaluate({"depth": depth, "args": {}}) for depth in (1, 1)] == [True, True]
    with pytest.raises(EvaluationError):
        condition.evaluate({"depth": 2, "args": {}})


def test_too_little_stack_is_an_evaluation_error() -> None:
    condition = compile_condition("(" * 20 + "depth" + " + 1)" * 20 + " > 1", Schema.default())
    assert condition.evaluate({"depth": 1}) is True

    def deeper() -> str:
        try:
            return deeper()
        except RecursionError:
            try:
                condition._explain({"depth": 1})
            except EvaluationError as error:
                return str(error)
            raise

    assert deeper() == "there is too little stack left to evaluate this condition"
