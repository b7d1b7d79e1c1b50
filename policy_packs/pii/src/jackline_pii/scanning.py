"""The engine: one pass tells which detectors have anything to do, and only those look closer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import re2  # type: ignore[import-untyped]

from jackline_pii.decoding import clipped, encoded_parts, form_decoded, percent_decoded, unescaped
from jackline_pii.detectors.phone import Phone
from jackline_pii.folding import Folded, fold
from jackline_pii.numbers import Index, Number, find_kinds
from jackline_pii.shapes import Shape, Text, linear, loosened, quiet

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jackline.detector import Detector
    from jackline_pii.decoding import Decoded

_ANY_NUMBER = r"[0-9](?:[ ./-]{0,3}[0-9]){6}"
_ANY_ENCODED = r"[A-Za-z0-9+/_-]{16}"
_INTERESTING = (
    r"[0-9@%\x1a]|://|www\.|[A-Za-z0-9+/_-]{16}|[\[({] ?[aA][tT] ?[\])}]|-----BEGIN|[A-Fa-f]{1,4}:[A-Fa-f]{0,4}:"
)
_NAMED = (
    r"(?i)(?:password|passwd|passphrase|pwd|secret|token|key|credential)s?[a-z0-9_]{0,20}[\"'\]]{0,2}"
    r"\s{0,3}(?:=|:|\n| is )|bearer|basic"
)


class Span(NamedTuple):
    """What was found where, in the text as it was given."""

    start: int
    end: int
    kind: str
    confidence: float
    note: str = ""


class Scanner:
    """Several detectors over one text. It keeps nothing of what it reads."""

    def __init__(
        self, detectors: Mapping[str, Detector], *, threshold: float = 0.5, shadows: Sequence[Number] = ()
    ) -> None:
        """`shadows` are not reported: they tell other numbers from telephone numbers."""
        self._threshold = threshold
        self._kinds = frozenset(detectors)
        self._numbers: dict[Number, str] = {}
        self._shapes: list[tuple[str, Shape]] = []
        self._last: list[tuple[str, Phone]] = []
        self._others: list[tuple[str, Detector]] = []
        for kind, detector in detectors.items():
            self._take(kind, detector)
        asked = {type(number) for number in self._numbers}
        for number in shadows if self._last else ():
            if type(number) not in asked:
                self._numbers[number] = ""
        self._index = Index(self._numbers)
        self._gate = linear("|".join((_INTERESTING, f"(?:{_NAMED})", *self._in_letters())))
        self._set = re2.Set.SearchSet(quiet())
        self._members: list[Shape | None] = [None]
        self._set.Add(_ANY_NUMBER.encode())
        for _, shape in self._shapes:
            self._add(shape)
        self._set.Compile()

    def _take(self, kind: str, detector: Detector) -> None:
        if isinstance(detector, Number):
            self._numbers[detector] = kind
        elif isinstance(detector, Phone):
            self._last.append((kind, detector))
        elif isinstance(detector, Shape):
            self._shapes.append((kind, detector))
        else:
            self._others.append((kind, detector))

    def _in_letters(self) -> list[str]:
        """The patterns of those that find something where there is neither a digit nor a sign."""
        shapes = [shape for _, shape in self._shapes if shape.in_letters]
        return [f"(?:{loosened(pattern)})" for shape in shapes for pattern in shape.triggers()]

    def _add(self, shape: Shape) -> None:
        for pattern in shape.triggers():
            self._set.Add(loosened(pattern).encode())
            self._members.append(shape)

    def is_silent(self, text: str) -> bool:
        """Whether one quick look is enough to tell that nothing can be found."""
        return not self._others and text.isascii() and self._gate.search(text.encode("ascii")) is None

    def scan(self, text: str) -> list[Span]:
        """Find everything, in order and without overlaps: the surer one stays, then the longer one."""
        if self.is_silent(text):
            return []
        folded = fold(text)
        plain = unescaped(folded)
        spans = self._mapped(folded, escapes=plain is not None)
        for decoded in (plain, percent_decoded(folded), form_decoded(folded)):
            if decoded is not None:
                known = {(span.start, span.end, span.kind) for span in spans}
                spans += [span for span in self._mapped(decoded) if (span.start, span.end, span.kind) not in known]
        hiding = folded if plain is None else plain
        for start, end, hidden in encoded_parts(hiding.text):
            inner = self._found(Text(hidden))
            if inner:
                best = max(inner, key=lambda span: span.confidence)
                first, last = hiding.span(start, end)
                spans.append(Span(first, last, best.kind, best.confidence, "base64"))
        return resolved(spans)

    def _mapped(self, read: Folded | Decoded, *, escapes: bool = False) -> list[Span]:
        """Find everything in one reading of a text, and lead it back; of an escape a span has all or nothing."""
        found = self._found(Text(read.text))
        if isinstance(read, Folded) and read.starts is None and not escapes:
            return found
        spans = []
        for span in found:
            start, end = clipped(read.text, span.start, span.end) if escapes else (span.start, span.end)
            if start < end:
                start, end = read.span(start, end)
                spans.append(span._replace(start=start, end=end))
        return spans

    def _found(self, text: Text) -> list[Span]:
        """Find everything in a normalised text; overlapping ones too."""
        spans: list[Span] = []
        hits = {self._members[index] for index in self._set.Match(text.data) or ()}
        if None in hits and self._numbers:
            for number, match in find_kinds(text, self._index):
                if match.confidence >= self._threshold:
                    spans.append(Span(match.start, match.end, self._numbers[number], match.confidence))
        for kind, shape in self._shapes:
            if shape in hits:
                spans += self._sure(kind, shape.found(text))
        for kind, other in self._others:
            spans += self._of_others(kind, other, text)
        if None in hits and self._last:
            text.taken = merged(spans)
            for kind, phone in self._last:
                spans += self._sure(kind, phone.found(text))
        return [span for span in spans if span.kind]

    def _of_others(self, kind: str, other: Detector, text: Text) -> list[Span]:
        """What a detector finds that is not made of shapes. Raises RuntimeError without what it said, or the value."""
        try:
            spans = self._sure(kind, other.find(text.text))
            size = len(text.text)
            if all(0 <= span.start < span.end <= size for span in spans):
                return spans
            said = "gave a place that is outside the text"
        except Exception as error:  # noqa: BLE001 - its words may hold what it looked at
            said = f"raised {type(error).__name__}"
        raise RuntimeError(f"the detector of {kind} {said}")

    def _sure(self, kind: str, matches: Iterable[tuple[int, int, float, str]]) -> list[Span]:
        return [
            Span(start, end, kind, confidence, note)
            for start, end, confidence, note in matches
            if confidence >= self._threshold
        ]


def resolved(spans: list[Span]) -> list[Span]:
    """Leave of those that overlap the surest, then the longest; in the text's order."""
    if len(spans) < 2:  # noqa: PLR2004 - nothing can overlap
        return spans
    kept: list[Span] = []
    spans.sort(key=lambda span: (span.start, -span.end))
    for span in spans:
        if kept and span.start < kept[-1].end:
            last = kept[-1]
            better = (span.confidence, span.end - span.start) > (last.confidence, last.end - last.start)
            first, end = min(last.start, span.start), max(last.end, span.end)
            # What both cover is one place: nothing of either is left visible.
            kept[-1] = (span if better else last)._replace(start=first, end=end)
        else:
            kept.append(span)
    return kept


def merged(spans: list[Span]) -> list[tuple[int, int]]:
    """Give the places of spans in order, without overlaps."""
    places: list[tuple[int, int]] = []
    for start, end in sorted((span.start, span.end) for span in spans):
        if places and start < places[-1][1]:
            places[-1] = places[-1][0], max(places[-1][1], end)
        else:
            places.append((start, end))
    return places
