"""What may stand where somebody types in a bundle: keys and values from the JSON Schema, names from the conditions'.

The draft need not be valid YAML: where the writer is follows from indentation, as it does for their eyes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.condition.functions import FUNCTIONS
from jackline.condition.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_KEY = re.compile(r"(?P<indent> *)(?P<dash>(?:- +)*)(?P<key>[A-Za-z_][\w.-]*) *:(?P<value>.*)$")
_PART = re.compile(r"[\w.]")
_BEGINNING = re.compile(r"[A-Za-z_].*", re.DOTALL)
_CONDITIONS = ("when", "agents", "only_where")
_MOST = 200


class Completion(NamedTuple):
    """One thing that may stand here."""

    label: str
    insert: str
    kind: str
    detail: str
    documentation: str


class Found(NamedTuple):
    """What may stand here, in place of the columns `start` to `end` of the line (from 1)."""

    items: list[Completion]
    start: int
    end: int


class _Place(NamedTuple):
    """Where the writer is: the keys above, `[]` for a list's item, and the key whose value is being written."""

    path: tuple[str, ...]
    key: str
    typed: str
    siblings: dict[str, str]
    """The other keys of the same map with the texts of their values."""


def complete(text: str, line: int, column: int, schema: Mapping[str, Any]) -> Found:
    """What may stand at a place; `schema` is that of bundles."""
    lines = text.split("\n")
    current = lines[line - 1] if line <= len(lines) else ""
    before = current[: column - 1]
    place = _place(lines, line - 1, before)
    typed = _word(place.typed)
    start = column - len(typed)
    if place.key in _CONDITIONS:
        items = list(_condition(typed, agents_only=place.key == "agents"))
    elif place.key:
        items = list(_values(_resolved(_schema(schema, place).get("properties", {}).get(place.key, {}), schema), typed))
    else:
        items = list(_keys(_schema(schema, place), place.siblings, typed))
    return Found(items[:_MOST], start, max(start, min(column, len(current) + 1)))


def _word(text: str) -> str:
    """The name that a text ends with, as far as it is written; looked for from its end, once over."""
    start = len(text)
    while start and _PART.match(text[start - 1]):
        start -= 1
    found = _BEGINNING.search(text, start)
    return found[0] if found is not None else ""


def _place(lines: list[str], number: int, before: str) -> _Place:
    here, indent = _KEY.match(before), _indent(before)
    path, siblings = _above(lines[:number], indent)
    if re.match(r" *- ", before):
        path.insert(0, "[]")
        siblings = {}
    for name, value in _below(lines[number + 1 :], indent):
        siblings.setdefault(name, value)
    path.reverse()
    if here is not None:
        return _Place(tuple(path), here["key"], here["value"].lstrip().lstrip("\"'["), siblings)
    return _Place(tuple(path), "", re.sub(r"^[ -]*", "", before), siblings)


def _above(lines: list[str], indent: int) -> tuple[list[str], dict[str, str]]:
    """The keys above, the nearest first, and the keys of the same map."""
    path: list[str] = []
    siblings: dict[str, str] = {}
    level, same = indent, True
    for line in reversed(lines):
        found = _KEY.match(line)
        if found is None:
            continue
        at, start = _indent(line), len(found["indent"])
        if at == level and same:
            siblings[found["key"]] = found["value"].strip()
        if found["dash"] and at == level:
            path.append("[]")
        elif at < level:
            path += [found["key"], "[]"] if found["dash"] else [found["key"]]
        else:
            continue
        same = False
        # A list may stand at its key's own indentation.
        level = max(start, 1) if found["dash"] else at
    return path, siblings


def _below(lines: list[str], indent: int) -> Iterator[tuple[str, str]]:
    """The keys of the same map that follow."""
    for line in lines:
        found = _KEY.match(line)
        if found is None:
            continue
        at = _indent(line)
        if at < indent or (found["dash"] and at == indent):
            return
        if at == indent:
            yield found["key"], found["value"].strip()


def _indent(line: str) -> int:
    """Where a line's key stands, its list's dashes left behind."""
    return len(line) - len(re.sub(r"^(?: *- +)+", "", line).lstrip()) if line.strip() else len(line)


def _schema(schema: Mapping[str, Any], place: _Place) -> Mapping[str, Any]:
    """The schema of the map in which the writer is; empty where nothing is known of it."""
    found: Mapping[str, Any] = schema
    for number, key in enumerate(place.path):
        last = number == len(place.path) - 1
        if key == "[]":
            found = _resolved(found.get("items", {}), schema)
            if "oneOf" in found:
                found = _policy(found, schema, place.siblings.get("use", "") if last else "")
        else:
            found = _resolved(found.get("properties", {}).get(key, found.get("additionalProperties") or {}), schema)
    return found


def _policy(found: Mapping[str, Any], schema: Mapping[str, Any], use: str) -> Mapping[str, Any]:
    """The alternative that `use:` names; without one, what all of them have, and every name for `use`."""
    each = [_resolved(one, schema) for one in found["oneOf"]]
    names = [one["properties"]["use"]["const"] for one in each]
    if use.strip("\"'") in names:
        return each[names.index(use.strip("\"'"))]
    shared: dict[str, Any] = {}
    for one in each:
        shared |= {key: value for key, value in one["properties"].items() if key not in ("use", "with")}
    return {"properties": {"use": {"enum": names, "description": "The policy's registered name."}, **shared}}


def _resolved(found: Any, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema without references; of several forms the first that has properties or items."""
    for _ in range(10):
        if not isinstance(found, dict):
            return {}
        if "$ref" in found:
            found = schema.get("$defs", {}).get(found["$ref"].rpartition("/")[2], {})
            continue
        forms = [form for form in found.get("anyOf", ()) if isinstance(form, dict)]
        inner = next((form for form in forms if "$ref" in form or "properties" in form), None)
        if inner is None or "properties" in found:
            return found
        found = inner
    return {}


def _keys(found: Mapping[str, Any], siblings: Mapping[str, str], typed: str) -> Iterator[Completion]:
    required = found.get("required", ())
    properties: Mapping[str, Any] = found.get("properties", {})
    for name in sorted(properties, key=lambda one: (one not in required, list(properties).index(one))):
        if name in siblings or not name.startswith(typed):
            continue
        facts = properties[name] if isinstance(properties[name], dict) else {}
        detail = "required" if name in required else str(facts.get("type", ""))
        yield Completion(name, f"{name}: ", "key", detail, str(facts.get("description", "")))


def _values(found: Mapping[str, Any], typed: str) -> Iterator[Completion]:
    values: dict[str, None] = {}
    for form in (found, *(one for one in found.get("anyOf", ()) if isinstance(one, dict))):
        items = form.get("items")
        listed = [*form.get("enum", ()), *(items.get("enum", ()) if isinstance(items, dict) else ())]
        if "const" in form:
            listed.append(form["const"])
        if form.get("type") == "boolean":
            listed += ["true", "false"]
        values |= dict.fromkeys(map(str, listed))
    default = str(found.get("default", ""))
    for value in values:
        if value.startswith(typed):
            detail = "default" if value == default else ""
            yield Completion(value, value, "value", detail, str(found.get("description", "")))


def _condition(typed: str, *, agents_only: bool) -> Iterator[Completion]:
    schema = Schema.default().only("agent") if agents_only else Schema.default()
    for entry in schema.entries():
        if entry.path.startswith(typed):
            yield Completion(entry.path, entry.path, "root", str(entry.type), entry.summary)
    method = typed.rpartition(".")[2]
    for name in sorted(FUNCTIONS):
        if name.isidentifier() and method and name.startswith(method):
            yield Completion(name, typed[: len(typed) - len(method)] + name, "function", "function", "")
