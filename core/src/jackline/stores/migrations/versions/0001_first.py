"""The first tables of the index."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# One line a table: its columns, `*` for the primary key, and after the colon t(ext), i(nteger), f(loat),
# n (a float that may be null), s(erial).
_TABLES = {
    "meta": "name*:t value:t",
    "positions": "journal*:t segment:i offset:i seq:i hash:t clock:f",
    "events": "position*:s journal:t seq:i at:f clock:f kind:t session:t agent:t body:t",
    "spans": (
        "session*:t span*:t parent:t started:n ended:n run_by:t opened_run:t opened_agent:t parent_run:t depth:i "
        "closed_by:t run_error:t decided_by:t run:t agent:t action:t resource:t effect:t reason:t policy:t rule:t "
        "mode:t would:t args:t call_id:t held_micro_usd:i decided_at:f returned_by:t return_action:t return_effect:t "
        "return_reason:t return_policy:t return_rule:t outcome_by:t outcome:t error:t result:t model:t matched:t "
        "outcome_action:t outcome_resource:t outcome_at:f input_tokens:i output_tokens:i cache_read_tokens:i "
        "cache_write_tokens:i reasoning_tokens:i decisions:i outcomes:i estimated:i cost_micro_usd:i priced:i "
        "unpriced:i duration_us:i"
    ),
    "sessions": (
        "session*:t external_id:t user:t application:t namespace:t labels:t started:n last_at:n decided_at:n "
        "ended_by:t ended:n how:t halted_by:t halt_reason:t halt_policy:t halt_rule:t reopened_by:t reopened_who:t "
        "reopened_why:t cost_micro_usd:i unpriced:i input_tokens:i output_tokens:i decisions:i modified:i escalated:i "
        "denied:i halts:i would_deny:i runs:i model_calls:i tool_runs:i failures:i open_acts:i"
    ),
    "session_agents": "session*:t agent*:t first_seen:n last_seen:n",
    "session_journals": "session*:t journal*:t first_seen:n last_seen:n",
    "seen": "agent*:t what*:t name*:t first_seen:n last_seen:n",
    "usage_hourly": (
        "hour*:i agent*:t model*:t calls:i failures:i input_tokens:i output_tokens:i cache_read_tokens:i "
        "cache_write_tokens:i reasoning_tokens:i cost_micro_usd:i unpriced:i"
    ),
    "tool_hourly": "hour*:i agent*:t tool*:t calls:i failures:i denials:i duration_us:i",
    "policy_hourly": "hour*:i policy*:t rule*:t effect*:t mode*:t verdicts:i decisions:i",
    "journals": "journal*:t opened:n closed:n writer:t host:t boot:t python:t jackline:t opened_by:t pid:i",
    "registry_events": "journal*:t seq*:i stamp:t kind:t body:t",
}
_WHOLE: Any = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TYPES: dict[str, Any] = {"t": sa.Text(), "i": _WHOLE, "s": _WHOLE, "f": sa.Float(53), "n": sa.Float(53)}


def upgrade() -> None:
    """Make every table and index."""
    for table, columns in _TABLES.items():
        lines = [sa.UniqueConstraint("journal", "seq", name="events_line")] if table == "events" else []
        op.create_table(table, *map(_column, columns.split()), *lines)
    op.create_index("events_session", "events", ["session", "clock"])
    op.create_index("sessions_started", "sessions", ["started"])
    op.create_index("sessions_external_id", "sessions", ["external_id"])


def _column(told: str) -> sa.Column[Any]:
    name, _, sort = told.partition(":")
    is_key = name.endswith("*")
    return sa.Column(
        name.removesuffix("*"), _TYPES[sort], primary_key=is_key, autoincrement=sort == "s", nullable=sort == "n"
    )
