"""What is on record after a story: read from the store and the journals, never asserted."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jackline.events import Completed, Decided, Failed, SessionHalted
from jackline.ingest import ingest
from jackline.journal import Line, read, verify
from jackline.ledger import Ledger
from jackline.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable

_ACTS = frozenset({"tool.call", "model.call"})


class Evidence:
    """The records of one home folder."""

    TAMPERINGS: ClassVar[int] = 4
    """A byte, a deleted line, two swapped lines, a tail cut off."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.store = SQLiteStore(home / "index.db")
        ingest(home, self.store)
        self.lines: list[Line] = [line for path in sorted((home / "journals").glob("*.jsonl")) for line in read(path)]
        self.sessions = self.store.sessions(limit=1_000_000)
        self.decisions = sum(row.decisions for row in self.sessions)
        self.denied = sum(row.denied for row in self.sessions)
        self.halted = sum(row.halted for row in self.sessions)
        self.worst_cost_usd = max((row.cost_micro_usd for row in self.sessions), default=0) / 1_000_000

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def settled_equals_trace(self) -> bool:
        """Whether the ledger booked, by scope, exactly what the outcomes on record say."""
        traced: dict[str, int] = {}
        for line in self.lines:
            if isinstance(line.event, (Completed, Failed)):
                for scope, amount in line.event.settled.items():
                    traced[scope] = traced.get(scope, 0) + amount
        ledger = Ledger.open(self.home / "ledger")
        try:
            return bool(traced) and all(ledger.balance(scope).spent == amount for scope, amount in traced.items())
        finally:
            ledger.close()

    def acts_after_halt(self) -> int:
        """Acts that were permitted in a session after the line that ended it."""
        ended: set[str] = set()
        late = 0
        for line in self.lines:
            if isinstance(line.event, SessionHalted):
                ended.add(line.event.session)
            elif isinstance(line.event, Decided) and line.event.session in ended:
                late += line.event.effect in ("allow", "modify")
        return late

    def proven_acts(self) -> tuple[int, int]:
        """Acts with an earlier permission and exactly one outcome, and those without."""
        decided: dict[str, int] = {}
        outcomes: dict[str, list[int]] = {}
        for line in self.lines:
            event = line.event
            if isinstance(event, Decided) and event.action in _ACTS and event.effect in ("allow", "modify"):
                decided[event.span] = line.seq
            elif isinstance(event, (Completed, Failed)) and event.action in _ACTS:
                outcomes.setdefault(event.span, []).append(line.seq)
        proven = sum(1 for span, seqs in outcomes.items() if len(seqs) == 1 and decided.get(span, seqs[0]) < seqs[0])
        return proven, len(decided.keys() | outcomes.keys()) - proven

    def tool(self, agent: str, name: str) -> dict[str, Any] | None:
        """What the store knows of one tool of one agent."""
        return next((row.plain() for row in self.store.tools(agent) if row.tool == name), None)

    def verifies(self) -> bool:
        """Whether every journal is whole."""
        return all(report.ok for report in verify(self.home / "journals", self.store.heads()))

    def tampering_found(self) -> int:
        """How many ways of altering a copy of the journal are found."""

        def flip(lines: list[bytes]) -> list[bytes]:
            middle = lines[len(lines) // 2]
            return [*lines[: len(lines) // 2], middle.replace(b'"at":1', b'"at":2', 1), *lines[len(lines) // 2 + 1 :]]

        def delete(lines: list[bytes]) -> list[bytes]:
            return lines[: len(lines) // 2] + lines[len(lines) // 2 + 1 :]

        def swap(lines: list[bytes]) -> list[bytes]:
            at = len(lines) // 2
            return [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]

        def cut(lines: list[bytes]) -> list[bytes]:
            return lines[: len(lines) // 2]

        alterations: tuple[Callable[[list[bytes]], list[bytes]], ...] = (flip, delete, swap, cut)
        return sum(self._found(alter) for alter in alterations)

    def _found(self, alter: Callable[[list[bytes]], list[bytes]]) -> bool:
        with tempfile.TemporaryDirectory(prefix="jackline-audit-") as folder:
            copy = Path(folder) / "journals"
            shutil.copytree(self.home / "journals", copy)
            path = max(copy.glob("*.jsonl"), key=lambda item: item.stat().st_size)
            lines = path.read_bytes().splitlines(keepends=True)
            path.write_bytes(b"".join(alter(lines)))
            bad = [report for report in verify(copy, self.store.heads()) if not report.ok]
            return len(bad) == 1 and bad[0].first_bad is not None
