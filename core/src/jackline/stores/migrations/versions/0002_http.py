"""What is known of outgoing requests: method, scheme, port, status, bytes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add the columns; steps that were read before have none of it."""
    for name in ("method", "scheme"):
        op.add_column("spans", sa.Column(name, sa.Text(), nullable=False, server_default=""))
    for name in ("port", "status"):
        op.add_column("spans", sa.Column(name, _WHOLE, nullable=False, server_default="0"))
    for name in ("sent", "received"):
        op.add_column("spans", sa.Column(name, _WHOLE, nullable=True))
