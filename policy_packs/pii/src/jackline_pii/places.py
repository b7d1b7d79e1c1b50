"""Arguments as texts: every string, number and key in order, with its place, and back again."""

from __future__ import annotations

import bisect
import re
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jackline_pii.scanning import Scanner, Span

SHORTEST = 4
"""Characters of the shortest number that is read as text: a year, an age and an amount are no one's."""
REACH = 120
"""Characters on each side of a cut between two texts that are read together."""
SURE = 0.8
"""What lies across a cut counts only where it is so sure: the words beside it may belong to something else."""

_PARTS = ("content[].text", "content[]", "parts[].text", "chunks[]")
"""Groups whose texts are pieces of one."""
_CUT = frozenset({"$text", "$large", "$deep"})
"""Marks of what was too much to be taken in; see `jackline.plain`."""
_DIGEST = re.compile("[0-9a-f]{32}")
_INDEX = re.compile(r"\[\d+\]")
_NAMELESS = frozenset({"number", "value", "no", "digits", "id_number"})
"""Keys that only say that it is a number: the one above says which."""
_KEY = 100
"""Characters of a place in which a number's keys are looked for."""


class Leaf(NamedTuple):
    """One text among the arguments."""

    text: str
    path: str
    group: str
    """The path without positions: texts of one group that follow each other may be one text in pieces."""
    is_key: bool = False
    is_number: bool = False
    """Whether it is no text among the arguments: only the key that it stands under tells what it is."""


class Found(NamedTuple):
    """A part of something found: where it lies in one leaf."""

    leaf: int
    start: int
    end: int
    span: Span
    first: bool
    """Whether this is where it begins: the rest of it is only taken out."""


def leaves(args: Mapping[str, Any]) -> list[Leaf]:
    """Give every text of the arguments in their order, a key before its value."""
    return list(_walk(args, "args", "args"))


def _walk(value: Any, path: str, group: str) -> Iterator[Leaf]:
    if isinstance(value, str):
        yield Leaf(value, path, group)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield Leaf(key, path, "", is_key=True)
            yield from _walk(item, f"{path}.{key}", f"{group}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, f"{path}[{index}]", f"{group}[]")
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        number = _written(value)
        if len(number) > SHORTEST:
            yield Leaf(number, path, "", is_number=True)


def _written(number: float) -> str:
    """Write a number as people do: 4111111111111111.0 is the same card."""
    return str(int(number)) if isinstance(number, float) and number.is_integer() else str(number)


def cut(texts: Sequence[Leaf]) -> str:
    """The place of the first part that was too large or too deep to be taken in as data; empty where all was."""
    for number, leaf in enumerate(texts):
        if leaf.is_key and leaf.text in _CUT:
            if leaf.text != "$text":
                return leaf.path
            said = next(text for text in texts[number + 1 :] if not text.is_number)
            if _DIGEST.fullmatch(said.text):  # otherwise it is a text that only cannot be written as UTF-8
                return leaf.path
    return ""


def rebuilt(value: Any, replaced: Mapping[int, str]) -> Any:
    """Make the arguments anew with other texts; what no text of it was replaced stays the same object."""
    return _Builder(replaced).build(value)


class _Builder:
    def __init__(self, replaced: Mapping[int, str]) -> None:
        self._replaced = replaced
        self._next = 0

    def build(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, dict):
            return self._dict(value)
        if isinstance(value, list):
            return [self.build(item) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool) and len(_written(value)) > SHORTEST:
            return self._text(value)
        return value

    def _dict(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """Keys that have become the same are numbered, so that no value is lost."""
        items: dict[str, Any] = {}
        times: dict[str, int] = {}
        for key, item in value.items():
            name = plain = self._text(key)
            while name in items:
                times[plain] = times.get(plain, 1) + 1
                name = f"{plain} {times[plain]}"
            items[name] = self.build(item)
        return items

    def _text(self, value: Any) -> Any:
        place = self._next
        self._next += 1
        return self._replaced.get(place, value)


def search(texts: Sequence[Leaf], scanner: Scanner) -> list[Found]:
    """Find everything in all texts, and what lies across the cuts between those of one group."""
    starts, at = [], 0
    for leaf in texts:
        starts.append(at)
        at += len(leaf.text) + 1
    found: list[Found] = []
    for span in scanner.scan("\n".join([leaf.text for leaf in texts])):
        found += _parts(span, starts, texts)
    beside = _OwnKeys(scanner)
    found = [part for part in found if not texts[part.leaf].is_number or beside.confirm(part, texts[part.leaf])]
    across: list[Found] = []
    for numbers in _in_pieces(texts):
        across += _across(numbers, texts, scanner, found)
    if across:
        instead = _by_leaf(across)
        found = [part for part in found if not _overlaps(part, instead)] + across
    return found


class _OwnKeys:
    """Numbers among the arguments: the key of another one tells nothing about them."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._known: dict[str, frozenset[str]] = {}

    def confirm(self, part: Found, leaf: Leaf) -> bool:
        """Whether it is also found where nothing but its own key stands beside it."""
        *_, above, key = ("", *_INDEX.sub("", leaf.path[-_KEY:]).split("."))
        said = f"{above} {key}" if key.lower() in _NAMELESS else key
        text = f"{said}\n{leaf.text}"
        kinds = self._known.get(text)
        if kinds is None:
            kinds = self._known[text] = frozenset(span.kind for span in self._scanner.scan(text))
        return part.span.kind in kinds


def _by_leaf(parts: Iterable[Found]) -> dict[int, list[Found]]:
    found: dict[int, list[Found]] = {}
    for part in parts:
        found.setdefault(part.leaf, []).append(part)
    return found


def _overlaps(part: Found, others: Mapping[int, Sequence[Found]]) -> bool:
    return any(part.start < other.end and other.start < part.end for other in others.get(part.leaf, ()))


def _parts(span: Span, starts: Sequence[int], texts: Sequence[Leaf]) -> Iterator[Found]:
    """Split what was found in the joined texts by the texts that it lies in."""
    place = bisect.bisect_right(starts, span.start) - 1
    first = True
    while place < len(texts) and starts[place] < span.end:
        start = max(span.start - starts[place], 0)
        end = min(span.end - starts[place], len(texts[place].text))
        if start < end:
            yield Found(place, start, end, span, first)
            first = False
        place += 1


def _in_pieces(texts: Sequence[Leaf]) -> list[list[int]]:
    """Give the texts of each group that has more than one."""
    groups: dict[str, list[int]] = {}
    for place, leaf in enumerate(texts):
        if "[]" in leaf.group and leaf.text:
            groups.setdefault(leaf.group, []).append(place)
    return [numbers for numbers in groups.values() if len(numbers) > 1]


def _across(numbers: list[int], texts: Sequence[Leaf], scanner: Scanner, known: list[Found]) -> list[Found]:
    """Find what lies across cuts: the texts around each are read as one, without anything between them."""
    group = [texts[number] for number in numbers]
    starts, at = [], 0
    for leaf in group:
        starts.append(at)
        at += len(leaf.text)
    whole = "".join([leaf.text for leaf in group])
    if whole.isalpha() or scanner.is_silent(whole):
        return []  # roles and types are letters alone
    of_one_text = group[0].group.endswith(_PARTS)
    beside = _by_leaf(part for part in known if part.start < REACH or part.end > len(texts[part.leaf].text) - REACH)
    found: list[Found] = []
    for first, last in _windows(starts[1:], at):
        for span in scanner.scan(whole[first:last]):
            moved = span._replace(start=span.start + first, end=span.end + first)
            parts = list(_pieces(moved, starts, numbers, texts))
            # Of two texts that are whole by themselves the end of one is no part of what the other holds.
            whole_already = not of_one_text and any(_overlaps(part, beside) for part in parts)
            if len(parts) > 1 and span.confidence >= SURE and not whole_already:
                found += parts
    return found


def _windows(cuts: Sequence[int], size: int) -> list[tuple[int, int]]:
    windows: list[tuple[int, int]] = []
    for cut in cuts:
        first, last = max(0, cut - REACH), min(size, cut + REACH)
        if windows and first <= windows[-1][1]:
            windows[-1] = windows[-1][0], last
        else:
            windows.append((first, last))
    return windows


def _pieces(span: Span, starts: Sequence[int], numbers: Sequence[int], texts: Sequence[Leaf]) -> Iterator[Found]:
    place = bisect.bisect_right(starts, span.start) - 1
    first = True
    while place < len(starts) and starts[place] < span.end:
        number = numbers[place]
        start, end = max(span.start - starts[place], 0), min(span.end - starts[place], len(texts[number].text))
        if start < end:
            yield Found(number, start, end, span, first)
            first = False
        place += 1
