"""From journals to the store: every line once, its rows, rollups and the place in the file in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from jackline.errors import StoreError
from jackline.journal.line import LINE_LIMIT, BrokenLineError, Chain
from jackline.journal.reader import raw_lines
from jackline.journal.segment import Segment, find_segments
from jackline.journal.verify import Report, prove_opening, verify
from jackline.locks import only_one
from jackline.stores import Batch, Position
from jackline.stores.fold import fold

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from jackline.stores import Store

BATCH_LINES = 5000
BATCH_BYTES = 8 * 1024 * 1024


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a journal could not be ingested to its end."""

    journal: str
    seq: int
    problem: str


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """By how much the store runs behind the journals."""

    bytes: int
    events: int
    journals: int
    """Journals that have something new."""


class IngestReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one ingest did."""

    busy: bool = False
    """Another process is at it: nothing was done here, and nothing needs to be."""
    events: int = 0
    journals: int = 0
    """Journals that had something new."""
    problems: tuple[Problem, ...] = ()
    more: bool = False
    """It stopped after as many lines as it was asked for: there may be further ones."""


def ingest(home: Path, store: Store | None = None, *, lines: int = 0) -> IngestReport:
    """Bring what is new in `home/journals` into the store (default: SQLite at `home/index.db`).

    With `lines` it stops after so many: journals that have least to bring in come first, so that a long backlog in
    one does not keep an agent's last steps from those who watch.

    Returns at once, `busy`, where another process ingests. A line that is being written waits for the next time; a
    journal whose chain is broken is ingested up to there and reported. Raises StoreError where the store cannot be
    used; what the writers do is never touched.
    """
    with _alone(home) as alone:
        if not alone:
            return IngestReport(busy=True)
        if store is not None:
            return _Ingest(home, store, lines).run()
        from jackline.stores.sqlite import SQLiteStore  # noqa: PLC0415 - SQLAlchemy loads where it is needed

        opened = SQLiteStore(home / "index.db")
        try:
            return _Ingest(home, opened, lines).run()
        finally:
            opened.close()


def rebuild(home: Path, store: Store) -> IngestReport:
    """Empty the store and ingest every journal anew.

    Raises StoreError where a journal is not what the store has seen: emptying it would forget the only proof.
    """
    with _alone(home) as alone:
        if not alone:
            return IngestReport(busy=True)
        for report in verify(home / "journals", store.heads()):
            if not report.ok:
                raise StoreError(_refusal(report))
        store.clear()
        return _Ingest(home, store).run()


def lag(home: Path, store: Store) -> Lag:
    """By how much the store runs behind; reads only what is not ingested yet."""
    positions = store.positions()
    size = lines = behind = 0
    for journal, segments in find_segments(home / "journals").items():
        position = positions.get(journal) or Position(journal=journal)
        counts = [_rest(segment, position) for segment in segments if segment.number >= position.segment]
        size += sum(count[0] for count in counts)
        lines += sum(count[1] for count in counts)
        behind += any(count[0] for count in counts)
    return Lag(bytes=size, events=lines, journals=behind)


class _Ingest:
    """One pass over all journals."""

    def __init__(self, home: Path, store: Store, lines: int = 0) -> None:
        self._home, self._store, self._lines = home, store, lines
        self._positions: Mapping[str, Position] = store.positions()
        self._batch = Batch()
        self._events = self._journals = 0
        self._problems: list[Problem] = []

    def run(self) -> IngestReport:
        for journal, segments in self._in_order():
            if self._is_full():
                break
            position = self._positions.get(journal) or Position(journal=journal)
            before = self._events
            try:
                self._journal(position, segments)
            except BrokenLineError as error:
                self._problems.append(Problem(journal=journal, seq=error.seq, problem=f"line {error.seq} {error}"))
            except OSError as error:
                told = f"cannot be read: {error.strerror}"
                self._problems.append(Problem(journal=journal, seq=position.seq + 1, problem=told))
            self._journals += self._events > before
        self._flush()
        problems = tuple(self._problems)
        return IngestReport(events=self._events, journals=self._journals, problems=problems, more=self._is_full())

    def _in_order(self) -> list[tuple[str, list[Segment]]]:
        found = list(find_segments(self._home / "journals").items())
        if not self._lines:
            return found
        return sorted(found, key=lambda one: _ahead(self._positions.get(one[0]), one[1]))

    def _is_full(self) -> bool:
        return 0 < self._lines <= self._events

    def _journal(self, position: Position, segments: list[Segment]) -> None:
        chain = Chain(position.head)
        rest = [segment for segment in segments if segment.number >= position.segment]
        if position.seq and (not rest or rest[0].number != position.segment):
            raise BrokenLineError(position.seq, f"was ingested, but its segment {position.segment} is missing")
        for index, segment in enumerate(rest):
            # Looked at before this one is read: once a later segment has a line, this one gets none any more.
            followed = any(later.path.stat().st_size for later in rest[index + 1 :])
            position = self._segment(position, segment, chain)
            if not followed or self._is_full():
                return

    def _segment(self, position: Position, segment: Segment, chain: Chain) -> Position:
        offset = position.offset if segment.number == position.segment else 0
        size = segment.path.stat().st_size
        if size == offset:
            return position
        if size < offset:
            raise BrokenLineError(position.seq, f"was ingested, but {segment.path.name} was cut since")
        with segment.path.open("rb") as file:
            for at, raw in raw_lines(file, offset):
                if not raw.endswith(b"\n") and len(raw) <= LINE_LIMIT:
                    break
                line = chain.follow(raw, offset=at)
                if at == 0:
                    prove_opening(line, segment)
                self._batch.since.setdefault(segment.journal, line.seq - 1)
                clock = fold(self._batch, line, segment.journal, position.clock)
                position = Position(
                    journal=segment.journal,
                    segment=segment.number,
                    offset=at + len(raw),
                    seq=line.seq,
                    hash=chain.head.hash,
                    clock=clock,
                )
                self._batch.positions[segment.journal] = position
                self._batch.size += len(raw)
                self._events += 1
                if len(self._batch.events) >= BATCH_LINES or self._batch.size >= BATCH_BYTES:
                    self._flush()
                if self._is_full():
                    break
        return position

    def _flush(self) -> None:
        if self._batch.positions:
            self._store.apply(self._batch)
            self._batch = Batch()


def _alone(home: Path) -> AbstractContextManager[bool]:
    """The lock of this home: whether nobody else ingests."""

    def refused(error: OSError) -> StoreError:
        return StoreError(f"Cannot ingest in {home}: {error.strerror}. The journals are untouched")

    return only_one(home / "ingest.lock", refused)


def _ahead(position: Position | None, segments: list[Segment]) -> int:
    """About how many bytes a journal has beyond a position; 0 for one that cannot be looked at."""
    segment, offset = (position.segment, position.offset) if position is not None else (1, 0)
    try:
        return sum(one.path.stat().st_size for one in segments if one.number >= segment) - offset
    except OSError:
        return 0


def _rest(segment: Segment, position: Position) -> tuple[int, int]:
    """Bytes and whole lines of a segment beyond a position."""
    offset = position.offset if segment.number == position.segment else 0
    size = max(segment.path.stat().st_size - offset, 0)
    if not size:
        return 0, 0
    with segment.path.open("rb") as file:
        lines = sum(raw.endswith(b"\n") for _, raw in raw_lines(file, offset))
    return size, lines


def _refusal(report: Report) -> str:
    return (
        f"The index is not rebuilt: the journal {report.journal} is not as it was ingested ({report.problem}), and the "
        "index is the proof of that. To begin anew all the same, move the index file away and ingest"
    )
