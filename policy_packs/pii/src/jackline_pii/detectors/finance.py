"""Payment cards, bank accounts, banks and wallets."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from jackline_pii.checksums import luhn, mod97, repeated
from jackline_pii.countries import COUNTRIES, IBAN_LENGTHS
from jackline_pii.keccak import keccak256
from jackline_pii.numbers import Grouped, Layout, Number
from jackline_pii.shapes import Shape, Text

_CARDS: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    # The first and last issuer number of each network, and the lengths that it issues.
    (4, 4, (13, 16, 19)),
    (51, 55, (16,)),
    (2221, 2720, (16,)),
    (34, 34, (15,)),
    (37, 37, (15,)),
    (300, 305, (14, 16, 19)),
    (309, 309, (14, 16, 19)),
    (36, 36, (14, 16, 19)),
    (38, 39, (14, 16, 19)),
    (6011, 6011, (16, 19)),
    (644, 659, (16, 19)),
    (62, 62, (16, 17, 18, 19)),
    (81, 82, (16,)),
    (3528, 3589, (16, 17, 18, 19)),
    (2200, 2204, (16, 17, 18, 19)),
    (50, 50, (12, 13, 14, 15, 16, 17, 18, 19)),
    (56, 58, (12, 13, 14, 15, 16, 17, 18, 19)),
    (60, 61, (12, 13, 14, 15, 16, 17, 18, 19)),
    (63, 63, (12, 13, 14, 15, 16, 17, 18, 19)),
    (66, 69, (12, 13, 14, 15, 16, 17, 18, 19)),
    (1800, 1800, (15,)),
    (2131, 2131, (15,)),
)


def issuer_fits(digits: str) -> bool:
    """Whether a network issues cards of this beginning and length (ISO/IEC 7812-1, networks' own publications)."""
    for first, last, lengths in _CARDS:
        if len(digits) in lengths and first <= int(digits[: len(str(first))]) <= last:
            return True
    return False


class CreditCard(Number):
    """Payment cards of 12 to 19 digits: issuer, length and check digit."""

    kind = "CREDIT_CARD"
    words = ("card", "credit", "debit", "visa", "mastercard", "amex", "maestro", "pan", "cc", "payment", "ccn")
    layouts: ClassVar[dict[Layout, float]] = {
        (4, 4, 4, 4): 0.99,
        (4, 6, 5): 0.99,
        (4, 6, 4): 0.97,
        (4, 4, 4, 4, 3): 0.97,
        (4, 4, 4, 1): 0.8,
        (4, 4, 4, 2): 0.8,
        (4, 4, 4, 3): 0.8,
        (4, 4, 4): 0.6,
        (16,): 0.95,
        (15,): 0.9,
        (14,): 0.8,
        (19,): 0.8,
        (18,): 0.7,
        (17,): 0.7,
        (13,): 0.7,
        (12,): 0.6,
    }
    separators = " -."
    any_layout = range(12, 20)
    goes_on = True

    def valid(self, digits: str) -> bool:
        """The check digit."""
        return luhn(digits) and not repeated(digits)

    def confidence(self, text: Text, number: Grouped) -> float:
        """Without an issuer that has such numbers, only a word nearby tells that it is a card."""
        found = super().confidence(text, number)
        if found and not issuer_fits(number.digits):
            return 0.8 if self.is_told(text, number.start, number.end) else 0.0
        return found


class Iban(Shape):
    """International bank account numbers: the country's length and mod 97-10 (ISO 13616)."""

    kind = "IBAN"
    in_letters = False
    words = ("iban", "account", "konto", "bank")
    alone = 0.99
    pattern = r"\b([A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,40})"

    def bounded(self, text: str, start: int, end: int) -> int:
        """End after as many letters and digits as the country's accounts have."""
        left = IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
        place = start
        while left and place < end:
            left -= text[place].isalnum()
            place += 1
        joined = place < len(text) and text[place].isalnum()
        return start if left or joined or place == start else place

    def valid(self, value: str) -> bool:
        """The remainder is 1 when the country and check digits stand last."""
        plain = value.replace(" ", "").replace("-", "").upper()
        return mod97(plain[4:] + plain[:4]) == 1


class Bic(Shape):
    """Bank identifiers of 8 or 11 signs (ISO 9362), next to a word that tells it."""

    kind = "BIC"
    words = ("bic", "swift", "bank identifier", "bank code")
    told = 0.9
    pattern = r"\b([A-Z]{4}[A-Z]{2}[A-Z2-9][A-NP-Z0-9](?:[A-Z0-9]{3})?)\b"

    def valid(self, value: str) -> bool:
        """The fifth and sixth letter are a country."""
        return value[4:6] in COUNTRIES


_BASE58 = {sign: place for place, sign in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {sign: place for place, sign in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}
_BECH32_STEPS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_BECH32_CHECKS = (1, 0x2BC830A3)
"""BIP 173 and BIP 350."""


class CryptoWallet(Shape):
    """Wallets of Bitcoin and Litecoin (base58check, bech32) and of Ethereum (EIP-55)."""

    kind = "CRYPTO_WALLET"
    in_letters = False
    words = ("wallet", "bitcoin", "btc", "ethereum", "eth", "crypto", "address", "litecoin")
    alone = 0.97
    pattern = (
        r"\b([13LM][1-9A-HJ-NP-Za-km-z]{25,34}|0x[0-9a-fA-F]{40}"
        r"|(?:bc|ltc|tb)1[02-9ac-hj-np-z]{11,71}|(?:BC|LTC|TB)1[02-9AC-HJ-NP-Z]{11,71})\b"
    )

    def valid(self, value: str) -> bool:
        """The checksum of its kind."""
        if value.startswith("0x"):
            return checksummed(value)
        return bech32(value.lower()) if "1" in value[2:4] and value[:2].lower() in ("bc", "lt", "tb") else base58(value)

    def alone_in(self, text: str, start: int, end: int) -> float:
        """An Ethereum address in one case has no checksum."""
        value = text[start + 2 : end]
        return 0.6 if text.startswith("0x", start) and value in (value.lower(), value.upper()) else self.alone


def base58(value: str) -> bool:
    """Whether the last four bytes are those of the double SHA-256 of the first 21."""
    number = 0
    for sign in value:
        number = number * 58 + _BASE58[sign]
    if number.bit_length() > 25 * 8:
        return False
    raw = number.to_bytes(25)
    return hashlib.sha256(hashlib.sha256(raw[:21]).digest()).digest()[:4] == raw[21:]


def bech32(value: str) -> bool:
    """Whether the checksum is that of BIP 173, or of BIP 350."""
    name, _, data = value.rpartition("1")
    values = [ord(sign) >> 5 for sign in name] + [0] + [ord(sign) & 31 for sign in name]
    check = 1
    for item in values + [_BECH32[sign] for sign in data]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ item
        for place, step in enumerate(_BECH32_STEPS):
            check ^= step if top >> place & 1 else 0
    return check in _BECH32_CHECKS


def checksummed(value: str) -> bool:
    """Whether the letters' case is that of EIP-55; an address in one case is taken as it is."""
    plain = value[2:]
    if plain in (plain.lower(), plain.upper()):
        return len(set(plain.lower())) > 4  # noqa: PLR2004 - zeros and the like are nobody's
    digest = keccak256(plain.lower().encode()).hex()
    return all(
        sign == (sign.upper() if int(digest[place], 16) >= 8 else sign.lower())  # noqa: PLR2004 - EIP-55
        for place, sign in enumerate(plain)
    )
