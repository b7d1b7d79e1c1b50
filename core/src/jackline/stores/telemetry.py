"""What a SQL store is asked by those who watch: what runs, what it may still spend, how values are distributed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from jackline.errors import StoreError
from jackline.journal.liveness import writer_lives
from jackline.stores import schema
from jackline.stores.alert_rows import alert_rows, count_open
from jackline.stores.approval_waits import approval_waits
from jackline.stores.histograms import DAY, distribution
from jackline.stores.rollups import ONLOOKERS
from jackline.stores.rows import (
    AgentUsageRow,
    AlertRow,
    AuditRow,
    CeilingRow,
    DistributionRow,
    EventRow,
    SessionRow,
    SpanRow,
    WaitRow,
)
from jackline.stores.trace_rows import span_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

_PAGE = 500
_ceiling = msgspec.json.Decoder(CeilingRow).decode


class Telemetry:
    """The reading half of a SQL store that dashboards and streams ask; each answer is one transaction's."""

    def head(self) -> tuple[str, int]:
        """The epoch as it is now, and the position of the last line that came in: the end of every stream."""
        table = schema.events
        with self._reading() as connection:
            last = connection.execute(sa.select(sa.func.max(table.c.position))).scalar()
            return self._read_epoch(connection), int(last or 0)

    def event(self, position: int) -> EventRow | None:
        """The line at a position."""
        table = schema.events
        with self._reading() as connection:
            row = connection.execute(sa.select(table).where(table.c.position == position)).mappings().first()
        return None if row is None else EventRow(**{name: row[name] for name in EventRow.__struct_fields__})

    def position_at(self, at: float) -> int:
        """The position before the first of the latest 100,000 lines that is not older than `at` (Unix seconds)."""
        table = schema.events
        with self._reading() as connection:
            last = connection.execute(sa.select(sa.func.max(table.c.position))).scalar() or 0
            query = sa.select(sa.func.min(table.c.position)).where(table.c.position > last - 100_000, table.c.at >= at)
            found = connection.execute(query).scalar()
        return int(last if found is None else found - 1)

    def page(
        self,
        *,
        limit: int,
        after: tuple[float, str] | None = None,
        agent: str = "",
        user: str = "",
        since: float | None = None,
        until: float | None = None,
        state: str = "",
    ) -> list[SessionRow]:
        """Sessions that started in a time, the latest first, after one that is named by its start and id.

        With a state those that may have it: whether a process lives, no index knows.
        """
        table, agents = schema.sessions, schema.session_agents
        query = sa.select(table).order_by(table.c.started.desc(), table.c.session).limit(limit)
        if after is not None:
            started, name = after
            later = sa.and_(table.c.started == started, table.c.session > name)
            query = query.where(sa.or_(table.c.started < started, later))
        if user:
            query = query.where(table.c.user == user)
        if since is not None:
            query = query.where(table.c.started >= since)
        if until is not None:
            query = query.where(table.c.started < until)
        if agent:
            named = sa.or_(agents.c.agent == agent, agents.c.agent.startswith(f"{agent}@", autoescape=True))
            query = query.where(table.c.session.in_(sa.select(agents.c.session).where(named)))
        if state == "halted":
            query = query.where(schema.HALTED, table.c.halted_by > table.c.reopened_by)
        elif state in ("running", "open", "crashed"):
            query = query.where(sa.or_(table.c.ended_by == "", table.c.ended < table.c.decided_at))
        with self._reading() as connection:
            return self._session_rows(connection, [dict(row) for row in connection.execute(query).mappings()])

    def live(self, since: float, limit: int = 500) -> list[SessionRow]:
        """Sessions that were active since then, and those of living processes that did not end; latest active first."""
        table, held = schema.sessions, schema.session_journals
        with self._reading() as connection:
            recent = sa.select(table.c.session).where(table.c.last_at >= since)
            alive = self._living(connection)
            going = sa.select(table.c.session).join(held, held.c.session == table.c.session)
            going = going.where(held.c.journal.in_(alive), table.c.ended_by == "")
            wanted = sa.union(recent, going).subquery()
            query = sa.select(table).where(table.c.session.in_(sa.select(wanted.c.session)))
            query = query.order_by(table.c.last_at.desc(), table.c.session).limit(limit)
            return self._session_rows(connection, [dict(row) for row in connection.execute(query).mappings()])

    def named(self, sessions: Iterable[str]) -> list[SessionRow]:
        """These sessions, by their whole ids, in no order."""
        table = schema.sessions
        rows: list[dict[str, Any]] = []
        with self._reading() as connection:
            for chunk in _pages(list(sessions)):
                query = sa.select(table).where(table.c.session.in_(chunk))
                rows += [dict(row) for row in connection.execute(query).mappings()]
            return self._session_rows(connection, rows)

    def running(self, sessions: Iterable[str]) -> dict[str, list[SpanRow]]:
        """The acts of these sessions that are under way, by session."""
        table = schema.spans
        found: dict[str, list[SpanRow]] = {}
        with self._reading() as connection:
            alive: dict[str, bool | None] = dict.fromkeys(self._living(connection), True)
            for chunk in _pages(list(sessions)):
                query = sa.select(table).where(table.c.session.in_(chunk), schema.OPEN)
                for row in connection.execute(query).mappings():
                    span = span_row(dict(row), alive)
                    if span.outcome == "running":
                        found.setdefault(span.session, []).append(span)
        return found

    def span(self, session: str, span: str) -> SpanRow | None:
        """One step of a session."""
        table = schema.spans
        with self._reading() as connection:
            query = sa.select(table).where(table.c.session == session, table.c.span == span)
            row = connection.execute(query).mappings().first()
            alive: dict[str, bool | None] = dict.fromkeys(self._living(connection), True)
        return None if row is None else span_row(dict(row), alive)

    def ceilings(self, sessions: Iterable[str]) -> dict[str, CeilingRow]:
        """The tightest ceiling of each of these sessions, as their last reservation found it."""
        table = schema.sessions
        found: dict[str, CeilingRow] = {}
        with self._reading() as connection:
            for chunk in _pages(list(sessions)):
                query = sa.select(table.c.session, table.c.ceiling)
                query = query.where(table.c.session.in_(chunk), table.c.ceiling != "")
                found |= {row[0]: _ceiling(row[1]) for row in connection.execute(query)}
        return found

    def counts(self, session: str) -> tuple[int, int]:
        """How many events and how many steps a session has."""
        with self._reading() as connection:
            query = [
                sa.select(sa.func.count()).select_from(table).where(table.c.session == session)
                for table in (schema.events, schema.spans)
            ]
            events, spans = (int(connection.execute(each).scalar() or 0) for each in query)
        return events, spans

    def lines(
        self, session: str, *, kinds: Sequence[str] = (), text: str = "", until: float | None = None, last: int = 0
    ) -> list[EventRow]:
        """A session's lines in their order: of these kinds, with this text in them, not later; the `last` of those."""
        table = schema.events
        order = (table.c.clock, table.c.journal, table.c.seq)
        query = sa.select(table).where(table.c.session == session)
        if kinds:
            query = query.where(table.c.kind.in_(kinds))
        if text:
            query = query.where(table.c.body.contains(text, autoescape=True))
        if until is not None:
            query = query.where(table.c.at <= until)
        query = query.order_by(*(column.desc() for column in order)).limit(last) if last else query.order_by(*order)
        with self._reading() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        found = [EventRow(**{name: row[name] for name in EventRow.__struct_fields__}) for row in rows]
        return found[::-1] if last else found

    def agent_usage(
        self, by: Sequence[str] = ("agent",), *, since: float | None = None, until: float | None = None
    ) -> list[AgentUsageRow]:
        """Decisions on agents' acts, by `hour`, `agent`; whole hours."""
        rows: list[AgentUsageRow] = self._totals(schema.agent_hourly, AgentUsageRow, by, since, until)
        return rows

    def sessions_of(self, since: float) -> dict[str, int]:
        """In how many sessions each agent acted since then."""
        table = schema.session_agents
        query = sa.select(table.c.agent, sa.func.count()).where(table.c.last_seen >= since).group_by(table.c.agent)
        with self._reading() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(query)}

    def distributions(
        self, what: str, by: Sequence[str] = (), *, since: float | None = None, until: float | None = None
    ) -> list[DistributionRow]:
        """How values lie, by `agent`, `name`; whole days.

        `what`: session_cost, session_duration, tool, model; decision, whose names are actions, in microseconds.
        """
        table = _widest(by, since, until)
        unknown = [name for name in by if name not in ("agent", "name")]
        if unknown:
            raise StoreError(f"Cannot group by '{unknown[0]}': distributions have agent, name")
        groups = [table.c[name] for name in by]
        sums = [sa.func.sum(table.c.count), sa.func.sum(table.c.total)]
        query = sa.select(*groups, table.c.bucket, *sums).where(table.c.what == what)
        query = query.group_by(*groups, table.c.bucket).order_by(*groups, table.c.bucket)
        if since is not None:
            query = query.where(table.c.day >= int(since) // DAY * DAY)
        if until is not None:
            query = query.where(table.c.day < until)
        found: dict[tuple[str, ...], list[tuple[int, int, int]]] = {}
        with self._reading() as connection:
            for *key, number, count, total in connection.execute(query).all():
                found.setdefault(tuple(key), []).append((int(number), int(count), int(total)))
        return [
            distribution(dict(zip(by, key, strict=True)), [row[:2] for row in rows], sum(total for _, _, total in rows))
            for key, rows in found.items()
        ]

    def approval_waits(self, bounds: Sequence[float]) -> list[WaitRow]:
        """How long people took, of all approvals that are over, by how they ended; `bounds` in seconds, ascending."""
        with self._reading() as connection:
            return approval_waits(connection, bounds)

    def alerts(
        self,
        *,
        open_only: bool = False,
        since: float | None = None,
        after: tuple[float, str] | None = None,
        limit: int = 1000,
    ) -> list[AlertRow]:
        """Alerts, the latest first, behind one by its start and id; `since`: those that were not over then."""
        return alert_rows(self._reading, open_only=open_only, since=since, after=after, limit=limit)

    def open_alerts(self) -> dict[tuple[str, str], int]:
        """How many alerts are not over, by rule and severity."""
        return count_open(self._reading)

    def audits(self, kinds: Sequence[str], limit: int = 1000) -> list[AuditRow]:
        """The latest lines of rare kinds (what became of bundles, access, budgets), the latest first."""
        table = schema.audits
        query = sa.select(table).where(table.c.kind.in_(kinds))
        query = query.order_by(table.c.at.desc(), table.c.journal, table.c.seq.desc()).limit(limit)
        with self._reading() as connection:
            return [AuditRow(**row) for row in connection.execute(query).mappings()]

    def living(self) -> dict[str, tuple[int, str]]:
        """The journals whose processes are there: process id and host of each."""
        table = schema.journals
        with self._reading() as connection:
            alive = self._living(connection)
            query = sa.select(table.c.journal, table.c.pid, table.c.host).where(table.c.journal.in_(alive))
            return {row[0]: (int(row[1]), row[2]) for row in connection.execute(query)}

    def _living(self, connection: sa.Connection) -> list[str]:
        table = schema.journals
        rows = connection.execute(sa.select(table).where(table.c.closed.is_(None))).mappings()
        return [
            row["journal"]
            for row in rows
            if row["writer"] not in ONLOOKERS
            and writer_lives(row["pid"], row["host"], row["boot"], row["opened"] or 0.0) is not False
        ]

    def _read_epoch(self, connection: sa.Connection) -> str:
        raise NotImplementedError

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        raise NotImplementedError

    def _session_rows(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[SessionRow]:
        raise NotImplementedError

    def _totals(
        self, table: sa.Table, row: type[Any], by: Sequence[str], since: float | None, until: float | None
    ) -> Any:
        raise NotImplementedError


def _widest(by: Sequence[str], since: float | None, until: float | None) -> sa.Table:
    """The least table that has the answer: of all time, of all agents, or of each."""
    if since is None and until is None:
        return schema.histograms_ever
    return schema.histograms if "agent" in by else schema.histograms_named


def _pages(names: list[str]) -> Iterable[list[str]]:
    return (names[at : at + _PAGE] for at in range(0, len(names), _PAGE))
