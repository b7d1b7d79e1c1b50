"""From a SQL store's rows to a session and its steps as people see them: what ended, what runs, what nobody knows."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.stores.fold import stamp_place
from jackline.stores.rollups import is_open
from jackline.stores.rows import SessionRow, SpanRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.stores.rows import Outcome, SessionState


def session_row(
    row: Mapping[str, Any],
    agents: Mapping[str, list[str]],
    journals: Mapping[str, list[str]],
    opened: list[str],
    alive: Mapping[str, bool | None],
    waiting: int,
) -> SessionRow:
    """One session; `opened` names the journal of each act without outcome, `alive` is told by journal."""
    name = row["session"]
    halted = bool(row["halted_by"]) and row["halted_by"] > row["reopened_by"]
    running = sum(alive.get(journal) is True for journal in opened)
    same = {field: row[field] for field in SessionRow.__struct_fields__ if field in row}
    derived = {
        "labels": msgspec.json.decode(row["labels"]) if row["labels"] else {},
        "started": row["started"] or 0.0,
        "last_at": row["last_at"] or 0.0,
        "agents": tuple(agents.get(name, ())),
        "halted": halted,
        "state": _state(row, halted, [alive.get(journal) for journal in journals.get(name, ())]),
        "running": running,
        "unknown": len(opened) - running,
        "waiting": waiting,
    }
    return SessionRow(**same | derived)


def _state(row: Mapping[str, Any], halted: bool, alive: list[bool | None]) -> SessionState:
    if halted:
        return "halted"
    if row["ended_by"] and row["ended"] >= (row["decided_at"] or 0.0):
        return "ended"
    if True in alive:
        return "running"
    return "crashed" if False in alive else "open"


_SAME = tuple(
    name
    for name in SpanRow.__struct_fields__
    if name not in ("run", "agent", "kind", "name", "started", "duration_ms", "outcome", "error", "estimated")
    and name not in ("cost_micro_usd", "journal", "seq")
)
"""What a step has as its row has it; ten thousand of them are told at once."""
_same = itemgetter(*_SAME)


def span_row(row: Mapping[str, Any], alive: Mapping[str, bool | None]) -> SpanRow:
    """One step."""
    is_run = bool(row["run_by"])
    journal, seq = stamp_place(proof(row))
    same = dict(zip(_SAME, _same(row), strict=True))
    derived = {
        "run": row["opened_run"] or row["run"],
        "agent": row["opened_agent"] or row["agent"],
        "kind": "run" if is_run else row["action"] or row["outcome_action"] or row["return_action"],
        "name": row["opened_agent"] or row["resource"] or row["outcome_resource"],
        "started": row["started"] if row["started"] is not None else row["ended"],
        "duration_ms": _duration(row),
        "outcome": _outcome(row, alive.get(journal)),
        "error": row["error"] or row["run_error"],
        "estimated": bool(row["estimated"]),
        "cost_micro_usd": row["cost_micro_usd"] if row["priced"] else None,
        "journal": journal,
        "seq": seq,
    }
    return SpanRow(**same | derived)


def _duration(row: Mapping[str, Any]) -> float | None:
    if row["outcome_by"]:
        return float(row["duration_us"]) / 1000
    if row["run_by"] and row["closed_by"]:
        return float(row["ended"] - row["started"]) * 1000
    return None


def _outcome(row: Mapping[str, Any], alive: bool | None) -> Outcome:
    if row["outcome_by"]:
        told: Outcome = "unknown" if row["error"] == "outcome unknown" else row["outcome"]
        return told
    if row["run_by"] and row["closed_by"]:
        return "failed" if row["run_error"] else "completed"
    if row["run_by"] or is_open(row):
        return "running" if alive else "unknown"
    return "not run" if row["decided_by"] and row["effect"] not in ("allow", "modify") else ""


def proof(row: Mapping[str, Any]) -> str:
    """The line that proves a step: its decision, else its run's start, else whatever is there."""
    first: str = row["decided_by"] or row["run_by"] or row["returned_by"] or row["outcome_by"] or row["closed_by"]
    return first
