"""Static types: what a condition's parts are known to be before any request is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping


class Type(Struct, frozen=True):
    """What a value may be. `kind` is CEL's name, or `record` (a map with known fields) or `number` (int or double)."""

    kind: str
    item: Type | None = None
    """Of a list's elements or a map's values; of a record's further fields, None where it has none."""
    key: Type | None = None
    fields: Mapping[str, Field] = {}
    name: str = ""
    """What a record is called in messages."""
    values: tuple[str, ...] = ()
    """The only strings that this one can be; empty where any is possible."""
    nullable: bool = False

    def __str__(self) -> str:
        if self.kind == "list":
            text = f"list({self.item})"
        elif self.kind == "map":
            text = f"map({self.key}, {self.item})"
        else:
            text = self.name or {"null_type": "null", "record": "map"}.get(self.kind, self.kind)
        return f"{text} or null" if self.nullable else text


class Field(Struct, frozen=True):
    """A root, or a field of a record."""

    type: Type
    summary: str = ""


DYN: Final = Type("dyn")
BOOL: Final = Type("bool")
INT: Final = Type("int")
UINT: Final = Type("uint")
DOUBLE: Final = Type("double")
NUMBER: Final = Type("number")
STRING: Final = Type("string")
BYTES: Final = Type("bytes")
NULL: Final = Type("null_type")
TIMESTAMP: Final = Type("timestamp")
DURATION: Final = Type("duration")
TYPE: Final = Type("type")
LIST: Final = Type("list", item=DYN)
MAP: Final = Type("map", item=DYN, key=STRING)

SIMPLE: Final = {
    each.kind: each for each in (DYN, BOOL, INT, UINT, DOUBLE, NUMBER, STRING, BYTES, NULL, TIMESTAMP, DURATION, TYPE)
}
NAMED: Final = {
    **SIMPLE,
    "list": LIST,
    "map": Type("map", item=DYN, key=DYN),
    "list(string)": Type("list", item=STRING),
}
"""The types that signatures name."""

NUMERIC: Final = frozenset(("int", "uint", "double", "number"))
ORDERED: Final = NUMERIC | {"string", "bytes", "bool", "timestamp", "duration"}
_MAPS: Final = frozenset(("map", "record"))


def list_of(item: Type) -> Type:
    """The type of a list of `item`."""
    return Type("list", item=item)


def map_of(item: Type, key: Type = STRING) -> Type:
    """The type of a map from `key` to `item`."""
    return Type("map", item=item, key=key)


def record(name: str, fields: Mapping[str, Field], further: Type | None = None) -> Type:
    """The type of a map with these fields; `further` is the type of any other field, None where there is none."""
    return Type("record", item=further, key=STRING, fields=fields, name=name)


def one_of(*values: str) -> Type:
    """The type of a string that is one of these."""
    return Type("string", values=values)


def or_null(inner: Type) -> Type:
    """The type of a value that may be null instead."""
    return Type(inner.kind, inner.item, inner.key, inner.fields, inner.name, inner.values, nullable=True)


def comparable(left: Type, right: Type) -> bool:
    """Say whether two values of these types can be equal."""
    if left.kind == "dyn" or right.kind == "dyn":
        return True
    if left.kind == "null_type" or right.kind == "null_type":
        return left.kind == right.kind or left.nullable or right.nullable
    if left.kind in NUMERIC and right.kind in NUMERIC:
        return True
    if left.kind in _MAPS and right.kind in _MAPS:
        return comparable(left.key or DYN, right.key or DYN) and comparable(left.item or DYN, right.item or DYN)
    if left.kind == "list" == right.kind:
        return comparable(left.item or DYN, right.item or DYN)
    return left.kind == right.kind


def join(left: Type, right: Type) -> Type:
    """The narrowest type that holds values of both."""
    if left == right:
        return left
    if left.kind == "null_type" != right.kind:
        return right if right.kind == "dyn" else or_null(right)
    if right.kind == "null_type":
        return left if left.kind == "dyn" else or_null(left)
    if left.kind == right.kind and left.kind not in {"list", "map", "record"}:
        simple = SIMPLE[left.kind]
        return or_null(simple) if left.nullable or right.nullable else simple
    if left.kind == "list" == right.kind:
        return list_of(join(left.item or DYN, right.item or DYN))
    return DYN
