"""Whether arguments that an approver gives fit the tool: its JSON Schema, where the registry knows it.

The parts of JSON Schema that tools use; what else a schema says is not judged here, the tool itself still does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from jackline.plain import canonical
from jackline.wording import nearest, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DEEPEST: Final = 32
_TYPES: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "string": ("text", lambda value: isinstance(value, str)),
    "integer": ("a whole number", lambda value: _is_number(value) and value == value // 1),
    "number": ("a number", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool)),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "null": ("null", lambda value: value is None),
    "array": ("a list", lambda value: isinstance(value, list)),
    "object": ("a map", lambda value: isinstance(value, dict)),
}
_BOUNDS: Final[dict[str, tuple[str, Callable[[Any, Any], bool]]]] = {
    "minimum": ("at least", lambda value, bound: value >= bound),
    "maximum": ("at most", lambda value, bound: value <= bound),
    "exclusiveMinimum": ("more than", lambda value, bound: value > bound),
    "exclusiveMaximum": ("less than", lambda value, bound: value < bound),
}
_SIZES: Final[dict[str, tuple[type[str | list[Any]], str, Callable[[int, int], bool]]]] = {
    "minLength": (str, "at least {} characters", lambda size, bound: size >= bound),
    "maxLength": (str, "at most {} characters", lambda size, bound: size <= bound),
    "minItems": (list, "at least {} items", lambda size, bound: size >= bound),
    "maxItems": (list, "at most {} items", lambda size, bound: size <= bound),
}


def misfit(args: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Say which argument does not fit, its value and what was expected; empty where all do.

    An argument that the schema does not name is none of the tool's, unless the schema lets others in.
    """
    known = schema.get("properties")
    if isinstance(known, Mapping) and known and not schema.get("additionalProperties"):
        for name in args:
            if name not in known:
                return f"{name} is no argument of the tool; {nearest(name, known)}"
    return next(_misfits(dict(args), schema, schema, "", 0), "")


def _misfits(value: Any, schema: Any, whole: Mapping[str, Any], path: str, depth: int) -> Iterator[str]:
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return
    if isinstance(schema.get("$ref"), str):
        yield from _misfits(value, _target(schema["$ref"], whole), whole, path, depth + 1)
    yield from _plainly(value, schema, path)
    for part in _list(schema.get("allOf")):
        yield from _misfits(value, part, whole, path, depth + 1)
    for union in ("anyOf", "oneOf"):
        ways = [list(_misfits(value, part, whole, path, depth + 1)) for part in _list(schema.get(union))]
        if ways and all(ways):
            yield (
                min((way[0] for way in ways), key=len) if len(ways) == 1 else _said(path, value, _either(schema[union]))
            )
    if isinstance(value, dict):
        yield from _members(value, schema, whole, path, depth)
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from _misfits(item, schema.get("items"), whole, f"{path}[{place}]", depth + 1)


def _plainly(value: Any, schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """What the value itself shows: type, listed values, bounds, sizes."""
    kinds = [kind for kind in _list(schema.get("type"), alone=True) if kind in _TYPES]
    if kinds and not any(_TYPES[kind][1](value) for kind in kinds):
        yield _said(path, value, " or ".join(_TYPES[kind][0] for kind in kinds))
    fixed = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(fixed, list) and not any(_same(value, each) for each in fixed):
        yield _said(path, value, f"one of {', '.join(map(shown, fixed))}" if len(fixed) > 1 else shown(fixed[0]))
    for key, (words, holds) in _BOUNDS.items():
        if _is_number(value) and _is_number(schema.get(key)) and not holds(value, schema[key]):
            yield _said(path, value, f"{words} {schema[key]}")
    for key, (kind, sized, fits) in _SIZES.items():
        bound = schema.get(key)
        if isinstance(value, kind) and isinstance(bound, int) and not fits(len(value), bound):
            yield _said(path, value, sized.format(bound))


def _members(
    value: dict[str, Any], schema: Mapping[str, Any], whole: Mapping[str, Any], path: str, depth: int
) -> Iterator[str]:
    known = schema.get("properties")
    known = known if isinstance(known, Mapping) else {}
    for name in _list(schema.get("required")):
        if name not in value:
            yield f"{_joined(path, name)} is missing, expected {_expected(known.get(name))}"
    further = schema.get("additionalProperties")
    for name, item in value.items():
        if name in known:
            yield from _misfits(item, known[name], whole, _joined(path, name), depth + 1)
        elif further is False and "patternProperties" not in schema:
            yield f"{_joined(path, name)} is not expected; {nearest(name, known)}"
        else:
            yield from _misfits(item, further, whole, _joined(path, name), depth + 1)


def _said(path: str, value: Any, expected: str) -> str:
    return f"{path or 'the whole'} is {shown(value)}, expected {expected}"


def _expected(schema: Any) -> str:
    kinds = _list(schema.get("type"), alone=True) if isinstance(schema, Mapping) else []
    return " or ".join(_TYPES[kind][0] for kind in kinds if kind in _TYPES) or "a value"


def _either(parts: list[Any]) -> str:
    return " or ".join(dict.fromkeys(map(_expected, parts)))


def _joined(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def _target(reference: str, whole: Mapping[str, Any]) -> Any:
    found: Any = whole
    for part in reference.removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def _list(value: Any, *, alone: bool = False) -> list[Any]:
    return value if isinstance(value, list) else [value] if alone and value is not None else []


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    """JSON's equality: 1 is 1.0, and true is not 1."""
    if _is_number(left) and _is_number(right):
        return bool(left == right)
    return type(left) is type(right) and canonical(left) == canonical(right)
