"""Alerts, each in a row. No index that is older has events of them."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TEXTS = ("rule", "signal", "severity", "agent", "session", "tool", "fired_by", "state", "unit", "message")


def upgrade() -> None:
    """Make the table."""
    times: tuple[Any, ...] = (sa.Column("since", sa.Float(53), nullable=True),)
    times += tuple(sa.Column(name, sa.Float(53), nullable=False) for name in ("fired_at", "resolved_at"))
    op.create_table(
        "alerts",
        sa.Column("alert", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in (*_TEXTS, "resolved_by", "resolved_message")),
        *(sa.Column(name, sa.Float(53), nullable=True) for name in ("value", "threshold")),
        *times,
    )
    op.create_index("alerts_since", "alerts", ["since"])
