"""How many events a second of CPU the ingest takes in: journal -> SQLite, rows, rollups and position."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from jackline.decision import Hold, Reservation, Verdict
from jackline.events import Completed, Cost, Decided, RunEnded, RunStarted, SessionEnded, SessionStarted, Usage
from jackline.ingest import ingest
from jackline.journal import Journal, verify
from jackline.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.events import Event

ACTS = 19
VERDICTS = (Verdict(effect="allow", policy="crm-read-only", rule="crm.*", reason="listed"),)
HOLDS = (Hold(scope="session-ceiling/session/usd", unit="usd", held=5000, spent=100_000, outstanding=0, cap=500_000),)


def session(number: int) -> Iterator[Event]:
    """One session of 1 + 1 + 2 * 19 events + 1 + 1 events, like an agent's: model, tool, model, tool, ..."""
    at, name, run = 1_800_000_000.0 + number, f"{number:032x}", f"{number:031x}f"
    yield SessionStarted(at=at, session=name, user=f"u-{number % 50}", application="bench")
    yield RunStarted(at=at, session=name, run=run, span=f"{number:015x}f", agent="support@2")
    for act in range(ACTS):
        at += 0.3
        ids = {"session": name, "run": run, "span": f"{number * 100 + act:016x}"}
        is_model = act % 2 == 0
        what = (
            {"action": "model.call", "resource": "gpt-5"}
            if is_model
            else {"action": "tool.call", "resource": "crm.get"}
        )
        yield Decided(
            at=at, agent="support@2", effect="allow", args="d" * 32, size=220, revision="f" * 64, verdicts=VERDICTS,
            evaluated=("crm-read-only", "session-ceiling", "loops"), policy="crm-read-only", rule="crm.*",
            parent=f"{number:015x}f", reservation=Reservation(id="e" * 16, holds=HOLDS), **ids, **what,
        )  # fmt: skip
        spent = (
            {"usage": Usage(input=900, output=120), "cost": Cost(micro_usd=4321, matched="gpt-5")} if is_model else {}
        )
        yield Completed(at=at + 0.2, duration_ms=200.0, result="c" * 32, size=150, **ids, **what, **spent)
    yield RunEnded(at=at, session=name, run=run, span=f"{number:015x}f", agent="support@2")
    yield SessionEnded(at=at, session=name)


def written(home: Path, sessions: int) -> None:
    """Journal so many sessions."""
    with Journal.open(home / "journals") as journal:
        for number in range(sessions):
            for event in session(number):
                journal.append(event)


def rate(home: Path, sessions: int) -> float:
    """Events a second of CPU, from the journal into an empty store."""
    written(home, sessions)
    store = SQLiteStore(home / "index.db")
    cpu = time.process_time()
    report = ingest(home, store)
    cpu = time.process_time() - cpu
    store.close()
    return report.events / cpu


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sessions", type=int, default=1500)
    sessions = options.parse_args().sessions
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        written(home, sessions)
        store = SQLiteStore(home / "index.db")
        wall, cpu = time.perf_counter(), time.process_time()
        report = ingest(home, store)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        size = (home / "index.db").stat().st_size
        print(f"ingest: {report.events} events, {report.events / cpu:,.0f}/s CPU, {report.events / wall:,.0f}/s wall")
        print(f"index: {size / report.events:.0f} bytes an event; goal >= 20,000 events/s CPU")
        wall = time.perf_counter()
        rows = store.sessions(limit=50)
        took = (time.perf_counter() - wall) * 1000
        print(f"the latest {len(rows)} sessions: {took:.1f} ms")
        wall = time.perf_counter()
        verify(home / "journals", store.heads())
        print(f"verify: {report.events / (time.perf_counter() - wall):,.0f} lines/s")
        store.close()


if __name__ == "__main__":
    main()
