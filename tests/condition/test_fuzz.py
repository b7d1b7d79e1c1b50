"""Whatever is written or sent, only a ConditionError comes of loading and only an EvaluationError of evaluating."""

from __future__ import annotations

import contextlib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from jackline.condition import ConditionError, EvaluationError, Schema, compile_condition
from jackline.condition.evaluator import evaluate

WORDS = """
    tool tool.name args args.a agent.labels action depth at x has size exists all map filter matches int string
    timestamp duration getHours startsWith split join replace type true false null in && || ! == != < <= > >= + - * / %
    ? : ( ) [ ] { } . , 'a' '(' 'tool.call' "b" r'\\d' b'c' 0 1 7 1.5 2u 9223372036854775807 .a ['a'] [0] // `a b`"""
soup = st.lists(st.sampled_from(WORDS.split()), max_size=14).map(" ".join)
texts = soup | soup.map(lambda text: text.replace(" ", "")) | st.text(st.characters(), max_size=30)


class Foreign:
    """An object that should not have come this far."""

    __hash__ = None  # type: ignore[assignment]

    def __getitem__(self, key: Any) -> Any:
        raise ZeroDivisionError(key)

    def __eq__(self, other: object) -> bool:
        raise ArithmeticError("compared")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from([10**4000, "\ud800", Foreign(), {1}]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "name", "labels"]), inner, max_size=3)
    ),
    max_leaves=6,
)
facts = st.dictionaries(st.sampled_from(["tool", "args", "agent", "action", "depth", "at", "x"]), values, max_size=5)


@settings(max_examples=800, deadline=None)
@given(texts)
def test_loading(text: str) -> None:
    for schema in (Schema.default(), None):
        with contextlib.suppress(ConditionError):
            compile_condition(text, schema)


EXPRESSIONS = [
    "args.a == tool.name && args['a'] < depth || has(tool.name)",
    "args.a.exists(x, x == 1 || x in args) || args.a.map(x, x + x) == []",
    "size(args.a) > 1 ? string(args.a) : int(args.a) + 1",
    "string(args.a).matches(tool.name) || 'a' in args || args.a in ['a', 'b']",
    "timestamp(at).getHours(tool.name) > depth / depth",
    "args.a == 1 || args.a != 'a' || args.a > 1.5 || args.a[depth] == {args.a: 1}",
    "args.a && tool.name || !depth",
    "double(args.a) * 2.0 > 1.0 || uint(args.a) == 1u || bool(args.a) || bytes(args.a) == b''",
    "tool.name.replace('a', tool.name).split('a', depth).join(tool.name) == args.a.lowerAscii()",
]


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(EXPRESSIONS), facts)
def test_evaluating(source: str, given_facts: dict[str, Any]) -> None:
    condition = compile_condition(source, None)
    for answer in (condition.evaluate, lambda known: evaluate(condition._tree, known)):
        with contextlib.suppress(EvaluationError):
            answer(given_facts)
