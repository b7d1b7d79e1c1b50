"""Identity, tax and health numbers of Europe."""

from __future__ import annotations

import datetime as dt
from typing import ClassVar

from jackline_pii.checksums import luhn, mod11_10, repeated, weighted
from jackline_pii.numbers import Layout, Number
from jackline_pii.shapes import Shape

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_TIMES = (2, 3)
_ODD = dict(
    zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True),
    **dict(
        zip(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
            strict=True,
        )
    ),
)


def is_date(year: int, month: int, day: int) -> bool:
    """Whether there is such a day."""
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


class UkNhs(Number):
    """Health service numbers: mod 11 (NHS Data Dictionary)."""

    kind = "UK_NHS"
    words = ("nhs", "health service", "patient")
    layouts: ClassVar[dict[Layout, float]] = {(3, 3, 4): 0.3, (10,): 0.0}

    def valid(self, digits: str) -> bool:
        """Weights 10 to 2; a check digit of ten is not issued."""
        return (11 - weighted(digits, range(10, 1, -1)) % 11) % 11 == int(digits[9]) and not repeated(digits)


class UkNino(Shape):
    """National insurance numbers: the prefixes that HMRC allots."""

    kind = "UK_NINO"
    in_letters = False
    words = ("nino", "national insurance", "ni number", "insurance number")
    alone = 0.8
    pattern = r"(?i)\b([A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])\b"

    def valid(self, value: str) -> bool:
        """None of the prefixes that are not used."""
        return value[:2].upper() not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")

    def alone_in(self, text: str, start: int, end: int) -> float:
        """Small letters need a word."""
        return self.alone if text[start:end].isupper() else 0.4


class DeSteuerId(Number):
    """Tax identification numbers: one digit occurs twice or three times, mod 11,10 (BZSt)."""

    kind = "DE_STEUER_ID"
    words = ("steuer id", "steueridentifikation", "steuernummer", "idnr", "steuer", "tax id", "identifikationsnummer")
    layouts: ClassVar[dict[Layout, float]] = {(2, 3, 3, 3): 0.6, (11,): 0.3}
    separators = " "

    def valid(self, digits: str) -> bool:
        """The first ten digits have exactly one that is repeated, and the check digit is right."""
        counts = sorted(digits[:10].count(digit) for digit in set(digits[:10]))
        return digits[0] != "0" and counts[-1] in _TIMES and counts[-2] == 1 and mod11_10(digits)


class EsDni(Shape):
    """Identity cards: the letter is the number mod 23."""

    kind = "ES_DNI"
    in_letters = False
    words = ("dni", "nif", "identidad")
    alone = 0.6
    pattern = r"\b([0-9]{8}[ -]?[A-HJ-NP-TV-Z])\b"

    def valid(self, value: str) -> bool:
        """The letter."""
        return _DNI[int(value[:8]) % 23] == value[-1]


class EsNie(Shape):
    """Foreigners' numbers: X, Y and Z count as 0, 1 and 2."""

    kind = "ES_NIE"
    in_letters = False
    words = ("nie", "extranjero")
    alone = 0.8
    pattern = r"\b([XYZ][ -]?[0-9]{7}[ -]?[A-HJ-NP-TV-Z])\b"

    def valid(self, value: str) -> bool:
        """The letter."""
        digits = "".join(sign for sign in value if sign.isdigit())
        return _DNI[int(str("XYZ".index(value[0])) + digits) % 23] == value[-1]


class ItCodiceFiscale(Shape):
    """Tax codes of 16 signs with a check letter (DM 12/03/1974)."""

    kind = "IT_CODICE_FISCALE"
    in_letters = False
    words = ("codice fiscale", "fiscal code")
    alone = 0.95
    pattern = r"(?i)\b([A-Z]{6}[0-9LMNP-V]{2}[A-EHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z])\b"

    def valid(self, value: str) -> bool:
        """Signs at odd and even places count by their own tables."""
        plain = value.upper()
        total = sum(_ODD[sign] for sign in plain[:15:2])
        total += sum(int(sign) if sign.isdigit() else ord(sign) - 65 for sign in plain[1:15:2])
        return chr(65 + total % 26) == plain[15]


class FrNir(Shape):
    """Social security numbers of 13 digits and a key: 97 less the number mod 97 (INSEE)."""

    kind = "FR_NIR"
    in_letters = False
    words = ("nir", "securite sociale", "insee", "carte vitale")
    alone = 0.9
    pattern = r"\b([12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})\b"

    def valid(self, value: str) -> bool:
        """The key; Corsica's 2A and 2B count as 19 and 18."""
        plain = value.replace(" ", "")
        number = int(plain[:13].replace("2A", "19").replace("2B", "18"))
        return 97 - number % 97 == int(plain[13:])


class NlBsn(Number):
    """Citizens' numbers: the test by 11 with the last digit counted as minus one."""

    kind = "NL_BSN"
    words = ("bsn", "burgerservicenummer", "sofinummer", "citizen service")
    layouts: ClassVar[dict[Layout, float]] = {(9,): 0.0, (3, 3, 3): 0.0, (4, 2, 3): 0.0}
    separators = " .-"

    def valid(self, digits: str) -> bool:
        """The test."""
        return weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0 and not repeated(digits)


class PlPesel(Number):
    """Registry numbers: a date of birth whose month tells the century, and a check digit."""

    kind = "PL_PESEL"
    words = ("pesel", "ewidencyjny")
    layouts: ClassVar[dict[Layout, float]] = {(11,): 0.4}

    def valid(self, digits: str) -> bool:
        """The date and the check digit."""
        year, month, day = int(digits[:2]), int(digits[2:4]), int(digits[4:6])
        century = {0: 1900, 1: 2000, 2: 2100, 3: 2200, 4: 1800}[month // 20]
        right = weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0
        return right and is_date(century + year, month % 20, day)


class SePersonnummer(Shape):
    """Personal numbers: a date of birth, or one with 60 added to its day, and Luhn over ten digits."""

    kind = "SE_PERSONNUMMER"
    in_letters = False
    words = ("personnummer", "personal number", "samordningsnummer")
    alone = 0.7
    pattern = r"\b((?:18|19|20)?[0-9]{6}[-+][0-9]{4}|(?:18|19|20)[0-9]{10})\b"

    def valid(self, value: str) -> bool:
        """The date and the check digit."""
        digits = value.replace("-", "").replace("+", "")
        ten = digits[-10:]
        day = int(ten[4:6])
        century = int(digits[:2]) * 100 if len(digits) > len(ten) else 2000
        return luhn(ten) and is_date(century + int(ten[:2]), int(ten[2:4]), day - 60 if day > 60 else day)  # noqa: PLR2004 - the scheme's rule

    def alone_in(self, text: str, start: int, end: int) -> float:
        """Twelve digits without a sign need a word."""
        return 0.3 if text[start:end].isdigit() else self.alone
