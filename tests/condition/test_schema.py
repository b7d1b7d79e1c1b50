"""The names that conditions may use, and how a tool's JSON Schema narrows `args`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from jackline.condition import ConditionError, Schema, compile_condition
from jackline.condition import types as t
from jackline.condition.json_schema import from_json_schema
from jackline.request import ACTIONS, Agent, Model, Tool


def test_the_table_lists_roots_and_fields() -> None:
    entries = {entry.path: entry for entry in Schema.default().entries()}
    assert list(entries)[:4] == ["action", "resource", "args", "original"]
    assert entries["action"].type.values == ACTIONS
    assert str(entries["tool.read_only"].type) == "bool or null"
    assert entries["session.cost_usd"].summary == "US dollars spent so far"
    assert all(entry.summary for entry in entries.values())


def test_agents_tools_and_models_have_the_fields_of_their_records() -> None:
    roots = Schema.default().roots
    assert set(roots["agent"].type.fields) == {*(field.name for field in msgspec.structs.fields(Agent)), "key"}
    assert set(roots["tool"].type.fields) == {field.name for field in msgspec.structs.fields(Tool)} - {"parameters"}
    of_model = {field.name for field in msgspec.structs.fields(Model)}
    assert set(roots["model"].type.fields) == of_model - {"can_limit"}, "what an adapter can do is no matter of policy"


def test_the_default_is_made_once() -> None:
    assert Schema.default() is Schema.default()


def test_with_root_adds_or_replaces_and_leaves_the_old_schema_alone() -> None:
    schema = Schema.default().with_root("ticket", t.record("ticket", {"id": t.Field(t.INT)}), "the ticket at hand")
    assert compile_condition("ticket.id == 5", schema).evaluate({"ticket": {"id": 5}}) is True
    assert {entry.path: entry.summary for entry in schema.entries()}["ticket"] == "the ticket at hand"
    assert "ticket" not in Schema.default().roots
    assert schema.with_root("depth", "string").roots["depth"].type is t.STRING
    with pytest.raises(ValueError, match="'strng' names no type; one of dyn, bool, int"):
        schema.with_root("x", "strng")


def test_only_keeps_some_roots() -> None:
    schema = Schema.default().only("agent")
    assert compile_condition("'a' in agent.labels", schema).roots == {"agent"}
    with pytest.raises(ConditionError, match="there is no 'args'; known are agent"):
        compile_condition("args.x == 1", schema)


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "string"}, "string"),
        ({"type": "integer"}, "int"),
        ({"type": "number"}, "number"),
        ({"type": "boolean"}, "bool"),
        ({"type": "null"}, "null"),
        ({"type": "array"}, "list(dyn)"),
        ({"type": "array", "items": {"type": "integer"}}, "list(int)"),
        ({"type": "object"}, "map(string, dyn)"),
        ({"type": "object", "properties": {}}, "map(string, dyn)"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "map(string, int)"),
        ({"type": ["string", "null"]}, "string or null"),
        ({"type": ["integer", "number"]}, "number"),
        ({"type": ["string", "integer"]}, "dyn"),
        ({"type": "unheard of"}, "dyn"),
        ({"type": 5}, "dyn"),
        ({}, "dyn"),
        (True, "dyn"),
        (None, "dyn"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string or null"),
        ({"oneOf": [{"type": "string"}, {"type": "string"}]}, "string"),
        ({"anyOf": [{"type": "array"}, {"type": "null"}]}, "list(dyn) or null"),
        ({"anyOf": [{"type": "array"}, {"type": "string"}, {"type": "null"}]}, "dyn"),
        ({"anyOf": []}, "dyn"),
        ({"anyOf": [{"type": "null"}]}, "null"),
        ({"allOf": [{"type": "integer"}]}, "int"),
        ({"allOf": [{"type": "integer"}, {"minimum": 1}]}, "dyn"),
        ({"const": 5}, "number"),
        ({"const": None}, "null"),
        ({"const": True}, "bool"),
        ({"const": [1]}, "dyn"),
        ({"enum": ["a", None]}, "string or null"),
        ({"enum": ["a", 1]}, "dyn"),
        ({"enum": "nonsense"}, "dyn"),
        ({"$ref": "#/$defs/Name"}, "string"),
        ({"$ref": "#/$defs/a~1b"}, "int"),
        ({"$ref": "#/$defs/Nothing/here"}, "dyn"),
        ({"$ref": "#/$defs/Loop"}, "dyn"),
        ({"$ref": "https://example.com/schema.json"}, "dyn"),
        ({"$ref": 5}, "dyn"),
        ({"properties": {"a": {"type": "string"}}}, "args.x"),
    ],
)
def test_types_of_json_schemas(schema: Any, kind: str) -> None:
    definitions = {"Name": {"type": "string"}, "a/b": {"type": "integer"}, "Loop": {"$ref": "#/$defs/Loop"}}
    whole = {"type": "object", "properties": {"x": schema}, "$defs": definitions}
    assert str(from_json_schema(whole, "args").fields["x"].type) == kind


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        ({"enum": ["a", "b"]}, ("a", "b")),
        ({"const": "a"}, ("a",)),
        ({"anyOf": [{"const": "a"}, {"enum": ["b", "a"]}]}, ("a", "b")),
        ({"anyOf": [{"const": "a"}, {"type": "string"}]}, ()),
        ({"enum": ["a", None]}, ("a",)),
    ],
)
def test_fixed_values_of_json_schemas(schema: dict[str, Any], values: tuple[str, ...]) -> None:
    assert from_json_schema({"properties": {"x": schema}}, "args").fields["x"].type.values == values


ORDER = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "description": "in euros"},
        "address": {"type": "object", "properties": {"city": {"type": "string"}}},
        "extra": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        "more": {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "additionalProperties": {"type": "integer"},
        },
        "loose": {"type": "object", "properties": {"a": {"type": "string"}}, "patternProperties": {"^x": {}}},
        "any": {},
        "lines": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}}}},
    },
}


@pytest.mark.parametrize(
    ("source", "unverified"),
    [
        ("args.amount > 500 && args.address.city == 'x' && original.amount > 1", ()),
        ("args.extra.b == 1", ("args.extra.b",)),
        ("args.loose.b == 1 && args.loose.b == 2", ("args.loose.b",)),
        ("args.more.b == 1", ()),
        ("args.any.b.c == 1 && has(args.any.d)", ("args.any.b.c", "args.any.d")),
        ("args.lines.exists(line, line.sku == 'x')", ()),
        ("args.lines[0].sku == 'x'", ()),
        ("args.any.exists(x, x.y == 1)", ("args.any",)),
    ],
)
def test_what_the_schema_of_the_arguments_does_not_settle(source: str, unverified: tuple[str, ...]) -> None:
    assert compile_condition(source, Schema.default().with_args(ORDER)).unverified == unverified


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("args.address.town == 'x'", "args.address has no field 'town'; it has city"),
        ("args.lines.exists(line, line.sk == 'x')", "args.lines[] has no field 'sk'; it has sku; did you mean sku?"),
        ("args.lines[0].sku > 5", "args.lines[0].sku (a string) and 5 (an int) cannot be compared"),
        ("args.more.b == 'x'", "args.more.b (an int) and 'x' (a string) can never be equal"),
        ("args.address == 'x'", "args.address (a map) and 'x' (a string) can never be equal"),
    ],
)
def test_the_schema_of_the_arguments_is_held_against_conditions(source: str, message: str) -> None:
    with pytest.raises(ConditionError) as caught:
        compile_condition(source, Schema.default().with_args(ORDER))
    assert message in str(caught.value)


def test_descriptions_become_summaries() -> None:
    entries = {entry.path: entry.summary for entry in Schema.default().with_args(ORDER).entries()}
    assert entries["args.amount"] == "in euros"
    assert entries["args.any"] == ""


def test_maps_and_records_compare_by_their_fields() -> None:
    schema = Schema.default().with_args(ORDER)
    assert (
        compile_condition("args.address == {'city': 'x'}", schema).evaluate({"args": {"address": {"city": "x"}}})
        is True
    )
    assert compile_condition("size(args) > 0 && 'amount' in args && run in args", schema).result_type == "bool"
