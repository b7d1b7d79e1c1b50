"""Arguments that an approver gives fit the tool, or the refusal says which does not, and what would."""

from __future__ import annotations

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackline.approvals.edits import misfit

REFUND = {
    "type": "object",
    "properties": {
        "order": {"type": "string", "minLength": 3, "maxLength": 8},
        "amount": {"type": "integer", "exclusiveMinimum": 0, "maximum": 1000},
        "to": {"$ref": "#/$defs/Account"},
        "speed": {"enum": ["slow", "fast"]},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
    "required": ["order", "amount"],
    "$defs": {
        "Account": {
            "type": "object",
            "properties": {"iban": {"type": "string"}},
            "required": ["iban"],
            "additionalProperties": False,
        }
    },
}
GOOD = {"order": "A-1", "amount": 450}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, ""),
        ({"to": {"iban": "DE02"}, "speed": "slow", "tags": ["a"], "note": None}, ""),
        ({"amount": "450"}, "amount is '450', expected a whole number"),
        ({"amount": 4.5}, "amount is 4.5, expected a whole number"),
        ({"amount": True}, "amount is true, expected a whole number"),
        ({"amount": 0}, "amount is 0, expected more than 0"),
        ({"amount": 1001}, "amount is 1001, expected at most 1000"),
        ({"amount": ...}, "amount is missing, expected a whole number"),
        ({"order": "A"}, "order is 'A', expected at least 3 characters"),
        ({"order": "A-1234567"}, "order is 'A-1234567', expected at most 8 characters"),
        ({"speed": "warp"}, "speed is 'warp', expected one of 'slow', 'fast'"),
        ({"tags": ["a", 2]}, "tags[1] is 2, expected text"),
        ({"tags": ["a", "b", "c"]}, "expected at most 2 items"),
        ({"note": 3}, "note is 3, expected text or null"),
        ({"to": {}}, "to.iban is missing, expected text"),
        ({"to": {"iban": "x", "bic": "y"}}, "to.bic is not expected; known: iban"),
        ({"to": "DE02"}, "to is 'DE02', expected a map"),
        ({"amout": 3}, "amout is no argument of the tool; did you mean 'amount'?"),
    ],
)
def test_a_refusal_names_field_value_and_expectation(change, told):
    args = {name: value for name, value in {**GOOD, **change}.items() if value is not ...}
    said = misfit(args, REFUND)
    assert told in said
    assert bool(said) == bool(told)


def test_a_schema_that_says_nothing_takes_all():
    for schema in ({}, {"type": "object"}, {"properties": {}}, {"$ref": "#/nowhere"}, {"additionalProperties": True}):
        assert misfit({"a": 1}, schema) == ""


def test_a_schema_that_goes_round_ends():
    assert misfit({"a": {}}, {"$ref": "#"}) == ""
    loop = {"$defs": {"a": {"properties": {"a": {"$ref": "#/$defs/a"}}}}, "properties": {"a": {"$ref": "#/$defs/a"}}}
    deep: dict = {}
    for _ in range(200):
        deep = {"a": deep}
    assert misfit(deep, loop) == ""


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([0.0, 1.0, 0.5])
    | st.sampled_from(["", "a", "abc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=5,
)
types = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object"])
schemas = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": types | st.lists(types, min_size=1, max_size=2, unique=True),
            "enum": st.lists(values, min_size=1, max_size=3),
            "minimum": st.integers(-2, 2),
            "exclusiveMaximum": st.integers(-2, 2),
            "minLength": st.integers(0, 3),
            "maxItems": st.integers(0, 2),
        },
    ),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
            "additionalProperties": st.booleans() | inner,
            "items": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(value=values, schema=schemas)
def test_it_says_what_a_whole_validator_says(value, schema):
    whole = {"properties": {"a": schema}, "additionalProperties": True}
    valid = jsonschema.Draft202012Validator(whole).is_valid({"a": value})
    assert (misfit({"a": value}, whole) == "") == valid
