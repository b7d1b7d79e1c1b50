"""Telephone numbers: international ones by the numbering plans, national ones by plan or by a word nearby."""

from __future__ import annotations

import bisect
import functools
import importlib
import re
from typing import TYPE_CHECKING, Any, ClassVar

from jackline.detector import Match
from jackline_pii.shapes import Shape, Text, words_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REGIONS = ("US", "GB", "DE", "FR", "IT", "ES", "AU", "IN")
"""Whose national forms are known unless a policy names others."""
_LEAST, _MOST = 7, 15
"""Digits: a local number, and the longest that E.164 allows."""
_EXTENSION = re.compile(r"\s?(?:x|ext\.?|extension)\s?\d{1,6}$")
_DATE = re.compile(
    r"(?:19|20)\d\d[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])(?:[ T]\d.*)?"
    r"|(?:0?[1-9]|[12]\d|3[01])[-/.](?:0?[1-9]|[12]\d|3[01])[-/.](?:19|20)?\d\d(?:[ T]\d.*)?"
    r"|(?:1[6-9]|20)\d\d ?[-/] ?(?:1[6-9]|20)\d\d"
)
_NORTH_AMERICAN = re.compile(r"(?:1[-. ])?(?:\([2-9]\d\d\) ?|[2-9]\d\d([-. ]))[2-9]\d\d[-. ]\d{4}")
_DIGITS = re.compile(r"\d+")
_OTHERS = words_pattern(
    (
        "order",
        "invoice",
        "account",
        "tracking",
        "reference",
        "ref",
        "card",
        "serial",
        "isbn",
        "issn",
        "policy",
        "ticket",
        "case",
        "version",
        "id",
        "code",
        "zip",
        "postal",
        "sku",
        "passport",
        "license",
        "licence",
        "transaction",
        "amount",
        "total",
        "price",
        "ssn",
        "vat",
        "iban",
        "doi",
        "port",
        "pin",
        "hash",
        "size",
        "bytes",
        "timestamp",
    )
)
"""What a number stands for that directly follows one of these."""
_CLOSE = 22
_COLUMN = 10
"""Signs of a number that may stand between the commas of a table's row."""


_LABELS = words_pattern(("office", "desk", "work", "home", "direct"))
_BESIDE = 10
"""Characters in which a label stands beside its number: further away these words tell of places."""


_START = r"(?:\+ ?|\(\+)?(?:\([0-9]{1,6}\)[ .-]?[0-9]{1,12}|[0-9]{1,15}\)?)"
_REST = (
    r"(?:[ .-]?\([0-9]{1,6}\)[ .-]?[0-9]{1,12}| ?[./-] ?[0-9]{1,12}| [0-9]{1,12}){0,7}"
    r"(?: ?(?:x|ext\.? ?)[0-9]{1,6})?"
)


class Phone(Shape):
    """Numbers of 7 to 15 digits that a numbering plan has, or that a word nearby calls so."""

    kind = "PHONE"
    in_letters = False
    words = (
        "phone",
        "telephone",
        "tel",
        "mobile",
        "cell",
        "fax",
        "call",
        "calling",
        "called",
        "dial",
        "ring",
        "sms",
        "text me",
        "whatsapp",
        "reach",
        "contact",
        "hotline",
        "extension",
        "voicemail",
        "landline",
        "handy",
        "telefon",
        "rufnummer",
        "telefono",
        "numero",
        "portable",
        "mobil",
        "telefax",
        "helpline",
        "ph",
        "msisdn",
        "texted",
        "cellphone",
        "pager",
        "direct line",
        "switchboard",
    )
    told: ClassVar[float] = 0.8
    pattern = rf"(?:^|[^0-9A-Za-z_./#$+(-])({_START}{_REST})|[/(#.,=]((?:\+ ?){_START}{_REST})"

    def __init__(self, regions: Sequence[str] = REGIONS) -> None:
        self._regions = tuple(regions)

    def found(self, text: Text) -> Iterator[Match]:
        """Find every place that is nothing else."""
        for match in self.compiled.finditer(text.data):
            whole = match.span(1 if match.span(1)[0] >= 0 else 2)
            if whole[1] - whole[0] < _LEAST:
                continue
            for start, end in _readings(text.text, *whole):
                confidence = self._confidence(text, start, end, text.text[start:end])
                if confidence:
                    yield Match(start, end, confidence)
                    break

    def is_told(self, text: Text, start: int, end: int) -> bool:
        """Whether a word that is about telephoning stands near, or a label beside it."""
        beside = text.data[max(0, start - _BESIDE) : start] + b" " + text.data[end : end + _BESIDE]
        return super().is_told(text, start, end) or _LABELS.search(beside) is not None

    def _confidence(self, text: Text, start: int, end: int, value: str) -> float:
        if end - start < _LEAST or not _is_number(text, start, end, value):
            return 0.0
        plain = _EXTENSION.sub("", value)
        groups = _DIGITS.findall(plain)
        count = sum(map(len, groups))
        if not _LEAST <= count <= _MOST + 3 or len(groups) > 7 or _DATE.fullmatch(plain):  # noqa: PLR2004 - 00, and the trunk 0
            return 0.0
        told = self.is_told(text, start, end)
        if plain[0] == "+" or plain.startswith(("00", "(+")):
            return self._international(plain, told=told)
        if count > _MOST:
            return 0.0
        other = _OTHERS.search(text.data, max(0, start - _CLOSE), start) is not None
        if other and not self.is_told(text, start, start):
            return 0.0
        if _NORTH_AMERICAN.fullmatch(plain):
            return 0.9 if told or plain != value else 0.65
        if told and not _fraction(groups, plain):
            return self.told
        if len(groups) > 1 and (plain[0] == "0" or plain[:2] == "(0") and not _fraction(groups, plain):
            return 0.7 if any(_is_valid(plain, region) for region in self._regions) else 0.0
        return 0.0

    def _international(self, plain: str, *, told: bool) -> float:
        number = plain.replace("(0)", "").replace("(+", "+")
        if number.startswith("00"):
            number = "+" + number[3 if number[2:3] in "- " else 2 :]
        if told:
            return 0.9
        if _is_valid(number, None):
            return 0.97
        if plain[0] == "+" and len(_DIGITS.findall(plain)) > 1:
            return 0.7
        return 0.75 if plain.startswith("001") and "-" in plain else 0.0


def _readings(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """Give what a run of groups can be read as: all of it, then without what a space parts from it at either end."""
    if text[start] == "(" and text.find(")", start, end) < 0:
        start += 1
    readings = [(start, end)]
    last, first = text.rfind(" ", start, end), text.find(" ", start, end)
    if last < 0:
        return readings
    readings.append((start, last))
    if text[start] != "+":
        readings.append((first + 1, end))
    before = text.rfind(" ", start, last)
    if before > 0:
        readings.append((start, before))
    return readings


@functools.cache
def library() -> Any:
    """Import the numbering plans; they take 80 ms. Raises ImportError."""
    return importlib.import_module("phonenumbers")


def _is_valid(number: str, region: str | None) -> bool:
    plans = library()
    try:
        return bool(plans.is_valid_number(plans.parse(number, region)))
    except plans.NumberParseException:
        return False


def _is_number(text: Text, start: int, end: int, value: str) -> bool:
    """Whether it stands by itself: nothing else was found there, and no letter, unit or fraction goes on."""
    place = bisect.bisect_left(text.taken, (end, 0))
    if place and text.taken[place - 1][1] > start:
        return False
    before = text.text[max(0, start - 2) : start]
    listed = len(value) >= _COLUMN  # shorter ones can be parts of `1,234,567` or of a decimal fraction
    if before[1:] == "," and before[0].isdigit() and not listed:
        return False
    after = text.text[end] if end < len(text.text) else " "
    if after.isalnum() or after in "_%@" or value.count("(") != value.count(")"):
        return False
    if after == "," and listed:
        return True
    return not (after in ".,:-/" and end + 1 < len(text.text) and text.text[end + 1].isdigit())


def _fraction(groups: list[str], plain: str) -> bool:
    """Whether it reads as a decimal fraction, an IPv4 address or a list of small numbers."""
    dotted = "." in plain
    if dotted and (len(groups) == 2 or (len(groups) == 4 and all(int(group) < 256 for group in groups))):  # noqa: PLR2004 - IPv4
        return True
    return len(groups) > 1 and max(map(len, groups)) < 2  # noqa: PLR2004 - single digits
