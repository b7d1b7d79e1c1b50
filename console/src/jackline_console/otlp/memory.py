"""What was reported of late: which spans are on record, and how those that come later belong to them."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from jackline.errors import JournalError
from jackline.events import Decided, JournalOpened, RunStarted
from jackline.journal import read
from jackline.journal.segment import find_segments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from jackline.journal.segment import Segment
    from jackline_console.otlp.steps import Step

SPANS = 200_000
TRACES = 50_000
WRITER = "otlp"
_RECALLED_S = 6 * 3600.0
Key = tuple[str, str]
"""A trace and a span of it."""


class Trace(msgspec.Struct):
    """One trace: a run of somebody's application."""

    session: str
    service: str = ""
    user: str = ""
    conversation: str = ""
    ended: float = 0.0
    how: Literal["", "root", "error"] = ""
    """How it ended; empty before its root was told."""
    told: str | None = None
    """With which conversation its session is on record; None before it is."""
    partial: bool = False
    """Spans of it were forgotten: the index knows whether one is on record."""


class Place(NamedTuple):
    """Where a span stands."""

    parent: str
    """As it was told, whether or not that span is on record."""
    kept: bool
    """On record as a step of its own; children of one that is not are children of what is above it."""
    agent: str = ""
    """The agent of a run; empty for anything else."""
    run: str = ""
    depth: int = 0


class Memory:
    """Bounded: what is forgotten first is what was told first. Not thread-safe."""

    def __init__(self) -> None:
        self.places: OrderedDict[Key, Place] = OrderedDict()
        self.traces: OrderedDict[str, Trace] = OrderedDict()
        self.recorded: OrderedDict[Key, None] = OrderedDict()
        """Sessions and spans that an earlier process put on record."""
        self.awaited: OrderedDict[Key, None] = OrderedDict()
        """Spans that were named as parents and are not here yet."""
        self.covered: OrderedDict[Key, None] = OrderedDict()
        """Spans with a counted model call below them: a model call that encloses another one is the same call."""

        self.begun: OrderedDict[tuple[Key, type], None] = OrderedDict()
        """Events of steps that could not be written whole: the rest follows when they are sent again."""

    def knows(self, step: Step, session: str) -> bool:
        """Whether a span was taken in before."""
        return (step.trace, step.span) in self.places or (session, step.span) in self.recorded

    def trim(self) -> None:
        """Forget what is too much; of a trace that goes on it is noted."""
        while len(self.places) > SPANS:
            (name, _), _ = self.places.popitem(last=False)
            if name in self.traces:
                self.traces[name].partial = True
        sessions = set[str]()
        while len(self.recorded) > SPANS:  # it grows in `recall` alone
            sessions.add(self.recorded.popitem(last=False)[0][0])
        for trace in self.traces.values() if sessions else ():
            trace.partial = trace.partial or trace.session in sessions
        kept: OrderedDict[Any, Any]
        for kept in (self.awaited, self.covered, self.begun):
            while len(kept) > SPANS:
                kept.popitem(last=False)
        while len(self.traces) > TRACES:
            self.traces.popitem(last=False)

    def above(self, step: Step) -> tuple[str, Place | None]:
        """The nearest span above that is on record, or that nobody has told of yet, and where it stands."""
        span, seen = step.parent, 0
        while span and seen < 1000:  # noqa: PLR2004 - parents in a circle
            place = self.places.get((step.trace, span))
            if place is None or place.kept:
                return span, place
            span, seen = place.parent, seen + 1
        return "", None

    def run_of(self, step: Step) -> Place | None:
        """Where the nearest run above stands; None where none is known."""
        span, seen = step.parent, 0
        while span and seen < 1000:  # noqa: PLR2004 - the same
            place = self.places.get((step.trace, span))
            if place is None or place.agent:
                return place
            span, seen = place.parent, seen + 1
        return None

    def waiting(self, pool: Iterable[Step]) -> set[Key]:
        """Which acts and runs have something above them that nobody has told of yet, up to a run that is known.

        With them wait the spans in between that are no act.
        """
        steps = {(step.trace, step.span): step for step in pool}
        found: set[Key] = set()
        told: dict[Key, bool] = {}
        for key, step in steps.items():
            above: list[Key] = []
            if not step.kind:
                continue
            is_told = self._is_told(step, steps, above, told)
            told |= dict.fromkeys(above, is_told)
            if not is_told:
                found |= {key, *above}
        return found

    def _is_told(self, step: Step, pool: Mapping[Key, Step], above: list[Key], told: Mapping[Key, bool]) -> bool:
        """Whether all that is above a step is known; what of it is in the pool is added to `above`.

        `told` has the answers so far, of those that were above others: no way up is gone twice.
        """
        span, seen = step.parent, 0
        while span and seen < 1000:  # noqa: PLR2004 - the same
            key = step.trace, span
            place = self.places.get(key)
            if place is not None and place.agent:
                return True
            if key in told:
                return told[key]
            if key in pool:
                above.append(key)
                span = pool[key].parent
            elif place is not None:
                span = place.parent
            else:
                trace = self.traces.get(step.trace)
                return trace is not None and (trace.session, span) in self.recorded
            seen += 1
        return True

    def cover(self, step: Step) -> None:
        """Note everything above a counted model call, as far as it is known."""
        span, seen = step.parent, 0
        while span and (step.trace, span) not in self.covered and seen < 1000:  # noqa: PLR2004 - the same
            self.covered[step.trace, span] = None
            place = self.places.get((step.trace, span))
            span, seen = place.parent if place else "", seen + 1

    def recall(self, folder: Path, now: float) -> None:
        """Learn from journals what an earlier process took in lately: exports are sent again after a restart too."""
        for segments in find_segments(folder).values():
            with contextlib.suppress(JournalError):  # a broken journal is told of by `jackline verify`
                if segments[-1].path.stat().st_mtime >= now - _RECALLED_S:
                    self._recall_journal(segments)
        self.trim()

    def _recall_journal(self, segments: list[Segment]) -> None:
        first = next(iter(read(segments[0].path)), None)
        opened = first.event if first is not None else None
        if isinstance(opened, JournalOpened) and opened.writer == WRITER:
            for segment in segments:
                for line in read(segment.path):
                    self._recall(line.event)

    def _recall(self, event: object) -> None:
        if isinstance(event, RunStarted | Decided):
            self.recorded[event.session, event.span] = None
        if isinstance(event, Decided):
            trace = str(event.registry.get("trace", ""))
            self.traces[trace] = Trace(session=event.session)
