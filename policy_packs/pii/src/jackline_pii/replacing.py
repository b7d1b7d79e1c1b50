"""What stands in the place of what was found."""

from __future__ import annotations

import hashlib
import hmac
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
_HIDDEN = frozenset({"SECRET", "URL_CREDENTIALS", "DATE_OF_BIRTH", "GEO_COORDINATES"})
"""Whose end tells too much."""


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
        digest = hmac.digest(key, f"{kind}\0{plain}".encode(), hashlib.sha256).hex()[:16]
        return f"[{kind}:{digest}]"

    return replace


def texts_with(found: Sequence[Found], texts: Sequence[Leaf], replace: Replace) -> dict[int, str]:
    """Give the new text of every leaf in which something was found."""
    by_leaf: dict[int, list[Found]] = defaultdict(list)
    for part in found:
        by_leaf[part.leaf].append(part)
    changed: dict[int, str] = {}
    for number, parts in by_leaf.items():
        text, pieces, at = texts[number].text, [], 0
        for part in sorted(parts, key=lambda part: (part.start, -part.end)):
            if part.end <= at:
                continue
            start = max(part.start, at)
            pieces.append(text[at:start])
            if part.first and start == part.start:
                pieces.append(replace(part.span.kind, text[start : part.end]))
            at = part.end
        changed[number] = "".join(pieces) + text[at:]
    return changed
