"""From a SQL store's rows to alerts as people see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from jackline.stores import schema
from jackline.stores.fold_alerts import GROUP
from jackline.stores.rows import AlertRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

_OPEN = schema.alerts.c.resolved_by < schema.alerts.c.fired_by


def alert_rows(
    reading: Callable[[], AbstractContextManager[sa.Connection]],
    *,
    open_only: bool,
    since: float | None,
    after: tuple[float, str] | None,
    limit: int,
) -> list[AlertRow]:
    """Alerts, the latest first; see `Telemetry.alerts`."""
    table = schema.alerts
    query = sa.select(table).order_by(table.c.since.desc(), table.c.alert).limit(limit)
    if open_only:
        query = query.where(_OPEN)
    if since is not None:
        query = query.where(sa.or_(_OPEN, table.c.resolved_at >= since))
    if after is not None:
        at, name = after
        query = query.where(sa.or_(table.c.since < at, sa.and_(table.c.since == at, table.c.alert > name)))
    with reading() as connection:
        return [alert_row(dict(row)) for row in connection.execute(query).mappings()]


def count_open(reading: Callable[[], AbstractContextManager[sa.Connection]]) -> dict[tuple[str, str], int]:
    """How many alerts are not over, by rule and severity."""
    table = schema.alerts
    query = sa.select(table.c.rule, table.c.severity, sa.func.count()).where(_OPEN)
    with reading() as connection:
        found = connection.execute(query.group_by(table.c.rule, table.c.severity))
        return {(row[0], row[1]): int(row[2]) for row in found}


def alert_row(row: Mapping[str, Any]) -> AlertRow:
    """One alert; it is over where that was said after it last fired."""
    over = row["resolved_by"] >= row["fired_by"]
    same = {name: row[name] for name in ("alert", "rule", "signal", "severity", "value", "threshold", "unit", "since")}
    return AlertRow(
        **same,
        state="resolved" if over else row["state"],
        group={name: row[name] for name in GROUP if row[name]},
        message=row["message"] or row["resolved_message"],
        last=max(row["fired_at"], row["resolved_at"] if over else 0.0),
        resolved=row["resolved_at"] if over else None,
        resolved_message=row["resolved_message"] if over else "",
    )
