"""What a SQL store is asked."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa

from jackline.errors import StoreError
from jackline.journal.liveness import writer_lives
from jackline.stores import schema
from jackline.stores.approval_rows import approval_row
from jackline.stores.fold import stamp_place
from jackline.stores.histograms import DAY
from jackline.stores.inventory import agent_keys, agent_row, roster
from jackline.stores.rollups import HOUR, ONLOOKERS, is_open
from jackline.stores.rows import (
    AgentRow,
    ApprovalRow,
    EventRow,
    PolicyUsageRow,
    SessionRow,
    SpanRow,
    ToolRow,
    ToolUsageRow,
    UsageRow,
)
from jackline.stores.trace_rows import proof, session_row, span_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from jackline.journal.line import Head
    from jackline.roster import Roster
    from jackline.stores.rows import Position

_PAGE = 500
_Sum = TypeVar("_Sum", UsageRow, ToolUsageRow, PolicyUsageRow)


class Queries:
    """The reading half of a SQL store; each answer is one transaction's."""

    def sessions(
        self, *, limit: int = 50, agent: str = "", user: str = "", since: float | None = None
    ) -> list[SessionRow]:
        """The sessions that were active since then, the latest started first; `agent` by name or `name@version`."""
        table, agents = schema.sessions, schema.session_agents
        query = sa.select(table).order_by(table.c.started.desc(), table.c.session).limit(limit)
        if user:
            query = query.where(table.c.user == user)
        if since is not None:
            query = query.where(table.c.last_at >= since)
        if agent:
            named = sa.or_(agents.c.agent == agent, agents.c.agent.startswith(f"{agent}@", autoescape=True))
            query = query.where(table.c.session.in_(sa.select(agents.c.session).where(named)))
        with self._reading() as connection:
            rows = _rows(connection, query)
            return self._session_rows(connection, rows)

    def session(self, name: str) -> SessionRow | None:
        """The session with this id, beginning of an id, or external id; StoreError where several have it."""
        table = schema.sessions
        exact = sa.or_(table.c.session == name, table.c.external_id == name)
        with self._reading() as connection:
            for condition in (exact, table.c.session.startswith(name, autoescape=True)):
                query = sa.select(table).where(condition).order_by(table.c.session).limit(6)
                rows = _rows(connection, query)
                if len(rows) > 1:
                    told = ", ".join(row["session"] for row in rows[:5]) + (", ..." if len(rows) > 5 else "")  # noqa: PLR2004
                    raise StoreError(f"'{name}' names several sessions: {told}. Give more of the id")
                if rows:
                    return self._session_rows(connection, rows)[0]
        return None

    def spans(self, session: str) -> list[SpanRow]:
        """Every step of a session, in the order in which they were decided or began."""
        table = schema.spans
        with self._reading() as connection:
            rows = _rows(connection, sa.select(table).where(table.c.session == session))
            alive = self._alive(connection, {stamp_place(proof(row))[0] for row in rows})
        return [span_row(row, alive) for row in sorted(rows, key=proof)]

    def events(self, session: str = "", *, after: int = 0, limit: int = 0) -> Iterator[EventRow]:
        """A session's events in their order; without a session all events as they came in, after a position."""
        table = schema.events
        order = (table.c.clock, table.c.journal, table.c.seq) if session else (table.c.position,)
        query = sa.select(table).where(table.c.position > after).order_by(*order)
        if session:
            query = query.where(table.c.session == session)
        told, last = 0, None
        # Page by page, each in its own transaction: a slow reader would keep a rollback-mode SQLite from committing.
        while not limit or told < limit:
            page = min(limit - told, _PAGE) if limit else _PAGE
            with self._reading() as connection:
                further = query if last is None else query.where(sa.tuple_(*order) > sa.tuple_(*last))
                rows = _rows(connection, further.limit(page))
            for row in rows:
                yield EventRow(**{name: row[name] for name in EventRow.__struct_fields__})
            told += len(rows)
            if len(rows) < page:
                return
            last = [sa.literal(rows[-1][column.name]) for column in order]

    def approvals(self, session: str = "", *, limit: int = 1000) -> list[ApprovalRow]:
        """A session's questions to people, the oldest first; without a session the latest of all, the latest first."""
        table = schema.approvals
        query = sa.select(table).where(table.c.asked_by != "").limit(limit)
        if session:
            query = query.where(table.c.session == session).order_by(table.c.asked_at, table.c.approval)
        else:
            query = query.order_by(table.c.asked_at.desc(), table.c.approval)
        with self._reading() as connection:
            return list(map(approval_row, _rows(connection, query)))

    def agents(self) -> list[AgentRow]:
        """Every version of every agent that was seen, by name."""
        with self._reading() as connection:
            known, seen, counts = self._inventory(connection)
        by_agent: dict[str, dict[tuple[str, str, str], tuple[float, float]]] = {}
        for key, when in seen.items():
            by_agent.setdefault(key[0], {})[key] = when
        return [agent_row(key, known, by_agent.get(key, {}), counts) for key in agent_keys(known, by_agent)]

    def tools(self, agent: str) -> list[ToolRow]:
        """The tools of one agent (`name` or `name@version`), by name."""
        return [tool for row in self.agents() if agent in (row.agent, row.name) for tool in row.tools]

    def heads(self) -> dict[str, Head]:
        """The last line of each journal that was ingested: what `verify` holds journals to."""
        return {journal: place.head for journal, place in self.positions().items() if place.head is not None}

    def usage(
        self, by: Sequence[str] = ("agent", "model"), *, since: float | None = None, until: float | None = None
    ) -> list[UsageRow]:
        """Cost, tokens and calls of models, by `hour`, `agent`, `model`; whole hours."""
        return self._totals(schema.usage_hourly, UsageRow, by, since, until)

    def tool_usage(
        self, by: Sequence[str] = ("agent", "tool"), *, since: float | None = None, until: float | None = None
    ) -> list[ToolUsageRow]:
        """Calls, failures and denials of tools, by `hour`, `agent`, `tool`; whole hours."""
        return self._totals(schema.tool_hourly, ToolUsageRow, by, since, until)

    def policy_usage(
        self,
        by: Sequence[str] = ("policy", "rule", "effect", "mode"),
        *,
        since: float | None = None,
        until: float | None = None,
    ) -> list[PolicyUsageRow]:
        """Verdicts and decisions, by `hour`, `policy`, `rule`, `effect`, `mode`; whole hours."""
        return self._totals(schema.policy_hourly, PolicyUsageRow, by, since, until)

    def positions(self) -> dict[str, Position]:
        """How far each journal is ingested."""
        raise NotImplementedError

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        raise NotImplementedError

    def _totals(
        self, table: sa.Table, row: type[_Sum], by: Sequence[str], since: float | None, until: float | None
    ) -> list[_Sum]:
        keys = ["day", *(column.name for column in table.primary_key)]
        unknown = [name for name in by if name not in keys]
        if unknown:
            raise StoreError(f"Cannot group by '{unknown[0]}': {table.name} has {', '.join(keys)}")
        counts = [column.name for column in table.c if not column.primary_key]
        summed = _spanned(table, [name for name in by if name not in ("hour", "day")], counts, by, since, until)
        groups = [summed.c[name] for name in by]
        query = sa.select(*groups, *(sa.func.sum(summed.c[name]).label(name) for name in counts))
        with self._reading() as connection:
            rows = _rows(connection, query.group_by(*groups).order_by(*groups))
        blank = {name: None if name == "hour" else "" for name in keys if name != "day"}
        # A sum is a Decimal in some databases, and None where there is no row at all.
        return [row(**blank | _whole_row(found)) for found in rows if _said(found)]

    def _session_rows(self, connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> list[SessionRow]:
        names = [row["session"] for row in rows]
        agents = _pairs(connection, schema.session_agents, "agent", names)
        journals = _pairs(connection, schema.session_journals, "journal", names)
        acts = [row["session"] for row in rows if row["open_acts"]]
        opened: dict[str, list[str]] = {}
        for chunk in _pages(acts):
            query = sa.select(schema.spans).where(schema.spans.c.session.in_(chunk), schema.OPEN)
            for span in _rows(connection, query):
                if is_open(span):
                    opened.setdefault(span["session"], []).append(stamp_place(span["decided_by"])[0])
        alive = self._alive(connection, {journal for of in (*journals.values(), *opened.values()) for journal in of})
        waiting = self._waiting(connection, names)
        return [
            session_row(row, agents, journals, opened.get(row["session"], []), alive, waiting.get(row["session"], 0))
            for row in rows
        ]

    def _waiting(self, connection: sa.Connection, sessions: list[str]) -> dict[str, int]:
        """By session: how many questions to people are open and have not lapsed."""
        table, now, counts = schema.approvals, time.time(), dict[str, int]()
        for chunk in _pages(sessions):
            query = sa.select(table).where(table.c.session.in_(chunk), table.c.expires > now)
            for row in map(approval_row, _rows(connection, query)):
                counts[row.session] = counts.get(row.session, 0) + (row.state == "pending")
        return counts

    def _alive(self, connection: sa.Connection, names: set[str]) -> dict[str, bool | None]:
        """By journal: True where its process may go on, None where it ended the journal, False where it died."""
        table = schema.journals
        alive: dict[str, bool | None] = {}
        for chunk in _pages(sorted(names)):
            for row in _rows(connection, sa.select(table).where(table.c.journal.in_(chunk))):
                lives = writer_lives(row["pid"], row["host"], row["boot"], row["opened"] or 0.0)
                over = row["closed"] is not None or row["writer"] in ONLOOKERS
                alive[row["journal"]] = None if over else lives is not False
        return alive

    def _inventory(
        self, connection: sa.Connection
    ) -> tuple[Roster, dict[tuple[str, str, str], tuple[float, float]], dict[tuple[str, str], tuple[int, ...]]]:
        table, tools = schema.registry_events, schema.tool_daily
        query = sa.select(table.c.kind, table.c.body).order_by(table.c.stamp)
        known = roster((row[0], row[1]) for row in connection.execute(query))
        rows = _rows(connection, sa.select(schema.seen))
        seen = {(row["agent"], row["what"], row["name"]): (row["first_seen"], row["last_seen"]) for row in rows}
        sums = [sa.func.sum(tools.c[name]) for name in ("calls", "failures", "denials")]
        totals = sa.select(tools.c.agent, tools.c.tool, *sums).group_by(tools.c.agent, tools.c.tool)
        counts: dict[tuple[str, str], tuple[int, ...]] = {}
        for agent, tool, *counted in connection.execute(totals):
            counts[agent, tool] = tuple(map(int, counted))
        return known, seen, counts


def _rows(connection: sa.Connection, query: sa.Select[Any]) -> list[dict[str, Any]]:
    result = connection.execute(query)
    names = tuple(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result]


def _pairs(connection: sa.Connection, table: sa.Table, column: str, sessions: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for chunk in _pages(sessions):
        query = sa.select(table).where(table.c.session.in_(chunk)).order_by(table.c.first_seen, table.c[column])
        for row in _rows(connection, query):
            found.setdefault(row["session"], []).append(row[column])
    return found


def _pages(names: list[str]) -> Iterable[list[str]]:
    return (names[at : at + _PAGE] for at in range(0, len(names), _PAGE))


def _said(found: Mapping[str, Any]) -> bool:
    return any(value is not None for value in found.values())


def _whole_row(found: Mapping[str, Any]) -> dict[str, Any]:
    """A row's numbers as integers; a day is told by the hour at which it begins."""
    return {
        "hour" if name == "day" else name: value if value is None or isinstance(value, str) else int(value)
        for name, value in found.items()
    }


def _spanned(
    hourly: sa.Table,
    names: list[str],
    counts: list[str],
    by: Sequence[str],
    since: float | None,
    until: float | None,
) -> sa.Subquery:
    """The rows of a time: days where all of a day is asked for, hours before and after, and where hours are told."""
    daily, hour = schema.DAILY[hourly.name], hourly.c.hour
    start = int(since) // HOUR * HOUR if since is not None else None
    parts: list[sa.Select[Any]] = []
    if "hour" in by:
        parts.append(_columns(hourly, hour, names, counts, by).where(*_between(hour, start, until)))
    else:
        first = -(-start // DAY) * DAY if start is not None else None
        last = int(until) // DAY * DAY if until is not None else None
        if first is not None and last is not None and first > last:
            parts.append(_columns(hourly, hour, names, counts, by).where(*_between(hour, start, until)))
        else:
            parts.append(_columns(daily, daily.c.day, names, counts, by).where(*_between(daily.c.day, first, last)))
            if first is not None and start != first:
                parts.append(_columns(hourly, hour, names, counts, by).where(hour >= start, hour < first))
            if last is not None and until != last:
                parts.append(_columns(hourly, hour, names, counts, by).where(hour >= last, hour < until))
    return sa.union_all(*parts).subquery()


def _columns(
    table: sa.Table, time: sa.Column[int], names: list[str], counts: list[str], by: Sequence[str]
) -> sa.Select[Any]:
    times = [(time - time % DAY).label("day")] if "day" in by else []
    times += [time.label("hour")] if "hour" in by else []
    columns: list[sa.ColumnElement[Any]] = [*times, *(table.c[name] for name in (*names, *counts))]
    return sa.select(*columns)


def _between(time: sa.Column[int], since: float | None, until: float | None) -> list[sa.ColumnElement[bool]]:
    found = [time >= since] if since is not None else []
    return [*found, time < until] if until is not None else found
