"""What conditions answer, by the code object and by the tree walker alike, and what they say where they cannot."""

from __future__ import annotations

import math
from typing import Any

import pytest

from jackline.condition import BudgetExceeded, EvaluationError, Schema, compile_condition
from jackline.condition import types as t
from jackline.condition.evaluator import evaluate
from jackline.condition.values import Duration, Timestamp, TypeValue, Uint

FACTS: dict[str, Any] = {
    "action": "tool.call",
    "args": {
        "amount": 600,
        "price": 9.5,
        "flag": True,
        "none": None,
        "text": "db.x",
        "one": 1,
        "zero": 0.0,
        "huge": 10**30,
        "nan": math.nan,
        "list": [1, "a", None, 2.5],
        "map": {"a": 1, "b c": 2},
        "set": {1, 2},
    },
    "tool": {"name": "db.x", "read_only": None, "labels": {}},
    "agent": {"name": "support", "labels": {"finance": "yes"}},
    "depth": 0,
}

VALUES = [
    ("args.amount > 500 && tool.name.startsWith('db.')", True),
    ("args.nope == 1 || tool.name == 'db.x'", True),
    ("tool.name == 'db.x' || args.nope == 1", True),
    ("args.nope == 1 && false", False),
    ("!(args.nope == 1 && tool.name == 'other')", True),
    ("args.amount || true", True),
    ("has(args.nope)", False),
    ("has(args.none) && args.none == null", True),
    ("has(model.name)", False),
    ("has(args.map.a)", True),
    ("'finance' in agent.labels", True),
    ("'a' in args.list", True),
    ("'b' in args.list", False),
    ("args.text in ['db.x', 'db.y']", True),
    ("args.list in ['db.x']", False),
    ("args.amount in [1, 600.0]", True),
    ("null in args.list", True),
    ("args.one in {1: 'a'}", True),
    ("args.flag in {1: 'a'}", False),
    ("args.flag in {true: 'a', 1: 'b'}", True),
    ("1.5 in {1: 'a'}", False),
    ("args.nan in {1: 'a'}", False),
    # A boolean is no number, a number no boolean.
    ("args.flag == 1", False),
    ("1 == args.flag", False),
    ("args.flag != 1", True),
    ("args.one == true", False),
    ("args.one == 1 && args.one == 1u && args.one == 1.0", True),
    ("args.zero == 0", True),
    ("args.zero == false", False),
    ("args.none == false", False),
    ("args.text == 600", False),
    ("args.text == b'db.x'", False),
    ("args.nan == args.nan", False),
    ("args.nan != args.nan", True),
    ("[args.nan] == [args.nan]", False),
    ("args.nan < 1", False),
    ("args.huge > 500", True),
    ("args.huge > 1.0", True),
    ("args.huge > args.price", True),
    ("args.huge == 1.0", False),
    ("9007199254740993 == dyn(9007199254740992.0)", True),
    ("args.one < 9007199254740993.0", True),
    ("500 < args.amount", True),
    ("'db' < args.text", True),
    ("args.text <= 'db.x'", True),
    ("args.flag > false", True),
    ("b'a' < b'b'", True),
    ("args.amount < args.price", False),
    ("args.list[0] == 1 && args.list[1u] == 'a' && args.list[dyn(3.0)] == 2.5", True),
    ("args['map']['b c'] == 2 && args.map.`b c` == 2", True),
    ("{1: 'a', true: 'b'}[dyn(true)] == 'b'", True),
    ("{'a': 1}['a'] == 1", True),
    ("[1] + args.list == [1, 1, 'a', null, 2.5]", True),
    ("{'a': [1]} == {'a': [1.0]}", True),
    ("{'a': 1} == {'b': 1}", False),
    ("args.map != {}", True),
    ("args.flag ? 'a' : 'b'", "a"),
    ("args.flag ? args.amount : args.nope", 600),
    ("-args.amount", -600),
    ("-args.price", -9.5),
    ("--args.one", 1),
    ("-9223372036854775808", -(2**63)),
    ("-1.5 + .5", -1.0),
    ("7 / -2", -3),
    ("-7 % 2", -1),
    ("7u / 2u", Uint(3)),
    ("7u % 2u", Uint(1)),
    ("7u - 2u + 1u * 3u", Uint(8)),
    ("1.0 / 0.0", math.inf),
    ("-1.0 / 0.0", -math.inf),
    ("1.0 / -0.0", -math.inf),
    ("0.0 / 0.0", math.nan),
    ("type(1.5 - 0.5)", TypeValue("double")),
    ("type(args.one) == int && type(null) == null_type && type(type) == type", True),
    ("b'a' + b'\\xff'", b"a\xff"),
    ("'a' + 'b'", "ab"),
    ("r'\\d' == '\\\\d'", True),
    ("'\\x41\\101\\u0041\\U00000041\\n\\?' == 'AAAA\\n?'", True),
    ("'''a'b''' == \"a'b\"", True),
    ("br'\\d' == b'\\\\d' && bR\"a\" == b'a'", True),
    ("b'''\\ta''' == b'\\ta'", True),
    (".args.one == 1", True),
    ("args.list.exists(x, x == 'a')", True),
    ("args.list.exists(x, x > 2)", True),
    ("args.list.all(x, x == 1)", False),
    ("[].all(x, x) && ![].exists(x, x)", True),
    ("args.list.exists_one(x, x == null)", True),
    ("[1, 2, 3].filter(x, x % 2 == 1)", [1, 3]),
    ("[1, 2, 3].map(x, x * 2)", [2, 4, 6]),
    ("[1, 2, 3].map(x, x > 1, x * 2)", [4, 6]),
    ("['a'].map(x, x + x)", ["aa"]),
    ("{'a': 1, true: 2, 3: 4}.map(x, x)", ["a", True, 3]),
    ("[1, 2].exists(x, [2, 3].exists(y, x == y))", True),
    ("[1, 2].map(x, [x].map(x, x + 1)[0])", [2, 3]),
    ("[1].exists(tool, tool == 1)", True),
    ("[1].exists(depth, depth == 1) && depth == 0", True),
    ("[{'a': 1}].exists(tool, has(tool.a))", True),
    ("size('é😀') == 2 && b'é'.size() == 2 && size([1]) == 1 && {}.size() == 0", True),
    ("'aBé'.lowerAscii() + 'aBé'.upperAscii()", "abéABé"),
    ("'\\u00a0 a\\t'.trim()", "a"),
    ("'a,b,c'.split(',')", ["a", "b", "c"]),
    ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
    ("'a,b,c'.split(',', 0)", []),
    ("'a,b,c'.split(',', -1)", ["a", "b", "c"]),
    ("'abc'.split('')", ["a", "b", "c"]),
    ("'abc'.split('', 2)", ["a", "bc"]),
    ("'abc'.split('', 5)", ["a", "b", "c"]),
    ("''.split('')", [""]),
    ("['a', 'b'].join('-') + ['a', 'b'].join()", "a-bab"),
    ("'aaa'.replace('a', 'b') + 'aaa'.replace('a', 'b', 2)", "bbbbba"),
    ("args.text.matches('^db\\\\.') && matches(args.text, args.text)", True),
    ("'a'.matches('b')", False),
    ("int('12') + int(3.9) + int(2u) + int(timestamp('1970-01-01T00:00:05Z'))", 22),
    ("uint('12') + uint(3.9) + uint(2)", Uint(17)),
    ("double('1e3') + double(2) + double(3u)", 1005.0),
    ("double('-Infinity')", -math.inf),
    ("string(1) + string(2u) + string(true) + string(b'c') + string('d') + string(false)", "12truecdfalse"),
    ("bytes('é') == b'é' && bytes(b'a') == b'a'", True),
    ("bool('TRUE') && !bool('0') && bool(true)", True),
    ("dyn(1) == 1.0", True),
]

FAILURES = [
    ("args.nope", 6, "no such key: 'nope'; guard it with has(args.nope)"),
    ("{'a': 1}.b", 10, "no such key: 'b'"),
    ("args.map['x']", 1, "no such key: 'x'"),
    ("args.map[1]", 1, "no such key: 1"),
    ("args.map[null]", 1, "no such key: None"),
    ("model.name == 'x'", 1, "there is no 'model' in this request; guard it with has(model.<field>)"),
    ("args.text.x", 11, "string has no field 'x'"),
    ("has(args.list.x)", 15, "list has no field 'x'"),
    ("has(args.nope.x)", 10, "no such key: 'nope'; guard it with has(args.nope)"),
    ("args.none.x", 11, "null has no field 'x'"),
    ("'text'.x", 8, "string has no field 'x'"),
    ("[1]['x']", 1, "no element 'x' in a list of 1"),
    ("args.list[4]", 1, "no element 4 in a list of 4"),
    ("args.list[-1]", 1, "no element -1 in a list of 4"),
    ("args.list[true]", 1, "no element True in a list of 4"),
    ("args.list[args.price]", 1, "no element 9.5 in a list of 4"),
    ("args.list[args.nan]", 1, "no element nan in a list of 4"),
    ("args.list[1.0 / 0.0]", 1, "no element inf in a list of 4"),
    ("args.amount[0]", 1, "[] does not take (int, int)"),
    ("args.set == 1", 10, "a set is no value of a condition"),
    ("args.set == args.set", 10, "a set is no value of a condition"),
    ("type(args.set)", 1, "a set is no value of a condition"),
    ("args.flag > 500", 11, "> does not take (bool, int)"),
    ("500 < args.flag", 5, "< does not take (int, bool)"),
    ("args.text > 500", 11, "> does not take (string, int)"),
    ("args.none >= 1.5", 11, ">= does not take (null, double)"),
    ("args.list <= args.list", 11, "<= does not take (list, list)"),
    ("'a' < args.amount", 5, "< does not take (string, int)"),
    ("1 + args.text", 3, "+ does not take (int, string)"),
    ("args.flag + args.flag", 11, "+ does not take (bool, bool)"),
    ("args.price - args.one", 12, "- does not take (double, int)"),
    ("args.text * 2", 11, "* does not take (string, int)"),
    ("args.text / args.text", 11, "/ does not take (string, string)"),
    ("args.price % args.price", 12, "% does not take (double, double)"),
    ("-args.text", 1, "- does not take (string)"),
    ("args.huge + 1", 11, "integer overflow"),
    ("9223372036854775807 + 1", 21, "integer overflow"),
    ("-9223372036854775808 / -1", 22, "integer overflow"),
    ("-9223372036854775808 % -1", 22, "integer overflow"),
    ("-(-9223372036854775808)", 1, "integer overflow"),
    ("1u - 2u", 4, "unsigned integer overflow"),
    ("1 / 0", 3, "divide by zero"),
    ("1 % 0", 3, "modulus by zero"),
    ("!args.text", 2, "expected true or false, not string"),
    ("args.one && true", 1, "expected true or false, not int"),
    ("true && args.one", 9, "expected true or false, not int"),
    ("args.one ? 1 : 2", 1, "expected true or false, not int"),
    ("[1].exists(x, x)", 15, "expected true or false, not int"),
    ("[1].filter(x, x)", 15, "expected true or false, not int"),
    ("[1].map(x, x, x)", 12, "expected true or false, not int"),
    ("args.text.exists(x, true)", 11, "a macro needs a list or a map, not string"),
    ("args.text.map(x, x)", 11, "a macro needs a list or a map, not string"),
    ("[1, 0].map(x, 1 / x)", 17, "divide by zero"),
    ("[1, 0, 'a'].all(x, 1 / x == 1)", 22, "divide by zero"),
    ("'a' in args.text", 5, "in does not take (string, string)"),
    ("null in args.map", 6, "in does not take (null, map)"),
    ("args.map in args.map", 10, "in does not take (map, map)"),
    ("{args.price: 1}", 1, "double cannot be the key of a map"),
    ("{'a': 1, 'a': 2}", 1, "the key 'a' is given twice"),
    ("{1: 1, 1u: 2}", 1, "the key 1 is given twice"),
    ("args.amount.startsWith('a')", 13, "startsWith() does not take (int, string)"),
    ("args.text.contains(1)", 11, "contains() does not take (string, int)"),
    ("args.amount.matches('a')", 13, "matches() does not take (int, string)"),
    ("args.text.matches('(' + '')", 11, "the pattern '(' is not valid RE2: missing ): ("),
    ("['a', 1].join()", 10, "join() does not take (list, int)"),
    ("unknown(1)", 1, "there is no such function: unknown() with 1 operands"),
    ("args.text.int()", 11, "there is no such function: int() with 1 operands"),
    ("size()", 1, "there is no such function: size() with 0 operands"),
    ("int('x')", 1, "'x' cannot be read as int"),
    ("int(' 1')", 1, "' 1' cannot be read as int"),
    ("int('9223372036854775808')", 1, "'9223372036854775808' is out of the range of int"),
    ("int('1' + '" + "0" * 5000 + "')", 1, "'1" + "0" * 5000 + "' is out of the range of int"),
    ("int(1e99)", 1, "1e+99 is out of the range of int"),
    ("int(18446744073709551615u)", 1, "18446744073709551615 is out of the range of int"),
    ("uint(-1)", 1, "-1 is out of the range of uint"),
    ("uint(-1.0)", 1, "-1.0 is out of the range of uint"),
    ("uint('-1')", 1, "'-1' is out of the range of uint"),
    ("double('x')", 1, "'x' cannot be read as double"),
    ("double(args.huge * 1)", 18, "integer overflow"),
    ("bool('yes')", 1, "'yes' cannot be read as bool: it is 'true' or 'false'"),
    ("string(b'\\xff')", 1, "these bytes are not UTF-8"),
    ("timestamp(1.0 / 0.0)", 1, "inf is no timestamp"),
    ("timestamp(253402300800)", 1, "timestamp overflow: the years 1 to 9999 are known"),
    ("duration('9999999h')", 1, "duration overflow: at most 292 years are known"),
]


@pytest.mark.parametrize(("source", "value"), VALUES)
def test_value(source: str, value: Any) -> None:
    condition = compile_condition(source, None)
    for given in (condition.evaluate(FACTS), condition.evaluate(FACTS), evaluate(condition._tree, FACTS)):
        assert type(given) is type(value)
        assert given == value or (isinstance(given, float) and math.isnan(given) and math.isnan(value))


@pytest.mark.parametrize(("source", "column", "message"), FAILURES)
def test_failure(source: str, column: int, message: str) -> None:
    condition = compile_condition(source, None)
    for _ in range(2):
        with pytest.raises(EvaluationError) as caught:
            condition.evaluate(FACTS)
        assert str(caught.value) == f"line 1, column {column}: {message}"


def test_an_integer_past_every_double_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="OverflowError: int too large to convert to float"):
        compile_condition("double(args.n)", None).evaluate({"args": {"n": 10**400}})
    assert compile_condition("args.n > 1.5", None).evaluate({"args": {"n": 10**400}}) is True
    assert compile_condition("args.n == args.d", None).evaluate({"args": {"n": 10**400, "d": 1.5}}) is False


def test_holds_is_for_truths_only() -> None:
    condition = compile_condition("args.amount", Schema.default())
    assert condition.result_type == "dyn"
    assert compile_condition("args.flag", Schema.default()).holds(FACTS) is True
    assert compile_condition("depth > 1", Schema.default()).holds(FACTS) is False
    with pytest.raises(EvaluationError) as caught:
        condition.holds(FACTS)
    assert str(caught.value) == "a condition gives true or false, not int: args.amount"


def test_what_a_condition_says_of_itself() -> None:
    condition = compile_condition("args.a.b == 1 && has(args.c) && args['d e'][0] == original.f", Schema.default())
    assert repr(condition) == f"Condition({condition.source!r})"
    assert condition.result_type == "bool"
    assert condition.roots == {"args", "original"}
    assert condition.unverified == ("args.a.b", "args.c", "args['d e'][0]", "original.f")
    assert compile_condition("[{'a': 1}].exists(args, args.a == 1)", Schema.default()).unverified == ()
    assert compile_condition("x.y == z", None).roots == {"x", "z"}


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("'a' + tool.name", "string"),
        ("args.a + 1", "int"),
        ("args.a + args.b", "dyn"),
        ("args.a + [1]", "dyn"),
        ("[1] + ['a']", "list(dyn)"),
        ("[[1], [2]]", "list(list(int))"),
        ("{'a': 1, 'b': null}", "map(string, int or null)"),
        ("{}", "map(dyn, dyn)"),
        ("tool.read_only", "bool or null"),
        ("model.max_tokens", "int or null"),
        ("agent", "agent"),
        ("ancestors", "list(agent)"),
        ("ancestors[0].labels['x']", "string"),
        ("agent.labels.map(k, size(k))", "list(int)"),
        ("agent.labels.filter(k, true)", "list(string)"),
        ("timestamp(at) - timestamp(0)", "duration"),
        ("timestamp(at) + duration('1s')", "timestamp"),
        ("run.split(',')", "list(string)"),
        ("type(1)", "type"),
        ("int", "type"),
        ("null", "null"),
        ("dyn(1)", "dyn"),
        ("true ? 1 : args.a", "dyn"),
        ("true ? 1 : 2.5", "dyn"),
        ("true ? null : 'a'", "string or null"),
        ("true ? tool.name : agent.status", "string"),
        ("true ? null : null", "null"),
        ("-depth", "int"),
        ("1u", "uint"),
        ("b''", "bytes"),
        ("-args.x", "dyn"),
        ("args.a ? [1] : [2]", "list(int)"),
        ("tool['name']", "string"),
        ("tool[run]", "dyn"),
    ],
)
def test_result_type(source: str, kind: str) -> None:
    assert compile_condition(source, Schema.default()).result_type == kind


TIMES = [
    ("timestamp('2009-02-13T23:31:30.123456789Z')", Timestamp(1234567890123456789)),
    ("timestamp('1969-12-31T23:59:59.5Z')", Timestamp(-500_000_000)),
    ("timestamp('2009-02-14t01:31:30+02:00')", Timestamp(1234567890 * 10**9)),
    ("timestamp(1.5)", Timestamp(1_500_000_000)),
    ("duration('-1h30m1.5s2ms3us4ns')", Duration(-5401502003004)),
    ("string(timestamp('0001-01-01T00:00:00Z'))", "0001-01-01T00:00:00Z"),
    ("string(timestamp('2009-02-13T23:31:30.120Z'))", "2009-02-13T23:31:30.120Z"),
    ("string(timestamp('2009-02-13T23:31:30.120001Z'))", "2009-02-13T23:31:30.120001Z"),
    ("string(timestamp('2009-02-13T23:31:30.000000001Z'))", "2009-02-13T23:31:30.000000001Z"),
    ("string(duration('-1.5s'))", "-1.500s"),
    ("string(duration('90m'))", "5400s"),
    ("timestamp(0).getFullYear() + timestamp(0).getMonth() + timestamp(0).getDate()", 1971),
    ("timestamp(0).getDayOfMonth() + timestamp(0).getDayOfYear() + timestamp(0).getDayOfWeek()", 4),
    ("timestamp('2024-06-15T23:30:15.250Z').getHours('Europe/Berlin')", 1),
    ("timestamp('2024-06-15T23:30:15.250Z').getMinutes('+05:45')", 15),
    ("timestamp('2024-06-15T23:30:15.250Z').getHours('-02:00')", 21),
    ("timestamp('2024-06-15T23:30:15.250Z').getSeconds('UTC')", 15),
    ("timestamp('2024-06-15T23:30:15.250Z').getMilliseconds()", 250),
    ("duration('-90m').getHours()", -1),
    ("duration('90m').getMinutes()", 90),
    ("duration('-1.5s').getMilliseconds()", -500),
    ("duration('1.5s').getMilliseconds() + duration('1.5s').getSeconds()", 501),
    ("duration('1s') < duration('1m') && timestamp(0) >= timestamp(0)", True),
    ("duration('1s') + timestamp(0) - duration('1s') == timestamp(0)", True),
    ("timestamp(timestamp(0)) == timestamp(0) && duration(duration('1s')) == duration('1s')", True),
    ("timestamp(0) == dyn(0)", False),
    ("duration('0') - duration('+1s')", Duration(-(10**9))),
]


@pytest.mark.parametrize(("source", "value"), TIMES)
def test_times(source: str, value: Any) -> None:
    condition = compile_condition(source, Schema.default())
    assert condition.evaluate({}) == value
    assert evaluate(condition._tree, {}) == value


def test_a_calendar_ends_in_the_year_9999() -> None:
    condition = compile_condition("timestamp('9999-12-31T23:59:59Z').getHours('+05:45')", Schema.default())
    with pytest.raises(EvaluationError, match="timestamp overflow: the years 1 to 9999 are known"):
        condition.evaluate({})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "-0"),
        (1.0, "1"),
        (100000.0, "100000"),
        (123456.5, "123456.5"),
        (1234567.0, "1.234567e+06"),
        (1e21, "1e+21"),
        (0.0001, "0.0001"),
        (-0.00001, "-1e-05"),
        (-4.5e-3, "-0.0045"),
        (1.5e300, "1.5e+300"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
    ],
)
def test_doubles_as_text(value: float, text: str) -> None:
    assert compile_condition("string(x)", None).evaluate({"x": value}) == text


def test_the_budget_is_shared_by_nested_macros_and_not_absorbed() -> None:
    facts = {"l": list(range(200))}
    fits = compile_condition("l.exists(x, [1].exists(y, x == 199))", None)
    assert fits.evaluate(facts) is True
    for source in (
        "l.all(x, l.all(y, true))",
        "true && l.all(x, l.all(y, true))",
        "l.all(x, l.all(y, true)) || true",
        "nope == 1 || l.all(x, l.all(y, true)) || true",
        "nope == 1 || l.exists(x, l.all(y, true) && nope == 1) || true",
        "l.exists_one(x, l.filter(y, true) == [])",
        "l.map(x, l.map(y, y))",
    ):
        with pytest.raises(BudgetExceeded) as caught:
            compile_condition(source, None).evaluate(facts)
        assert "macros may look at 10000 elements in one evaluation, these are more" in str(caught.value)


def test_long_results_of_map_cost_more() -> None:
    facts = {"l": list(range(500)), "s": "x" * 40_000}
    assert compile_condition("l.map(x, s.size()).size() == 500", None).evaluate(facts) is True
    with pytest.raises(BudgetExceeded):
        compile_condition("l.map(x, s).size() == 500", None).evaluate(facts)


def test_texts_cannot_be_blown_up() -> None:
    facts = {"s": "x" * 10_000}
    with pytest.raises(EvaluationError, match="a text of 100000000 characters is too long: at most 1000000"):
        compile_condition("s.replace('x', s)", None).evaluate(facts)
    with pytest.raises(EvaluationError, match="a text of 100010000 characters is too long"):
        compile_condition("s.split('').join(s)", None).evaluate(facts)


def test_a_number_may_be_either_in_conversions() -> None:
    schema = Schema.default().with_root("n", t.NUMBER)
    condition = compile_condition("double(n) * 2.0 > 5.0 && int(n) > 2 && -n < 0", schema)
    assert condition.evaluate({"n": 3}) is True
    assert condition.evaluate({"n": 3.5}) is True
