"""How a person is reached, and when a person was born."""

from __future__ import annotations

from typing import ClassVar

from jackline_pii.placeholders import is_placeholder
from jackline_pii.shapes import Shape

_LOCAL, _DOMAIN, _LABEL = 64, 253, 63
_AT = r"(?:@| ?[\[({] ?(?:at|AT|At|@) ?[\])}] ?)"
_DOT = r"(?:\.| ?[\[({] ?(?:dot|DOT|Dot|\.) ?[\])}] ?)"
_HIDDEN = str.maketrans(dict.fromkeys("[](){} ", ""))
_MONTHS = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"


class Email(Shape):
    """Addresses with the lengths of RFC 5321, also those written with [at] and [dot]."""

    kind = "EMAIL"
    in_letters = False
    alone = 0.98
    pattern = (
        r"(?i)([a-z0-9_][a-z0-9._%+'-]*"
        + _AT
        + r"[a-z0-9](?:[a-z0-9-]*)(?:"
        + _DOT
        + r"[a-z0-9-]+)*"
        + _DOT
        + r"(?:xn--[a-z0-9-]+|[a-z]{2,24}))\b"
    )

    def valid(self, value: str) -> bool:
        """Lengths, and dots that stand between something."""
        if "@" in value and not any(sign in value for sign in "[({"):
            local, _, domain = value.rpartition("@")
        else:
            local, domain = _plain(value)
        if not 0 < len(local) <= _LOCAL or len(domain) > _DOMAIN or local[-1] == "." or ".." in local:
            return False
        return all(0 < len(label) <= _LABEL and label[0] != "-" != label[-1] for label in domain.split("."))


def _plain(value: str) -> tuple[str, str]:
    """The local part and the domain of an address that is written around."""
    lower = value.lower().translate(_HIDDEN) if "@" in value else None
    if lower is not None:
        local, _, domain = lower.rpartition("@")
        return local, domain.replace("dot", ".") if "." not in domain else domain
    first = min(place for place in map(value.find, "[({") if place >= 0)
    local = value[:first].strip()
    domain = value[first:].lower().translate(_HIDDEN).removeprefix("at")
    return local, domain.replace("dot", ".") if "." not in domain else domain


class Url(Shape):
    """Web addresses: with a scheme, or from www."""

    kind = "URL"
    in_letters = False
    alone = 0.9
    pattern = (
        r"(?i)\b((?:https?|ftp)://[^\s<>\"'`\\^{}|]+|www\.[a-z0-9-]+\.[a-z0-9.-]*[a-z]{2,}(?:[/?#][^\s<>\"'`\\^{}|]*)?)"
    )

    def bounded(self, text: str, start: int, end: int) -> int:
        """End before punctuation that belongs to the sentence."""
        while end > start and text[end - 1] in ".,;:!?)]*":
            end -= 1
        return end

    def valid(self, value: str) -> bool:
        """A host with a dot in it."""
        host = value.partition("://")[2] or value
        return "." in host.partition("/")[0]


class UrlCredentials(Shape):
    """Addresses that carry a password: user information in front of the host (RFC 3986)."""

    kind = "URL_CREDENTIALS"
    in_letters = False
    alone = 0.99
    pattern = r"\b([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@:\"'<>]*:[^\s/?#@\"'<>]+@[^\s/?#\"'<>,;]+)"

    def valid(self, value: str) -> bool:
        """A password that is not left to be filled in."""
        user, _, password = value.partition("://")[2].rpartition("@")[0].partition(":")
        return password.lower() not in (user.lower(), "password", "pass", "pwd", "secret") and not is_placeholder(
            password
        )


class DateOfBirth(Shape):
    """Dates next to a word that tells that somebody was born then."""

    kind = "DATE_OF_BIRTH"
    in_letters = False
    words = ("born", "birth", "dob", "birthday", "birthdate", "geboren", "date of birth", "geburtsdatum", "naissance")
    told: ClassVar[float] = 0.85
    pattern = (
        r"(?i)\b((?:19|20)[0-9]{2}[-/.](?:0?[1-9]|1[0-2])[-/.](?:0?[1-9]|[12][0-9]|3[01])"
        r"|(?:0?[1-9]|[12][0-9]|3[01])[-/.](?:0?[1-9]|[12][0-9]|3[01])[-/.](?:(?:19|20)[0-9]{2}|[0-9]{2})"
        r"|(?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?(?: of)?[ -]" + _MONTHS + r",?[ -](?:19|20)[0-9]{2}"
        r"|" + _MONTHS + r" (?:0?[1-9]|[12][0-9]|3[01])(?:st|nd|rd|th)?,? (?:19|20)[0-9]{2})\b"
    )
