"""The check digits of published numbering schemes; each works on the digits alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_DOUBLED = dict(zip("0123456789", (0, 2, 4, 6, 8, 1, 3, 5, 7, 9), strict=True))

# Verhoeff 1969: the dihedral group D5 and its permutation.
_PRODUCT = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
_PERMUTED = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def luhn(digits: str) -> bool:
    """Whether the last digit is right by ISO/IEC 7812-1, annex B."""
    plain, doubled = digits[::-2], digits[-2::-2]
    return (sum(map(int, plain)) + sum(map(_DOUBLED.__getitem__, doubled))) % 10 == 0


def mod97(text: str) -> int:
    """Give the remainder of ISO 7064 mod 97-10; letters count from A = 10."""
    return int("".join(str(int(sign, 36)) for sign in text)) % 97


def mod11_10(digits: str) -> bool:
    """Whether the last digit is right by ISO 7064 mod 11,10."""
    product = 10
    for digit in digits[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(digits[-1])


def verhoeff(digits: str) -> bool:
    """Whether the last digit is right by Verhoeff's scheme."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_PRODUCT[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0


def weighted(digits: str, weights: Sequence[int]) -> int:
    """Give the sum of digits times weights, as far as the shorter of the two goes."""
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def repeated(digits: str) -> bool:
    """Whether all digits are the same: such numbers pass many checksums and belong to nobody."""
    return digits == digits[:1] * len(digits)
