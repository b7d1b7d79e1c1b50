"""What is suspicious in what a server says of its tools: text that a person does not see, or that commands a model.

A short list of plain signs, each with a name. It finds the attacks that are known; a server that lies politely passes.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT = 200_000
"""Characters of one tool's description and schemas that are looked at; a longer one is a finding by itself."""
_QUIET = frozenset("\u200c\u200d\ufe0e\ufe0f")
"""Joiners and selectors that scripts and emoji need."""
_OF_MODELS = r"(?:previous|prior|above|earlier|preceding|system|safety|developer|other)"
_SIGNS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "overrides instructions",
        re.compile(
            rf"\b(?:ignore|disregard|forget|override|bypass)\b.{{0,30}}\b{_OF_MODELS}\b.{{0,30}}"
            r"\b(?:instructions?|rules?|prompts?|messages?|guidelines?|directions?|tools?|polic(?:y|ies))\b",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
    (
        "hidden section",
        re.compile(
            r"<!--|</?\s*(?:important|system|secret|hidden|instructions?|admin|assistant|critical)\s*>", re.IGNORECASE
        ),
    ),
    (
        "asks for secrecy",
        re.compile(
            r"\b(?:do not|don't|never|must not|without)\s+(?:ever\s+)?"
            r"(?:tell(?:ing)?|mention(?:ing)?|inform(?:ing)?|reveal(?:ing)?|show(?:ing)?|notify(?:ing)?|alert(?:ing)?)\b"
            r".{0,40}\b(?:user|human|person|anyone|anybody|them)\b",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
    (
        "commands other acts",
        re.compile(
            r"\b(?:before|after|when(?:ever)?|prior to)\b.{0,40}\b(?:us(?:e|ing)|call(?:ing)?|invok(?:e|ing)|running)\b"
            r".{0,80}\b(?:read|send|include|pass|fetch|upload|post|forward|bcc)\b",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
    (
        "names secrets",
        re.compile(
            r"(?:~|\$HOME|/root|/home/\w+)/\.(?:ssh|aws|config|gnupg|netrc|cursor|kube)|\bid_(?:rsa|ed25519)\b"
            r"|/etc/(?:passwd|shadow)|\b(?:read|send|include|pass|give|forward|upload)\b.{0,60}"
            r"\b(?:passwords?|api[ _-]?keys?|private keys?|credentials|secrets|conversation history)\b",
            re.IGNORECASE | re.DOTALL,
        ),
    ),
)


def findings(descriptor: dict[str, Any]) -> tuple[str, ...]:
    """The names of what is suspicious in a tool's descriptor, each once: in its name, descriptions and schemas."""
    found: dict[str, None] = {}
    left = _LIMIT
    for text in _texts(descriptor):
        part = text[:left]
        left -= len(part)
        found.update(dict.fromkeys(_in_text(part)))
        if len(part) < len(text):
            found["longer than can be read"] = None
            break
    return tuple(found)


def _in_text(text: str) -> Iterator[str]:
    hidden = sorted({char for char in text if _invisible(char)})
    if hidden:
        yield f"invisible characters ({', '.join(f'U+{ord(char):04X}' for char in hidden[:5])})"
    plain = unicodedata.normalize("NFKC", "".join(char for char in text if char not in hidden and char not in _QUIET))
    for name, sign in _SIGNS:
        if sign.search(plain):
            yield name


def _invisible(char: str) -> bool:
    if char.isascii():
        return char < " " and char not in "\t\n\r"
    return char not in _QUIET and unicodedata.category(char) in ("Cf", "Co", "Cn", "Cs")


def _texts(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting.extend(one.values())
            yield from (key for key in one if isinstance(key, str))
        elif isinstance(one, list):
            waiting.extend(one)
