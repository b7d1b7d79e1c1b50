"""Numbers in groups of digits: found once for all detectors that are about digits, then told apart by their layout."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from jackline.detector import Match
from jackline_pii.shapes import Recogniser, Text

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

_RUNS = re.compile(r"\d+(?:(?: ?[./-] ?|  ?)\d+)*", re.ASCII)
"""No two ways lead through it, and nothing follows that could fail: linear without an automaton."""
_GROUPS = re.compile(r"\d+", re.ASCII)
SURE = 0.9
"""Groups of a number that is so sure are not read in other ways."""
_MOST_KNOWN = 4096
FEWEST, MOST, MOST_GROUPS = 7, 19, 6
"""Digits of the shortest and the longest number looked for, and the groups that it may have."""

Layout = tuple[int, ...]


class Grouped(NamedTuple):
    """One number as it stands in the text."""

    start: int
    end: int
    digits: str
    layout: Layout
    separators: str
    """What stands between the groups, once each: empty, one, or several where they differ."""


class Number(Recogniser):
    """A detector of numbers that consist of digits."""

    layouts: ClassVar[dict[Layout, float]] = {}
    """The groups in which it is written, and the confidence where none of its words is near."""
    separators: ClassVar[str] = " -"
    """What may stand between the groups; always the same one. `!` stands for several that differ."""
    goes_on: ClassVar[bool] = False
    """Whether one that is sure also counts where a date or another number follows it behind a slash or dash."""
    any_layout: ClassVar[range] = range(0)
    """The numbers of digits that also count in any other layout where one of its words is near."""

    def valid(self, digits: str) -> bool:
        """Whether the digits keep to the scheme's rules."""
        raise NotImplementedError

    def find(self, text: str) -> Iterator[Match]:
        """Find every place in a normalised text."""
        return find_numbers(Text(text), Index([self]))

    def confidence(self, text: Text, number: Grouped) -> float:
        """Give 0 where the number is none of this kind."""
        alone = self.layouts.get(number.layout)
        if len(number.layout) > 1 and "!" not in self.separators and number.separators not in (*self.separators,):
            alone = None
        if alone is None and len(number.digits) not in self.any_layout:
            return 0.0
        if not self.valid(number.digits):
            return 0.0
        alone = alone or 0.0
        if alone >= self.told:
            return alone
        return self.told if self.is_told(text, number.start, number.end) else alone


class Index:
    """The detectors of numbers by what can be theirs."""

    def __init__(self, detectors: Iterable[Number]) -> None:
        self.by_layout: dict[Layout, list[Number]] = {}
        self.by_length: dict[int, list[Number]] = {}
        self._known: dict[Layout, list[Number]] = {}
        for detector in detectors:
            for layout in detector.layouts:
                self.by_layout.setdefault(layout, []).append(detector)
            for length in detector.any_layout:
                self.by_length.setdefault(length, []).append(detector)

    def candidates(self, layout: Layout, length: int) -> list[Number]:
        """Those whose layout or length this is, each once."""
        known = self._known.get(layout)
        if known is None:
            found = self.by_layout.get(layout, [])
            known = found + [each for each in self.by_length.get(length, ()) if each not in found]
            if len(self._known) < _MOST_KNOWN:
                self._known[layout] = known
        return known


def find_numbers(text: Text, index: Index) -> Iterator[Match]:
    """Yield what each detector takes for its own, overlapping ones too."""
    for _, match in find_kinds(text, index):
        yield match


def find_kinds(text: Text, index: Index) -> Iterator[tuple[Number, Match]]:
    """As `find_numbers`, with the detector."""
    whole = text.text
    for run in _RUNS.finditer(whole):
        start, end = run.span()
        if end - start < FEWEST:
            continue
        spans = [(start, end)] if run[0].isdigit() else _groups(whole, start, end)
        if len(spans) == 2 and whole[spans[0][1] : end] == ".0":  # noqa: PLR2004 - a whole number written as a fraction
            spans, end = spans[:1], spans[0][1]
        if _is_open_after(whole, end):
            spans = spans[: _last_space(whole, spans)]
        sizes = tuple([end - start for start, end in spans])
        if MOST_GROUPS < len(sizes) <= MOST and max(sizes) == 1:
            yield from _spelled(text, spans, index)
        after = 1 if _is_open_before(whole, start) else 0
        while after < len(spans):
            after = yield from _read(text, spans, sizes, after, index)


def _read(
    text: Text, spans: list[tuple[int, int]], sizes: Layout, first: int, index: Index
) -> Generator[tuple[Number, Match], None, int]:
    """Yield what the numbers that begin at this group are, the longest first; return the group to go on at."""
    for final, size, closed in _readings(text.text, spans, sizes, first):
        layout = sizes[first : final + 1]
        candidates = index.candidates(layout, size)
        if not closed:
            candidates = [detector for detector in candidates if detector.goes_on]
        if not candidates:
            continue
        number = _grouped(text.text, spans[first : final + 1], layout)
        sure = False
        for detector in candidates:
            confidence = detector.confidence(text, number)
            if confidence and (closed or confidence >= SURE):
                yield detector, Match(number.start, number.end, confidence)
                sure = sure or confidence >= SURE
        if sure:
            return final + 1
    return first + 1


def _spelled(text: Text, spans: list[tuple[int, int]], index: Index) -> Iterator[tuple[Number, Match]]:
    """Yield what a number is whose digits stand one by one, `4 1 1 1`: as if they stood together."""
    number = _grouped(text.text, spans, (len(spans),))
    if len(number.separators) == 1:
        for detector in index.candidates(number.layout, len(spans)):
            confidence = detector.confidence(text, number._replace(separators=""))
            if confidence:
                yield detector, Match(number.start, number.end, confidence)


def _last_space(text: str, spans: list[tuple[int, int]]) -> int:
    """How many groups stand before the last one that a space parts from them."""
    for place in range(len(spans) - 1, 0, -1):
        if text[spans[place - 1][1] : spans[place][0]].isspace():
            return place
    return 0


def _groups(text: str, start: int, end: int) -> list[tuple[int, int]]:
    return [match.span() for match in _GROUPS.finditer(text, start, end)]


def _grouped(text: str, spans: list[tuple[int, int]], layout: Layout) -> Grouped:
    gaps = {text[a[1] : b[0]].strip() or " " for a, b in pairwise(spans)}
    digits = "".join([text[start:end] for start, end in spans])
    return Grouped(spans[0][0], spans[-1][1], digits, layout, "".join(gaps))


def _is_open_before(text: str, start: int) -> bool:
    """Whether the first group is the end of something longer: of a name, of a fraction."""
    before = text[start - 1] if start else " "
    if before.isalnum() or before == "_":
        return True
    return before == "." and start > 1 and text[start - 2].isdigit()


def _is_open_after(text: str, end: int) -> bool:
    """Whether the last group is the beginning of something longer; an extension (`x123`) is none."""
    after = text[end] if end < len(text) else " "
    if after.isalnum() or after == "_":
        return not (after in "xX" and end + 1 < len(text) and text[end + 1].isdigit())
    return False


def _readings(text: str, spans: list[tuple[int, int]], sizes: Layout, first: int) -> list[tuple[int, int, bool]]:
    """Give the last group and the digits of every number that begins at this group, the longest first.

    A run is parted where a space stands. Before a slash or dash a number is not closed: few count there.
    Each group begins a bounded number of them.
    """
    if first and not text[spans[first - 1][1] : spans[first][0]].isspace():
        return []
    last = len(spans) - 1
    total = 0
    readings = []
    for final in range(first, min(last + 1, first + MOST_GROUPS)):
        total += sizes[final]
        if total > MOST:
            break
        if total >= FEWEST:
            gap = " " if final == last else text[spans[final][1] : spans[final + 1][0]]
            if gap == " " or "." not in gap:
                readings.append((final, total, gap.isspace()))
    readings.reverse()
    return readings
