"""Proof that journals are what was written: no line changed, missing, added, moved or cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from jackline.events import JournalClosed, JournalOpened
from jackline.journal.line import LINE_LIMIT, BrokenLineError, Chain, Head, Line
from jackline.journal.reader import raw_lines
from jackline.journal.segment import SUFFIX, Segment, find_segments, name_segment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in one journal, all its segments together."""

    journal: str
    ok: bool
    first_bad: int | None = None
    """The first sequence number that is not as it was written; None where all are."""
    problem: str = ""
    """What is wrong, for a person; empty where nothing is."""
    lines: int = 0
    """Lines that were found good."""
    head: Head | None = None
    """The last good line."""
    closed: bool = False
    """The writer ended the journal itself; False for one that is being written or whose writer was killed."""
    torn_tail: bool = False
    """The last line was cut off while it was written: it was never acknowledged."""


class _Walk:
    """One journal's lines, followed from the first segment to the last."""

    def __init__(self, journal: str, known: Head | None) -> None:
        self.journal = journal
        self.known = known
        self.chain = Chain()
        self.closed = False
        self.torn = False
        self.next = ""
        self.ended_by: str = ""

    def segment(self, segment: Segment) -> None:
        """Follow one file; raises BrokenLineError."""
        self.torn = False
        first = True
        with segment.path.open("rb") as file:
            for offset, raw in raw_lines(file):
                if not raw.endswith(b"\n") and len(raw) <= LINE_LIMIT:
                    self._tail(raw)
                    return
                if self.ended_by == segment.path.name or self.closed:
                    raise BrokenLineError(self.chain.head.seq + 1, "was added after the journal's last line")
                line = self.chain.follow(raw, offset=offset)
                if first:
                    prove_opening(line, segment)
                first = False
                self._known(line)
                if line.kind == "journal_closed":
                    self._closing(line, segment)

    def end(self, names: frozenset[str]) -> None:
        """What only the whole journal shows: that nothing is missing at its end."""
        after = self.chain.head.seq + 1
        if self.next and self.next not in names:
            raise BrokenLineError(after, f"is missing: the segment {self.next} is not there")
        if self.known is not None and self.known.seq >= after:
            raise BrokenLineError(after, f"is missing: the store has seen lines up to {self.known.seq}")

    def _tail(self, raw: bytes) -> None:
        if (self.ended_by and not self.next) or not self.chain.continues(raw):
            raise BrokenLineError(self.chain.head.seq + 1, "is not a line: bytes were added or changed at the end")
        self.torn = True

    def _known(self, line: Line) -> None:
        if self.known is not None and line.seq == self.known.seq and self.chain.head.hash != self.known.hash:
            raise BrokenLineError(line.seq, "is not the line that the store has seen: the journal was rewritten")

    def _closing(self, line: Line, segment: Segment) -> None:
        event = line.event
        if not isinstance(event, JournalClosed) or event.journal != segment.journal:
            raise BrokenLineError(line.seq, "closes another journal")
        self.next, self.ended_by = event.next, segment.path.name
        self.closed = not event.next

    def report(self, error: BrokenLineError | None) -> Report:
        head = self.chain.head
        return Report(
            journal=self.journal,
            ok=error is None,
            first_bad=error.seq if error else None,
            problem=f"line {error.seq} {error}" if error else "",
            lines=head.seq,
            head=head if head.seq else None,
            closed=self.closed,
            torn_tail=self.torn,
        )


def prove_opening(line: Line, segment: Segment) -> None:
    """Prove that a file is the segment that its name says; raises BrokenLineError."""
    event = line.event
    if not isinstance(event, JournalOpened):
        raise BrokenLineError(line.seq, f"does not open the segment {segment.path.name}")
    if (event.journal, event.segment) != (segment.journal, segment.number):
        told = f"belongs to segment {event.segment} of the journal {event.journal}, not to {segment.path.name}"
        raise BrokenLineError(line.seq, told)


def verify(path: Path, heads: Mapping[str, Head] | None = None) -> list[Report]:
    """Verify every journal of a folder, or the one that a file belongs to; one report for each, by name.

    `heads` are the last lines that a store has seen, by journal: they show a tail that was cut off, a journal that was
    rewritten from end to end, and one that is gone. A torn tail alone is no fault. Never raises for what a file holds.
    """
    heads = heads or {}
    if path.is_file() or path.suffix == SUFFIX:
        one = name_segment(path)
        found = {one.journal: find_segments(path.parent).get(one.journal, [one])}
        missing = set()
    else:
        found = find_segments(path)
        missing = heads.keys() - found.keys()
    reports = [_verify(journal, segments, heads.get(journal)) for journal, segments in found.items()]
    reports += [_gone(journal, heads[journal]) for journal in missing]
    return sorted(reports, key=lambda report: report.journal)


def _verify(journal: str, segments: list[Segment], known: Head | None) -> Report:
    walk = _Walk(journal, known)
    try:
        for segment in segments:
            walk.segment(segment)
        walk.end(frozenset(segment.path.name for segment in segments))
    except BrokenLineError as error:
        return walk.report(error)
    except OSError as error:
        seq = walk.chain.head.seq + 1
        return walk.report(BrokenLineError(seq, f"cannot be read: {error.strerror}"))
    return walk.report(None)


def _gone(journal: str, known: Head) -> Report:
    problem = f"the journal's file is missing; the store has seen its lines up to {known.seq}"
    return Report(journal=journal, ok=False, first_bad=1, problem=problem)
