"""The tables of a SQL store. What their columns mean and how rows are joined stands in `rollups`."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, Table, Text, UniqueConstraint, text

REVISION = "0005"
"""The newest migration: an index at this revision is ready without loading Alembic."""

OPEN = text("outcome_by = '' AND decided_by <> ''")
"""Decided, and nothing came of it yet: a literal, so that a database sees that the index of such steps suffices."""

HALTED = text("halted_by <> ''")
"""Sessions that were halted, few of many; a literal likewise."""

metadata = MetaData()
_BIG = BigInteger().with_variant(Integer(), "sqlite")


def _text(*names: str) -> list[Column[str]]:
    return [Column(name, Text(), nullable=False) for name in names]


def _count(*names: str) -> list[Column[int]]:
    return [Column(name, _BIG, nullable=False) for name in names]


def _known(*names: str) -> list[Column[int]]:
    """Counts that may be unknown."""
    return [Column(name, _BIG, nullable=True) for name in names]


def _time(*names: str, nullable: bool = True) -> list[Column[float]]:
    return [Column(name, Float(53), nullable=nullable) for name in names]


def _key(*names: str) -> list[Column[str]]:
    return [Column(name, Text(), primary_key=True) for name in names]


_TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def _number(name: str) -> Column[int]:
    """A number that is part of a key."""
    return Column(name, _BIG, primary_key=True, autoincrement=False)


meta = Table("meta", metadata, *_key("name"), *_text("value"))

events = Table(
    "events",
    metadata,
    Column("position", _BIG, primary_key=True, autoincrement=True),
    *_text("journal"),
    *_count("seq"),
    *_time("at", "clock", nullable=False),
    *_text("kind", "session", "agent", "body"),
    UniqueConstraint("journal", "seq", name="events_line"),
    Index("events_session", "session", "clock"),
)

spans = Table(
    "spans",
    metadata,
    *_key("session", "span"),
    *_text("parent"),
    *_time("started", "ended"),
    *_text("run_by", "opened_run", "opened_agent", "parent_run"),
    *_count("depth"),
    *_text("closed_by", "run_error"),
    *_text("decided_by", "run", "agent", "action", "resource", "effect", "reason", "policy", "rule", "mode", "would"),
    *_text("args", "call_id"),
    *_count("held_micro_usd"),
    *_time("decided_at", nullable=False),
    *_text("returned_by", "return_action", "return_effect", "return_reason", "return_policy", "return_rule"),
    *_text("outcome_by", "outcome", "error", "result", "model", "matched", "outcome_action", "outcome_resource"),
    *_time("outcome_at", nullable=False),
    *_count(*_TOKENS),
    *_count("decisions", "outcomes", "estimated", "cost_micro_usd", "priced", "unpriced", "duration_us"),
    *_text("method", "scheme"),
    *_count("port", "status"),
    *_known("sent", "received"),
    Index("spans_open", "session", sqlite_where=OPEN, postgresql_where=OPEN),
)

sessions = Table(
    "sessions",
    metadata,
    *_key("session"),
    *_text("external_id", "user", "application", "namespace", "labels"),
    *_time("started", "last_at", "decided_at"),
    *_text("ended_by"),
    *_time("ended"),
    *_text("how", "halted_by", "halt_reason", "halt_policy", "halt_rule"),
    *_text("reopened_by", "reopened_who", "reopened_why"),
    *_count("cost_micro_usd", "unpriced", "input_tokens", "output_tokens"),
    *_count("decisions", "modified", "escalated", "denied", "halts", "would_deny"),
    *_count("runs", "model_calls", "tool_runs", "failures", "open_acts"),
    Column("root_by", Text(), nullable=True),
    *_text("ceiling_by", "ceiling"),
    Index("sessions_started", "started"),
    Index("sessions_external_id", "external_id"),
    Index("sessions_last_at", "last_at"),
    Index("sessions_halted", "started", sqlite_where=HALTED, postgresql_where=HALTED),
)

approvals = Table(
    "approvals",
    metadata,
    *_key("approval"),
    *_text("session", "asked_by", "run", "span", "agent", "action", "resource", "policy", "rule", "reason"),
    *_text("approvers", "args"),
    *_count("needed", "yes", "refused", "yes_edited", "responded", "used_edited"),
    *_time("asked_at", "expires", "yes_at", "no_at", "expired_at", "used_at", nullable=False),
    *_text("yes_by", "yes_who", "yes_why", "no_by", "no_who", "no_why", "expired_by"),
    *_text("used_by_line", "used_by", "used_span", "refused_by", "refused_why"),
    Index("approvals_session", "session"),
    Index("approvals_asked", "asked_at"),
)

alerts = Table(
    "alerts",
    metadata,
    *_key("alert"),
    *_text("rule", "signal", "severity", "agent", "session", "tool", "fired_by", "state", "unit", "message"),
    *_text("resolved_by", "resolved_message"),
    *_time("value", "threshold", "since"),
    *_time("fired_at", "resolved_at", nullable=False),
    Index("alerts_since", "since"),
)

session_agents = Table(
    "session_agents",
    metadata,
    *_key("session", "agent"),
    *_time("first_seen", "last_seen"),
    Index("session_agents_agent", "agent", "session"),
)
session_journals = Table("session_journals", metadata, *_key("session", "journal"), *_time("first_seen", "last_seen"))
seen = Table("seen", metadata, *_key("agent", "what", "name"), *_time("first_seen", "last_seen"))

_SUMS = {
    "usage": (("agent", "model"), ("calls", "failures", *_TOKENS, "cost_micro_usd", "unpriced")),
    "tool": (("agent", "tool"), ("calls", "failures", "denials", "duration_us")),
    "policy": (("policy", "rule", "effect", "mode"), ("verdicts", "decisions")),
    "agent": (("agent",), ("decisions", "modified", "escalated", "denied", "halts", "would_deny")),
}


def _sums(name: str, period: str) -> Table:
    """Sums of an hour or a day. Their rows lie in the order of their keys: a span of time is read in one go."""
    keys, counts = _SUMS[name]
    return Table(
        f"{name}_{'hourly' if period == 'hour' else 'daily'}",
        metadata,
        _number(period),
        *_key(*keys),
        *_count(*counts),
        sqlite_with_rowid=False,
    )


usage_hourly, usage_daily = _sums("usage", "hour"), _sums("usage", "day")
tool_hourly, tool_daily = _sums("tool", "hour"), _sums("tool", "day")
policy_hourly, policy_daily = _sums("policy", "hour"), _sums("policy", "day")
agent_hourly, agent_daily = _sums("agent", "hour"), _sums("agent", "day")
DAILY = {
    usage_hourly.name: usage_daily,
    tool_hourly.name: tool_daily,
    policy_hourly.name: policy_daily,
    agent_hourly.name: agent_daily,
}

histograms = Table(
    "histograms",
    metadata,
    *_key("what"),
    _number("day"),
    *_key("name", "agent"),
    _number("bucket"),
    *_count("count", "total"),
    sqlite_with_rowid=False,
)
histograms_named = Table(
    "histograms_named",
    metadata,
    *_key("what"),
    _number("day"),
    *_key("name"),
    _number("bucket"),
    *_count("count", "total"),
    sqlite_with_rowid=False,
)
histograms_ever = Table(
    "histograms_ever",
    metadata,
    *_key("what", "agent", "name"),
    _number("bucket"),
    *_count("count", "total"),
    sqlite_with_rowid=False,
)

journals = Table(
    "journals",
    metadata,
    *_key("journal"),
    *_time("opened", "closed"),
    *_text("writer", "host", "boot", "python", "jackline", "opened_by"),
    *_count("pid"),
)
registry_events = Table(
    "registry_events",
    metadata,
    *_key("journal"),
    _number("seq"),
    *_text("stamp", "kind", "body"),
)
audits = Table(
    "audits",
    metadata,
    *_key("journal"),
    _number("seq"),
    *_time("at"),
    *_text("kind", "body"),
    Index("audits_kind", "kind", "at"),
)
positions = Table(
    "positions",
    metadata,
    *_key("journal"),
    *_count("segment", "offset", "seq"),
    *_text("hash"),
    *_time("clock", nullable=False),
)
