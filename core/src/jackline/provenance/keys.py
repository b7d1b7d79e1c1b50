"""From texts to keyed hashes: what of a text identifies something, and what a value would have to be found as.

A text is read generously (also without what hides characters, numbers in any notation), a value strictly: it is found
only as it stands, apart from case and canonical Unicode form. So no disguise of a value equals what the user wrote.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LONGEST: Final = 262_144
"""Characters of one text that are read; what lies behind is not remembered."""
_WORD: Final = re.compile(r"[^\s\"<>()\[\]{}|;,`“”„«»]+")
_RUN: Final = re.compile(r"[^\W_]+")
_EDGE: Final = "'’‘.,:!?*…"  # noqa: RUF001 - quotation marks as people write them
_OWNED: Final = ("'s", "’s")  # noqa: RUF001 - the same
_URL: Final = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^/?#\\@\s]*@)?([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d+)?(?:[/?#].*)?")
_ALONE: Final = re.compile(r"[^@]@[^@]|[/\\]")
"""A word like this is an address or a path: it is looked for by itself, whatever stands beside it."""
_NUMBER: Final = re.compile(r"[$€£¥]?(-?[0-9][0-9.,]*)(?:[%€]|usd|eur)?")
_WESTERN: Final = re.compile(r"-?[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_EUROPEAN: Final = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]{3})+(?:,[0-9]+)?|-?[0-9]+,[0-9]+")
_AMOUNT: Final = re.compile(r"(?<![\w.,])[$€£¥]?-?[0-9]+(?:[.,][0-9]+)+")
_GROUPED: Final = re.compile(
    r"(?<![\w@.-])"
    r"(?:[a-z]{2}[0-9]{2}(?: [a-z0-9]{4}){2,7}(?: [a-z0-9]{1,3})?|\+?\(?[0-9][0-9 ()-]{6,40}[0-9])"
    r"(?![\w@-])"
)
_COMPACT: Final = re.compile(r"[a-z0-9 +()-]{8,64}")
_DIGITS: Final = 6
"""Digits that make a number one of an account, a card or a telephone, in whatever groups it is written."""
_MASK: Final = (1 << 64) - 1
_ASCII_ONLY: Final = re.compile(r"[\x00-\x7f]*")


class Keys:
    """Hashes of 64 bits under one key; equal texts have equal hashes, and without the key nobody can make one."""

    __slots__ = ("_first", "_keyed", "_second")

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(digest_size=8, key=hashlib.blake2b(key, person=b"provenance").digest()[:32])
        self._first, self._second = self.of("\0first") | 1, self.of("\0second") | 1

    def of(self, text: str) -> int:
        """The hash of one text."""
        hashing = self._keyed.copy()
        hashing.update(text.encode("utf-8", "surrogatepass"))
        return int.from_bytes(hashing.digest(), "little")

    def pair(self, left: int, right: int) -> int:
        """The hash of two words that follow each other."""
        return (left * self._first + right * self._second) & _MASK

    def known(self, text: str) -> list[int]:
        """What can be found after this text was read, in its order; doubles are in it."""
        found: list[int] = []
        hashed: dict[str, int] = {}
        for form in _forms(text[:LONGEST]):
            before = 0
            for word in _WORD.findall(form):
                plain = word.strip(_EDGE) or word
                key = hashed.get(plain)
                if key is None:
                    key = hashed[plain] = self.of(plain)
                    found += map(self.of, _parts(word, plain))
                found.append(key)
                if before:
                    found.append(self.pair(before, key))
                before = key
            found += [self.of(f"\0{number}") for number in _amounts(form)]
            found += [self.of(f"\1{compact}") for compact in _groups(form)]
        return found

    def repeated(self, text: str, asked: str) -> set[int]:
        """The hashes of the words in `text` that can be put together from the words of `asked`."""
        runs = {run for form in _forms(asked[:LONGEST]) for run in _RUN.findall(form)}
        found: set[int] = set()
        for form in _forms(text[:LONGEST]):
            for word in {*_WORD.findall(form)}:
                if runs.issuperset(_RUN.findall(word)):
                    plain = word.strip(_EDGE) or word
                    found.update((self.of(plain), *map(self.of, _parts(word, plain))))
        return found

    def wanted(self, value: str) -> list[tuple[int, ...]]:
        """What this value would be found as: for each of its parts the hashes of which one must be known."""
        form = unicodedata.normalize("NFC", value).lower().strip()
        compact = _compact(form)
        if compact:
            return [(self.of(f"\1{compact}"), *(() if " " in form else (self.of(form),)))]
        words = _WORD.findall(form)
        if not words:
            return [(self.of(form),)] if form else []
        if len(words) == 1:
            return [(self.of(words[0]),)] if words[0] == form else [(self.of(form), self.of(words[0]))]
        return self._phrase(words)

    def _phrase(self, words: list[str]) -> list[tuple[int, ...]]:
        """Each address by itself; of the rest every two words that follow each other."""
        wanted: list[tuple[int, ...]] = []
        run: list[int] = []
        for word in [*words, "/"]:
            if not _ALONE.search(word):
                run.append(self.of(word.strip(_EDGE) or word))
                continue
            wanted += [(self.pair(*two),) for two in pairwise(run)] or [(one,) for one in run]
            run = []
            wanted.append((self.of(word),))
        return wanted[:-1]

    def number(self, value: float) -> int:
        """What a number would be found as."""
        return self.of(f"\0{_canonical(str(value))}")


def _forms(text: str) -> Iterator[str]:
    """The text itself and, where it differs, without what hides characters or only looks different."""
    if _ASCII_ONLY.fullmatch(text):
        yield text.lower()
        return
    itself = unicodedata.normalize("NFC", text).lower()
    yield itself
    shown = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    shown = unicodedata.normalize("NFKC", shown).lower()
    if shown != itself:
        yield shown


def _parts(word: str, plain: str) -> Iterator[str]:
    """What of a word can stand for itself: the word as written, an address in it, the host of a URL, a number."""
    if word != plain:
        yield word
    if plain.endswith(_OWNED):
        yield plain[:-2]
    if "://" in plain:
        url = _URL.fullmatch(plain)
        if url is not None:
            yield url[1]
        if plain.endswith("/"):
            yield plain.rstrip("/")
    elif ":" in plain or "=" in plain:
        for part in re.split("[:=]", plain):
            bare = part.strip(_EDGE)
            if bare:
                yield bare
                yield from _numbers(bare)
    yield from _numbers(plain)
    compact = _compact(plain)
    if compact:
        yield f"\1{compact}"


def _numbers(word: str) -> Iterator[str]:
    hit = _NUMBER.fullmatch(word)
    if hit is not None:
        text = hit[1].rstrip(".,")
        if _WESTERN.fullmatch(text) is None and "," not in text and text.count(".") <= 1:
            yield f"\0{_canonical(text)}"


def _amounts(form: str) -> Iterator[str]:
    """Numbers with separators, read as those who write 1,234.50 and those who write 1.234,50 would."""
    for hit in _AMOUNT.findall(form):
        text = hit.lstrip("$€£¥")
        if _WESTERN.fullmatch(text):
            yield _canonical(text.replace(",", ""))
        if _EUROPEAN.fullmatch(text):
            yield _canonical(text.replace(".", "").replace(",", "."))


def _canonical(text: str) -> str:
    """A number without what does not change it; every digit of a long one counts."""
    if "e" in text:
        text = f"{Decimal(text):f}"
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text)
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    return f"{sign}{whole.lstrip('0') or '0'}{'.' if fraction else ''}{fraction}"


def _groups(form: str) -> Iterator[str]:
    """Accounts and telephone numbers that are written in groups, as one."""
    for hit in _GROUPED.findall(form):
        yield from _compacts(hit)


def _compacts(grouped: str) -> Iterator[str]:
    whole = _compact(grouped)
    if whole:
        yield whole
    groups = grouped.split(" ")
    for count in range(3, len(groups)):  # a word or a number may follow an account's number
        part = "".join(groups[:count])
        if part[:1].isalpha() and _is_iban(part):
            yield part


def _is_iban(text: str) -> bool:
    return len(text) >= 15 and text.isalnum() and int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1  # noqa: PLR2004 - ISO 13616


def _compact(form: str) -> str:
    """A number of an account, a card or a telephone without its grouping; empty where it is none."""
    if not _COMPACT.fullmatch(form) or sum(map(str.isdigit, form)) < _DIGITS:
        return ""
    if re.search("[a-z]", form) and not re.fullmatch(r"[a-z]{2}[0-9]{2}[a-z0-9 ]+", form):
        return ""
    return re.sub("[ ()-]", "", form)


def texts(value: Any) -> Iterable[str]:
    """Every text and number in plain data, as texts; keys too."""
    kept = [value]
    while kept:
        one = kept.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            kept += reversed([*one.values()])
            yield from one
        elif isinstance(one, list):
            kept += reversed(one)
        elif isinstance(one, (int, float)) and not isinstance(one, bool):
            yield str(one)
