"""What a conformance suite asks of the record: acts, lineage, cost; and what happens where it cannot be written."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jackline.errors import JournalError
from jackline.events import Decided
from jackline.ingest import ingest
from jackline.request import RETURNS
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.scripted import on_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.guard import Guard
    from jackline.testing.paths import Job, Path

_ANSWERS = {*RETURNS.values(), "output"}
_PERMITTED = ("allow", "modify")


def assert_accounted(guard: Guard) -> None:
    """Every permitted act has one outcome, after its decision; a refused one has none."""
    permitted: dict[str, Any] = {}
    closed: Counter[str] = Counter()
    for event in on_record(guard, "decided", "completed", "failed"):
        if not isinstance(event, Decided):
            assert event.span in permitted, f"an outcome without a decision that permits: {event}"
            closed[event.span] += 1
        elif event.action not in _ANSWERS:
            assert event.span not in permitted, f"decided twice: {event}"
            if event.effect in _PERMITTED:
                permitted[event.span] = event
    assert permitted or closed or on_record(guard, "decided"), "nothing is on record"
    assert closed == Counter(dict.fromkeys(permitted, 1)), "acts with no outcome or several"


def assert_nothing_after_halt(guard: Guard) -> None:
    """No act is permitted after the line that ends the session."""
    events = on_record(guard, "decided", "session_halted")
    halts = [place for place, event in enumerate(events) if not isinstance(event, Decided)]
    assert halts, "no halt is on record"
    late = [event for event in events[halts[0] + 1 :] if isinstance(event, Decided) and event.effect in _PERMITTED]
    assert late == []


def assert_lineage(guard: Guard, path: Path, external_id: str) -> None:
    """Session, agent, run, depth and parent of every act of the path's agent lead up to the session."""
    (session,) = {event.session for event in on_record(guard, "session_started") if event.external_id == external_id}
    decided = on_record(guard, "decided")
    runs = {event.run: event for event in on_record(guard, "run_started")}
    spans = {event.span for event in (*decided, *runs.values())}
    agent = path.agent or guard.application
    own = [event for event in decided if event.agent == agent]
    assert own, f"no act of {agent}: {decided}"
    assert {event.session for event in decided} == {session}
    assert all(event.parent in spans for event in decided), "a parent that is not on record"
    for event in own:
        run = runs[event.run]
        assert (run.agent, run.depth) == (agent, len(path.above))
        above: list[str] = []
        while run.parent_run:
            assert run.parent in spans
            run = runs[run.parent_run]
            above.insert(0, run.agent)
        assert tuple(above) == path.above
    assert {event.run for event in on_record(guard, "run_ended")} == runs.keys()


def assert_stored(guard: Guard, external_id: str, micro_usd: int | None = None) -> None:
    """The store, made from the journals, knows the session, and its cost to the micro-dollar."""
    store = SQLiteStore(guard.home.path / "made-again.db")
    try:
        ingest(guard.home.path, store)
        row = store.session(external_id)
        assert row is not None
        assert row.decisions == len(on_record(guard, "decided"))
        if micro_usd is not None:
            assert row.cost_micro_usd == micro_usd
    finally:
        store.close()


def permitted_before(job: Job, path: Path) -> list[str]:
    """Watch the bodies of a job: what is found here was entered before its decision was on disk."""
    early: list[str] = []
    entered: Counter[str] = Counter()

    def entering(tool: str) -> None:
        entered[tool] += 1
        action = "tool.call" if tool else path.action if "model" not in path.carries else "model.call"
        found = [
            event
            for event in on_record(job.guard, "decided")
            if event.action == action and event.effect in _PERMITTED and (not tool or event.resource == tool)
        ]
        if len(found) < entered[tool]:
            early.append(tool)

    job.bodies.entering = entering
    return early


@contextmanager
def unrecordable(guard: Guard) -> Iterator[None]:
    """Let no decision be written, as on a full disk."""
    journal = guard.recorder.journal
    append = journal.append

    def refuse(event: Any) -> int:
        if isinstance(event, Decided):
            raise JournalError("no space left on device")
        return append(event)

    journal.append = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        journal.append = append  # type: ignore[method-assign]


@contextmanager
def locked_store(guard: Guard, fault: str) -> Iterator[None]:
    """Let the store be `locked` by another program, `damaged`, or its payloads be unwritable."""
    home = guard.home
    if fault == "damaged":
        home.index.write_bytes(b"no database")
        yield
    elif fault == "locked":
        connection = sqlite3.connect(home.index, isolation_level=None)
        try:
            connection.execute("BEGIN EXCLUSIVE")
            yield
        finally:
            connection.close()
    else:
        if home.payloads.exists():
            home.payloads.rename(home.path / "payloads-before")
        home.payloads.write_bytes(b"no folder")
        yield
