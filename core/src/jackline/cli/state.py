"""The home's state as verbs use it: the index brought up to date, the registry, and a journal for what people do."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jackline.cli import output
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.control import Control
    from jackline.events import Event
    from jackline.home import Home
    from jackline.ingest import IngestReport, Lag
    from jackline.person import Person
    from jackline.registry import Registry
    from jackline.stores import SessionRow, Store


class Index(NamedTuple):
    """The store after an ingest, and what it still does not know."""

    store: Store
    lag: Lag
    report: IngestReport

    def standing(self) -> dict[str, Any]:
        """What JSON answers say of the index: `behind` (bytes, events, journals) and `problems` of journals."""
        problems = [msgspec.to_builtins(problem) for problem in self.report.problems]
        return {"behind": msgspec.to_builtins(self.lag), "problems": problems}

    def tell(self) -> None:
        """Say on stderr how far the index is behind, and which journals are broken."""
        if self.lag.bytes:
            why = "another process is filling it" if self.report.busy else "lines that are not complete or not sound"
            output.note(f"the index is {self.lag.events} events ({self.lag.bytes:,} bytes) behind: {why}")
        for problem in self.report.problems:
            output.note(f"journal {problem.journal}: {problem.problem}; see: jackline verify")


def require_journals(home: Home) -> None:
    """Raise JacklineError where nothing has ever been recorded."""
    if not any(home.journals.glob("*.jsonl")):
        raise JacklineError(
            f"no journals yet in {home.journals}; run an agent with jackline.init() first, "
            "or name another home: jackline --home FOLDER ..."
        )


@contextlib.contextmanager
def opened_store(home: Home) -> Iterator[Store]:
    """The store of a home; raises StoreError where it cannot be used."""
    from jackline.plugins import installed_plugins  # noqa: PLC0415 - only reading verbs open a store

    store = installed_plugins().registrations.store("sqlite")(home.index)
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def index(home: Home) -> Iterator[Index]:
    """The store with all that journals say by now; where another process is filling it, with what it has."""
    from jackline.ingest import ingest, lag  # noqa: PLC0415 - only reading verbs ingest

    require_journals(home)
    with opened_store(home) as store:
        report = ingest(home.path, store)
        yield Index(store, lag(home.path, store), report)


def session_named(found: Index, name: str) -> SessionRow:
    """The session with this id, beginning of an id or external id; raises JacklineError."""
    row = found.store.session(name)
    if row is None:
        raise JacklineError(f"no session has the id, or an id that begins with, '{name}'; see: jackline sessions")
    return row


def registry(home: Home, clock: float | None = None) -> Registry:
    """The registry as guards see it; `clock` dates what is amended through it."""
    from jackline.opening import open_registry  # noqa: PLC0415 - only verbs about agents read the registry

    return open_registry(home, clock)


def record(home: Home, *events: Event) -> None:
    """Put what a person did on record, in a journal of the command line's own. Raises JournalError."""
    from jackline.journal import Journal  # noqa: PLC0415 - only verbs that change something write

    home.make()
    journal = Journal.open(home.journals, writer="cli")
    try:
        for event in events:
            journal.append(event)
    finally:
        journal.close()


def control(home: Home) -> Control:
    """The files by which a change reaches every process."""
    from jackline.control import Control  # noqa: PLC0415 - only verbs that change something need them

    return Control(home.control)


def somebody(home: Home) -> Person:
    """Who types, at the controls of a home; what they do goes into a journal of the command line's own."""
    from jackline.person import Person  # noqa: PLC0415 - only verbs that change something

    return Person(home, person(), lambda event: record(home, event))


def person() -> str:
    """Who types: the login name of this process's user, whatever the environment says."""
    try:
        import pwd  # noqa: PLC0415 - POSIX only

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else os.environ.get("USERNAME", "unknown")
