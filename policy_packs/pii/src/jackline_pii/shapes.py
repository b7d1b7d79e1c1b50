"""What most detectors are made of: a linear pattern, a check of what it found, and words that are expected nearby."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import re2  # type: ignore[import-untyped]

from jackline.detector import Match

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BEFORE, AFTER = 64, 24
"""Characters before and after a value in which a word tells what it is."""
_SUBSTRING = 6
"""Words of so many letters are also found inside others, as in `customerpassport`."""
_FEW = 12
"""Up to so many words are first looked for as they are, which is faster than the search."""
_COUNT = re.compile(r"\{([0-9]+)(,[0-9]*)?\}\??")
_KEPT = 17
"""Signs of a vehicle's number: larger counts would make the automaton that looks for all patterns at once too large."""
_QUIET = re2.Options()
_QUIET.log_errors = False


def linear(pattern: str, *, ignore_case: bool = False) -> Any:
    """Compile a pattern that takes linear time; for bytes of ASCII. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    return re2.compile(pattern.encode(), options)


def words_pattern(words: Iterable[str]) -> Any:
    """Compile a search for any of the words, in any case; short ones must stand alone, as in `card_no` and `cardNo`."""
    spaced = [re.escape(word).replace(r"\ ", r"[\s_-]?") for word in words]
    short = [word for word in spaced if len(word) < _SUBSTRING]
    parts = [f"(?i:{word})" for word in spaced if len(word) >= _SUBSTRING]
    if short:
        inner = "|".join(form for word in short for form in (word.title(), word.upper()))
        parts.append(rf"(?:^|[^A-Za-z])(?i:{'|'.join(short)})s?(?:[^a-z]|$)|[a-z](?:{inner})s?(?:[^a-z]|$)")
    return linear("|".join(parts))


def loosened(pattern: str) -> str:
    """Give a small pattern that matches wherever this one does: only low exact counts are kept."""
    return _COUNT.sub(_loosened, pattern)


def _loosened(count: re.Match[str]) -> str:
    if count[2] is None and int(count[1]) <= _KEPT:
        return count[0]
    return "*" if count[1] == "0" else "+"


class Text:
    """A normalised text: ASCII with one character for each byte, so that offsets are the same in both."""

    __slots__ = ("_lower", "data", "taken", "text")

    def __init__(self, text: str) -> None:
        self.taken: list[tuple[int, int]] = []
        """What was found already, for detectors that come last: in order, without overlaps."""
        self.data = text.encode("ascii", "replace")
        self._lower: str | None = None
        self.text = text if len(text) == len(self.data) and text.isascii() else self.data.decode("ascii")

    @property
    def lower(self) -> str:
        """The text in small letters; made when first asked."""
        if self._lower is None:
            self._lower = self.text.lower()
        return self._lower


class Recogniser:
    """What shapes and numbers have in common: the words that tell what a value is."""

    kind: ClassVar[str] = ""
    """The entity's name, in upper case."""
    words: ClassVar[tuple[str, ...]] = ()
    """English and native words that stand near such a value; a space also matches `_`, `-` and nothing."""
    told: ClassVar[float] = 0.95
    """The confidence where one of the words is near."""

    @cached_property
    def nearby(self) -> Any:
        """The search for its words; None where it has none."""
        return words_pattern(self.words) if self.words else None

    def is_told(self, text: Text, start: int, end: int) -> bool:
        """Whether one of its words stands near."""
        near = self.nearby
        if near is None:
            return False
        first, last = max(0, start - BEFORE), end + AFTER
        if len(self._roots) <= _FEW:
            around = text.lower[first:last]
            if not any(map(around.__contains__, self._roots)):
                return False
        return near.search(text.data, first, last) is not None

    @cached_property
    def _roots(self) -> frozenset[str]:
        """How its words begin: where none of these stands, none of the words does."""
        return frozenset(word.partition(" ")[0].lower() for word in self.words)


class Shape(Recogniser):
    """A detector by a pattern; group 1 is the value where there is one."""

    pattern: ClassVar[str] = ""
    in_letters: ClassVar[bool] = True
    """Whether a value may consist of few letters alone, without a digit, `@`, `%` or `://`: costs a little more."""
    alone: ClassVar[float] = 0.0
    """The confidence where none of its words is near; below a policy's threshold it counts only with them."""

    @cached_property
    def compiled(self) -> Any:
        """The pattern, ready to search."""
        return linear(self.pattern)

    def triggers(self) -> Iterable[str]:
        """Give the patterns of which one matches wherever something can be found."""
        return (self.pattern,)

    def find(self, text: str) -> Iterator[Match]:
        """Find every place in a normalised text."""
        return self.found(Text(text))

    def found(self, text: Text) -> Iterator[Match]:
        """Find every place."""
        for match in self.compiled.finditer(text.data):
            start, end = match.span(1 if match.re.groups else 0)
            if start < 0:
                start, end = match.span()
            end = self.bounded(text.text, start, end)
            if end <= start or not self.valid(text.text[start:end]):
                continue
            confidence = self.alone_in(text.text, start, end)
            if confidence < self.told and self.is_told(text, start, end):
                confidence = self.told
            if confidence:
                yield Match(start, end, confidence)

    def bounded(self, text: str, start: int, end: int) -> int:  # noqa: ARG002 - for those that look around
        """Where the value ends; at its start where it is none at this place."""
        return end

    def valid(self, value: str) -> bool:  # noqa: ARG002 - a shape alone checks nothing
        """Whether the value keeps to its scheme's rules."""
        return True

    def alone_in(self, text: str, start: int, end: int) -> float:  # noqa: ARG002 - for those that look at the value
        """The confidence without a word nearby."""
        return self.alone


def quiet() -> Any:
    """Options for a set of patterns: nothing is written to standard error."""
    return _QUIET
