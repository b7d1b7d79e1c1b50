"""Reads a tool's JSON Schema as a type, so that conditions over `args` are checked when they load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jackline.condition import types as t
from jackline.condition.types import Field, Type

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEEPEST: Final = 16
_SIMPLE: Final = {
    "string": t.STRING,
    "integer": t.INT,
    "number": t.NUMBER,
    "boolean": t.BOOL,
    "null": t.NULL,
}


def from_json_schema(schema: Mapping[str, Any], name: str) -> Type:
    """Give the type that a JSON Schema describes; `dyn` for whatever it leaves open."""
    return _type(schema, schema, name, 0)


def _type(schema: Any, whole: Mapping[str, Any], name: str, depth: int) -> Type:
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return t.DYN
    if "$ref" in schema:
        return _type(_target(schema["$ref"], whole), whole, name, depth + 1)
    for union in ("anyOf", "oneOf"):
        if isinstance(schema.get(union), list):
            return _union([_type(each, whole, name, depth + 1) for each in schema[union]])
    if isinstance(schema.get("allOf"), list):
        parts = schema["allOf"]
        return _type(parts[0], whole, name, depth + 1) if len(parts) == 1 else t.DYN
    fixed = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(fixed, list):
        return _values(fixed)
    return _typed(schema, whole, name, depth)


def _typed(schema: Mapping[str, Any], whole: Mapping[str, Any], name: str, depth: int) -> Type:
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union([_type({**schema, "type": each}, whole, name, depth + 1) for each in kind])
    if kind == "array":
        return t.list_of(_type(schema.get("items"), whole, f"{name}[]", depth + 1))
    if kind == "object" or (kind is None and "properties" in schema):
        return _object(schema, whole, name, depth)
    return _SIMPLE.get(kind, t.DYN) if isinstance(kind, str) else t.DYN


def _object(schema: Mapping[str, Any], whole: Mapping[str, Any], name: str, depth: int) -> Type:
    properties = schema.get("properties")
    further = schema.get("additionalProperties")
    rest = _type(further, whole, name, depth + 1) if isinstance(further, dict) else t.DYN if further is True else None
    if "patternProperties" in schema:
        rest = t.DYN
    if not isinstance(properties, dict) or not properties:
        # A schema that says nothing of its fields leaves them open, unless it forbids them all.
        return t.record(name, {}) if further is False else t.map_of(rest or t.DYN)
    fields = {}
    for field, part in properties.items():
        summary = part.get("description", "") if isinstance(part, dict) else ""
        fields[str(field)] = Field(_type(part, whole, f"{name}.{field}", depth + 1), str(summary))
    return t.record(name, fields, rest)


def _target(reference: Any, whole: Mapping[str, Any]) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    at: Any = whole
    for step in reference[1:].split("/")[1:]:
        at = at.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(at, dict) else None
    return at


def _values(values: list[Any]) -> Type:
    texts = tuple(each for each in values if isinstance(each, str))
    others = [_literal(each) for each in values if not isinstance(each, str)]
    return _union([*([t.one_of(*texts)] if texts else []), *others])


def _literal(value: Any) -> Type:
    if value is None:
        return t.NULL
    if isinstance(value, bool):
        return t.BOOL
    return t.NUMBER if isinstance(value, (int, float)) else t.DYN


def _union(parts: list[Type]) -> Type:
    """One type for several: null makes it nullable, int and double a number; otherwise unlike parts are `dyn`."""
    null = any(each.kind == "null_type" or each.nullable for each in parts)
    solid = [each for each in parts if each.kind != "null_type"]
    if not solid:
        return t.NULL if parts else t.DYN
    first = solid[0]
    if all(each == first for each in solid):
        joined = first
    elif all(each.kind in t.NUMERIC for each in solid):
        joined = t.NUMBER
    elif all(each.kind == "string" for each in solid):
        known = all(each.values for each in solid)
        joined = t.one_of(*dict.fromkeys(text for each in solid for text in each.values)) if known else t.STRING
    else:
        joined = t.DYN
    return t.or_null(joined) if null and joined.kind != "dyn" else joined
