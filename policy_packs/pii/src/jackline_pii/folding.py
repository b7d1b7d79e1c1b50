"""Texts as detectors see them: what only hides a value is gone, and every place leads back to the original."""

from __future__ import annotations

import unicodedata
from array import array
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

UNKNOWN = "\x1a"
"""Stands for a letter that no ASCII letter looks like: neither a word's part nor a space."""
_LIKE = dict(
    zip(
        "аАвВеЕёЁкКмМнНоОрРсСтТуУхХѕЅіІјЈԛԚԝԜһҺԁɡɑıΑΒΕΖΗΙΚΜΝΟΡΤΥΧορνικαυχ",
        "aABBeEeEkKMMHHoOpPcCTTyYxXsSiIjJqQwWhHdgaiABEZHIKMNOPTYXopvikaux",
        strict=True,
    )
)
"""Cyrillic, Greek and phonetic letters that look like Latin ones (Unicode confusables)."""
_DROPPED = ("Cf", "Mn", "Me")


class _Table(dict[int, str]):
    """What each character becomes, worked out when it is first seen; at most as large as Unicode."""

    def __missing__(self, point: int) -> str:
        found = self[point] = _folded(chr(point))
        return found


def _folded(sign: str) -> str:
    category = unicodedata.category(sign)
    if category in _DROPPED:
        return ""
    if sign in _LIKE:
        return _LIKE[sign]
    digit = unicodedata.digit(sign, None)
    if digit is not None:
        return str(digit)
    if category in ("Zs", "Zl", "Zp"):
        return " "
    if category == "Pd":
        return "-"
    base = unicodedata.normalize("NFKD", sign)[:1]
    if base in _LIKE:
        return _LIKE[base]
    return (
        base
        if base.isascii() and (len(unicodedata.normalize("NFKD", sign).strip()) == 1 or sign.isalpha())
        else UNKNOWN
    )


_TABLE = _Table({point: chr(point) for point in range(128)})
_TABLE[ord("。")] = _TABLE[ord("｡")] = "."


class Folded(NamedTuple):
    """A normalised text, and where each of its characters begins in the original; None where it is the same."""

    text: str
    starts: Sequence[int] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Lead a span back to the original."""
        if self.starts is None:
            return start, end
        return self.starts[start], self.starts[end - 1] + 1


def fold(text: str) -> Folded:
    """Make every character ASCII: digits, letters that look alike, accents; invisible ones are dropped."""
    if text.isascii():
        return Folded(text, None)
    plain = text.translate(_TABLE)
    if all(_TABLE[ord(sign)] for sign in set(text)):
        return Folded(plain, None)
    return Folded(plain, array("q", (place for place, sign in enumerate(text) if _TABLE[ord(sign)])))


def folded_sign(sign: str) -> str:
    """Fold one character; empty where it is dropped."""
    return _TABLE[ord(sign)]
