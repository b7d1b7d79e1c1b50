"""How long people took to answer: counted by the database, however many approvals there were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from jackline.stores import schema
from jackline.stores.rows import Bucket, WaitRow

if TYPE_CHECKING:
    from collections.abc import Sequence

_ENDS = (("consumed", "used_by_line", "used_at"), ("denied", "no_by", "no_at"), ("expired", "expired_by", "expired_at"))
"""As `approval_rows` reads them: the first that came after the question is its end."""


def approval_waits(connection: sa.Connection, bounds: Sequence[float]) -> list[WaitRow]:
    """From the question to the last word on it, by how it ended. A yes counts from when it was given, not used."""
    table = schema.approvals
    is_over = [(sa.and_(table.c[line] != "", table.c[at] >= table.c.asked_at), state, at) for state, line, at in _ENDS]
    state = sa.case(*((condition, state) for condition, state, _ in is_over), else_="")
    given = sa.and_(table.c.yes_at >= table.c.asked_at, table.c.yes_at <= table.c.used_at)
    until = sa.case(*((condition, table.c[at]) for condition, _, at in is_over), else_=table.c.asked_at)
    until = sa.case((sa.and_(is_over[0][0], given), table.c.yes_at), else_=until)
    waits = sa.select(state.label("state"), (until - table.c.asked_at).label("wait")).subquery()
    place = sa.case(*((waits.c.wait <= bound, number) for number, bound in enumerate(bounds)), else_=len(bounds))
    numbered = sa.select(waits.c.state, place.label("place"), waits.c.wait).where(waits.c.state != "").subquery()
    query = sa.select(numbered.c.state, numbered.c.place, sa.func.count(), sa.func.sum(numbered.c.wait))
    query = query.group_by(numbered.c.state, numbered.c.place).order_by(numbered.c.state, numbered.c.place)
    found: dict[str, list[tuple[int, int, float]]] = {}
    for name, *counted in connection.execute(query):
        found.setdefault(name, []).append((int(counted[0]), int(counted[1]), float(counted[2])))
    return [_row(name, counts, bounds) for name, counts in found.items()]


def _row(state: Any, counts: list[tuple[int, int, float]], bounds: Sequence[float]) -> WaitRow:
    return WaitRow(
        state=state,
        count=sum(count for _, count, _ in counts),
        seconds=sum(seconds for _, _, seconds in counts),
        buckets=tuple(Bucket(to=bounds[place], count=count) for place, count, _ in counts if place < len(bounds)),
    )
