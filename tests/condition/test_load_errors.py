"""What a condition's author is told, and where, when it cannot be right."""

from __future__ import annotations

import pytest

from jackline.condition import ConditionError, Schema, compile_condition
from jackline.condition import types as t

ARGS = {
    "type": "object",
    "properties": {
        "amount": {"type": "number"},
        "count": {"type": "integer"},
        "note": {"type": "string"},
        "currency": {"enum": ["EUR", "USD"]},
        "to": {"type": "array", "items": {"type": "string"}},
        "force": {"type": "boolean"},
    },
}
SCHEMA = (
    Schema.default()
    .with_args(ARGS)
    .with_root("when", "timestamp")
    .with_root("pause", "duration")
    .with_root("data", "bytes")
    .with_root("natural", "uint")
)
ROOTS = "action, agent, ancestors, args, at, data, depth, http, model, natural, original, pause, resource, run, session, tool, when"
ACTIONS = "model.call, model.return, tool.call, tool.return, agent.spawn, retrieval, embedding, http.request, output"

TEXT = [
    # source, column, message, suggestion
    ("", 1, "a condition cannot be empty: write true for one that always holds", None),
    ("  // nothing", 13, "a condition cannot be empty: write true for one that always holds", None),
    ("depth = 1", 7, "'=' is no operator", "=="),
    ("depth == 1 & true", 12, "'&' is no operator", "&&"),
    ("depth == 1 | true", 12, "'|' is no operator", "||"),
    ("depth == #", 10, "the character '#' means nothing here", None),
    ("run == 'x", 8, "this string is not closed: a ' is missing", None),
    ('run == "x', 8, 'this string is not closed: a " is missing', None),
    ("run == 'a\nb'", 8, "this string is not closed: a ' is missing", None),
    ("run == '\ud800'", 9, "half of a surrogate pair is no character", None),
    ("args.`a b", 6, "a field in backquotes has letters, digits, _ . - / and spaces, and a closing `", None),
    (r"run == '\q'", 8, r"\q is no escape; write \\ for a backslash, or a raw string r'...'", None),
    (r"run == '\ud800'", 8, r"\ud800 is no Unicode character", None),
    (r"run == '\UFFFFFFFF'", 8, r"\UFFFFFFFF is no Unicode character", None),
    (r"data == b'\u00e9'", 9, r"\u00e9 cannot stand in bytes; write its UTF-8 bytes as \x..", None),
    ("depth == 9223372036854775808", 10, "9223372036854775808 is more than the largest int, 9223372036854775807", None),
    (
        "depth == 99999999999999999999",
        10,
        "99999999999999999999 is more than the largest int, 9223372036854775807",
        None,
    ),
    (
        "natural == 18446744073709551616u",
        12,
        "18446744073709551616u is more than the largest uint, 18446744073709551615u",
        None,
    ),
    ("depth == 1 depth", 12, "did not expect 'depth' here: expected the end, or an operator such as && or ==", None),
    ("depth == 1 and true", 12, "did not expect 'and' here: expected the end, or an operator such as && or ==", "&&"),
    ("depth == 1 OR true", 12, "did not expect 'OR' here: expected the end, or an operator such as && or ==", "||"),
    ("not (depth == 1) x", 18, "did not expect 'x' here: expected the end, or an operator such as && or ==", None),
    ("not tool.provider", 5, "did not expect 'tool' here: expected the end, or an operator such as && or ==", "!"),
    (
        "run matches 'x'",
        5,
        "did not expect 'matches' here: expected the end, or an operator such as && or ==",
        ".matches(...)",
    ),
    ("depth == ", 10, "the condition ends too early: expected a value", None),
    ("(depth == 1", 12, "the condition ends too early: expected ')'", None),
    ("depth == 1)", 11, "did not expect ')' here: expected the end, or an operator such as && or ==", None),
    ("[1, 2", 6, "the condition ends too early: expected ',' or ']'", None),
    ("{'a' 1}", 6, "did not expect 1 here: expected ':' and the key's value", None),
    ("{'a': 1u 2u}", 10, "did not expect 2u here: expected ',' or '}'", None),
    ("true ? 1", 9, "the condition ends too early: expected ':' and the value for the other case", None),
    ("run.contains('a',)", 18, "did not expect ')' here: expected another argument after ','", None),
    ("run.contains('a' 'b')", 18, "did not expect 'b' here: expected ',' or ')'", None),
    ("tool.'name'", 6, "did not expect 'name' here: expected a field or a function after '.'", None),
    ("tool.true", 6, "did not expect 'true' here: expected a field or a function after '.'", None),
    ("depth[0", 8, "the condition ends too early: expected ']'", None),
    ("&& true", 1, "did not expect '&&' here: expected a value", None),
    ("-!true", 2, "did not expect '!' here: expected a value", None),
    ("if == 1", 1, "'if' is a reserved word and cannot be a name", None),
    ("in == 1", 1, "'in' is a reserved word and cannot be a name", None),
    ("tool{}", 5, "messages cannot be made here: conditions know numbers, strings, lists and maps", None),
    ("has(tool)", 1, "has() asks for a field: write has(tool.name) with the field's name", None),
    ("has(1)", 1, "has() asks for a field: write has(args.name) with the field's name", None),
    ("ancestors.exists(a)", 11, "exists() needs a variable's name and an expression: write .exists(x, x == 'a')", None),
    ("ancestors.all(a.b, true)", 11, "all() needs a variable's name and an expression: write .all(x, x == 'a')", None),
    ("ancestors.map()", 11, "map() needs a variable's name and an expression: write .map(x, x.size())", None),
]
NAMES = [
    ("agnt.name == 'a'", 1, f"there is no 'agnt'; known are {ROOTS}", "agent"),
    ("amount > 5", 1, f"there is no 'amount'; known are {ROOTS}", "args.amount"),
    ("cost_usd > 5.0", 1, f"there is no 'cost_usd'; known are {ROOTS}", "session.cost_usd"),
    ("labels == {}", 1, f"there is no 'labels'; known are {ROOTS}", None),
    ("tool.provider == True", 18, f"there is no 'True'; known are {ROOTS}", "true"),
    ("tool.read_only != None", 19, f"there is no 'None'; known are {ROOTS}", "null"),
    ("ancestors.exists(a, b.name == 'x')", 21, "there is no 'b'; known are a, " + ROOTS, None),
    (
        "tool.nam == 'a'",
        6,
        "tool has no field 'nam'; it has name, fingerprint, status, read_only, provider, labels",
        "name",
    ),
    (
        "has(tool.nam)",
        10,
        "tool has no field 'nam'; it has name, fingerprint, status, read_only, provider, labels",
        "name",
    ),
    (
        "tool['nam'] == 'a'",
        6,
        "tool has no field 'nam'; it has name, fingerprint, status, read_only, provider, labels",
        "name",
    ),
    (
        "'nam' in tool",
        1,
        "tool has no field 'nam'; it has name, fingerprint, status, read_only, provider, labels",
        "name",
    ),
    ("args.Amount > 1", 6, "args has no field 'Amount'; it has amount, count, note, currency, to, force", "amount"),
    ("original.cout > 1", 10, "args has no field 'cout'; it has amount, count, note, currency, to, force", "count"),
    ("depth.x == 1", 7, "depth (an int) has no fields", None),
    (
        "ancestors.name == 'a'",
        11,
        "ancestors (a list(agent)) has no fields: take an element with [0], or test all with .exists(x, x.name == ...)",
        None,
    ),
    ("tool.name[0] == 'a'", 1, "tool.name (a string) is neither a list nor a map: it has no elements", None),
    ("ancestors['0'].name == 'a'", 11, "a list is indexed by an int, not by '0' (a string)", None),
    ("agent.labels[1] == 'a'", 14, "agent.labels (a map(string, string)) has string keys, not int ones", None),
    ("size2(run) == 1", 1, "there is no function 'size2'", "size"),
    ("len(run) == 1", 1, "there is no function 'len'", "size"),
    ("run.startswith('a')", 5, "there is no function 'startswith'", "startsWith"),
    ("run.toLowerCase() == 'a'", 5, "there is no function 'toLowerCase'", "lowerAscii"),
    ("exists(ancestors, a, true)", 1, "exists() is called on a list: list.exists(x, ...)", None),
    ("any(ancestors)", 1, "there is no function 'any'", "exists"),
    ("xyzzy()", 1, "there is no function 'xyzzy'", None),
]
TYPES = [
    (
        "agent.name == 5",
        12,
        "agent.name (a string) and 5 (an int) can never be equal; nothing is converted by itself",
        "'5'",
    ),
    (
        "agent.name > 5",
        12,
        "agent.name (a string) and 5 (an int) cannot be compared; nothing is converted by itself",
        "'5'",
    ),
    (
        "args.amount == '5'",
        13,
        "args.amount (a number) and '5' (a string) can never be equal; nothing is converted by itself",
        "5",
    ),
    (
        "args.count != '-5'",
        12,
        "args.count (an int) and '-5' (a string) can never be equal; nothing is converted by itself",
        "-5",
    ),
    (
        "'true' == args.force",
        8,
        "'true' (a string) and args.force (a bool) can never be equal; nothing is converted by itself",
        "true",
    ),
    (
        "args.note == true",
        11,
        "args.note (a string) and true (a bool) can never be equal; nothing is converted by itself",
        "'true'",
    ),
    (
        "args.note == 5u",
        11,
        "args.note (a string) and 5u (a uint) can never be equal; nothing is converted by itself",
        "'5u'",
    ),
    ("args.note == data", 11, "args.note (a string) and data (bytes) can never be equal", None),
    ("agent.name == null", 12, "agent.name (a string) and null can never be equal", None),
    ("agent.name == ['a']", 12, "agent.name (a string) and a list(string) can never be equal", None),
    ("args.to == [1]", 9, "args.to (a list(string)) and a list(int) can never be equal", None),
    (
        "agent.labels == {'a': 1}",
        14,
        "agent.labels (a map(string, string)) and a map(string, int) can never be equal",
        None,
    ),
    ("tool.read_only == 'yes'", 16, "tool.read_only (a bool or null) and 'yes' (a string) can never be equal", None),
    ("agent < agent", 7, "< cannot order agent (a map)", None),
    ("null < null", 6, "< cannot order null", None),
    ("depth < 'a'", 7, "depth (an int) and 'a' (a string) cannot be compared", None),
    ("'a' in tool.name", 5, "in looks into a list or a map, not into a string: write tool.name.contains(...)", None),
    ("'a' in 'abc'", 5, "in looks into a list or a map, not into a string: write the text.contains(...)", None),
    ("1 in depth", 3, "in looks into a list or a map, not into depth (an int)", None),
    ("1 in args.to", 3, "1 (an int) is never in args.to (a list(string)): its elements are string", None),
    ("1 in agent.labels", 3, "1 (an int) is never in agent.labels (a map(string, string)): its keys are string", None),
    (
        "depth + 1.0 > 2.0",
        7,
        "+ does not take depth (an int) and 1.0 (a double): numbers of two types are not mixed; convert one with int() or double()",
        None,
    ),
    ("run + 1 == 'a'", 5, "+ does not take run (a string) and 1 (an int): convert one with string()", None),
    ("run + data == 'a'", 5, "+ does not take run (a string) and data (bytes): convert one with string()", None),
    ("run - 'a' == 'a'", 5, "- does not take run (a string)", None),
    ("at % 2.0 == 0.0", 4, "% does not take at (a double)", None),
    (
        "args.amount * 2 > 5",
        13,
        "args.amount (a number) may be an int or a double, and * never mixes them: write double(args.amount)",
        None,
    ),
    ("when + when == when", 6, "+ does not take when (a timestamp) and when (a timestamp)", None),
    ("pause - when == pause", 7, "- does not take pause (a duration) and when (a timestamp)", None),
    ("-run == 'a'", 1, "- needs an int or a double, not run (a string)", None),
    ("-natural == 1u", 1, "- needs an int or a double, not natural (a uint)", None),
    ("!run", 2, "! needs true or false, not run (a string): write run != ''", None),
    ("depth && true", 1, "&& needs true or false, not depth (an int): write depth != 0", None),
    ("true || args.to", 9, "|| needs true or false, not args.to (a list(string)): write args.to.size() > 0", None),
    (
        "true && agent.labels",
        9,
        "&& needs true or false, not agent.labels (a map(string, string)): write agent.labels.size() > 0",
        None,
    ),
    ("true && when", 9, "&& needs true or false, not when (a timestamp)", None),
    ("true && 'a'", 9, "&& needs true or false, not 'a' (a string)", None),
    ("true && size(run)", 9, "&& needs true or false, not an int", None),
    ("depth ? 1 : 2", 1, "? needs true or false, not depth (an int): write depth != 0", None),
    ("true ? 1 : 'a'", 12, "both cases must have one type: int and string do not go together; wrap one in dyn()", None),
    (
        "ancestors.exists(a, a.name)",
        21,
        "exists() needs true or false, not a.name (a string): write a.name != ''",
        None,
    ),
    ("depth.exists(a, true)", 7, "exists() goes through a list or a map, not depth (an int)", None),
    ("{1.5: 2} == {}", 2, "a map's key is a string, an int, a uint or a bool, not 1.5 (a double)", None),
    ("startsWith(run, 'a')", 1, "startsWith() is written x.startsWith(...)", None),
    ("run.int() == 1", 5, "int() is written int(x)", None),
    ("run.startsWith()", 5, "startsWith() is written string.startsWith(string)", None),
    ("run.split('a', 1, 2) == []", 5, "split() is written string.split(string) or string.split(string, int)", None),
    ("run.startsWith(1)", 16, "startsWith() takes string here, not 1 (an int)", None),
    ("depth.startsWith('a')", 1, "startsWith() takes string here, not depth (an int)", None),
    ("size(depth) == 1", 6, "size() takes bytes or list or map or string here, not depth (an int)", None),
    ("pause.getHours('UTC') == 1", 1, "getHours() takes timestamp here, not pause (a duration)", None),
]
FIXED = [
    ("action == 'tool.cal'", 11, f"action is never 'tool.cal'; it is one of {ACTIONS}", "tool.call"),
    ("'x' != action", 1, f"action is never 'x'; it is one of {ACTIONS}", None),
    (
        "action in ['tool.call', 'tool.retrun']",
        25,
        f"action is never 'tool.retrun'; it is one of {ACTIONS}",
        "tool.return",
    ),
    (
        "agent.status == 'retird'",
        17,
        "agent.status is never 'retird'; it is one of seen, active, suspended, retired",
        "retired",
    ),
    (
        "tool.status == 'unknown'",
        16,
        "tool.status is never 'unknown'; it is one of known, new, changed, suspended",
        "known",
    ),
    ("args.currency == 'GBP'", 18, "args.currency is never 'GBP'; it is one of EUR, USD", None),
    (
        "action.startsWith('tools.')",
        19,
        f"startsWith('tools.') never holds: action (a string) is one of {ACTIONS}",
        None,
    ),
    (
        "agent.status.endsWith('x')",
        23,
        "endsWith('x') never holds: agent.status (a string) is one of seen, active, suspended, retired",
        None,
    ),
    (
        "agent.status.contains('x')",
        23,
        "contains('x') never holds: agent.status (a string) is one of seen, active, suspended, retired",
        None,
    ),
    ("run.matches('(')", 13, "the pattern '(' is not valid RE2: missing ): (", None),
    (r"run.matches(r'(a)\1')", 13, r"the pattern '(a)\\1' is not valid RE2: invalid escape sequence: \1", None),
    ("matches(run, '(')", 14, "the pattern '(' is not valid RE2: missing ): (", None),
    ("when < timestamp('today')", 18, "'today' is no timestamp: write it as '2009-02-13T23:31:30Z'", None),
    (
        "when < timestamp('2009-02-30T00:00:00Z')",
        18,
        "'2009-02-30T00:00:00Z' is no timestamp: there is no such day or time",
        None,
    ),
    ("pause < duration('1 day')", 18, "'1 day' is no duration: write it as '90s', '1h30m' or '250ms'", None),
    (
        "when.getHours('Europe/Berln') == 1",
        15,
        "'Europe/Berln' is no time zone: write 'Europe/Berlin' or '+01:00'",
        None,
    ),
    ("when.getHours('+25:00') == 1", 15, "'+25:00' is no time zone: offsets are less than a day", None),
]


@pytest.mark.parametrize(("source", "column", "message", "suggestion"), [*TEXT, *NAMES, *TYPES, *FIXED])
def test_message_place_and_suggestion(source: str, column: int, message: str, suggestion: str | None) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(source, SCHEMA)
    error = caught.value
    assert (error.message, error.line, error.column, error.suggestion) == (message, 1, column, suggestion)
    assert str(error) == f"line 1, column {column}: {message}" + (f"; did you mean {suggestion}?" if suggestion else "")


def test_the_line_counts_from_the_expressions_start() -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition("tool.name == 'a' &&\n  // why\n  tool.nam == 'b'", SCHEMA)
    assert (caught.value.line, caught.value.column) == (3, 8)


def test_a_list_of_fixed_values_is_checked() -> None:
    schema = Schema.default().with_root("seen", t.list_of(t.one_of("a", "b")))
    with pytest.raises(ConditionError, match="seen is never 'c'; it is one of a, b"):
        compile_condition("'c' in seen", schema)
    assert compile_condition("'a' in seen", schema).evaluate({"seen": ["a"]}) is True


def test_a_record_without_fields_says_so() -> None:
    schema = Schema.default().with_args({"type": "object", "additionalProperties": False})
    with pytest.raises(ConditionError, match="args has no field 'x'; it has no fields"):
        compile_condition("args.x == 1", schema)


@pytest.mark.parametrize(
    "source",
    [
        "tool.__class__",
        "tool.name.__class__ == ''",
        "__builtins__.eval",
        "__import__('os')",
        "facts.tool == 1",
        "tool.name.format(1) == ''",
        "agent.__init__.__globals__ == {}",
        "().__class__",
        "lambda == 1",
        "fail() == 1",
        "t1 == 1",
    ],
)
def test_hostile_names_do_not_load(source: str) -> None:
    with pytest.raises(ConditionError):
        compile_condition(source, SCHEMA)


def test_without_re2_a_pattern_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "re2", None)
    with pytest.raises(ConditionError, match="matches\\(\\) needs google-re2: pip install google-re2"):
        compile_condition("run.matches('never seen before')", SCHEMA)
