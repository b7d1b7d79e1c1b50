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
    """Add columns and tables, and an index for acts without an outcome."""
    op.add_column("sessions", sa.Column("root_by", sa.Text(), nullable=True))
    for name in ("ceiling_by", "ceiling"):
        op.add_column("sessions", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    counts = ("decisions", "modified", "escalated", "denied", "halts", "would_deny")
    op.create_table("agent_hourly", *_keys("hour", "agent"), *(_count(name) for name in counts))
    keys = _keys("day", "what", "agent", "name", "bucket")
    op.create_table("histograms", *keys, _count("count"), _count("total"))
    texts = [sa.Column(name, sa.Text(), nullable=False) for name in ("kind", "body")]
    op.create_table("audits", *_keys("journal", "seq"), sa.Column("at", sa.Float(53), nullable=True), *texts)
    op.create_index("audits_kind", "audits", ["kind", "at"])
    op.create_index("sessions_last_at", "sessions", ["last_at"])
    op.create_index("session_agents_agent", "session_agents", ["agent", "session"])
    open_ = sa.text("outcome_by = '' AND decided_by <> ''")
    op.create_index("spans_open", "spans", ["session"], sqlite_where=open_, postgresql_where=open_)


def _keys(*names: str) -> list[sa.Column[object]]:
    numbers = ("hour", "day", "bucket", "seq")
    return [
        sa.Column(name, _WHOLE if name in numbers else sa.Text(), primary_key=True, autoincrement=False)
        for name in names
    ]


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, _WHOLE, nullable=False)
