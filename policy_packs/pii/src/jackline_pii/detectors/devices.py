"""Addresses and numbers of machines, and places."""

from __future__ import annotations

import ipaddress
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

from jackline.detector import Match
from jackline_pii.checksums import luhn, repeated
from jackline_pii.numbers import Layout, Number
from jackline_pii.shapes import Shape, Text, linear, words_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_VERSION = words_pattern(("version", "release", "ver"))
_DEGREES = re.compile(r"[0-9]{1,3}\.[0-9]{3,10}")
_LEAST_GROUPS = 3


class IpAddress(Shape):
    """Addresses of versions 4 and 6; unless made with `everything`, only those that are one machine's in the world."""

    kind = "IP_ADDRESS"
    in_letters = False
    alone = 0.95
    pattern = (
        r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b"
        r"|(?:[0-9A-Fa-f]{1,4}:){2,7}(?::?[0-9A-Fa-f]{1,4}(?:\.[0-9.]{5,11})?){0,6}"
        r"|[0-9A-Fa-f]{1,4}::(?:[0-9A-Fa-f]{1,4}:?){1,6}"
    )

    def __init__(self, *, everything: bool = False) -> None:
        self._everything = everything

    def bounded(self, text: str, start: int, end: int) -> int:
        """Nothing where it is part of something longer: of a version, a name, a time."""
        before = text[start - 1] if start else " "
        after = text[end] if end < len(text) else " "
        if before.isalnum() or before in ":_" or after.isalnum() or after in ":_":
            return start
        if before in ".-" or (after == "." and end + 1 < len(text) and text[end + 1].isdigit()):
            return start
        if ":" not in text[start:end] and _VERSION.search(text[max(0, start - 16) : start].encode()):
            return start
        return end

    def valid(self, value: str) -> bool:
        """An address, of the kind that is looked for."""
        try:
            address = ipaddress.ip_address(value)
        except ValueError:
            return False
        if address.version == 6 and sum(map(bool, value.split(":"))) < _LEAST_GROUPS:  # noqa: PLR2004 - the version
            return False
        nobody = address.is_loopback or address.is_unspecified or address.is_multicast
        return not nobody and (self._everything or address.is_global)


class MacAddress(Shape):
    """Hardware addresses: EUI-48 in its three notations."""

    kind = "MAC_ADDRESS"
    in_letters = False
    words = ("mac", "hardware", "ethernet", "bssid")
    alone = 0.9
    pattern = (
        r"\b((?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{2}-){5}[0-9A-Fa-f]{2}"
        r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})\b"
    )

    def bounded(self, text: str, start: int, end: int) -> int:
        """Nothing where more groups stand beside it."""
        around = text[start - 1 : start] + text[end : end + 1]
        return start if ":" in around or "-" in around else end

    def valid(self, value: str) -> bool:
        """Neither nobody's nor everybody's."""
        return len(set(value.lower()) - set(":-.")) > 1 and any(sign.isdigit() for sign in value)


class Imei(Number):
    """Telephones' numbers: 15 digits, Luhn (3GPP TS 23.003)."""

    kind = "IMEI"
    words = ("imei", "device id", "handset", "device identity")
    layouts: ClassVar[dict[Layout, float]] = {(2, 6, 6, 1): 0.9, (15,): 0.0, (6, 2, 6, 1): 0.7}

    def valid(self, digits: str) -> bool:
        """The check digit."""
        return luhn(digits) and not repeated(digits)


_VIN = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True),
    **{digit: int(digit) for digit in "0123456789"},
)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)


class Vin(Shape):
    """Vehicles' numbers: 17 signs, the ninth is the check (ISO 3779, 49 CFR 565)."""

    kind = "VIN"
    in_letters = False
    words = ("vin", "vehicle", "chassis")
    alone = 0.6
    pattern = r"\b([A-HJ-NPR-Z0-9]{17})\b"

    def valid(self, value: str) -> bool:
        """The sum mod 11; ten is X."""
        mixed = any(sign.isalpha() for sign in value) and value[13:].isdigit()
        rest = sum(_VIN[sign] * weight for sign, weight in zip(value, _VIN_WEIGHTS, strict=True)) % 11
        return mixed and value[8] == "0123456789X"[rest]


_NAMED = r"(?i)\b(lat|latitude|lon|lng|long|longitude)[\"']?\s?[:=\n]\s?(-?[0-9]{1,3}\.[0-9]{3,15})\b"


class Geo(Shape):
    """Places: a pair of decimal degrees, or a part of one that says which it is."""

    kind = "GEO_COORDINATES"
    in_letters = False
    words = ("lat", "lon", "lng", "gps", "latitude", "longitude", "coordinates", "location", "position", "geo")
    alone = 0.3
    pattern = r"(-?[0-9]{1,2}\.[0-9]{3,10}\s?[NS]?\s?[,;/ ]\s?-?[0-9]{1,3}\.[0-9]{3,10})\b"

    @cached_property
    def named(self) -> Any:
        """A single number and which it is, ready to search."""
        return linear(_NAMED)

    def triggers(self) -> Iterable[str]:
        """A pair, or a single number."""
        return (self.pattern, _NAMED)

    def found(self, text: Text) -> Iterator[Match]:
        """A pair next to a word, and a single number right behind one."""
        yield from super().found(text)
        for match in self.named.finditer(text.data):
            limit = 90 if match.group(1)[:2].lower() == b"la" else 180
            if abs(float(match.group(2))) <= limit:
                start, end = match.span(2)
                yield Match(start, end, 0.8)

    def valid(self, value: str) -> bool:
        """At most 90 and 180 degrees."""
        latitude, longitude = (abs(float(part)) for part in _DEGREES.findall(value))
        return latitude <= 90 and longitude <= 180 and bool(latitude or longitude)  # noqa: PLR2004 - degrees
