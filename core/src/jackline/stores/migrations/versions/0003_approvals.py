"""Approvals, each in a row, made from the events that the index has."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from jackline.journal.line import decode
from jackline.stores.fold_approvals import KINDS, fold_approval
from jackline.stores.rollups import Batch

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WHOLE: Any = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TEXTS = (
    *("session", "asked_by", "run", "span", "agent", "action", "resource", "policy", "rule", "reason", "approvers"),
    *("args", "yes_by", "yes_who", "yes_why", "no_by", "no_who", "no_why", "expired_by"),
    *("used_by_line", "used_by", "used_span", "refused_by", "refused_why"),
)
_COUNTS = ["needed", "yes", "refused", "yes_edited", "responded", "used_edited"]
_TIMES = ["asked_at", "expires", "yes_at", "no_at", "expired_at", "used_at"]


def upgrade() -> None:
    """Make the table, and fill it from what was ingested before."""
    table = op.create_table(
        "approvals",
        sa.Column("approval", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in _TEXTS),
        *(sa.Column(name, _WHOLE, nullable=False) for name in _COUNTS),
        *(sa.Column(name, sa.Float(53), nullable=False) for name in _TIMES),
    )
    op.create_index("approvals_session", "approvals", ["session"])
    op.create_index("approvals_asked", "approvals", ["asked_at"])
    names = {"approval", *_TEXTS, *_COUNTS, *_TIMES}
    rows = [{name: value for name, value in row.items() if name in names} for row in _rows()]
    if rows:
        op.bulk_insert(table, rows)


def _rows() -> list[dict[str, Any]]:
    batch = Batch()
    names = ("kind", "body", "clock", "journal", "seq")
    events = sa.table("events", *map(sa.column, names))
    for kind, body, clock, journal, seq in op.get_bind().execute(sa.select(events).where(events.c.kind.in_(KINDS))):
        event = decode(kind, body.encode())
        if event is not None:
            fold_approval(batch, event, f"{clock:018.6f} {journal} {seq:012d}")
    return list(batch.rows["approvals"].values())
