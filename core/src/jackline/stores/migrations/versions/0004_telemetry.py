"""What the console shows: who began a session, its tightest ceiling, decisions by agent and hour, distributions.

The new totals begin with this step; `jackline ingest --rebuild` makes them of all that journals hold.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns and tables, and indexes for what is not over."""
    op.add_column("sessions", sa.Column("root_by", sa.Text(), nullable=True))
    for name in ("ceiling_by", "ceiling"):
        op.add_column("sessions", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    _sums()
    buckets = {
        "histograms": ("what", "day", "name", "agent", "bucket"),
        "histograms_named": ("what", "day", "name", "bucket"),
        "histograms_ever": ("what", "agent", "name", "bucket"),
    }
    for name, keys in buckets.items():
        op.create_table(name, *_keys(*keys), _count("count"), _count("total"), sqlite_with_rowid=False)
    texts = [sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "body")]
    op.create_table("audits", *_keys("journal", "seq"), sa.Column("at", sa.Float(53), nullable=True), *texts)
    op.create_index("audits_kind", "audits", ["kind", "at"])
    op.create_index("sessions_last_at", "sessions", ["last_at"])
    op.create_index("session_agents_agent", "session_agents", ["agent", "session"])
    for name, table, column, where in (
        ("spans_open", "spans", "session", "outcome_by = '' AND decided_by <> ''"),
        ("sessions_halted", "sessions", "started", "halted_by <> ''"),
    ):
        op.create_index(name, table, [column], sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _sums() -> None:
    """Make the sums by hour anew, in the order of their keys, and those by day, and fill both from what there was."""
    tokens = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    sums = {
        "usage": (("agent", "model"), ("calls", "failures", *tokens, "cost_micro_usd", "unpriced")),
        "tool": (("agent", "tool"), ("calls", "failures", "denials", "duration_us")),
        "policy": (("policy", "rule", "effect", "mode"), ("verdicts", "decisions")),
    }
    for name, (keys, counts) in sums.items():
        old = f"{name}_before"
        op.rename_table(f"{name}_hourly", old)
        _make(f"{name}_hourly", ("hour", *keys), counts)
        _make(f"{name}_daily", ("day", *keys), counts)
        day = "hour - hour % 86400"
        same, added = ", ".join((*keys, *counts)), ", ".join((*keys, *(f"SUM({count})" for count in counts)))
        groups = ", ".join((day, *keys))
        for text in (
            f"INSERT INTO {name}_hourly (hour, {same}) SELECT hour, {same} FROM {old}",  # noqa: S608 - names from above
            f"INSERT INTO {name}_daily (day, {same}) SELECT {day}, {added} FROM {old} GROUP BY {groups}",  # noqa: S608
        ):
            op.execute(text)
        op.drop_table(old)
    effects = ("decisions", "modified", "escalated", "denied", "halts", "would_deny")
    _make("agent_hourly", ("hour", "agent"), effects)
    _make("agent_daily", ("day", "agent"), effects)


def _make(name: str, keys: tuple[str, ...], counts: tuple[str, ...]) -> None:
    op.create_table(name, *_keys(*keys), *(_count(count) for count in counts), sqlite_with_rowid=False)


def _keys(*names: str) -> list[sa.Column[object]]:
    numbers = ("hour", "day", "bucket", "seq")
    return [
        sa.Column(name, _WHOLE if name in numbers else sa.Text(), primary_key=True, autoincrement=False)
        for name in names
    ]


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, _WHOLE, nullable=False)
