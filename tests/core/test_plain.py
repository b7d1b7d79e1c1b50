"""Native values as data: bounded, never raising, and two different values never become the same null."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import json
import pathlib
import uuid
from types import MappingProxyType

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackline.plain import (
    MAX_DEPTH,
    Digester,
    as_dict,
    canonical,
    fingerprint,
    is_plain,
    new_run_id,
    new_span_id,
    plain,
)
from jackline.request import Agent

NATIVE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary(max_size=20)
    | st.decimals()
    | st.dates()
    | st.uuids(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=6) | st.integers(), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.frozensets(st.integers() | st.text(max_size=4), max_size=4)
    ),
    max_leaves=20,
)


@dataclasses.dataclass
class Order:
    number: int
    tags: list[str]


class Colour(enum.Enum):
    RED = "red"


class Record(msgspec.Struct):
    name: str


class Model:
    def model_dump(self):
        return {"amount": decimal.Decimal("12.50")}


class Hostile(dict):
    def items(self):
        raise RuntimeError("no")


class Broken:
    def model_dump(self):
        raise RuntimeError("no")


@given(NATIVE)
def test_every_value_becomes_json_and_equal_values_become_equal_bytes(value):
    data = canonical(plain(value))
    assert json.loads(data) is not Ellipsis
    assert canonical(plain(value)) == data


def test_plain_data_is_returned_itself():
    value = {"order": "A", "amount": 12.5, "tags": ["a", 1, None, True], "nested": {"k": {}}}
    assert plain(value) is value
    assert is_plain(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), {"$float": "nan"}),
        (float("inf"), {"$float": "inf"}),
        (decimal.Decimal("NaN"), {"$float": "nan"}),
        (decimal.Decimal("12.50"), 12.5),
        (decimal.Decimal(500), 500),
        (2**63 - 1, 2**63 - 1),
        (2**63, {"$int": "0x8000000000000000"}),
        (b"ab", {"$bytes": [2, "3dc9ae220222e2e156b2a5abb60d01c7"]}),
        ({1: "a", "1": "b"}, {"$items": [["1", "b"], [1, "a"]]}),
        ({3, 1, 2}, {"$items": [1, 2, 3]}),
        ((1, (2,)), [1, [2]]),
        ("\ud800", {"$text": [1, "\\ud800"]}),
        (Order(7, ["x"]), {"number": 7, "tags": ["x"]}),
        (Colour.RED, "red"),
        (Record("r"), {"name": "r"}),
        (Model(), {"amount": 12.5}),
        (Broken(), {"$opaque": "test_plain.Broken"}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (Hostile(a=1), {"a": 1}),
        (dt.date(2026, 11, 22), "2026-11-22"),
        (dt.timedelta(seconds=90), 90.0),
        (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        ({"$opaque": 1}, {"$$opaque": 1}),
        ({"\ud800": 1}, {"\\ud800": 1}),
        ({"$ref": 1}, {"$ref": 1}),
    ],
)
def test_a_value_that_json_cannot_hold_is_marked(value, expected):
    found = plain(value)
    assert json.dumps(found).replace(f"{__name__}.", "test_plain.") == json.dumps(expected)


def test_a_cycle_is_marked_where_it_closes():
    value: list[object] = []
    value.append(value)
    assert plain(value) == [{"$cycle": "builtins.list"}]


@pytest.mark.parametrize("depth", [900, 5000])
def test_deep_values_are_cut_and_two_of_them_never_look_the_same(depth):
    def deep():
        top: dict[str, object] = {}
        inner = top
        for _ in range(depth):
            inner["a"] = {}
            inner = inner["a"]
        return plain(top)

    found = deep()
    for _ in range(MAX_DEPTH):
        found = found["a"]
    assert found["$deep"] == "builtins.dict"
    assert deep() != deep()


def test_a_huge_text_is_kept_as_its_length_and_digest():
    found = plain({"text": "x" * 9_000_000, "other": "y"})
    assert found["text"]["$text"][0] == 9_000_000
    assert len(canonical(found)) < 200
    assert plain("x" * 9_000_000) != plain("x" * 8_999_999 + "y")


def test_a_value_of_many_parts_is_cut():
    found = plain([[index] for index in range(200_000)])
    assert "$large" in json.dumps(found[-1])


def test_a_huge_integer_does_not_take_quadratic_time():
    assert len(plain(10**200_000)["$int"]) == 32


def test_numpy_like_scalars_become_numbers():
    number = type("float64", (), {"__module__": "numpy", "ndim": 0, "item": lambda self: 2.5})()
    assert plain({"n": number}) == {"n": 2.5}


def test_an_unknown_object_is_named_by_its_class_only():
    assert plain({"connection": object()}) == {"connection": {"$opaque": "builtins.object"}}


def test_floats_and_integers_have_different_digests():
    digester = Digester(b"k" * 32)
    assert digester.digest(canonical(448)) != digester.digest(canonical(448.0))
    assert digester.digest(b"x") != Digester(b"j" * 32).digest(b"x")
    assert len(digester.digest(b"")) == 32


def test_ids_have_the_shape_of_opentelemetry():
    assert len(new_span_id()) == 16
    assert len(new_run_id()) == 32
    assert new_span_id() != new_span_id()


def test_a_fingerprint_follows_the_schema():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_a_record_as_a_map_has_its_defaults_too():
    found = as_dict(Agent(name="support", labels={"pii": "yes"}))
    assert found["status"] == "seen"
    assert found["labels"] == {"pii": "yes"}
