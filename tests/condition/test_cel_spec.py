"""The CEL project's own conformance tests: every test block is run, or named in out_of_scope.yaml with a reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from jackline.condition import ConditionError, EvaluationError, Schema, compile_condition
from jackline.condition import types as t
from jackline.condition.containers import make_map
from jackline.condition.values import TypeValue, Uint

FILES = [
    "basic",
    "comparisons",
    "conversions",
    "fields",
    "fp_math",
    "integer_math",
    "lists",
    "logic",
    "macros",
    "string",
]
BLOCKS = {
    "basic": 43,
    "comparisons": 406,
    "conversions": 109,
    "fields": 60,
    "fp_math": 30,
    "integer_math": 64,
    "lists": 39,
    "logic": 30,
    "macros": 44,
    "string": 51,
}
OUT_OF_SCOPE = Path(__file__).with_name("out_of_scope.yaml")

TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<word>[\w.+\-/\[\]]+)|(?P<symbol>[{}:,;<>])"""
)
ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
SIMPLE = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
Message = list[tuple[str, Any]]


class Case(NamedTuple):
    name: str
    fields: Message

    def one(self, field: str) -> Any:
        return next((value for name, value in self.fields if name == field), None)

    def all(self, field: str) -> list[Any]:
        return [value for name, value in self.fields if name == field]


def unescape(text: str) -> bytes:
    def one(hit: re.Match[bytes]) -> bytes:
        octal, hexa, short, long, simple = hit.groups()
        if octal or hexa:
            return bytes([int(octal, 8) if octal else int(hexa, 16)])
        if short or long:
            return chr(int(short or long, 16)).encode()
        return SIMPLE.get(simple, simple)

    return ESCAPE.sub(one, text[1:-1].encode())


def read_textproto(text: str) -> Message:
    """Text protobuf as nested lists of (field, value); strings become bytes, other scalars stay words."""
    tokens = []
    at = 0
    while at < len(text):
        hit = TOKEN.match(text, at)
        assert hit is not None, text[at : at + 40]
        if hit.lastgroup:
            tokens.append((hit.lastgroup, hit.group()))
        at = hit.end()
    tokens.append(("end", ""))
    position = 0

    def message() -> Message:
        nonlocal position
        fields: Message = []
        while tokens[position][1] not in {"}", ">"} and tokens[position][0] != "end":
            name = tokens[position][1]
            position += 1
            if tokens[position] == ("symbol", ":"):
                position += 1
            kind, value = tokens[position]
            position += 1
            if kind == "symbol":
                fields.append((name, message()))
                position += 1
            elif kind == "string":
                parts = [unescape(value)]
                while tokens[position][0] == "string":
                    parts.append(unescape(tokens[position][1]))
                    position += 1
                fields.append((name, b"".join(parts)))
            else:
                fields.append((name, value))
            while tokens[position] in {("symbol", ","), ("symbol", ";")}:
                position += 1
        return fields

    return message()


def cases(text: str) -> list[Case]:
    found = []
    for field, section in read_textproto(text):
        if field != "section":
            continue
        title = next(value for key, value in section if key == "name").decode()
        for inner, test in section:
            if inner == "test":
                name = next(value for key, value in test if key == "name").decode()
                found.append(Case(f"{title}/{name}", test))
    return found


class NotPlain(Exception):
    """A protobuf message where conditions know only plain data."""


def plain(value: Message) -> Any:
    (kind, content) = value[0]
    match kind:
        case "int64_value":
            return int(content)
        case "uint64_value":
            return Uint(content)
        case "double_value":
            return float(content)
        case "bool_value":
            return content == "true"
        case "string_value":
            return content.decode()
        case "bytes_value":
            return content
        case "null_value":
            return None
        case "type_value":
            return TypeValue(content.decode())
        case "list_value":
            return [plain(each) for name, each in content if name == "values"]
        case "map_value":
            entries = [dict(each) for name, each in content if name == "entries"]
            return make_map([(plain(each["key"]), plain(each["value"])) for each in entries])
    raise NotPlain(kind)


def declared(declaration: Message) -> tuple[str, t.Type]:
    fields = dict(declaration)
    return fields["name"].decode(), declared_type(dict(fields["ident"])["type"])


def declared_type(type_: Message) -> t.Type:
    kind, content = type_[0]
    if kind == "primitive":
        return {
            "INT64": t.INT,
            "UINT64": t.UINT,
            "DOUBLE": t.DOUBLE,
            "STRING": t.STRING,
            "BYTES": t.BYTES,
            "BOOL": t.BOOL,
        }[content]
    if kind == "null":
        return t.NULL
    if kind == "list_type":
        return t.list_of(declared_type(dict(content)["elem_type"]))
    if kind == "map_type":
        parts = dict(content)
        return t.map_of(declared_type(parts["value_type"]), declared_type(parts["key_type"]))
    raise NotPlain(kind)


def same(left: Any, right: Any) -> bool:
    """The same value of the same type."""
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return repr(left) == repr(right)


def outcome(case: Case) -> str:
    """Run a case; says what went wrong, or nothing."""
    source = case.one("expr").decode()
    wants_error = bool(case.all("eval_error"))
    try:
        schema = Schema({name: t.Field(type_) for name, type_ in map(declared, case.all("type_env"))})
        facts = {dict(each)["key"].decode(): plain(dict(dict(each)["value"])["value"]) for each in case.all("bindings")}
        expected = plain(case.one("value")) if case.one("value") is not None else True
        condition = compile_condition(source, None if case.one("disable_check") == "true" else schema)
        value = condition.evaluate(facts)
    except EvaluationError as error:
        return "" if wants_error else f"{source}: {error}"
    except ConditionError as error:
        return f"{source}: does not load: {error}"
    except NotPlain as error:
        return f"{source}: {error}"
    if wants_error:
        return f"{source}: gave {value!r} instead of an error"
    return "" if same(value, expected) else f"{source}: gave {value!r} instead of {expected!r}"


@pytest.mark.parametrize("name", FILES)
def test_every_block_in_scope_passes(name: str, shared_data: Path, spec_score: dict[str, tuple[int, int, int]]) -> None:
    found = cases((shared_data / "cel-spec" / f"{name}.textproto").read_text(encoding="utf-8"))
    assert len(found) == BLOCKS[name]
    reasons: dict[str, str] = (yaml.safe_load(OUT_OF_SCOPE.read_text(encoding="utf-8")) or {}).get(name, {})
    assert len({case.name for case in found}) == len(found), "names tell cases apart"
    assert not reasons.keys() - {case.name for case in found}, "exclusions that name no case"
    assert all(reasons.values()), "every exclusion has a reason"
    wrong = {case.name: outcome(case) for case in found}
    inside = [case.name for case in found if case.name not in reasons]
    passed = [each for each in inside if not wrong[each]]
    spec_score[name] = (len(passed), len(inside), len(reasons))
    assert not [f"{each}: {wrong[each]}" for each in inside if wrong[each]]
    assert not [each for each in reasons if not wrong[each]], "these pass by now: take them out of out_of_scope.yaml"


def test_a_message_is_read() -> None:
    text = 'a: "x\\303\\277" "\\n" b { c: -1.5e3, d <e: true> } # nothing\nb: {}'
    assert read_textproto(text) == [
        ("a", b"x\xc3\xbf\n"),
        ("b", [("c", "-1.5e3"), ("d", [("e", "true")])]),
        ("b", []),
    ]
