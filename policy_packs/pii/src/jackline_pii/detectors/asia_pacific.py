"""Identity, tax and health numbers of Australia and India."""

from __future__ import annotations

from typing import ClassVar

from jackline_pii.checksums import repeated, verhoeff, weighted
from jackline_pii.numbers import Layout, Number
from jackline_pii.shapes import Shape


class AuTfn(Number):
    """Tax file numbers: weighted mod 11 (ATO)."""

    kind = "AU_TFN"
    words = ("tfn", "tax file")
    layouts: ClassVar[dict[Layout, float]] = {(3, 3, 3): 0.3, (9,): 0.0, (3, 3, 2): 0.0, (8,): 0.0}

    def valid(self, digits: str) -> bool:
        """The sum that eleven divides; old ones have eight digits."""
        long = len(digits) > 8  # noqa: PLR2004 - the scheme's two lengths
        weights = (1, 4, 3, 7, 5, 8, 6, 9, 10) if long else (10, 7, 8, 4, 6, 3, 5, 1)
        return weighted(digits, weights) % 11 == 0 and not repeated(digits)


class AuAbn(Number):
    """Business numbers: the first digit less one, weighted mod 89 (ABR)."""

    kind = "AU_ABN"
    words = ("abn", "business number")
    layouts: ClassVar[dict[Layout, float]] = {(2, 3, 3, 3): 0.6, (11,): 0.3}

    def valid(self, digits: str) -> bool:
        """The sum that 89 divides."""
        lessened = weighted(digits, (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)) - 10
        return digits[0] != "0" and lessened % 89 == 0


class AuMedicare(Number):
    """Medicare numbers: from 2 to 6, weighted mod 10, an issue number that is not 0."""

    kind = "AU_MEDICARE"
    words = ("medicare",)
    layouts: ClassVar[dict[Layout, float]] = {(4, 5, 1): 0.6, (10,): 0.0, (4, 5, 1, 1): 0.6, (11,): 0.0}

    def valid(self, digits: str) -> bool:
        """The ninth digit checks the first eight."""
        right = weighted(digits[:8], (1, 3, 7, 9, 1, 3, 7, 9)) % 10 == int(digits[8])
        return digits[0] in "23456" and digits[9] != "0" and right


class InAadhaar(Number):
    """Residents' numbers: 12 digits from 2 to 9, Verhoeff (UIDAI)."""

    kind = "IN_AADHAAR"
    words = ("aadhaar", "aadhar", "uidai", "uid")
    layouts: ClassVar[dict[Layout, float]] = {(4, 4, 4): 0.7, (12,): 0.3}

    def valid(self, digits: str) -> bool:
        """The check digit; a palindrome is not issued."""
        return digits[0] not in "01" and digits != digits[::-1] and verhoeff(digits)


class InPan(Shape):
    """Permanent account numbers: the fourth letter tells the holder's status (Income Tax Department)."""

    kind = "IN_PAN"
    in_letters = False
    words = ("pan", "permanent account", "income tax")
    alone = 0.7
    pattern = r"\b([A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z])\b"

    def valid(self, value: str) -> bool:
        """The serial number begins with 0001."""
        return value[5:9] != "0000"
