"""Texts with one encoding undone: URL encoding, the escapes of JSON and of source code, base64."""

from __future__ import annotations

import base64
import binascii
import bisect
import re
from array import array
from typing import TYPE_CHECKING

from jackline_pii.folding import folded_sign

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jackline_pii.folding import Folded

_PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_FORM = re.compile(r"(?:%[0-9A-Fa-f]{2})+|(?<=[0-9A-Za-z=])\+(?=[0-9A-Za-z(])")
_SPACED = re.compile(r"\+(?<=[0-9A-Za-z=]\+)[0-9(]")  # the plus in front: it is looked for first
_SEQUENCE = (
    r"\\+(?:u[dD][89ABab][0-9A-Fa-f]{2}\\+u[dD][C-Fc-f][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[\"'/bfnrt])"
)
"""However often a text was put into a string: each time doubles the backslashes."""
_ESCAPE = re.compile(r"(?<!\\)" + _SEQUENCE)
_PART = re.compile(_SEQUENCE)
_NEAR = 16
"""Signs around the beginning of a value among which the escape that it may be a part of is looked for."""
_BLANK = {"b": " ", "f": " ", "n": "\n", "r": "\r", "t": "\t"}
_ENCODED = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_WRAPPED = re.compile(r"(?:(?:[A-Za-z0-9+/]{76}\r?\n)+|(?:[A-Za-z0-9+/]{64}\r?\n)+)[A-Za-z0-9+/]{0,76}={0,2}")
_LINES = (64, 76)
"""Signs of a line of base64 in PEM, and in mail."""
_PIECE = re.compile(r"[A-Za-z0-9]{16,}")
_BREAKS = re.compile(r"\r?\n")
_PRINTABLE = 0.85
_TEXTUAL = [byte in b"\t\n\r" or (byte < 128 and chr(byte).isprintable()) for byte in range(256)]  # noqa: PLR2004 - ASCII


class Decoded:
    """A decoded text, and where each of its characters stands in the original."""

    def __init__(self, folded: Folded) -> None:
        self.text = ""
        self._folded = folded
        self._pieces: list[str] = []
        self._size = 0
        # A segment for each stretch that is as it was, and for each character that was decoded.
        self._at, self._starts, self._widths = array("q"), array("q"), array("q")

    def add(self, text: str, start: int, width: int = 1) -> None:
        """Go on with characters of which each took `width` in the text that is decoded, the first from `start`."""
        if text:
            self._at.append(self._size)
            self._starts.append(start)
            self._widths.append(width)
            self._pieces.append(text)
            self._size += len(text)

    def close(self) -> Decoded:
        """Join what was added."""
        self.text = "".join(self._pieces)
        self._pieces.clear()
        return self

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Lead a span back to the original."""
        return self._folded.span(self._place(start)[0], self._place(end - 1)[1])

    def _place(self, at: int) -> tuple[int, int]:
        segment = bisect.bisect_right(self._at, at) - 1
        start = self._starts[segment] + at - self._at[segment]
        return start, start + self._widths[segment]


def percent_decoded(folded: Folded) -> Decoded | None:
    """Undo one level of URL encoding; None where there is none."""
    if "%" not in folded.text or _PERCENT.search(folded.text) is None:
        return None
    return _decoded(folded, _PERCENT, _bytes)


def form_decoded(folded: Folded) -> Decoded | None:
    """Undo the encoding of forms and queries, in which `+` is a space; None where there is none."""
    if "+" not in folded.text or _SPACED.search(folded.text) is None:
        return None
    return _decoded(folded, _FORM, _bytes)


def unescaped(folded: Folded) -> Decoded | None:
    r"""Undo the escapes of strings in JSON and in source code, `\n` and `\u0040`; None where there is none."""
    if "\\" not in folded.text or _ESCAPE.search(folded.text) is None:
        return None
    return _decoded(folded, _ESCAPE, _escape)


def clipped(text: str, start: int, end: int) -> tuple[int, int]:
    r"""Take from a span what is only a part of an escape: the `n` of `\n` belongs to no value."""
    for match in _PART.finditer(text, max(0, start - _NEAR), start + _NEAR):
        if match.start() < start < match.end():
            start = match.end()
    # A backslash at the end escapes what follows it.
    while start < end < len(text) and text[end - 1] == "\\" and text[end] in "\"'/bfnrtux\\":
        end -= 1
    return start, end


def _decoded(folded: Folded, pattern: re.Pattern[str], decode: Callable[[Decoded, re.Match[str]], None]) -> Decoded:
    text, found, place = folded.text, Decoded(folded), 0
    for match in pattern.finditer(text):
        found.add(text[place : match.start()], place)
        decode(found, match)
        place = match.end()
    found.add(text[place:], place)
    return found.close()


def _bytes(found: Decoded, match: re.Match[str]) -> None:
    """Read a run of encoded bytes as UTF-8."""
    if match[0] == "+":
        found.add(" ", match.start())
        return
    raw, place = bytes.fromhex(match[0].replace("%", "")), 0
    for sign in raw.decode("utf-8", "replace"):
        size = len(sign.encode("utf-8"))
        if sign == "\ufffd" and raw[place : place + size] != b"\xef\xbf\xbd":
            size = 1
        found.add(folded_sign(sign), match.start() + 3 * place, 3 * size)
        place += size


def _escape(found: Decoded, match: re.Match[str]) -> None:
    said = match[0].lstrip("\\")
    if said[0] in "ux":
        codes = [int(code, 16) for code in re.findall(r"[ux]([0-9A-Fa-f]+)", said)]
        point = 0x10000 + ((codes[0] & 0x3FF) << 10 | codes[1] & 0x3FF) if len(codes) > 1 else codes[0]
        sign = folded_sign(chr(point))
    else:
        sign = _BLANK.get(said, said)
    found.add(sign, match.start(), match.end() - match.start())


def encoded_parts(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the places of base64, and the text that each hides; what decodes to no text is left out.

    Where the whole is none, a part of it may be: behind a slash of a path, or an underscore of a name.
    """
    after = 0
    for match in _ENCODED.finditer(text):
        start, end = match.span()
        if start < after:
            continue  # a line of what was read as one
        if end - start in _LINES and (lines := _WRAPPED.match(text, start)) is not None:
            end = after = lines.end()
        hidden = _hidden(text[start:end])
        if hidden is not None:
            yield start, end, hidden
            continue
        for piece in _PIECE.finditer(text, start, end):
            hidden = _hidden(piece[0]) if piece.span() != (start, end) else None
            if hidden is not None:
                yield *piece.span(), hidden


def _hidden(token: str) -> str | None:
    plain = _BREAKS.sub("", token).rstrip("=").replace("-", "+").replace("_", "/")
    usable = plain[: len(plain) - (len(plain) % 4 == 1)]
    try:
        raw = base64.b64decode(usable + "=" * (-len(usable) % 4))
    except (ValueError, binascii.Error):
        return None
    if sum(map(_TEXTUAL.__getitem__, raw)) < _PRINTABLE * len(raw):
        return None
    return "".join(map(folded_sign, raw.decode("utf-8", "replace")))
