"""Cuts a condition into tokens and reads its literals, as the CEL grammar writes them."""

from __future__ import annotations

import re
import sys
from typing import Any, Final, NamedTuple

from jackline.condition.errors import located
from jackline.condition.values import INT_MAX, INT_MIN, UINT_MAX, Uint

MAX_SOURCE: Final = 16_384
"""Characters that a condition may have."""

_TOKEN = re.compile(
    r"""
    (?P<space>[\t\n\f\r\ ]+|//[^\n]*)
  | (?P<raw>[bB]?[rR](?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"[^"\r\n]*"|'[^'\r\n]*'))
  | (?P<string>[bB]?(?:\"{3}(?:\\[\s\S]|[^\\])*?\"{3}|'{3}(?:\\[\s\S]|[^\\])*?'{3}
        |"(?:\\.|[^"\\\r\n])*"|'(?:\\.|[^'\\\r\n])*'))
  | (?P<float>(?:[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+))
  | (?P<int>0x[0-9a-fA-F]+[uU]?|[0-9]+[uU]?)
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | (?P<quoted>`[A-Za-z0-9_.\-/ ]+`)
  | (?P<symbol>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(?:(?P<simple>[abfnrtv\\?\"'`])|[xX](?P<hex>[0-9a-fA-F]{2})|u(?P<short>[0-9a-fA-F]{4})"
    r"|U(?P<long>[0-9a-fA-F]{8})|(?P<octal>[0-3][0-7]{2})|(?P<bad>[\s\S]?))"
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_LONE = re.compile("[\ud800-\udfff]")
_SURROGATES = range(0xD800, 0xE000)
_STRAY = {"=": "==", "&": "&&", "|": "||"}


class Token(NamedTuple):
    """`kind` is `name`, `quoted`, `literal`, `end`, or the symbol itself."""

    kind: str
    value: Any
    offset: int


def tokens(source: str) -> list[Token]:
    """Cut the source; the last token is `end`. Raises ConditionError."""
    if len(source) > MAX_SOURCE:
        raise located(
            source, 0, f"a condition may have {MAX_SOURCE} characters, this one has {len(source)}: use several rules"
        )
    if not source.isascii() and (lone := _LONE.search(source)):
        raise located(source, lone.start(), "half of a surrogate pair is no character")
    found: list[Token] = []
    at, match = 0, _TOKEN.match
    while at < len(source):
        hit = match(source, at)
        if hit is None:
            raise _stray(source, at)
        kind, text = str(hit.lastgroup), hit.group()
        if kind == "symbol":
            found.append(Token(text, text, at))
        elif kind == "name":
            found.append(Token("name", text, at))
        elif kind == "quoted":
            found.append(Token("quoted", text[1:-1], at))
        elif kind != "space":
            found.append(Token("literal", _READ[kind](source, at, text), at))
        at = hit.end()
    found.append(Token("end", "", at))
    return found


def _stray(source: str, at: int) -> Exception:
    char = source[at]
    if char in "\"'":
        return located(source, at, f"this string is not closed: a {char} is missing")
    if char == "`":
        return located(source, at, "a field in backquotes has letters, digits, _ . - / and spaces, and a closing `")
    if char in _STRAY:
        return located(source, at, f"'{char}' is no operator", _STRAY[char])
    return located(source, at, f"the character {char!r} means nothing here")


def _read_int(source: str, at: int, text: str) -> int:
    digits = text.rstrip("uU")
    value = int(digits, 16 if digits[:2] == "0x" else 10)
    if digits is not text and digits != text:
        if value > UINT_MAX:
            raise located(source, at, f"{text} is more than the largest uint, {UINT_MAX}u")
        return Uint(value)
    # One more than the largest int is let through: with a minus before it, it is the smallest.
    if value > -INT_MIN:
        raise located(source, at, f"{text} is more than the largest int, {INT_MAX}")
    return value


def _read_float(source: str, at: int, text: str) -> float:  # noqa: ARG001 - the readers share one signature
    return float(text)


def _read_raw(source: str, at: int, text: str) -> str | bytes:  # noqa: ARG001 - the readers share one signature
    is_bytes = text[0] in "bB"
    body = _body(text[2:] if is_bytes else text[1:])
    return body.encode() if is_bytes else body


def _read_string(source: str, at: int, text: str) -> str | bytes:
    if text[0] in "bB":
        return _unescape_bytes(source, at, _body(text[1:]))
    body = _body(text)
    if "\\" not in body:
        return body
    return _ESCAPE.sub(lambda hit: _character(source, at, hit), body)


def _body(quoted: str) -> str:
    width = 3 if quoted[:3] in {'"""', "'''"} else 1
    return quoted[width:-width]


def _character(source: str, at: int, hit: re.Match[str]) -> str:
    kind, text = str(hit.lastgroup), str(hit[str(hit.lastgroup)])
    if kind == "simple":
        return _SIMPLE.get(text, text)
    if kind == "bad":
        raise located(source, at, f"\\{text} is no escape; write \\\\ for a backslash, or a raw string r'...'")
    code = int(text, 8 if kind == "octal" else 16)
    if code > sys.maxunicode or code in _SURROGATES:
        raise located(source, at, f"{hit.group()} is no Unicode character")
    return chr(code)


def _unescape_bytes(source: str, at: int, body: str) -> bytes:
    parts, done = [], 0
    for hit in _ESCAPE.finditer(body):
        parts.append(body[done : hit.start()].encode())
        done = hit.end()
        if hit.lastgroup in {"short", "long"}:
            raise located(source, at, f"{hit.group()} cannot stand in bytes; write its UTF-8 bytes as \\x..")
        parts.append(_character(source, at, hit).encode("latin-1"))
    parts.append(body[done:].encode())
    return b"".join(parts)


_READ = {"int": _read_int, "float": _read_float, "raw": _read_raw, "string": _read_string}
