"""What stands in the place of what was found."""

from __future__ import annotations

import bisect
import hashlib
import hmac
import json
import re
from collections import defaultdict
from typing import TYPE_CHECKING

from jackline_pii.folding import fold

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline_pii.places import Found, Leaf

    Replace = Callable[[str, str], str]
    """From the kind and the value to what stands in its place."""

_SHOWN = 4
"""Signs at the end of a number that a mask leaves."""
_LEAST_MASKED = 9
_HIDDEN = frozenset({"SECRET", "URL_CREDENTIALS", "DATE_OF_BIRTH", "GEO_COORDINATES", "PERSON", "LOCATION"})
"""Whose end tells too much."""
_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|(-?[0-9][0-9.eE+-]*)')
"""Its strings, and its numbers as group 1."""
_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def redacted(kind: str, value: str) -> str:  # noqa: ARG001 - as every way to replace
    """Name the kind: `[EMAIL]`."""
    return f"[{kind}]"


def masked(kind: str, value: str) -> str:
    """Leave the last four signs of longer numbers, and an e-mail address's domain."""
    if kind == "EMAIL" and "@" in value:
        return "***@" + value.rpartition("@")[2]
    signs = sum(map(str.isalnum, value))
    left = _SHOWN if signs >= _LEAST_MASKED and kind not in _HIDDEN else 0
    masked_signs = []
    for sign in value:
        hidden = sign.isalnum() and signs > left
        signs -= sign.isalnum()
        masked_signs.append("*" if hidden or kind in _HIDDEN else sign)
    return "".join(masked_signs)


def hashed(key: bytes) -> Replace:
    """Name the kind and a keyed hash: the same value gets the same one, however it is written."""

    def replace(kind: str, value: str) -> str:
        plain = "".join(sign for sign in fold(value).text.lower() if sign.isalnum() or sign in "@._")
        digest = hmac.digest(key, f"{kind}\0{plain}".encode(), hashlib.sha256)
        return f"[{kind}:{lettered(digest)[:16]}]"

    return replace


def lettered(digest: bytes) -> str:
    """Write a digest in the letters a to p: digits would be found again, as a number or as a secret's value."""
    return digest.hex().translate(_LETTERS)


def texts_with(found: Sequence[Found], texts: Sequence[Leaf], replace: Replace) -> dict[int, str]:
    """Give the new text of every leaf in which something was found."""
    by_leaf: dict[int, list[Found]] = defaultdict(list)
    for part in found:
        by_leaf[part.leaf].append(part)
    return {number: _rewritten(texts[number].text, parts, replace) for number, parts in by_leaf.items()}


def _rewritten(text: str, parts: list[Found], replace: Replace) -> str:
    """Replace parts of a text. What stands for a bare number of JSON is put in quotes, so that JSON it remains."""
    numbers = _bare_numbers(text)
    pieces: list[str] = []
    at = 0
    for part in sorted(parts, key=lambda part: (part.start, -part.end)):
        if part.end <= at:
            continue
        start, end = max(part.start, at), part.end
        instead = replace(part.span.kind, text[start:end]) if part.first and start == part.start else ""
        first, last = _around(numbers, start), _around(numbers, end - 1)
        if first is not None and last is not None:
            start, end, instead = max(first[0], at), last[1], f'"{instead}"'
        pieces += text[at:start], instead
        at = end
    return "".join(pieces) + text[at:]


def _bare_numbers(text: str) -> list[tuple[int, int]]:
    """The places of all numbers outside the strings of a text that is JSON; none where it is not."""
    if not text.lstrip().startswith(("{", "[")):
        return []
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return []
    return [match.span(1) for match in _JSON.finditer(text) if match[1]]


def _around(numbers: list[tuple[int, int]], at: int) -> tuple[int, int] | None:
    place = bisect.bisect_right(numbers, at, key=lambda number: number[0]) - 1
    return numbers[place] if place >= 0 and at < numbers[place][1] else None
