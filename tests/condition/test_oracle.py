"""The same value, or an error, as Google's cel-cpp gives: random expressions, well typed and not, over random facts.

JACKLINE_ORACLE_EXAMPLES sets how many are tried (2,000 unless set).
"""

from __future__ import annotations

import math
import os
from functools import lru_cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackline.condition import ConditionError, EvaluationError, Schema, compile_condition
from jackline.condition import types as t
from jackline.condition.checker import check
from jackline.condition.evaluator import evaluate
from jackline.condition.parser import parse
from jackline.condition.values import BoolKey, Duration, Timestamp, TypeValue, Uint, kind_of

try:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_strings
except ImportError:
    cel = None

EXAMPLES = int(os.environ.get("JACKLINE_ORACLE_EXAMPLES", "2000"))
ROOTS = {
    "b": t.BOOL,
    "i": t.INT,
    "u": t.UINT,
    "d": t.DOUBLE,
    "s": t.STRING,
    "y": t.BYTES,
    "n": t.NULL,
    "l": t.LIST,
    "m": t.MAP,
    "x": t.DYN,
}
KINDS = ["bool", "int", "uint", "double", "string", "bytes", "null", "list", "map", "time", "span", "any"]

INTS = [0, 1, 2, 3, -1, 7, 100, 2**31, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]
DOUBLES = [0.0, 1.0, 0.5, -1.5, 2.0, 3.0, 1e6, 123.456, 1e21, 1e-7, float(2**53), float(2**63), -1e300]
STRINGS = ["", "a", "b", "ab", "db.x", "12", "-3", "1.5", "true", "é", "😀", "a,b", "A", "x"]
BYTES = [b"", b"a", b"ab", b"\xff"]
FIELDS = ["a", "b", "c", "zz"]
TIMES = [
    "2009-02-13T23:31:30Z",
    "1970-01-01T00:00:00Z",
    "9999-12-30T23:59:59.999Z",
    "2024-02-29T12:00:00+05:30",
    "nonsense",
]
SPANS = ["1s", "-1h30m", "0", "1.5h", "250ms", "2562047h", "1d"]
PATTERNS = ["a", "^a$", "a|b", "[0-9]+", "", "(a+)+$", "db\\\\."]

plain = st.recursive(
    st.sampled_from([None, True, False, *INTS, *DOUBLES, *STRINGS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=5,
)
facts = st.fixed_dictionaries(
    {
        "b": st.booleans(),
        "i": st.sampled_from(INTS),
        "u": st.sampled_from([Uint(0), Uint(1), Uint(3), Uint(2**64 - 1)]),
        "d": st.sampled_from([*DOUBLES, math.inf, math.nan]),
        "s": st.sampled_from(STRINGS),
        "y": st.sampled_from(BYTES),
        "n": st.none(),
        "l": st.lists(st.sampled_from(INTS) | st.sampled_from(STRINGS), max_size=4),
        "m": st.dictionaries(st.sampled_from(FIELDS), plain, max_size=4),
    },
    optional={"x": plain},
)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def double(value: float) -> str:
    text = repr(value)
    return text if "." in text or "e" in text else text + ".0"


LITERALS = {
    "bool": ["true", "false", "b"],
    "int": [*map(str, INTS), "0x1F", "i"],
    "uint": ["0u", "1u", "3u", "18446744073709551615u", "u"],
    "double": [*map(double, DOUBLES), "d"],
    "string": [*map(quoted, STRINGS), "r'\\d'", '"""q"""', "'\\u00e9'", "s"],
    "bytes": ["b''", "b'a'", "b'ab'", "b'\\xff'", "b'é'", "y"],
    "null": ["null", "n"],
    "list": ["[]", "l", "x"],
    "map": ["{}", "m", "x"],
    "time": [f"timestamp('{text}')" for text in TIMES] + ["timestamp(0)"],
    "span": [f"duration('{text}')" for text in SPANS],
    "any": ["x", "m.a", "m.b", "x.a", "m['c']", "m", "l", "i", "s", "int", "string"],
}


@st.composite
def expression(draw: st.DrawFn, kind: str, depth: int, scope: tuple[str, ...] = ()) -> str:
    """An expression that is of this kind if all goes well; one part in forty is of another kind."""
    if draw(st.integers(0, 39)) == 0:
        kind = draw(st.sampled_from(KINDS))
    if depth <= 0 or draw(st.integers(0, 5)) == 0:
        if scope and draw(st.booleans()):
            return draw(st.sampled_from(scope))
        return draw(st.sampled_from(LITERALS[kind]))

    def part(of: str, more: tuple[str, ...] = ()) -> str:
        return draw(expression(of, depth - 1, (*scope, *more)))

    def atom(of: str) -> str:
        return f"({part(of)})"

    def sure(of: str) -> str:
        # Conversions take no ill-typed operand here: cel-cpp has int(bool), Jackline has timestamp(double).
        return draw(st.sampled_from([text for text in LITERALS[of] if text not in {"d", "x"}]))

    choices = FORMS[kind]
    return choices[draw(st.integers(0, len(choices) - 1))](draw, part, atom, sure)


def pick(draw: Any, *texts: str) -> str:
    return draw(st.sampled_from(texts))


def number(draw: Any) -> str:
    return pick(draw, "int", "uint", "double")


def same_kind(draw: Any, part: Any, operator: str) -> str:
    kind = pick(draw, "int", "double", "string", "bytes", "bool", "uint", "time", "span")
    return f"{part(kind)} {operator} {part(kind)}"


def variable(draw: Any) -> str:
    return pick(draw, "e", "v", "s")


def macro(name: str, kind: str) -> Any:
    def form(draw: Any, part: Any, atom: Any, sure: Any) -> str:
        name_ = variable(draw)
        # The order of a map's keys is nobody's promise, so nothing that keeps an order goes through a map.
        items = atom(pick(draw, "list", "list", "map")) if kind == "bool" and name != "filter" else rows(draw, part)
        return f"{items}.{name}({name_}, {part(kind, (name_,))})"

    return form


def rows(draw: Any, part: Any) -> str:
    return pick(draw, "l", f"[{part('any')}, {part('int')}, {part('string')}]", f"[{part('bool')}]", "(l + [2.5, 'a'])")


def mapping(draw: Any, part: Any, atom: Any, sure: Any) -> str:
    # Keys are unlike each other: cel-cpp lets 1 and 1u stand in one map, the specification does not. No booleans
    # beside numbers: the oracle's binding hands maps over as Python dicts, where true and 1 are one key.
    keys = draw(st.lists(st.sampled_from(["'a'", "'b'", "'c'", "7", "8u"]), unique=True, max_size=3))
    return "{" + ", ".join(f"{key}: {part('any')}" for key in keys) + "}"


def part_of_time(draw: Any, part: Any, atom: Any, sure: Any) -> str:
    name = pick(
        draw,
        "getFullYear",
        "getMonth",
        "getDate",
        "getDayOfMonth",
        "getDayOfWeek",
        "getDayOfYear",
        "getHours",
        "getMinutes",
        "getSeconds",
        "getMilliseconds",
    )
    zone = pick(draw, "", "", "'UTC'", "'-02:30'", "'05:45'")
    return f"{atom('time')}.{name}({zone})"


# Not generated: numbers in strings with white space, hexadecimal digits or out of range for a double (cel-cpp
# reads what strtod reads); string() of a NaN (cel-cpp writes its sign); the global forms of string functions
# that only cel-cpp has; leap seconds; durations in strings over 292 years (cel-cpp takes them, its sums do not); has() of a field of a root that is not there (false here, an error there).
FORMS: dict[str, list[Any]] = {
    "bool": [
        lambda draw, part, atom, sure: f"{part('bool')} && {part('bool')}",
        lambda draw, part, atom, sure: f"{part('bool')} || {part('bool')}",
        lambda draw, part, atom, sure: f"({part('bool')} || {part('bool')}) && {part('bool')}",
        lambda draw, part, atom, sure: f"!{atom('bool')}",
        lambda draw, part, atom, sure: f"{atom('any')} {pick(draw, '==', '!=')} {atom('any')}",
        lambda draw, part, atom, sure: f"({same_kind(draw, atom, pick(draw, '==', '!=', '<', '<=', '>', '>='))})",
        lambda draw, part, atom, sure: (
            f"{atom(number(draw))} {pick(draw, '==', '!=', '<', '<=', '>', '>=')} {atom(number(draw))}"
        ),
        lambda draw, part, atom, sure: (
            f"({part('any')}) {pick(draw, '<', '>', '==', '!=')} {pick(draw, '0', '1', '3', '1.0', '2.5', 'null', 'true', 'false', quoted('a'), 'b')}"
        ),
        lambda draw, part, atom, sure: (
            f"{pick(draw, '0', '1', '3', '1.0', 'null', 'true', quoted('a'))} {pick(draw, '<=', '>=', '==', '!=')} ({part('any')})"
        ),
        lambda draw, part, atom, sure: f"{atom('any')} in {atom(pick(draw, 'list', 'map'))}",
        lambda draw, part, atom, sure: f"{quoted('a')} in {atom(pick(draw, 'list', 'map', 'string'))}",
        lambda draw, part, atom, sure: f"{atom('any')} in ['a', 'b', '12']",
        lambda draw, part, atom, sure: (
            f"{atom('string')}.{pick(draw, 'contains', 'startsWith', 'endsWith')}({part('string')})"
        ),
        lambda draw, part, atom, sure: f"{atom('string')}.matches('{draw(st.sampled_from(PATTERNS))}')",
        lambda draw, part, atom, sure: f"{atom('string')}.matches({part('string')})",
        lambda draw, part, atom, sure: f"has(m.{pick(draw, *FIELDS)})",
        lambda draw, part, atom, sure: f"has(dyn({part('map')}).{pick(draw, *FIELDS)})",
        lambda draw, part, atom, sure: f"bool({sure(pick(draw, 'bool', 'string'))})",
        lambda draw, part, atom, sure: (
            f"type({part('any')}) == {pick(draw, 'int', 'string', 'list', 'map', 'double', 'null_type', 'bool', 'type')}"
        ),
        macro("exists", "bool"),
        macro("all", "bool"),
        macro("exists_one", "bool"),
        lambda draw, part, atom, sure: f"({part('bool')} ? {part('bool')} : {part('bool')})",
    ],
    "int": [
        lambda draw, part, atom, sure: f"{atom('int')} {pick(draw, '+', '-', '*', '/', '%')} {atom('int')}",
        lambda draw, part, atom, sure: f"-{atom('int')}",
        lambda draw, part, atom, sure: f"size({part(pick(draw, 'string', 'list', 'map', 'bytes'))})",
        lambda draw, part, atom, sure: f"{atom(pick(draw, 'string', 'list', 'map', 'bytes'))}.size()",
        lambda draw, part, atom, sure: f"int({sure(pick(draw, 'int', 'uint', 'double', 'string', 'time'))})",
        part_of_time,
        lambda draw, part, atom, sure: (
            f"{atom('span')}.{pick(draw, 'getHours', 'getMinutes', 'getSeconds', 'getMilliseconds')}()"
        ),
        lambda draw, part, atom, sure: f"({part('bool')} ? {part('int')} : {part('int')})",
    ],
    "uint": [
        lambda draw, part, atom, sure: f"{atom('uint')} {pick(draw, '+', '-', '*', '/', '%')} {atom('uint')}",
        lambda draw, part, atom, sure: f"uint({sure(pick(draw, 'int', 'uint', 'double', 'string'))})",
    ],
    "double": [
        lambda draw, part, atom, sure: f"{atom('double')} {pick(draw, '+', '-', '*', '/')} {atom('double')}",
        lambda draw, part, atom, sure: f"-{atom('double')}",
        lambda draw, part, atom, sure: f"double({sure(pick(draw, 'int', 'uint', 'double', 'string'))})",
    ],
    "string": [
        lambda draw, part, atom, sure: f"{atom('string')} + {atom('string')}",
        lambda draw, part, atom, sure: (
            f"string({sure(pick(draw, 'int', 'uint', 'string', 'double', 'bool', 'bytes', 'time', 'span'))})"
        ),
        lambda draw, part, atom, sure: f"{atom('string')}.{pick(draw, 'lowerAscii', 'upperAscii', 'trim')}()",
        lambda draw, part, atom, sure: f"{atom('string')}.replace({part('string')}, {part('string')})",
        lambda draw, part, atom, sure: (
            f"{atom('string')}.replace({part('string')}, {part('string')}, {pick(draw, '-1', '0', '1', '2')})"
        ),
        lambda draw, part, atom, sure: f"{atom('string')}.split({part('string')}).join({part('string')})",
        lambda draw, part, atom, sure: f"({part('bool')} ? {part('string')} : {part('string')})",
    ],
    "bytes": [
        lambda draw, part, atom, sure: f"{atom('bytes')} + {atom('bytes')}",
        lambda draw, part, atom, sure: f"bytes({part('string')})",
    ],
    "null": [lambda draw, part, atom, sure: f"({part('bool')} ? null : n)"],
    "list": [
        lambda draw, part, atom, sure: f"[{part('any')}, {part('any')}]",
        lambda draw, part, atom, sure: f"[{part('int')}, {part('int')}, {part('int')}]",
        lambda draw, part, atom, sure: f"{atom('list')} + {atom('list')}",
        lambda draw, part, atom, sure: f"{atom('string')}.split({part('string')}, {pick(draw, '-1', '0', '1', '2')})",
        macro("filter", "bool"),
        macro("map", "any"),
        lambda draw, part, atom, sure: f"{rows(draw, part)}.map(e, {part('bool', ('e',))}, {part('int', ('e',))})",
    ],
    "map": [mapping],
    "time": [
        lambda draw, part, atom, sure: f"{atom('time')} {pick(draw, '+', '-')} {atom('span')}",
        lambda draw, part, atom, sure: f"{atom('span')} + {atom('time')}",
    ],
    "span": [
        lambda draw, part, atom, sure: f"{atom('span')} {pick(draw, '+', '-')} {atom('span')}",
        lambda draw, part, atom, sure: f"{atom('time')} - {atom('time')}",
    ],
    "any": [
        lambda draw, part, atom, sure: f"{atom('map')}.{pick(draw, *FIELDS)}",
        lambda draw, part, atom, sure: f"{atom('map')}[{part('any')}]",
        lambda draw, part, atom, sure: f"{atom('map')}['{pick(draw, *FIELDS)}']",
        lambda draw, part, atom, sure: f"{atom('list')}[{part(pick(draw, 'int', 'uint', 'double'))}]",
        lambda draw, part, atom, sure: part("bool"),
        lambda draw, part, atom, sure: part("int"),
        lambda draw, part, atom, sure: part("string"),
        lambda draw, part, atom, sure: part("double"),
        lambda draw, part, atom, sure: part("list"),
        lambda draw, part, atom, sure: f"dyn({part('any')})",
        lambda draw, part, atom, sure: f"type({part('any')})",
        lambda draw, part, atom, sure: f"({part('bool')} ? {part('any')} : {part('any')})",
    ],
}
ERROR = "an error"


@lru_cache(maxsize=1)
def environment() -> Any:
    """The oracle; nulls, lists and maps are handed to it as they come."""
    variables = {
        name: getattr(cel.Type, kind.kind.upper(), cel.Type.DYN) if kind.kind not in {"list", "map"} else cel.Type.DYN
        for name, kind in ROOTS.items()
    }
    return cel.NewEnv(variables=variables, extensions=[ext_strings.ExtStrings()])


def theirs(source: str, given_facts: dict[str, Any]) -> Any:
    data = {name: int(value) if isinstance(value, Uint) else value for name, value in given_facts.items()}
    return converted(environment().compile(source, disable_check=True).eval(data=data))


def converted(value: Any) -> Any:
    kind = value.type()
    if kind == cel.Type.ERROR:
        return ERROR
    inner = value.value()
    if kind == cel.Type.UINT:
        return Uint(inner)
    if kind == cel.Type.BYTES:
        return bytes(inner)
    if kind == cel.Type.TIMESTAMP:
        # The binding cuts to microseconds; no generated time is finer.
        return Timestamp(
            round((inner.replace(tzinfo=None) - inner.min.replace(tzinfo=None)).total_seconds() * 1000) * 10**6
            - 62_135_596_800 * 10**9
        )
    if kind == cel.Type.DURATION:
        return Duration((inner.days * 86400 + inner.seconds) * 10**9 + inner.microseconds * 1000)
    if kind == cel.Type.TYPE:
        return TypeValue({"NULL": "null_type"}.get(inner.name(), inner.name().partition("<")[0].lower()))
    if isinstance(inner, list):
        return [converted(each) for each in inner]
    if isinstance(inner, dict):
        return {key: converted(each) for key, each in inner.items()}
    return inner


def alike(left: Any, right: Any) -> bool:
    if isinstance(left, TypeValue) and isinstance(right, TypeValue):
        return left.name.rpartition(".")[2].lower() == right.name.rpartition(".")[2].lower()
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, dict):
        keys = {key.value if isinstance(key, BoolKey) else key: value for key, value in left.items()}
        return keys.keys() == right.keys() and all(alike(keys[key], right[key]) for key in keys)
    if isinstance(left, float) and math.isnan(left):
        return math.isnan(right)
    return repr(left) == repr(right)


def ours(evaluation: Any) -> Any:
    try:
        return evaluation()
    except EvaluationError:
        return ERROR


sources = st.sampled_from(["bool", "bool", "bool", "any"]).flatmap(lambda kind: expression(kind, 4))
PARTS = 2 if "JACKLINE_ORACLE_EXAMPLES" in os.environ else 1
"""Of a long run, one for each core of a small machine; each draws conditions of its own."""
tried = settings(
    max_examples=EXAMPLES // PARTS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="JACKLINE_ORACLE_EXAMPLES" not in os.environ,
    database=None,
)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.skipif(cel is None, reason="cel-expr-python, the oracle, is not installed")
@tried
@given(sources, facts)
def test_the_same_value_or_an_error(part: int, source: str, given_facts: dict[str, Any]) -> None:
    del part
    condition = compile_condition(source, None)
    value = ours(lambda: condition.evaluate(given_facts))
    slow = ours(lambda: evaluate(condition._tree, given_facts))
    assert alike(value, slow), f"the code object gives {value!r}, the tree walker {slow!r}"
    expected = theirs(source, given_facts)
    assert alike(value, expected), f"Jackline gives {value!r}, cel-cpp {expected!r}"


def of_type(value: Any, kind: t.Type) -> bool:
    """Whether a value is of a static type."""
    if kind.kind == "dyn" or (value is None and kind.nullable):
        return True
    if isinstance(value, list):
        return kind.kind == "list" and all(of_type(each, kind.item or t.DYN) for each in value)
    if isinstance(value, dict):
        parts = [(key.value if isinstance(key, BoolKey) else key, each) for key, each in value.items()]
        fitting = [of_type(key, kind.key or t.DYN) and of_type(each, kind.item or t.DYN) for key, each in parts]
        return kind.kind == "map" and all(fitting)
    return kind.kind == {"null": "null_type"}.get(kind_of(value), kind_of(value))


@settings(tried, max_examples=max(500, EXAMPLES // 4))
@given(sources, facts)
def test_a_condition_that_loads_gives_what_its_type_says(source: str, given_facts: dict[str, Any]) -> None:
    schema = Schema({name: t.Field(kind) for name, kind in ROOTS.items()})
    try:
        condition = compile_condition(source, schema)
        kind, _, _ = check(source, parse(source), schema)
    except ConditionError:
        return
    value = ours(lambda: condition.evaluate(given_facts))
    assert value == ERROR or of_type(value, kind), f"{value!r} is no {kind}"
