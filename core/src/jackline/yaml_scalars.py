"""What a scalar of a YAML file means, and where each of its characters stands in the file."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from jackline.plain import INT_MAX, INT_MIN

Scalar = str | int | float | bool | None

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE"})
_FALSE = frozenset({"false", "False", "FALSE"})
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_LONGEST_NUMBER = 64
_NUMERIC_ESCAPE = re.compile(r"\\[xuU]")


class Place(NamedTuple):
    """Line and column in the file, both from 1; columns count characters."""

    line: int
    column: int


class NumberError(ValueError):
    """A plain scalar is a number that cannot be kept exactly."""


def resolve(text: str) -> Scalar:
    """Give an unquoted scalar its value by YAML 1.2's core schema: `yes`, `on` and `2024-01-01` are text.

    Raises NumberError for integers outside 64 bits and for floats that are not finite.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _DECIMAL.fullmatch(text):
        return _integer(text, 10)
    if _OTHER_BASE.fullmatch(text):
        return _integer(text, 0)
    if _NOT_FINITE.fullmatch(text):
        raise NumberError(f"{text} is not a finite number")
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise NumberError(f"{_short(text)} is not a finite number")
        return number
    return text


def _integer(text: str, base: int) -> int:
    if len(text) <= _LONGEST_NUMBER and INT_MIN <= (number := int(text, base)) <= INT_MAX:
        return number
    raise NumberError(f"{_short(text)} does not fit into 64 bits")


def _short(text: str) -> str:
    return text if len(text) <= 24 else f"{text[:20]}... ({len(text)} digits)"  # noqa: PLR2004 - a number's width on screen


def place_within(raw: str, start: Place, value: str, offset: int) -> Place:
    """Find where `value[offset]` stands in the file, given the scalar's source text `raw` and its start.

    Every visible character of a value stands in its source in the same order, whatever the quoting, folding
    and indentation; so they are matched one by one. Sources with numeric escapes answer their start.
    """
    if raw[:1] == '"' and _NUMERIC_ESCAPE.search(raw):
        return start
    position = raw.find("\n") + 1 if raw[:1] in ("|", ">") and value else 0
    position += raw[:1] in ("'", '"')
    for character in value[:offset]:
        if not character.isspace():
            position = raw.find(character, position) + 1
    if offset < len(value) and not value[offset].isspace():
        position = raw.find(value[offset], position)
    before = raw[:position]
    if (breaks := before.count("\n")) == 0:
        return Place(start.line, start.column + position)
    return Place(start.line + breaks, position - before.rfind("\n"))
