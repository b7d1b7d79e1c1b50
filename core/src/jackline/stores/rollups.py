"""How what many lines say of one thing is joined into one row.

Every rule is commutative: whatever the order in which journals are ingested, and in however many steps, the rows are
the same. So an index that was deleted is rebuilt identically.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.request import RETURNS
from jackline.stores.histograms import DAY, bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jackline.stores.rows import Position

PERMITTED = ("allow", "modify")
SILENT = ("output", *RETURNS.values())
"""Actions that are judged and that nothing comes of."""
HOUR = 3600
ONLOOKERS = ("cli", "console", "alerter", "otlp")
"""Writers of what people do, and of what others report: a session does not run because one of them does."""
SEEN = ("first_seen", "last_seen")
ROOT = "\x1f"
"""Between the stamp of a session's first act and the agent that did it."""


class Rules:
    """How the rows of one table are joined, column by column."""

    def __init__(
        self,
        *key: str,
        add: Iterable[str] = (),
        least: Iterable[str] = (),
        most: Iterable[str] = (),
        text: Iterable[str] = (),
        latest: dict[str, dict[str, Any]] | None = None,
    ) -> None:
        """Sums, minima, maxima, greatest texts; `latest`: columns and their blanks, which follow the greatest stamp."""
        self.key = key
        self.latest = latest or {}
        add = tuple(add)
        self.blank: dict[str, Any] = dict.fromkeys(add, 0) | dict.fromkeys((*least, *most)) | dict.fromkeys(text, "")
        for stamp, columns in self.latest.items():
            self.blank |= {stamp: "", **columns}
        self.sums = add
        self._add, self._least, self._most = frozenset(add), frozenset(least), frozenset((*most, *text))

    def is_void(self, row: dict[str, Any]) -> bool:
        """Whether a row of sums says nothing any more, as when all of it was credited to another agent."""
        return len(self._add) == len(self.blank) and not any(row[name] for name in self._add)

    def join(self, row: dict[str, Any], part: dict[str, Any]) -> None:
        """Take into `row` what `part` (some of the columns) says."""
        for name, value in part.items():
            if name in self._add:
                row[name] += value
            elif name in self._least:
                if row[name] is None or (value is not None and value < row[name]):
                    row[name] = value
            elif name in self._most:
                if row[name] is None or (value is not None and value > row[name]):
                    row[name] = value
            elif name in self.latest and value > row[name]:
                row[name] = value
                for column, blank in self.latest[name].items():
                    row[column] = part.get(column, blank)


_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
_ACTS = ("model_calls", "tool_runs", "failures", "open_acts")
_EFFECTS = ("modified", "escalated", "denied", "halts", "would_deny")

RULES: dict[str, Rules] = {
    "spans": Rules(
        "session",
        "span",
        add=(*_TOKENS, "decisions", "outcomes", "estimated", "cost_micro_usd", "priced", "unpriced", "duration_us"),
        least=("started",),
        most=("ended",),
        text=("parent",),
        latest={
            "run_by": {"opened_run": "", "opened_agent": "", "parent_run": "", "depth": 0},
            "closed_by": {"run_error": ""},
            "decided_by": dict.fromkeys(
                ("run", "agent", "action", "resource", "effect", "reason", "policy", "rule", "mode", "would", "args"),
                "",
            )
            | {"call_id": "", "held_micro_usd": 0, "decided_at": 0.0, "method": "", "scheme": "", "port": 0},
            "returned_by": dict.fromkeys(
                ("return_action", "return_effect", "return_reason", "return_policy", "return_rule"), ""
            ),
            "outcome_by": dict.fromkeys(
                ("outcome", "error", "result", "model", "matched", "outcome_action", "outcome_resource"), ""
            )
            | {"outcome_at": 0.0, "status": 0, "sent": None, "received": None},
        },
    ),
    "sessions": Rules(
        "session",
        add=("cost_micro_usd", "unpriced", *_TOKENS[:2], "decisions", *_EFFECTS, "runs", *_ACTS),
        least=("started", "root_by"),
        most=("last_at", "decided_at"),
        text=("external_id", "user", "application", "namespace", "labels"),
        latest={
            "ended_by": {"ended": None, "how": ""},
            "halted_by": {"halt_reason": "", "halt_policy": "", "halt_rule": ""},
            "reopened_by": {"reopened_who": "", "reopened_why": ""},
            "ceiling_by": {"ceiling": ""},
        },
    ),
    "agent_hourly": Rules("hour", "agent", add=("decisions", *_EFFECTS)),
    "histograms": Rules("what", "day", "name", "agent", "bucket", add=("count", "total")),
    "session_agents": Rules("session", "agent", least=("first_seen",), most=("last_seen",)),
    "session_journals": Rules("session", "journal", least=("first_seen",), most=("last_seen",)),
    "seen": Rules("agent", "what", "name", least=("first_seen",), most=("last_seen",)),
    "usage_hourly": Rules("hour", "agent", "model", add=("calls", "failures", *_TOKENS, "cost_micro_usd", "unpriced")),
    "tool_hourly": Rules("hour", "agent", "tool", add=("calls", "failures", "denials", "duration_us")),
    "policy_hourly": Rules("hour", "policy", "rule", "effect", "mode", add=("verdicts", "decisions")),
    "agent_daily": Rules("day", "agent", add=("decisions", *_EFFECTS)),
    "usage_daily": Rules("day", "agent", "model", add=("calls", "failures", *_TOKENS, "cost_micro_usd", "unpriced")),
    "tool_daily": Rules("day", "agent", "tool", add=("calls", "failures", "denials", "duration_us")),
    "policy_daily": Rules("day", "policy", "rule", "effect", "mode", add=("verdicts", "decisions")),
    "histograms_named": Rules("what", "day", "name", "bucket", add=("count", "total")),
    "histograms_ever": Rules("what", "agent", "name", "bucket", add=("count", "total")),
    "journals": Rules(
        "journal",
        least=("opened",),
        most=("closed",),
        text=("writer", "host", "boot", "python", "jackline"),
        latest={"opened_by": {"pid": 0}},
    ),
    "audits": Rules("journal", "seq", least=("at",), text=("kind", "body")),
    "approvals": Rules(
        "approval",
        add=("yes", "refused"),
        text=("session",),
        latest={
            "asked_by": dict.fromkeys(
                ("run", "span", "agent", "action", "resource", "policy", "rule", "reason", "approvers", "args"), ""
            )
            | {"needed": 0, "asked_at": 0.0, "expires": 0.0},
            "yes_by": {"yes_at": 0.0, "yes_who": "", "yes_why": "", "yes_edited": 0},
            "no_by": {"no_at": 0.0, "no_who": "", "no_why": "", "responded": 0},
            "expired_by": {"expired_at": 0.0},
            "used_by_line": {"used_at": 0.0, "used_by": "", "used_span": "", "used_edited": 0},
            "refused_by": {"refused_why": ""},
        },
    ),
    "alerts": Rules(
        "alert",
        least=("since",),
        text=("rule", "signal", "severity", "agent", "session", "tool"),
        latest={
            "fired_by": {"state": "", "value": None, "threshold": None, "unit": "", "message": "", "fired_at": 0.0},
            "resolved_by": {"resolved_at": 0.0, "resolved_message": ""},
        },
    ),
    "registry_events": Rules("journal", "seq", text=("stamp", "kind", "body")),
}


DAILY = {name: f"{name.removesuffix('_hourly')}_daily" for name in RULES if name.endswith("_hourly")}
"""The sums of whole days: what is asked over months reads a twenty-fourth."""


class Batch:
    """What one transaction brings into a store: lines, what they add to the rows, and how far it has read."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {table: {} for table in RULES}
        self.since: dict[str, int] = {}
        """The last sequence number of each journal before this batch."""
        self.positions: dict[str, Position] = {}
        self.size = 0
        """Bytes of the lines."""

    def add(self, table: str, key: tuple[Any, ...], part: dict[str, Any]) -> None:
        """Join what one line says of one thing to what the batch says of it already."""
        rules = RULES[table]
        rows = self.rows[table]
        row = rows.get(key)
        if row is None:
            row = rows[key] = dict(zip(rules.key, key, strict=True)) | rules.blank
        rules.join(row, part)

    def saw(self, table: str, key: tuple[Any, ...], at: float, names: tuple[str, str] = SEEN) -> None:
        """Note that something was there then; the same as `add` with both times, for what every line says."""
        first, last = names
        row = self.rows[table].get(key)
        if row is None or row[first] is None or row[last] is None:
            self.add(table, key, {first: at, last: at})
        elif at > row[last]:
            row[last] = at
        elif at < row[first]:
            row[first] = at

    def sum_up(self, table: str) -> None:
        """Add what the batch says in hours, or by agent, to what it says in days, of all agents, and of all time."""
        if table in DAILY:
            names, wider = RULES[table].sums, self.rows[DAILY[table]]
            for (hour, *rest), row in self.rows[table].items():
                _sum(wider, DAILY[table], (hour // DAY * DAY, *rest), row, names)
        elif table == "histograms":
            names, by_name, ever = RULES[table].sums, self.rows["histograms_named"], self.rows["histograms_ever"]
            for (what, day, name, agent, number), row in self.rows[table].items():
                _sum(by_name, "histograms_named", (what, day, name, number), row, names)
                _sum(ever, "histograms_ever", (what, agent, name, number), row, names)


def _sum(
    rows: dict[tuple[Any, ...], dict[str, Any]],
    table: str,
    key: tuple[Any, ...],
    part: dict[str, Any],
    names: tuple[str, ...],
) -> None:
    row = rows.get(key)
    if row is None:
        rows[key] = dict(zip(RULES[table].key, key, strict=True)) | {name: part[name] for name in names}
        return
    for name in names:
        row[name] += part[name]


def contributions(span: Mapping[str, Any], sign: int = 1) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """What one step adds to the rows above it: (table, key, part); with `sign` -1 what it had added."""
    agent = span["agent"] or span["opened_agent"]
    action = span["outcome_action"] or span["action"]
    outcome = bool(span["outcome_by"])
    failures = int(span["outcome"] == "failed")
    tokens = {name: span[name] for name in _TOKENS}
    money = {"cost_micro_usd": span["cost_micro_usd"], "unpriced": span["unpriced"]}
    total = {
        **money,
        "input_tokens": span["input_tokens"],
        "output_tokens": span["output_tokens"],
        "model_calls": int(outcome and action == "model.call"),
        "tool_runs": int(outcome and action == "tool.call"),
        "failures": failures,
        "open_acts": int(is_open(span)),
    }
    yield "sessions", (span["session"],), _signed(total, sign)
    if outcome and action in ("model.call", "embedding"):
        key = (int(span["outcome_at"]) // HOUR * HOUR, agent, span["model"] or span["outcome_resource"])
        yield "usage_hourly", key, _signed({"calls": 1, "failures": failures, **tokens, **money}, sign)
    if outcome and action == "tool.call":
        key = (int(span["outcome_at"]) // HOUR * HOUR, agent, span["outcome_resource"])
        part = {"calls": 1, "failures": failures, "duration_us": span["duration_us"]}
        yield "tool_hourly", key, _signed(part, sign)
    if outcome and action in ("tool.call", "model.call"):
        what, name = action.partition(".")[0], span["outcome_resource"]
        yield sized(span["outcome_at"], what, agent, name, span["duration_us"], sign)
    if span["action"] == "tool.call" and span["effect"] in ("deny", "halt"):
        key = (int(span["decided_at"]) // HOUR * HOUR, agent, span["resource"])
        yield "tool_hourly", key, _signed({"denials": 1}, sign)


def session_contributions(
    session: Mapping[str, Any], sign: int = 1
) -> Iterator[tuple[str, tuple[Any, ...], dict[str, Any]]]:
    """What one session adds to the distributions; nothing before it is known who began it."""
    if session["root_by"] is None or session["started"] is None:
        return
    agent = session["root_by"].partition(ROOT)[2]
    until = session["ended"] or session["last_at"] or session["started"]  # a question may expire long after the end
    lasted = max(0, round((until - session["started"]) * 1000))
    yield sized(session["started"], "session_cost", agent, "", session["cost_micro_usd"], sign)
    yield sized(session["started"], "session_duration", agent, "", lasted, sign)


def sized(
    at: float, what: str, agent: str, name: str, value: int, sign: int = 1
) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
    """What one value adds to a distribution, as (table, key, part)."""
    key = (what, int(at) // DAY * DAY, name, agent, bucket(value))
    return "histograms", key, _signed({"count": 1, "total": value}, sign)


def is_open(span: Mapping[str, Any]) -> bool:
    """Whether a step was permitted and nothing is written of what came of it."""
    permitted = span["effect"] in PERMITTED and span["action"] not in SILENT
    return permitted and not span["outcome_by"] and not (span["run_by"] and span["closed_by"])


def _signed(part: dict[str, int], sign: int) -> dict[str, int]:
    return part if sign > 0 else {name: -value for name, value in part.items()}
