"""Texts as detectors see them: what only hides a value is gone, and every place leads back to the original."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_UNKNOWN = "\x1a"
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
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_PERCENT = re.compile(r"%[0-9A-Fa-f]{2}")
_PRINTABLE = 0.85


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
        else _UNKNOWN
    )


_TABLE = _Table({point: chr(point) for point in range(128)})
_TABLE[ord("。")] = _TABLE[ord("｡")] = "."


class Folded(NamedTuple):
    """A normalised text, and where each of its characters begins in the original; None where it is the same."""

    text: str
    starts: Sequence[int] | None
    ends: Sequence[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Lead a span back to the original."""
        if self.starts is None:
            return start, end
        last = self.starts[end - 1] + 1 if self.ends is None else self.ends[end - 1]
        return self.starts[start], last


def fold(text: str) -> Folded:
    """Make every character ASCII: digits, letters that look alike, accents; invisible ones are dropped."""
    if text.isascii():
        return Folded(text, None)
    plain = text.translate(_TABLE)
    if all(_TABLE[ord(sign)] for sign in set(text)):
        return Folded(plain, None)
    return Folded(plain, [place for place, sign in enumerate(text) if _TABLE[ord(sign)]])


def percent_decoded(folded: Folded) -> Folded | None:
    """Undo one level of URL encoding; None where there is none."""
    text = folded.text
    if "%" not in text or _PERCENT.search(text) is None:
        return None
    raw = bytearray()
    starts: list[int] = []
    ends: list[int] = []
    place = 0
    for match in _PERCENT.finditer(text):
        for at in range(place, match.start()):
            raw.append(ord(text[at]))
            starts.append(at)
            ends.append(at + 1)
        raw.append(int(match.group()[1:], 16))
        starts.append(match.start())
        ends.append(match.end())
        place = match.end()
    rest = text[place:]
    raw += rest.encode("ascii", "replace")
    starts.extend(range(place, len(text)))
    ends.extend(range(place + 1, len(text) + 1))
    return _read(bytes(raw), starts, ends, folded)


def _read(raw: bytes, starts: list[int], ends: list[int], folded: Folded) -> Folded:
    """Read bytes as UTF-8 and fold them, keeping where each character came from."""
    signs: list[str] = []
    first: list[int] = []
    last: list[int] = []
    place = 0
    for sign in raw.decode("utf-8", "replace"):
        size = len(sign.encode("utf-8"))
        if sign == "\ufffd" and raw[place : place + size] != b"\xef\xbf\xbd":
            size = 1
        plain = _TABLE[ord(sign)]
        if plain:
            signs.append(plain)
            start, end = starts[place], ends[min(place + size, len(ends)) - 1]
            first.append(folded.span(start, start + 1)[0])
            last.append(folded.span(end - 1, end)[1])
        place += size
    return Folded("".join(signs), first, last)


def encoded_parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the places of base64, and the text that each hides; what decodes to no text is left out."""
    for match in _ENCODED.finditer(text):
        token = match.group().rstrip("=").replace("-", "+").replace("_", "/")
        usable = token[: len(token) - (len(token) % 4 == 1)]
        try:
            raw = base64.b64decode(usable + "=" * (-len(usable) % 4))
        except (ValueError, binascii.Error):
            continue
        if sum(map(_TEXTUAL.__getitem__, raw)) < _PRINTABLE * len(raw):
            continue
        yield match.start(), match.end(), fold(raw.decode("utf-8", "replace")).text


_TEXTUAL = [byte in b"\t\n\r" or (byte < 128 and chr(byte).isprintable()) for byte in range(256)]  # noqa: PLR2004 - ASCII
