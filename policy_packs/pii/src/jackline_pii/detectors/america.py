"""Identity, tax and health numbers of the United States, Canada and Brazil."""

from __future__ import annotations

from typing import ClassVar

from jackline_pii.checksums import luhn, repeated, weighted
from jackline_pii.numbers import Layout, Number
from jackline_pii.shapes import Shape

_PUBLIC_SSN = frozenset({"078051120", "219099999"})
"""Printed in advertisements, and issued to nobody since (SSA)."""
_EIN_PREFIXES = frozenset(
    int(prefix)
    for prefix in """01 02 03 04 05 06 10 11 12 13 14 15 16 20 21 22 23 24 25 26 27 30 31 32 33 34 35 36 37 38 39 40 41
    42 43 44 45 46 47 48 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 71 72 73 74 75 76 77 80 81 82 83 84
    85 86 87 88 90 91 92 93 94 95 98 99""".split()  # noqa: SIM905 - a long list reads best as text
)
"""The prefixes that the IRS says it assigns."""


class UsSsn(Number):
    """Social security numbers: no area 000, 666 or 9xx, no group 00, no serial 0000 (SSA, since 2011)."""

    kind = "US_SSN"
    words = ("ssn", "social security", "social sec", "ss number")
    layouts: ClassVar[dict[Layout, float]] = {(3, 2, 4): 0.9, (9,): 0.0, (3, 3, 3): 0.0}
    separators = " -."

    def valid(self, digits: str) -> bool:
        """The ranges, and none of those that were printed as examples."""
        area, group, serial = digits[:3], digits[3:5], digits[5:]
        wrong = area in ("000", "666") or area[0] == "9" or group == "00" or serial == "0000"
        return not wrong and digits not in _PUBLIC_SSN and not repeated(digits)


class UsItin(Number):
    """Individual taxpayer numbers: 9xx with group 50-65, 70-88, 90-92 or 94-99 (IRS)."""

    kind = "US_ITIN"
    words = ("itin", "taxpayer", "tax id")
    layouts: ClassVar[dict[Layout, float]] = {(3, 2, 4): 0.85, (9,): 0.0}

    def valid(self, digits: str) -> bool:
        """The ranges."""
        group = int(digits[3:5])
        return digits[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 99) and group != 93  # noqa: PLR2004 - the IRS's ranges


class UsEin(Number):
    """Employer numbers: the prefixes that the IRS assigns, next to a word that tells it."""

    kind = "US_EIN"
    words = ("ein", "fein", "employer identification", "tax id", "federal tax")
    layouts: ClassVar[dict[Layout, float]] = {(2, 7): 0.0}
    separators = "-"

    def valid(self, digits: str) -> bool:
        """The prefix."""
        return int(digits[:2]) in _EIN_PREFIXES


class UsAba(Number):
    """Routing numbers: a Federal Reserve prefix and weights 3-7-1 (ABA)."""

    kind = "US_ABA"
    words = ("routing", "aba", "rtn", "transit", "wire")
    layouts: ClassVar[dict[Layout, float]] = {(9,): 0.0, (4, 4, 1): 0.0}
    separators = "-"

    def valid(self, digits: str) -> bool:
        """The prefix, and a weighted sum that ten divides."""
        prefix = int(digits[:2])
        known = prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80  # noqa: PLR2004 - ABA's ranges
        return known and weighted(digits, (3, 7, 1) * 3) % 10 == 0 and not repeated(digits)


class UsPassport(Shape):
    """Passports: nine digits, or a letter and eight digits, next to the word."""

    kind = "US_PASSPORT"
    in_letters = False
    words = ("passport", "travel document")
    told = 0.85
    pattern = r"\b([A-Za-z][0-9]{8}|[0-9]{9})\b"


class UsDriverLicense(Shape):
    """Driving licences: the shapes that the states use, next to a word that tells it (AAMVA)."""

    kind = "US_DRIVER_LICENSE"
    in_letters = False
    words = (
        "driver license",
        "drivers license",
        "driver's license",
        "driving license",
        "driving licence",
        "driver licence",
        "license number",
        "licence number",
        "license no",
        "dl number",
        "dln",
    )
    told = 0.8
    pattern = (
        r"\b([A-Za-z][0-9]{3}-[0-9]{3,4}-[0-9]{2}-[0-9]{3}(?:-[0-9])?|[A-Za-z][0-9]{3}-[0-9]{4}-[0-9]{4}"
        r"|[A-Za-z]{1,2}[0-9]{4,14}|[0-9]{2}-?[0-9]{3}-?[0-9]{4}|[0-9]{7,12}|[0-9]{3}-[0-9]{2}-[0-9]{4}"
        r"|[0-9]{4}-[0-9]{2}-[0-9]{4}|[A-Za-z]{3}[0-9]{2}[0-9]{4}[0-9A-Za-z]{2,3})\b"
    )


class UsNpi(Number):
    """Providers' numbers: ten digits from 1 or 2, Luhn with the prefix 80840 (CMS)."""

    kind = "US_NPI"
    words = ("npi", "provider identifier", "national provider", "provider number")
    layouts: ClassVar[dict[Layout, float]] = {(10,): 0.0}

    def valid(self, digits: str) -> bool:
        """The check digit."""
        return digits[0] in "12" and luhn("80840" + digits)


_MBI_LETTER = "[AC-HJKMNP-RT-Y]"
_MBI_EITHER = "[0-9AC-HJKMNP-RT-Y]"


class UsMbi(Shape):
    """Medicare numbers: 11 signs of which each has its own alphabet (CMS)."""

    kind = "US_MBI"
    in_letters = False
    words = ("mbi", "medicare", "beneficiary")
    alone = 0.8
    pattern = (
        rf"\b([1-9]{_MBI_LETTER}{_MBI_EITHER}[0-9]-?{_MBI_LETTER}{_MBI_EITHER}[0-9]-?{_MBI_LETTER}{{2}}[0-9]{{2}})\b"
    )


class UsDea(Shape):
    """Prescribers' numbers: a registrant's letter, an initial or 9, and a check digit (DEA)."""

    kind = "US_DEA"
    in_letters = False
    words = ("dea", "prescriber", "registration")
    alone = 0.4
    pattern = r"\b([ABCDEFGHJKLMPRSTUX][A-Z9][0-9]{7})\b"

    def valid(self, value: str) -> bool:
        """Digits one, three and five, and twice two, four and six."""
        return (weighted(value[2:8], (1, 2, 1, 2, 1, 2))) % 10 == int(value[8])


class CaSin(Number):
    """Social insurance numbers: Luhn, not from 0 or 8 (Service Canada)."""

    kind = "CA_SIN"
    words = ("sin", "social insurance", "nas", "assurance sociale")
    layouts: ClassVar[dict[Layout, float]] = {(3, 3, 3): 0.4, (9,): 0.0}

    def valid(self, digits: str) -> bool:
        """The check digit and the first."""
        return digits[0] not in "08" and luhn(digits) and not repeated(digits)


class BrCpf(Number):
    """Persons' tax numbers: two check digits mod 11 (Receita Federal)."""

    kind = "BR_CPF"
    words = ("cpf", "cadastro de pessoas")
    layouts: ClassVar[dict[Layout, float]] = {(3, 3, 3, 2): 0.95, (11,): 0.3}
    separators = "!"

    def valid(self, digits: str) -> bool:
        """Both check digits."""
        return not repeated(digits) and all(
            weighted(digits, range(size + 1, 1, -1)) * 10 % 11 % 10 == int(digits[size]) for size in (9, 10)
        )


class BrCnpj(Shape):
    """Companies' tax numbers, also with letters as issued since July 2026: two check digits mod 11."""

    kind = "BR_CNPJ"
    in_letters = False
    words = ("cnpj", "cadastro nacional")
    alone = 0.9
    pattern = r"\b([0-9A-Z]{2}\.[0-9A-Z]{3}\.[0-9A-Z]{3}/[0-9A-Z]{4}-[0-9]{2}|[0-9]{14})\b"

    def valid(self, value: str) -> bool:
        """Both check digits; a letter counts as its ASCII code less 48."""
        values = [ord(sign) - 48 for sign in value if sign.isalnum()]
        weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
        for size in (12, 13):
            rest = sum(a * b for a, b in zip(values[:size], weights[13 - size :], strict=True)) % 11
            if values[size] != (0 if rest < 2 else 11 - rest):  # noqa: PLR2004 - the scheme's rule
                return False
        return len(set(values)) > 1

    def alone_in(self, text: str, start: int, end: int) -> float:
        """Digits without points need a word."""
        return self.alone if "." in text[start:end] else 0.3
