"""Keys, tokens and passwords: by their published forms, or by a name in front and a value that looks random."""

from __future__ import annotations

import base64
import binascii
import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import re2  # type: ignore[import-untyped]

from jackline.detector import Match
from jackline_pii.detectors.secret_rules import CHECKED, RULES
from jackline_pii.placeholders import entropy, is_placeholder
from jackline_pii.shapes import Shape, Text, linear, loosened, quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LEAST_ENTROPY = 2.8
"""Bits a sign: eight different signs have 3, English words about 2.5 to 3."""
_PREFIXED = 2.5
_PARAMETER = re.compile(r"&[A-Za-z0-9_.-]{1,40}=")
"""Where the next parameter of a query begins: what it holds must not tell whether this one is a secret."""
_HIGH, _MANY = 3.8, 4
"""Entropy and digits that no name in a program has."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_CODE = re.compile(
    r"[A-Za-z_][\w.]*|[a-z]+(?:[-_/.][a-z]+)+|https?://.*|/[\w./-]*|~?/.*|[\w.-]+\.(?:json|ya?ml|txt|pem|py|env|key)"
)
"""Names, paths and addresses: what is assigned where no secret is."""


class Secret(Shape):
    """Every rule of `secret_rules`; a match's note is the rule's name."""

    kind = "SECRET"
    in_letters = False

    @cached_property
    def rules(self) -> list[tuple[str, Any]]:
        """Every rule, ready to search."""
        return [(name, linear(pattern)) for name, pattern in RULES.items()]

    @cached_property
    def present(self) -> Any:
        """Which of the rules match at all, in one pass."""
        found = re2.Set.SearchSet(quiet())
        for pattern in RULES.values():
            found.Add(loosened(pattern).encode())
        found.Compile()
        return found

    def triggers(self) -> Iterable[str]:
        """Give every rule's pattern."""
        return RULES.values()

    def found(self, text: Text) -> Iterator[Match]:
        """Find every place."""
        for index in self.present.Match(text.data) or ():
            name, compiled = self.rules[index]
            for match in compiled.finditer(text.data):
                start, end = match.span(1)
                if name == "assigned" and (following := _PARAMETER.search(text.text, start, end)) is not None:
                    end = following.start()
                quoted = text.text[end : end + 1] in ("'", '"', "`", "\\")
                while name in CHECKED and not quoted and end > start and text.text[end - 1] in ".:!?":
                    end -= 1
                confidence = _confidence(name, text.text[start:end])
                if confidence:
                    yield Match(start, end, confidence, name)


def _confidence(name: str, value: str) -> float:
    """How sure it is that this is a secret and no example of one; 0 where it is none."""
    if name == "private-key":
        return 0.0 if is_placeholder(value.split("-----")[2]) else 0.99
    if name == "json-web-token":
        return 0.97 if _is_token(value) else 0.0
    if name == "connection-string":
        user, _, password = value.partition("://")[2].rpartition("@")[0].partition(":")
        known = password.lower() in (user.lower(), "password", "pass", "pwd", "secret", "passwd")
        return 0.0 if known or is_placeholder(password) else 0.985
    if is_placeholder(value):
        return 0.0
    if name == "basic-credentials":
        return 0.9 if _is_pair(value) else 0.0
    if name not in CHECKED:
        return 0.97 if entropy(value) >= _PREFIXED else 0.0
    if not (_is_header_value(value) if name == "authorization-header" else _looks_random(value)):
        return 0.0
    return 0.9 if name == "aws-secret-key" else 0.75


def _is_header_value(value: str) -> bool:
    """Whether what stands in an authorization header is one: a UUID counts there, a word does not."""
    return entropy(value) >= _LEAST_ENTROPY and any(map(str.isdigit, value))


def _looks_random(value: str) -> bool:
    """Whether a value is neither a word, a name, a path, a date nor a UUID."""
    if entropy(value) < _LEAST_ENTROPY or _UUID.fullmatch(value):
        return False
    letters = any(sign.isalpha() for sign in value)
    digits = sum(sign.isdigit() for sign in value)
    if not letters or not digits:
        signs = len({sign for sign in value if not sign.isalnum() and sign not in "._/-"})
        return letters and signs > 0 and not _CODE.fullmatch(value)
    if digits >= _MANY and entropy(value) >= _HIGH:
        return not value.startswith(("http", "/"))
    return not (_CODE.fullmatch(value) and (digits < 2 or "." in value or value.startswith(("http", "/"))))  # noqa: PLR2004 - `sha1`, `utf8`


def _is_token(value: str) -> bool:
    """Whether the header decodes to JSON that names an algorithm (RFC 7519)."""
    header = value.partition(".")[0]
    try:
        decoded = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error):
        return False
    return isinstance(decoded, dict) and ("alg" in decoded or "enc" in decoded)


def _is_pair(value: str) -> bool:
    """Whether it decodes to a name, a colon and a password (RFC 7617)."""
    try:
        decoded = base64.b64decode(value + "=" * (-len(value) % 4)).decode().strip()
    except (ValueError, binascii.Error):
        return False
    _, colon, password = decoded.partition(":")
    return bool(colon) and decoded.isprintable() and len(password) > 2 and not is_placeholder(password)  # noqa: PLR2004 - a password
